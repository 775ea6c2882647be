"""Errors of predictions by class, and the row-by-row account behind them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from statistics import fmean, median
from typing import Any

from wellfed.accuracy.case import Case, Interpreter, Outcome, Row, Skipped
from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Quantity

SCHEMA = "wellfed.accuracy/1"
INTERNAL = "internal error"


@dataclass(frozen=True, slots=True)
class Scored:
    """A measured value beside its prediction."""

    case: Case
    predicted: Quantity

    @property
    def error(self) -> float:
        """Predicted / measured - 1."""
        return self.predicted.value / self.case.measured - 1 if self.case.measured else self.predicted.value

    @property
    def covered(self) -> bool:
        """Whether the 80 % interval holds the measured value."""
        slack = 1e-9 * abs(self.case.measured)
        return self.predicted.low - slack <= self.case.measured <= self.predicted.high + slack


@dataclass(frozen=True, slots=True)
class ClassReport:
    """Errors of one class. Percentages are fractions; `median_ratio` is the bias, predicted over measured."""

    cls: str
    rows: int
    mape: float
    median_ape: float
    p90_ape: float
    median_ratio: float
    coverage: float
    outliers: int = 0


@dataclass(frozen=True, slots=True)
class FitReport:
    """Fits against out of memory."""

    fits_right: int = 0
    fits_wrong: int = 0  # said to overflow, did fit
    oom_right: int = 0
    oom_wrong: int = 0  # said to fit, did overflow

    @property
    def rows(self) -> int:
        """Rows that tell whether a model fitted."""
        return self.fits_right + self.fits_wrong + self.oom_right + self.oom_wrong

    @property
    def right(self) -> float:
        """Share of the rows whose fit or overflow was foreseen."""
        return (self.fits_right + self.oom_right) / self.rows


@dataclass(frozen=True, slots=True)
class Report:
    """Everything `wellfed accuracy` tells about one table."""

    table: str
    table_rows: int
    scored: tuple[Scored, ...]
    skipped: tuple[Skipped, ...]
    classes: tuple[ClassReport, ...] = ()
    fit: FitReport | None = None
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def resolved(self) -> float | None:
        """Share of the rows whose names were understood."""
        unresolved = {skip.row for skip in self.skipped if skip.unresolved}
        return 1 - len(unresolved) / self.table_rows if self.table_rows else None


def interpret(rows: Iterable[Row], interpreters: Sequence[Interpreter]) -> list[Outcome]:
    """What each row allows to predict; the first interpreter that knows a row has it."""
    outcomes: list[Outcome] = []
    for row in rows:
        outcomes.extend(_interpret_row(row, interpreters))
    return outcomes


def _interpret_row(row: Row, interpreters: Sequence[Interpreter]) -> tuple[Outcome, ...]:
    for interpreter in interpreters:
        try:
            interpretation = interpreter(row)
        except WellfedError as error:
            return (Skipped(row.index, "", "", error.message, unresolved=True),)
        except Exception as error:  # noqa: BLE001 - one strange row must not cost the report of all others
            return (Skipped(row.index, "", "", f"{INTERNAL}: {type(error).__name__}: {error}", unresolved=True),)
        if interpretation is not None:
            return interpretation
    return (
        Skipped(
            row.index,
            "",
            "",
            sentence("accuracy.report.no-kind-measurement", "no kind of measurement that wellfed predicts"),
        ),
    )


def report(
    table: str,
    rows: Sequence[Row],
    interpreters: Sequence[Interpreter],
    calibration: Calibration,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Predict every row and sum up the errors."""
    scored: list[Scored] = []
    skipped: list[Skipped] = []
    for row in rows:
        for outcome in _interpret_row(row, interpreters):
            scored_or_skipped = _score(outcome, calibration)
            if isinstance(scored_or_skipped, Scored):
                scored.append(scored_or_skipped)
            else:
                skipped.append(scored_or_skipped)
        progress(row.index)
    return summed_up(table, len(rows), scored, skipped)


def _score(outcome: Outcome, calibration: Calibration) -> Scored | Skipped:
    if isinstance(outcome, Skipped):
        return outcome
    try:
        return Scored(outcome, outcome.predict(calibration))
    except WellfedError as error:
        return Skipped(outcome.row, outcome.cls, outcome.metric, error.message)
    except Exception as error:  # noqa: BLE001 - as above
        return Skipped(outcome.row, outcome.cls, outcome.metric, f"{INTERNAL}: {type(error).__name__}: {error}")


def summed_up(table: str, rows: int, scored: Sequence[Scored], skipped: Sequence[Skipped]) -> Report:
    """The report of already scored rows."""
    speeds = [row for row in scored if row.case.metric != "oom"]
    names = sorted({row.case.cls for row in speeds})
    classes = tuple(_class_report(name, [row for row in speeds if row.case.cls == name]) for name in names)
    reasons: dict[str, int] = {}
    for skip in skipped:
        reasons[skip.reason] = reasons.get(skip.reason, 0) + 1
    fits = [row for row in scored if row.case.metric == "oom"]
    return Report(table, rows, tuple(scored), tuple(skipped), classes, _fit_report(fits) if fits else None, reasons)


def _class_report(name: str, all_rows: Sequence[Scored]) -> ClassReport:
    rows = [row for row in all_rows if not row.case.outlier] or list(all_rows)
    errors = sorted(abs(row.error) for row in rows)
    return ClassReport(
        cls=name,
        rows=len(rows),
        mape=fmean(errors),
        median_ape=median(errors),
        p90_ape=errors[min(len(errors) - 1, math.ceil(0.9 * len(errors)) - 1)],
        median_ratio=median(row.error for row in rows) + 1,
        coverage=fmean(row.covered for row in rows),
        outliers=len(all_rows) - len(rows),
    )


def _fit_report(rows: Sequence[Scored]) -> FitReport:
    def count(measured: float, predicted: float) -> int:
        return sum(1 for row in rows if row.case.measured == measured and row.predicted.value == predicted)

    return FitReport(count(0, 0), count(0, 1), count(1, 1), count(1, 0))


def to_json(summary: Report) -> dict[str, Any]:
    """The report with one entry per row, for `--json`."""
    return {
        "schema": SCHEMA,
        "table": summary.table,
        "table_rows": summary.table_rows,
        "resolved": summary.resolved,
        "classes": [_class_json(class_report) for class_report in summary.classes],
        "fit": None if summary.fit is None else _fit_json(summary.fit),
        "rows": [_scored_json(row) for row in summary.scored] + [_skipped_json(row) for row in summary.skipped],
    }


def _class_json(class_report: ClassReport) -> dict[str, Any]:
    names = ("rows", "mape", "median_ape", "p90_ape", "median_ratio", "coverage", "outliers")
    return {"class": class_report.cls, **{name: getattr(class_report, name) for name in names}}


def _fit_json(fit_report: FitReport) -> dict[str, Any]:
    names = ("fits_right", "fits_wrong", "oom_right", "oom_wrong", "right")
    return {name: getattr(fit_report, name) for name in names}


def _scored_json(scored: Scored) -> dict[str, Any]:
    case, predicted = scored.case, scored.predicted
    entry = {
        "row": case.row,
        "class": case.cls,
        "metric": case.metric,
        "measured": case.measured,
        "predicted": predicted.value,
        "low": predicted.low,
        "high": predicted.high,
    }
    return entry | ({"outlier": case.outlier} if case.outlier else {})


def _skipped_json(skipped: Skipped) -> dict[str, Any]:
    return {"row": skipped.row, "class": skipped.cls, "metric": skipped.metric, "skipped": skipped.reason}
