"""Quantisations as written."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed.errors import UnknownName
from wellfed.models.quantisation_names import quantisation, quantisations


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("Q4_K - Medium", "q4_k_m"),
        ("q4_k_m", "q4_k_m"),
        ("Q4_K_M", "q4_k_m"),
        ("IQ3_K - 3.4325 bpw", "iq3_k"),
        ("FP8", "fp8"),
        ("int4", "int4"),
        ("AWQ int4", "int4"),
        ("UD-Q2_K_XL (2.51 bpw, 212 GiB)", "ud-q2_k_xl"),
        ("IQ4_KSS - 4.0 bpw", "iq4_kss"),
        ("mixed ~3.9 bpw (307.2 GiB)", "gguf-3.9bpw"),
        ("mostly Q4_0", "q4_0"),
        ("Q8_0_R8 - 8.5 bpw", "q8_0_r8"),
        ("fp4", "nvfp4"),
        ("F16", "f16"),
        ("BF16", "bf16"),
        ("w8a8", "int8"),
        ("~3.5 bpw", "gguf-3.5bpw"),
    ],
)
def test_names(text: str, identity: str) -> None:
    assert quantisation(text).id == identity


def test_a_size_in_the_name_is_kept() -> None:
    assert quantisation("UD-Q2_K_XL (2.51 bpw, 212 GiB)").file_bytes == 212 * 2**30
    assert quantisation("Q8_0 (664 GiB)").file_bytes == 664 * 2**30
    assert quantisation("~3.5 bpw").file_bits == 3.5
    assert quantisation("Q8_0").file_bytes is None


@pytest.mark.parametrize("quant", quantisations(), ids=lambda quant: quant.id)
def test_ids_labels_and_aliases_find_their_own(quant: object) -> None:
    for name in (quant.id, quant.label, *quant.aliases):  # type: ignore[attr-defined]
        if name in {"F16", "BF16", "MXFP4", "F32"}:
            continue  # the labels of files and of checkpoints are the same words
        assert quantisation(name).id == quant.id  # type: ignore[attr-defined]


def test_ids_are_unique() -> None:
    identities = [quant.id for quant in quantisations()]
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize("text", ["Q9_K", "int9", "", "4x", "fp7", "900 bpw"])
def test_unknown(text: str) -> None:
    with pytest.raises(UnknownName):
        quantisation(text)


def test_near_matches() -> None:
    with pytest.raises(UnknownName) as caught:
        quantisation("Q4_K_N")
    assert any(name.startswith("q4_k") for name in caught.value.near)


@given(st.text(max_size=80))
def test_any_text_is_a_quantisation_or_unknown(text: str) -> None:
    try:
        assert quantisation(text).bits > 0
    except UnknownName as error:
        assert error.message


@pytest.mark.shared
def test_published_tables_are_understood(shared: Path) -> None:
    stated, known = 0, 0
    for table in ("gpu_llamacpp", "serving", "mlperf", "hybrid", "hybrid_ik_llama", "speed_misc", "memory"):
        for row in csv.DictReader((shared / "truth" / f"{table}.csv").open()):
            text = row.get("quant", "")
            if text and "ollama" not in text and text.lower() not in {"unset", "unknown, may not work"}:
                stated += 1
                known += bool(quantisation(text))
    assert stated > 5000
    assert known == stated
