"""Recipes against published GGUF files: within 1 %, whole files, headers and vocabularies included.

Sources: tools/quantize/README.md of ggml-org/llama.cpp (Llama-3.1-8B, GiB); file listings on huggingface.co by
bartowski, Qwen, TheBloke, ggml-org and microsoft (GB), read 2026-11-23 or known from before.
"""

from __future__ import annotations

import pytest

from wellfed.catalog.models import by_id
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation

GB, GIB = 10**9, 2**30

_GIB = {
    "llama-3.1-8b": "IQ1_S 1.87 IQ1_M 2.01 IQ2_XXS 2.23 IQ2_XS 2.42 IQ2_S 2.56 IQ2_M 2.74 IQ3_XXS 3.04 IQ3_XS 3.27 "
    "IQ3_S 3.42 IQ3_M 3.52 IQ4_XS 4.17 IQ4_NL 4.38 Q2_K_S 2.78 Q2_K 2.95 Q3_K_S 3.41 Q3_K_L 4.02 Q3_K_M 3.74 "
    "Q4_K_S 4.36 Q4_K_M 4.58 Q5_K_S 5.21 Q5_K_M 5.33 Q6_K 6.14 Q8_0 7.95 F16 14.96",
}
_GB = {
    "deepseek-v3-0324": "Q8_0 713.29 Q6_K 550.80 Q5_K_M 475.40 Q5_K_S 461.81 Q4_K_M 404.43",
    "deepseek-v2-lite": "Q8_0 16.70 Q6_K 14.07 Q4_K_M 10.36",
    "qwen2.5-7b": "Q8_0 8.10 Q6_K 6.25 Q5_K_M 5.44 Q4_K_M 4.68 Q3_K_M 3.81 Q2_K 3.02 IQ4_XS 4.22",
    "qwen2.5-32b": "Q8_0 34.82 Q6_K 26.89 Q5_K_M 23.26 Q4_K_M 19.85 Q3_K_M 15.94 Q2_K 12.31",
    "llama-3.3-70b": "Q8_0 74.98 Q6_K 57.89 Q5_K_M 49.95 Q4_K_M 42.52 Q3_K_M 34.27 Q2_K 26.38 IQ4_XS 37.90",
    "llama-3.1-405b": "Q8_0 431.2 Q4_K_M 243.1",
    "llama-2-7b": "Q8_0 7.16 Q6_K 5.53 Q5_K_M 4.78 Q4_K_M 4.08 Q3_K_M 3.30 Q4_0 3.83",
    "llama-2-70b": "Q5_K_M 48.75 Q4_K_M 41.42 Q4_0 38.87 Q3_K_M 33.19",
    "mixtral-8x7b": "Q8_0 49.62",
    "gpt-oss-20b": "gguf-mxfp4 12.11",
    "gpt-oss-120b": "gguf-mxfp4 63.39",
    "qwen3-4b": "Q8_0 4.28 Q4_K_M 2.50",
    "qwen3-8b": "Q8_0 8.71 Q6_K 6.73 Q4_K_M 5.03",
    "qwen3-14b": "Q8_0 15.70 Q4_K_M 9.00",
    "qwen3-32b": "Q8_0 34.82 Q4_K_M 19.76",
    "qwen3-30b-a3b": "Q8_0 32.48 Q6_K 25.09 Q4_K_M 18.56",
    "qwen3-235b-a22b": "Q8_0 249.94 Q4_K_M 142.15",
    "gemma-3-4b": "Q8_0 4.13 Q4_K_M 2.49",
    "gemma-3-12b": "Q8_0 12.51 Q4_K_M 7.30",
    "gemma-3-27b": "Q8_0 28.71 Q4_K_M 16.55",
    "phi-3-mini": "Q8_0 4.06 Q4_K_M 2.39",
    "mistral-7b": "Q8_0 7.70 Q4_K_M 4.37",
    "mistral-small-24b": "Q8_0 25.05 Q4_K_M 14.33",
    "llama-3.2-3b": "Q8_0 3.42 Q4_K_M 2.02",
}


def _rows(table: dict[str, str], unit: int) -> list[tuple[str, str, float]]:
    words = {identity: text.split() for identity, text in table.items()}
    return [
        (identity, kind, float(size) * unit)
        for identity, listed in words.items()
        for kind, size in zip(listed[::2], listed[1::2], strict=True)
    ]


@pytest.mark.parametrize(("identity", "kind", "size"), _rows(_GIB, GIB) + _rows(_GB, GB))
def test_file_size(identity: str, kind: str, size: float) -> None:
    assert weights(by_id(identity), quantisation(kind)).total == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize(
    ("identity", "kind", "gib"),
    [
        ("deepseek-v3-0324", "ud-q4_k_xl", 357.62),
        ("deepseek-v3-0324", "ud-q3_k_xl", 275.91),
        ("deepseek-v3-0324", "ud-q2_k_xl", 233.18),
        ("qwen3-235b-a22b", "ud-q4_k_xl", 124.8),
        ("qwen3-30b-a3b", "ud-q4_k_xl", 16.48),
        ("qwen3-8b", "ud-q4_k_xl", 4.79),
        ("qwen3-14b", "ud-q4_k_xl", 8.53),
        ("qwen3-32b", "ud-q4_k_xl", 18.63),
    ],
)
def test_dynamic_mixes_are_near(identity: str, kind: str, gib: float) -> None:
    """They differ by model and month; the catalogue keeps exact sizes where it matters."""
    assert weights(by_id(identity), quantisation(kind)).total == pytest.approx(gib * GIB, rel=0.02)


@pytest.mark.parametrize(
    ("identity", "kind", "gib"),
    [  # model weights as vLLM logs them
        ("llama-3.1-8b", "bf16", 14.99),
        ("qwen3-32b", "bf16", 61.03),
        ("mistral-small-3.2-24b", "bf16", 44.76),
        ("qwen3-30b-a3b", "bf16", 56.99),
        ("llama-3.3-70b", "fp8", 67.76),
        ("llama-3.1-70b", "int8", 67.72),
    ],
)
def test_checkpoints_in_memory(identity: str, kind: str, gib: float) -> None:
    assert weights(by_id(identity), quantisation(kind)).total == pytest.approx(gib * GIB, rel=0.01)


def test_deepseek_v3_in_its_own_fp8() -> None:
    """688.6 GB in the repository's index, MTP layer with its copies of embedding and head included."""
    model = by_id("deepseek-v3")
    found = weights(model, quantisation("fp8"))
    copies = 2 * 2 * model.vocabulary * model.hidden
    assert found.total + found.mtp + copies == pytest.approx(688.6e9, rel=0.01)


def test_gpt_oss_in_its_own_mxfp4() -> None:
    """60.8 GiB stated on the model card."""
    found = weights(by_id("gpt-oss-120b"), quantisation("mxfp4-experts"))
    assert found.total == pytest.approx(60.8 * GIB, rel=0.01)
