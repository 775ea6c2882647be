"""Errors on the shared measurement tables: what the README claims for serving engines."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest
from tests.perf_serving.serving_requests import CALIBRATION

from samples import few
from wellfed.accuracy.case import Case, Skipped, read_table
from wellfed.accuracy.rows_mlperf import interpret as interpret_throughput
from wellfed.accuracy.rows_serving import interpret

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module", params=few((3, 1), 2))
def every(request: pytest.FixtureRequest) -> int:
    """Of so many rows one is read."""
    return int(request.param)


@pytest.fixture(scope="module")
def serving(shared: Path, every: int) -> list[Case]:
    found = []
    for row in list(read_table(shared / "truth" / "serving.csv"))[::every]:
        outcomes = interpret(row)
        assert outcomes is not None, f"row {row.index} is read by nobody"
        found += [one for one in outcomes if isinstance(one, Case)]
    return found


def errors(cases: list[Case], cls: str) -> list[float]:
    chosen = [case for case in cases if case.cls == cls and not case.outlier]
    return sorted(abs(case.predict(CALIBRATION).value / case.measured - 1) for case in chosen)


def test_every_row_is_understood(serving: list[Case], shared: Path, every: int) -> None:
    assert len({case.row for case in serving}) == len(list(read_table(shared / "truth" / "serving.csv"))[::every])


@pytest.mark.parametrize(
    ("cls", "most"), [("serving tpot", 0.15), ("serving ttft", 0.40), ("serving disaggregated tpot", 0.30)]
)
def test_median_errors(serving: list[Case], cls: str, most: float) -> None:
    assert median(errors(serving, cls)) <= most


@pytest.mark.slow
def test_nine_in_ten_tokens(serving: list[Case]) -> None:
    found = errors(serving, "serving tpot")
    assert found[int(0.9 * len(found))] <= 0.40


@pytest.mark.parametrize("cls", ["serving tpot", "serving ttft", "serving disaggregated tpot"])
@pytest.mark.slow
def test_intervals_cover(serving: list[Case], cls: str) -> None:
    chosen = [case for case in serving if case.cls == cls and not case.outlier]
    inside = 0
    for case in chosen:
        found = case.predict(CALIBRATION)
        inside += found.low <= case.measured <= found.high
    assert 0.7 <= inside / len(chosen) <= 0.93  # fitted rows are covered a little more often than those left out


@pytest.mark.slow
def test_mlperf_offline(shared: Path) -> None:
    found = []
    for row in read_table(shared / "truth" / "mlperf.csv"):
        outcomes = interpret_throughput(row)
        assert outcomes is not None
        found += [one for one in outcomes if isinstance(one, Case)]
        assert not any(isinstance(one, Skipped) and one.unresolved for one in outcomes)
    predicted = []
    for case in found:
        if case.cls == "MLPerf offline" and not case.outlier:
            predicted.append(abs(case.predict(CALIBRATION).value / case.measured - 1))
    assert median(predicted) <= 0.25
