"""Sizes of published files: one number where there is one recipe, else a range that holds them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from architecture_cases import CASES
from hypothesis import given
from hypothesis import strategies as st

from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.models import by_id
from wellfed.modelfiles.hf_config import read_config
from wellfed.models.config import from_config
from wellfed.models.file_size import file_size
from wellfed.models.model import Model, tensors
from wellfed.models.quantisation import Quantisation, tensor_type
from wellfed.models.quantisation_names import quantisation, quantisations
from wellfed.verbs import inputs

GB, GIB = 10**9, 2**30
_SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "models"
_BY_NAME = {name: config for name, _, config in CASES}

# GB. Recalled, not looked up, but for two of GLM-4.6 (135 and 204 GB): a check of plausibility, not a measurement.
_UNSLOTH = {
    "deepseek-v3": "UD-TQ1_0 162 UD-IQ1_S 185 UD-IQ1_M 200 UD-IQ2_XXS 216 UD-Q2_K_XL 251 UD-IQ3_XXS 273 UD-Q3_K_XL 296 "
    "UD-Q4_K_XL 384 UD-Q5_K_XL 481",
    "kimi-k2": "UD-TQ1_0 245 UD-IQ1_S 281 UD-IQ1_M 304 UD-IQ2_XXS 343 UD-Q2_K_XL 381 UD-IQ3_XXS 417 UD-Q3_K_XL 452 "
    "UD-Q4_K_XL 588 UD-Q5_K_XL 732",
    "glm-4.6": "UD-TQ1_0 84 UD-IQ1_S 97 UD-IQ1_M 107 UD-IQ2_XXS 115 UD-Q2_K_XL 135 UD-Q4_K_XL 204",
    "qwen3-30b-a3b": "UD-TQ1_0 8.0 UD-Q2_K_XL 11.8 UD-Q3_K_XL 13.8 UD-Q4_K_XL 17.7 UD-Q5_K_XL 21.7 UD-Q6_K_XL 26.3 "
    "UD-Q8_K_XL 36.0",
    "qwen3-32b": "UD-IQ1_S 7.9 UD-IQ2_XXS 9.46 UD-Q2_K_XL 12.8 UD-Q3_K_XL 16.4 UD-Q4_K_XL 20.0 UD-Q8_K_XL 39.5",
}


def _pairs(table: dict[str, str]) -> list[tuple[str, str, float]]:
    words = {identity: text.split() for identity, text in table.items()}
    return [
        (identity, kind, float(size))
        for identity, listed in words.items()
        for kind, size in zip(listed[::2], listed[1::2], strict=True)
    ]


@pytest.mark.parametrize(("identity", "kind", "size"), _pairs(_UNSLOTH))
def test_dynamic_mixes_lie_in_their_range(identity: str, kind: str, size: float) -> None:
    sized = file_size(by_id(identity), quantisation(kind))
    assert sized.is_range
    assert sized.low <= size * GB <= sized.high


@given(identity=st.sampled_from(model_ids()), quant=st.sampled_from(quantisations()))
def test_a_range_holds_its_middle_and_is_never_wide(identity: str, quant: Quantisation) -> None:
    sized = file_size(by_id(identity), quant)
    assert 0 < sized.low <= sized.bytes <= sized.high
    assert sized.high <= 1.0801 * sized.bytes
    assert sized.low >= 0.9199 * sized.bytes
    assert 0 < sized.loaded <= sized.high


def test_one_type_is_one_size() -> None:
    for kind in ("q8_0", "f16", "gguf-bf16", "q4_0", "gguf-mxfp4"):
        assert not file_size(by_id("qwen3-8b"), quantisation(kind)).is_range
    assert file_size(by_id("qwen3-8b"), quantisation("q4_k_m")).is_range


@pytest.mark.parametrize(("identity", "gib"), [("qwen3-8b", 4.86), ("qwen3-14b", 8.63), ("qwen3-32b", 18.81)])
def test_ollama_keeps_qwen3_s_values_wide(identity: str, gib: float) -> None:
    """Sizes from engine logs of Ollama's library files."""
    sized = file_size(by_id(identity), quantisation("q4_k_m").made_by("ollama"))
    assert sized.bytes == pytest.approx(gib * GIB, rel=0.003)
    assert not sized.is_range


def test_rows_that_do_not_divide_fall_back_to_larger_types() -> None:
    """GLM-4.7-Flash's heads have 192 columns: no K type fits, so its up projections are Q5_0 in a Q4_K_M."""
    model = from_config(_BY_NAME["glm-4.7-flash"], "flash")
    kinds = {tensor.role: tensor_type(model, quantisation("q4_k_s"), tensor) for tensor in tensors(model)}
    assert kinds["attn_k_b"] == "Q5_0"
    assert kinds["attn_v_b"] == "Q4_K"


def test_a_glm_gguf_holds_the_mtp_layer_and_a_deepseek_one_does_not() -> None:
    glm, deepseek = by_id("glm-4.5-air"), by_id("deepseek-v3")
    for model, ratio in ((glm, model_ratio(glm)), (deepseek, 1.0)):
        sized = file_size(model, quantisation("q8_0"))
        assert sized.bytes / (model.parameters * 8.5 / 8) == pytest.approx(ratio, rel=0.002)


def model_ratio(model: Model) -> float:
    return model.total_parameters / model.parameters


def test_what_is_loaded_is_the_file_without_mtp() -> None:
    model = by_id("deepseek-v3")
    sized = file_size(model, quantisation("fp8"))
    assert sized.bytes - sized.loaded == pytest.approx((model.total_parameters - model.parameters), rel=0.2)


def _shared_model(name: str) -> Model | None:
    folders = {
        "qwen3.6-27b": "Qwen--Qwen3.5-27B",
        "gemma-4-31b": "nvidia--Gemma-4-31B-IT-NVFP4",
        "gemma-4-26b-a4b": "google--gemma-4-26B-A4B",
        "minimax-m2.7": "nvidia--MiniMax-M2.7-NVFP4",
        "gpt-oss-120b": "openai--gpt-oss-120b",
    }
    cases = {"glm-4.7-flash": "glm-4.7-flash", "gemma-3-4b": "gemma3-4b"}
    if name in folders:
        return read_config(_SHARED / "configs" / folders[name])
    if name in cases:
        return from_config(_BY_NAME[cases[name]], name)
    return by_id(name) if name in model_ids() else None


def _rows() -> list[dict[str, str]]:
    file = _SHARED / "gguf_sizes.tsv"
    return list(csv.DictReader(file.open(), delimiter="\t")) if file.is_file() else []


@pytest.mark.shared
@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row['model']}-{row['quant']}")
def test_known_files_are_within_one_percent_or_in_their_range(row: dict[str, str]) -> None:
    model = _shared_model(row["model"].lower())
    if model is None:
        pytest.skip("a model that the catalogue does not have")
    quant = quantisation("gguf-bf16" if row["quant"] == "BF16" else row["quant"])
    sized = file_size(model, quant.made_by("ollama") if "ollama" in row["source"] else quant)
    size = float(row["file_gib"]) * GIB
    assert sized.low <= size <= sized.high or sized.bytes == pytest.approx(size, rel=0.01)


# GiB, as the cards of ubergarm's repositories list them (huggingface.co/ubergarm, recalled, not looked up).
_OF_IK = {
    "glm-4.5-air": "IQ5_K 77.704 IQ4_K 62.910 IQ4_KSS 54.801 IQ3_KS 49.072 IQ2_KL 43.870 IQ1_KT 36.039",
    "qwen3-235b-a22b": "IQ4_K 134.183 IQ3_K 106.644 IQ2_KL 81.866",
    "kimi-k2": "IQ4_KS 554.421 IQ2_KL 349.389 IQ2_KS 289.820 IQ1_KT 218.936",
}


@pytest.mark.parametrize(("identity", "kind", "size"), _pairs(_OF_IK))
def test_mixes_of_ik_llama_cpp_lie_in_their_range(identity: str, kind: str, size: float) -> None:
    sized = file_size(by_id(identity), quantisation(kind))
    assert sized.low <= size * GIB <= sized.high


GGUF = ("unsloth/Qwen3.6-27B-GGUF", "bartowski/google_gemma-3-4b-it-GGUF", "ubergarm/GLM-4.5-Air-GGUF",
        "unsloth/MiniMax-M2.7-GGUF", "ggml-org/gpt-oss-120b-GGUF")  # fmt: skip


@pytest.mark.parametrize("repository", GGUF)
def test_a_repository_of_many_types_is_planned_without_one_named(repository: str) -> None:
    assert inputs.model(repository).model.layers


def test_of_one_file_the_type_is_known() -> None:
    kind = inputs.model("ggml-org/gpt-oss-120b-GGUF").quantisation
    assert kind is not None and kind.id == "gguf-mxfp4" and kind.file_bytes == pytest.approx(59.02 * 2**30)
