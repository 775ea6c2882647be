"""Formats that a name tells: what they weigh, and which engines load them."""

from __future__ import annotations

import pytest

from wellfed.catalog.model_names import resolve
from wellfed.models.checkpoint_formats import loaders
from wellfed.models.file_size import file_size
from wellfed.models.quantisation import weights
from wellfed.resolution import Resolved
from wellfed.resolution import resolve as facts_of

PARAMETERS = 8.19e9  # of Qwen3-8B, of which 1.24e9 are embedding and head


@pytest.mark.parametrize(
    ("form", "bits"),
    [
        ("BF16", 16),
        ("Q8_0", 8.5),
        ("MLX-4bit", 4.5),
        ("MLX-8bit", 8.5),
        ("MLX-mxfp4", 4.25),
        ("4.0bpw-h6-exl3", 5.07),  # the embedding stays in 16 bits, the head takes 6
        ("FP8", 9.2),
        ("bnb-4bit", 5.9),
        ("GPTQ-Int4", 6),
        ("GPTQ-4bit-128g", 6),
        ("GPTQ-3bit", 5.1),
        ("AWQ", 6),
        ("quantized.w8a8", 9.2),
        ("NVFP4A16", 6.25),
        ("HQQ-4bit", 6.25),
        ("int4-AutoRound", 6),
    ],
)
def test_the_bytes_of_a_format(form: str, bits: float) -> None:
    found = resolve(f"Qwen3-8B-{form}")
    assert found.model is not None and found.quantisation is not None
    size = file_size(found.model, found.quantisation)
    assert size.bytes == pytest.approx(bits * PARAMETERS / 8, rel=0.03)


@pytest.mark.parametrize(
    ("text", "engines"),
    [
        ("mlx-community/Qwen3-8B-4bit", {"mlx"}),
        ("turboderp/Qwen3-8B-exl3 4.0bpw", {"exllamav3"}),
        ("unsloth/Qwen3-8B-GGUF", {"llama.cpp", "ik_llama.cpp", "ktransformers", "ollama", "ds4"}),
        ("Qwen3-8B-Q4_K_M.gguf", {"llama.cpp", "ik_llama.cpp", "ktransformers", "ollama", "ds4"}),
    ],
)
def test_who_loads_it(text: str, engines: set[str]) -> None:
    model = resolve(text).model
    assert model is not None and loaders(model) == engines


@pytest.mark.parametrize(
    "text", ["Qwen3-8B ONNX", "Qwen3-8B OpenVINO", "turboderp/Qwen3-8B-exl3", "unsloth/Qwen3-8B-GGUF"]
)
def test_a_format_without_a_size_has_none(text: str) -> None:
    (answer,) = facts_of([text])
    assert isinstance(answer, Resolved)
    assert answer.format is not None and answer.weight_bytes is None and answer.parameters


def test_a_mix_with_a_wide_head_is_one_of_its_own() -> None:
    plain, wide = (resolve(f"Qwen3-8B {label}") for label in ("Q4_K_M", "Q4_K_L"))
    assert plain.quantisation and wide.quantisation and plain.model and wide.model
    head = plain.model.vocabulary * plain.model.hidden
    more = weights(wide.model, wide.quantisation).total - weights(plain.model, plain.quantisation).total
    assert more == pytest.approx(head * (8.5 - 6.5625 + 8.5 - 4.5) / 8, rel=0.001)  # output and embedding in Q8_0
