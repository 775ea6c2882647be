"""The fit predicts with the very formulas that plans use, and its figures are those that ship."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median

import pytest
from fits.cpu import CLASSES, FIXED, PARAMETERS, Rows, cases_of, row_weights

from samples import few
from wellfed.accuracy.case import Case
from wellfed.catalog.calibration import bundled

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module", params=few((5, 1), 2))
def cases(shared: Path, request: pytest.FixtureRequest) -> list[Case]:
    return cases_of(shared / "truth", request.param)


def test_the_fit_predicts_what_a_plan_predicts(cases: list[Case]) -> None:
    some = cases[:: max(1, len(cases) // 30)]
    together = Rows(some, bundled()).predict(bundled())
    for case, predicted in zip(some, together, strict=True):
        assert case.predict(bundled()).value == pytest.approx(predicted, rel=1e-9)


def test_every_parameter_ships(cases: list[Case]) -> None:
    shipped = bundled().parameters
    for one in PARAMETERS:
        assert one.low <= shipped[one.name] <= one.high
    assert all(shipped[name] == value for name, value in FIXED.items())


@pytest.mark.parametrize(("cls", "most"), [("CPU decode", 0.20), ("hybrid decode", 0.25), ("CPU prefill", 0.3)])
def test_median_errors(cases: list[Case], cls: str, most: float) -> None:
    errors = [abs(one.predict(bundled()).value / one.measured - 1) for one in cases if one.cls == cls]
    assert median(errors) < most


@pytest.mark.parametrize("cls", CLASSES)
def test_intervals_cover_most_rows(cases: list[Case], cls: str) -> None:
    rows = [(one.predict(bundled()), one.measured) for one in cases if one.cls == cls]
    covered = sum(found.low <= measured <= found.high for found, measured in rows) / len(rows)
    assert covered > 0.7


def test_long_threads_do_not_decide_alone(cases: list[Case]) -> None:
    weights = row_weights(cases)
    sums: dict[str, float] = {}
    for case, weight in zip(cases, weights, strict=True):
        sums[case.group] = sums.get(case.group, 0.0) + float(weight)
    assert max(sums.values()) < 0.1 * math.fsum(sums.values())
