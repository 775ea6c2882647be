"""Names as logs and published tables write them: read with their sizes, layers and caches."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import few
from wellfed.accuracy.names import model, resolve
from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.models import by_id, entry
from wellfed.errors import UnknownName, WellfedError
from wellfed.models.counts import counts
from wellfed.models.quantisation import weights


@pytest.mark.parametrize(
    ("text", "identity", "quant"),
    [
        ("r1:70b", "deepseek-r1-distill-llama-70b", None),
        ("deepseek-r1:671b", "deepseek-r1", None),
        ("llama3.1:8b", "llama-3.1-8b", None),
        ("DeepSeek-R1-Distill-Llama-70B", "deepseek-r1-distill-llama-70b", None),
        ("deepseek2 671B Q8_0", "deepseek-v3", "q8_0"),
        ("llama 8B IQ4_KS", "llama-3.1-8b", "iq4_ks"),
        ("qwen3moe 30B.A3B IQ4_XS - 4.25 bpw", "qwen3-30b-a3b", "iq4_xs"),
        (r"C:\models\Qwen3-235B-A22B-mix-IQ3_K-00001-of-00003.gguf", "qwen3-235b-a22b", "iq3_k"),
        ("llama2-70b-99.9", "llama-2-70b", None),
        ("nemotron_h_moe 31B.A3.5B Q4_K - Medium", "nemotron-3-nano-30b-a3b", "q4_k_m"),
        ("qwen35moe 35B.A3B Q8_0", "qwen3.5-35b-a3b", "q8_0"),
        ("step35 196B.A11B IQ4_XS", "step-3.5-flash", "iq4_xs"),
        ("zhipuai/GLM-5", "glm-5", None),
        ("unsloth_DeepSeek R1 BF16", "deepseek-r1", "bf16"),
        ("THUDM_GLM-Z1-32B-0414-IQ4_XS.gguf", "glm-4-32b-0414", "iq4_xs"),
        ("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", "llama-3.1-8b", None),
        ("nvidia/DeepSeek-V3.1-NVFP4", "deepseek-v3.1", "nvfp4-ffn"),
        ("DeepSeek-R1-Distill-8B", "deepseek-r1-distill-llama-8b", None),
        ("gemma3:27b-it-q4_K_M", "gemma-3-27b", "q4_k_m"),
        ("Kimi-K2.6 1T", "kimi-k2.6", None),
        ("8B Q4_K - Small", "llama-3.1-8b", "q4_k_s"),
        ("gpt-oss-120b MXFP4", "gpt-oss-120b", "mxfp4-experts"),
    ],
)
def test_loose_names(text: str, identity: str, quant: str | None) -> None:
    found = resolve(text)
    assert found.model.id == identity
    assert (found.quantisation.id if found.quantisation else None) == quant


def test_parameters_tell_brothers_apart() -> None:
    assert resolve("LLaMA v2", params="13B").model.id == "llama-2-13b"
    assert resolve("llama ?B Q2_K - Small", params="3.99 B").model.id == "trilm-3.9b"
    assert resolve("qwen2 ?B", params="32.76 B").model.parameters == pytest.approx(32.76e9, rel=0.001)
    assert resolve("LLaMA v2", kv_bytes_per_token=512 * 1024).model.id in {"llama-1-7b", "llama-2-7b"}
    assert resolve("Models", notes="msize=198.259 GiB; nlay=95/95").model.id == "qwen3-235b-a22b"


def test_a_logged_size_makes_the_weights_that_big() -> None:
    found = resolve("deepseek2 671B Q8_0", "672.05 B", "Q8_0", "llama-bench; size=307.20 GiB; threads=88")
    assert found.quantisation is not None
    assert found.quantisation.file_bytes == pytest.approx(307.2 * 2**30, rel=1e-6)
    assert found.assumptions


def test_hand_mixed_files_keep_everything_but_experts_in_8_bits() -> None:
    """ubergarm's DeepSeek-V3-0324-IQ4_K_R4: 17 744 MiB on the GPU and 939 MiB of embedding beside the experts."""
    found = resolve("DeepSeek V3 0324", None, "IQ4_K_R4 - 4.5 bpw", "post log; msize=386.183 GiB; mtype=671B")
    assert found.quantisation is not None
    logged = weights(found.model, found.quantisation)
    experts = sum(layer.routed_experts for layer in logged.layers)
    assert experts == pytest.approx(376768 * 2**20, rel=0.003)  # that file holds kv_b twice
    assert logged.embedding == pytest.approx(938.98 * 2**20, rel=0.001)
    assert logged.total - experts - logged.embedding == pytest.approx(17744 * 2**20, rel=0.06)
    assert resolve("DeepSeek-V3-0324-IQ4_K_R4-00001-of-00005.gguf").quantisation == found.quantisation


def test_what_was_guessed_is_said() -> None:
    assert resolve("8B BF16").assumptions
    assert not resolve("DeepSeek-R1 Q4_K_M").assumptions


@pytest.mark.parametrize("text", ["gpt5", "claude 3 opus", "models", "", "foo-7b", "llamma", "7"])
def test_unknown_names_are_not_guessed(text: str) -> None:
    with pytest.raises(UnknownName):
        model(text)


@given(st.text(max_size=200))
def test_any_text_is_a_model_or_a_clear_error(text: str) -> None:
    try:
        assert resolve(text).model.id in model_ids()
    except WellfedError as error:
        assert error.message


_THREAD = re.compile(r"^\d+ - |^see thread")
_TABLES = ("gpu_llamacpp", "serving", "mlperf", "hybrid", "hybrid_ik_llama", "speed_misc", "memory")


def _resolved(row: dict[str, str]) -> bool:
    kv = None
    if row.get("item") == "kv" and row["unit"] == "MiB" and row.get("ctx", "").isdigit() and int(row["ctx"]) > 0:
        kv = float(row["value"]) * 2**20 / int(row["ctx"])
    whole = "all devices" in row.get("gpu", "")
    try:
        resolve(row["model"], row.get("params"), row.get("quant") or None, row["notes"], kv if whole else None)
    except UnknownName:
        return False
    return True


@pytest.mark.shared
@pytest.mark.parametrize("every", few((6, 1), 2))
def test_published_tables_are_understood(shared: Path, every: int) -> None:
    """Rows whose model column is the title of a discussion name no model; all others must resolve."""
    rows = [row for table in _TABLES for row in csv.DictReader((shared / "truth" / f"{table}.csv").open())]
    named = [row for row in rows if not _THREAD.match(row["model"])]
    assert len(named) > 6000
    some = named[::every]
    assert sum(map(_resolved, some)) / len(some) >= 0.97


@pytest.mark.shared
def test_logged_mla_caches(shared: Path) -> None:
    """Every logged KV total of a DeepSeek run with MLA: layers x (512 + 64) x bytes x context."""
    checked = 0
    for row in csv.DictReader((shared / "truth" / "memory.csv").open()):
        formula = re.search(r"formula (\d+)x(\d+)xB", row["notes"])
        if formula is None or _THREAD.match(row["model"]):
            continue
        found = resolve(row["model"], None, None, row["notes"]).model
        assert found.cache_elements(1000) == int(formula[1]) * int(formula[2]) * 1000
        checked += 1
    assert checked >= 20


DESCRIBED = [identity for identity in model_ids() if entry(identity).repository]


def test_tables_know_what_users_are_understood_by() -> None:
    """A size in a name may be no count (Llama-4-Scout-17B-16E), and an underscore may stand for a dot."""
    for identity in DESCRIBED:
        named = str(entry(identity).repository).rpartition("/")[2]
        assert counts(resolve(named).model).parameters == pytest.approx(counts(by_id(identity)).parameters, rel=0.02)


def test_a_stated_count_is_still_held_against_the_name() -> None:
    assert resolve("Llama-4-Scout-17B-16E-Instruct", params="109B").model.id == "llama-4-scout"
