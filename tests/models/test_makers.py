"""Published GGUF files by their makers: inside the range that is said for them, within one per cent where none is.

Sizes in GiB, to a tenth, as model_catalog_v2.json of janhq/model-catalog lists them (2026-05-05).
"""

from __future__ import annotations

import pytest

from wellfed.resolution import Resolved, resolve

_TENTH = 0.056 * 2**30

# owner/name: format and size of its files
PUBLISHED = {
    "bartowski/google_gemma-4-31B-it-GGUF": "Q8_0 30.4 Q6_K 25.0 Q5_K_M 21.1 Q4_K_M 18.3 Q4_K_L 18.9 Q4_0 16.8 Q3_K_M 14.8 "
    "IQ2_XXS 10.1 IQ3_M 13.7",
    "bartowski/Qwen_Qwen3.6-35B-A3B-GGUF": "Q8_0 34.4 Q4_K_M 19.9 Q3_K_L 15.7 IQ3_XS 15.1",
    "bartowski/Qwen_Qwen3.6-27B-GGUF": "Q8_0 26.7 Q4_K_L 17.2 Q5_K_L 19.8 Q3_K_XL 15.0 IQ3_XS 12.2",
    "unsloth/Qwen3.6-35B-A3B-GGUF": "UD-IQ2_XXS 10.0 UD-IQ3_S 12.7 UD-Q2_K_XL 11.4 UD-Q4_K_XL 20.8 UD-Q6_K_XL 29.7 "
    "MXFP4_MOE 20.2",
    "unsloth/gemma-4-E4B-it-GGUF": "BF16 14.0 Q4_K_M 4.6 Q3_K_M 3.8 Q6_K 6.6",
    "unsloth/Qwen3-Coder-Next-GGUF": "UD-IQ1_M 20.2 UD-Q2_K_XL 24.9 UD-IQ3_XXS 26.5 MXFP4_MOE 44.7",
    "mradermacher/Qwen3.5-27B-Claude-4.6-Opus-Reasoning-Distilled-i1-GGUF": "IQ1_S 5.8 IQ2_XS 7.8 IQ3_XXS 10.0 Q2_K 9.4 "
    "Q3_K_L 13.1 IQ4_XS 13.7 Q5_K_M 18.1",
    "unsloth/NVIDIA-Nemotron-3-Nano-4B-GGUF": "Q3_K_M 2.3 Q4_K_M 2.7 Q8_0 3.9 UD-Q4_K_XL 2.9",
    "unsloth/Nemotron-3-Nano-30B-A3B-GGUF": "UD-Q2_K_XL 18.6 UD-Q5_K_XL 25.6 Q4_K_M 22.9",
    "unsloth/gemma-4-E2B-it-GGUF": "UD-Q3_K_XL 2.7 UD-Q5_K_XL 4.0 UD-Q8_K_XL 4.9",
    "unsloth/Olmo-3-7B-Instruct-GGUF": "Q2_K_L 2.8 UD-IQ2_XXS 2.1",
    "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF": "Q8_0 1.8 Q4_0 0.99",
    "Radamanthys11/Qwen3.6-27B-MTP-GGUF": "Q8_0 27.1",
    "bartowski/mistralai_Mistral-Medium-3.5-128B-GGUF": "IQ1_S 32.9 IQ2_M 45.3",
    "prism-ml/Ternary-Bonsai-8B-gguf": "Q2_0 2.0",
    "mradermacher/Qwen3-Coder-30B-A3B-Instruct-i1-GGUF": "Q4_K_M 17.3 Q6_K 23.4",
}
ROWS = [
    (repository, form, float(size))
    for repository, text in PUBLISHED.items()
    for form, size in zip(text.split()[::2], text.split()[1::2], strict=True)
]


@pytest.mark.parametrize(("repository", "form", "gib"), ROWS)
def test_files_lie_where_their_maker_is_said_to_put_them(repository: str, form: str, gib: float) -> None:
    (answer,) = resolve([f"{repository}:{form}"])
    assert isinstance(answer, Resolved) and answer.weight_bytes
    low, high = answer.weight_bytes_range or (answer.weight_bytes, answer.weight_bytes)
    slack = max(_TENTH, 0.01 * gib * 2**30)
    assert low - slack <= gib * 2**30 <= high + slack
    assert low / answer.weight_bytes >= 0.9199 and high / answer.weight_bytes <= 1.0801


@pytest.mark.parametrize("form", ["F16", "Q8_0", "Q4_K_M", "Q2_K"])
def test_every_maker_keeps_the_experts_of_gpt_oss(form: str) -> None:
    """Unsloth's Q4_K_M is 11,624,759,488 bytes; the cards of others say that the experts stay MXFP4."""
    (answer,) = resolve([f"unsloth/gpt-oss-20b-GGUF:{form}"])
    assert isinstance(answer, Resolved) and answer.weight_bytes and 11.3e9 < answer.weight_bytes < 14e9
    if form == "Q4_K_M":
        assert answer.weight_bytes == pytest.approx(11_624_759_488, rel=0.005)


@pytest.mark.parametrize(
    ("tag", "gigabytes"),
    [("gemma3:4b-it-q4_K_M", 3.3), ("qwen3-vl:8b-instruct-q4_K_M", 6.1), ("llama3.2-vision:11b-instruct-q8_0", 12)],
)
def test_ollama_counts_what_sees_as_part_of_the_file(tag: str, gigabytes: float) -> None:
    (answer,) = resolve([tag])
    assert isinstance(answer, Resolved) and answer.weight_bytes
    assert answer.weight_bytes / 1e9 == pytest.approx(gigabytes, rel=0.05)


@pytest.mark.parametrize(
    ("tag", "label", "size"),
    [
        ("qwen3:8b", "Q4_K_M", 5.2), ("llama3:8b", "Q4_0", 4.7), ("llama3.2:1b", "Q8_0", 1.3),
        ("deepseek-r1:32b", "Q4_K_M", 20), ("ollama run llama3.3:70b", "Q4_K_M", 43), ("granite3.3:8b", "Q4_K_M", 4.9),
        ("gpt-oss:20b", "MXFP4 experts, rest BF16", 14), ("kimi-k2:1t-cloud", "FP8", 1029),
    ],
)  # fmt: skip
def test_a_tag_without_a_quantisation_is_the_file_that_ollama_serves(tag: str, label: str, size: float) -> None:
    answer = resolve([tag])[0]
    assert isinstance(answer, Resolved)
    assert answer.format == label
    assert answer.weight_bytes == pytest.approx(size * 1e9, rel=0.04)
    assert any("served as" in one.text for one in answer.assumptions) == label.startswith("Q")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("mradermacher/Mistral-7B-v0.1-i1-GGUF:Q2_K", 2.72e9),  # of 2024: llama.cpp's newer mix
        ("mradermacher/Mistral-7B-v0.3-i1-GGUF:IQ1_S", 1.62e9),
        ("mradermacher/Mistral-7B-v0.3-i1-GGUF:IQ4_XS", 3.91e9),
        ("mradermacher/Mistral-Small-Instruct-2409-i1-GGUF:IQ2_XXS", 6.0e9),
        ("mradermacher/Mistral-Small-Instruct-2409-i1-GGUF:Q3_K_L", 11.7e9),
        ("RichardErkhov/Qwen_-_Qwen2.5-32B-gguf:IQ3_XS", 13.7e9),
        ("TheBloke/Llama-2-7B-GGUF:Q2_K", 2.83e9),
    ],
)
def test_a_maker_who_began_later_uses_the_newer_mixes(name: str, size: float) -> None:
    (answer,) = resolve([name])
    assert isinstance(answer, Resolved) and answer.weight_bytes
    low, high = answer.weight_bytes_range or (answer.weight_bytes * 0.99, answer.weight_bytes * 1.01)
    assert low * 0.997 <= size <= high * 1.003
