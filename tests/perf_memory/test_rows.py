"""Rows of logged buffer sizes: what they say is read, what they do not say is not guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from fits.memory import refit

from samples import few
from wellfed.accuracy.case import Case, Outcome, Row, Skipped, read_table
from wellfed.accuracy.rows_memory import interpret
from wellfed.nouns.calibration import Calibration

BLANK = Calibration("blank", {})


def outcome(**cells: str) -> Outcome:
    """What a row with these cells allows; `batch` stands for the column ubatch/batch."""
    base = {"source": "https://example.org/issues/1 (someone, 2025-06-01)", "engine": "ik_llama.cpp", "unit": "MiB"}
    if "batch" in cells:
        cells["ubatch/batch"] = cells.pop("batch")
    found = interpret(Row(0, {**base, **cells}))
    assert found is not None
    return found[0]


def predicted(**cells: str) -> float:
    found = outcome(**cells)
    assert isinstance(found, Case), found
    return found.predict(BLANK).value


def reason(**cells: str) -> str:
    found = outcome(**cells)
    assert isinstance(found, Skipped), found
    return found.reason


def test_other_tables_are_not_its_business() -> None:
    assert interpret(Row(0, {"model": "Llama-3-8B", "decode_tok_s": "40"})) is None


def test_a_cache_total_needs_context_and_type() -> None:
    row = {
        "model": "DeepSeek R1",
        "item": "kv",
        "value": "1166.62",
        "gpu": "all devices total [1 dev: NVIDIA GeForce RTX 4090]",
        "notes": "post log; KV self size total, c^KV (q8_0): 1166.62 MiB, kv^T: not used; mla=3",
    }
    assert predicted(**row, ctx="32768") == pytest.approx(1166.62, abs=0.01)
    assert "context" in reason(**row)
    assert "type" in reason(**{**row, "notes": "post log; mla=3"}, ctx="32768")


def test_weights_of_a_whole_model_in_ram() -> None:
    row = {"model": "DeepSeek R1 BF16", "quant": "Q8_0", "item": "weights", "value": "680237.97", "gpu": "CPU"}
    assert predicted(**row, notes="post log; mtype=671B") == pytest.approx(680237.97, rel=0.003)
    assert "quantisation" in reason(**{**row, "quant": ""}, notes="post log")


def test_what_the_row_leaves_open_is_not_guessed() -> None:
    row = {
        "model": "DeepSeek V3 0324",
        "quant": "Q4_K - Medium",
        "item": "weights",
        "value": "9996.68",
        "gpu": "CUDA0 [1 dev: NVIDIA GeForce RTX 4090]",
        "notes": "post log; msize=357.623 GiB; mtype=671B; nlay=62/62",
    }
    assert "RAM" in reason(**row)


def test_compute_buffer_of_mla_prefill() -> None:
    row = {
        "model": "Deepseek-V3-0324",
        "quant": "Q4_K - Medium",
        "item": "compute",
        "value": "3393",
        "ctx": "32768",
        "batch": "512/2048",
        "flash_attn": "1",
        "gpu": "CUDA0 [1 dev: NVIDIA GeForce RTX 4090]",
        "notes": "post log; msize=357.623 GiB; mtype=671B; nlay=62/62; mla=3; amb=512",
    }
    assert predicted(**row) == pytest.approx(3393, rel=0.03)


def test_a_thread_title_is_no_model_and_no_unknown_name() -> None:
    found = outcome(model="235 - Option to use MLA", item="kv", value="1", gpu="CUDA0", notes="post log")
    assert isinstance(found, Skipped)
    assert not found.unresolved


def test_an_unknown_model_is_told_as_such() -> None:
    found = outcome(model="Zorblax 12", item="kv", value="1", gpu="CUDA0", notes="post log")
    assert isinstance(found, Skipped)
    assert found.unresolved


def test_a_family_without_size_is_told_by_its_cache() -> None:
    row = {"engine": "llama.cpp", "model": "LLaMA v2", "quant": "Q4_0", "item": "kv", "ctx": "512"}
    found = outcome(**row, value="400", gpu="all devices total [1x NVIDIA A100 80GB PCIe]", notes="notebook log")
    assert isinstance(found, Case)
    assert "told by the cache" in found.cls
    assert "no model" in reason(**row, value="430", gpu="all devices total", notes="notebook log")


def test_vllm_units_and_budgets() -> None:
    row = {
        "engine": "vllm",
        "version": "0.11.1",
        "model": "Qwen3-32B",
        "quant": "BF16",
        "ctx": "16000",
        "tp": "1",
        "gpu": "H100 80GB",
        "unit": "GiB",
        "notes": "H100 79.18 GiB usable; gpu_memory_utilization 0.9; per GPU",
    }
    assert predicted(**row, item="weights", value="61.03") == pytest.approx(61.03, rel=0.01)
    assert predicted(**row, item="kv", value="4.45") == pytest.approx(4.45, rel=0.1)
    assert predicted(**{**row, "model": "Qwen3-32B (max-model-len 32000)"}, item="oom") == 1
    assert "negative" in reason(**row, item="cuda_graph", value="-0.88")


def test_pinning_that_failed_is_no_lack_of_memory() -> None:
    notes = "post log; ggml_cuda_host_malloc: failed to allocate 288.02 MiB of pinned memory: invalid argument"
    assert "pinning" in reason(model="Qwen3-32B", item="oom", ctx="32768", gpu="CUDA0", notes=notes)


@pytest.mark.shared
@pytest.mark.slow
def test_figures_on_the_shared_table(shared: Path) -> None:
    found = refit(shared / "truth").residuals
    mapes = {name: one.mape for name, one in found.items() if one.mape is not None}
    medians = {name: one.median_ape for name, one in found.items() if one.median_ape is not None}
    assert mapes["memory kv, llama.cpp"] < 0.005
    assert mapes["memory weights, llama.cpp"] < 0.01
    assert medians["memory compute, llama.cpp"] < 0.05


@pytest.mark.shared
@pytest.mark.parametrize("every", few((7, 1), 2))
def test_names_of_the_shared_table_are_understood(shared: Path, every: int) -> None:
    rows = list(read_table(shared / "truth" / "memory.csv"))[::every]
    found = [one for row in rows for one in interpret(row) or ()]
    unresolved = sum(isinstance(one, Skipped) and one.unresolved for one in found)
    assert unresolved / len(found) < 0.03
