"""The errors of the memory model on logged sizes. It has no fitted parameters: its constants are the engines' own.

Sizes that one log repeats for every GPU of a rig count once.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fits.fitting import residual
from wellfed.accuracy.case import Case
from wellfed.accuracy.rows_memory import interpret
from wellfed.accuracy.tables import rows_of
from wellfed.nouns.calibration import Calibration, Residual

TABLES = ("memory.csv",)
_FEWEST = 5  # sizes from which a class tells its own spread


def refit(folder: Path) -> Calibration:
    """The calibration of memory predictions: residuals by class, without parameters."""
    cases = [case for table in TABLES for case in cases_of(folder / table)]
    found = {name: _residual(cases, name) for name in sorted({case.cls for case in cases})}
    kept = {name: one for name, one in found.items() if one is not None}
    return Calibration("memory", {}, kept, f"{', '.join(TABLES)}: no parameter is fitted")


def cases_of(table: Path) -> list[Case]:
    """The sizes in `table` that are predicted and not told as outliers."""
    outcomes: Iterable[object] = (one for row in rows_of(table) for one in interpret(row) or ())
    return [one for one in outcomes if isinstance(one, Case) and one.metric != "oom" and not one.outlier]


def _residual(cases: list[Case], cls: str) -> Residual | None:
    import numpy as np

    blank = Calibration("blank", {})
    distinct: dict[tuple[str, int, int], tuple[float, float]] = {}
    for case in cases:
        predicted = case.predict(blank).value
        if case.cls == cls and case.measured > 0 and predicted > 0:
            distinct[case.group, round(case.measured), round(predicted)] = (case.measured, predicted)
    if len(distinct) < _FEWEST:
        return None
    measured, found = np.array(list(distinct.values())).T
    return residual(measured, found)
