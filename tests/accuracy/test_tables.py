"""The regression gate: every row of the shared tables by class. The thresholds are the figures we publish."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from samples import few
from wellfed.accuracy.report import INTERNAL, Report, report, to_json
from wellfed.accuracy.tables import interpreters, rows_of
from wellfed.catalog.calibration import bundled, with_old_builds
from wellfed.errors import BadInput
from wellfed.verbs import predicting

TABLES = ("gpu_llamacpp", "serving", "mlperf", "hybrid", "hybrid_ik_llama", "speed_misc", "memory")
EVERY = few((11, 1), 2)  # every eleventh row for everybody, all rows where nobody waits


@lru_cache(maxsize=16)
def report_of(folder: Path, table: str, every: int) -> Report:
    """The report of a table's `every`-th rows, once."""
    rows = rows_of(folder / "truth" / f"{table}.csv")[::every]
    return report(table, rows, interpreters(), with_old_builds(bundled()))


@pytest.mark.shared
@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("table", TABLES)
def test_names_are_understood_and_nothing_breaks(shared: Path, table: str, every: int) -> None:
    found = report_of(shared, table, every)
    assert found.resolved is not None and found.resolved >= 0.97
    assert not [skip for skip in found.skipped if skip.reason.startswith(INTERNAL)]
    assert all(scored.predicted.low <= scored.predicted.value <= scored.predicted.high for scored in found.scored)


@pytest.mark.shared
@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("table", TABLES)
def test_every_row_is_told_of(shared: Path, table: str, every: int) -> None:
    found = to_json(report_of(shared, table, every))
    told = {entry["row"] for entry in found["rows"]}
    assert told == set(range(0, every * found["table_rows"], every))
    json.dumps(found, allow_nan=False)


@pytest.mark.shared
@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize(
    ("table", "cls", "field", "most"),
    [
        ("gpu_llamacpp", "llama.cpp GPU decode", "mape", 0.08),
        ("gpu_llamacpp", "llama.cpp GPU prefill", "mape", 0.20),
        ("serving", "serving tpot", "median_ape", 0.15),
        ("serving", "serving tpot", "p90_ape", 0.40),
        ("serving", "serving ttft", "median_ape", 0.40),
        ("serving", "serving disaggregated tpot", "median_ape", 0.30),
        ("mlperf", "MLPerf offline", "median_ape", 0.25),
        ("hybrid", "CPU decode", "median_ape", 0.25),
        ("hybrid", "hybrid decode", "median_ape", 0.25),
        ("hybrid_ik_llama", "CPU decode", "median_ape", 0.25),
        ("memory", "memory kv, llama.cpp", "p90_ape", 0.005),
        ("memory", "memory weights, llama.cpp", "p90_ape", 0.01),
    ],
)
def test_errors_by_class(shared: Path, table: str, cls: str, field: str, most: float, every: int) -> None:
    found = next(one for one in report_of(shared, table, every).classes if one.cls == cls)
    assert getattr(found, field) <= most


@pytest.mark.parametrize(
    ("cls", "field", "most"),
    [
        ("llama.cpp GPU decode", "mape", 0.08),
        ("llama.cpp GPU prefill", "mape", 0.20),
        ("serving tpot", "median_ape", 0.15),
        ("serving ttft", "median_ape", 0.40),
        ("MLPerf offline", "median_ape", 0.25),
        ("CPU decode", "median_ape", 0.25),
        ("hybrid decode", "median_ape", 0.25),
    ],
)
def test_errors_with_groups_left_out(cls: str, field: str, most: float) -> None:
    assert getattr(with_old_builds(bundled()).residuals[cls], field) <= most


@pytest.mark.shared
def test_out_of_memory_is_foreseen(shared: Path) -> None:
    fit = report_of(shared, "gpu_llamacpp", 1).fit
    assert fit is not None
    assert fit.right >= 0.99
    assert fit.oom_wrong == 0


def test_strange_tables_are_refused_or_skipped(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="not a measurement table"):
        predicting.accuracy(path)
    path.write_text("engine,model,quant,gpu,gpu_count,cpu,prompt_len,gen_len,prefill_tok_s,decode_tok_s,oom,notes\n"
                    "llama.cpp,no such model,Q4_K_M,RTX 4090,1,,0,128,,50,0,\n"
                    "llama.cpp,Llama-3-8B,Q4_K_M,RTX 9999,1,,0,128,,50,0,\n"
                    "\x00,,,,,,,,,nan,,\n")  # fmt: skip
    found = predicting.accuracy(path)
    assert found.table_rows == 3
    assert len(found.skipped) >= 2
    assert found.resolved is not None and found.resolved < 0.5


def test_without_the_fits_the_door_says_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fits.refit", None)
    with pytest.raises(BadInput, match="in a checkout"):
        list(predicting.refit(tmp_path))


def test_a_folder_without_tables_is_no_source_of_a_fit(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no measurement tables"):
        list(predicting.refit(tmp_path))
