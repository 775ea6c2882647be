"""A row of a measurement table, and the predictions it allows."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wellfed.calibration import Calibration
from wellfed.errors import BadInput
from wellfed.estimate import Quantity
from wellfed.plan import Request

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Row:
    """One row, as published; `index` counts from 0."""

    index: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """The cell, stripped; empty when the table has no such column."""
        return (self.cells.get(column) or "").strip()

    def number(self, column: str) -> float | None:
        """The first number in the cell, None when there is none."""
        match = _NUMBER.search(self.text(column).replace(",", ""))
        return float(match[0]) if match else None


@dataclass(frozen=True, slots=True)
class Case:
    """One measured value and how to predict it.

    `group` names what must be left out together when errors are told (a GPU, a model, a thread). For `oom` rows
    `measured` is 1 or 0 and the prediction is 1 where it does not fit. `request` is there for fits and explanations.
    """

    row: int
    cls: str
    metric: str
    measured: float
    group: str
    predict: Callable[[Calibration], Quantity]
    request: Request | None = None
    outlier: str = ""  # why the row is reported but not fitted


@dataclass(frozen=True, slots=True)
class Skipped:
    """A value that cannot be predicted, and why. `unresolved`: a name was not understood."""

    row: int
    cls: str
    metric: str
    reason: str
    unresolved: bool = False


Outcome = Case | Skipped
Interpreter = Callable[[Row], tuple[Outcome, ...] | None]  # None: not a row of this kind


def read_table(path: Path) -> Iterator[Row]:
    """The rows of a CSV file. Raises BadInput when it is not one."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if not reader.fieldnames or not {"item", "decode_tok_s"} & set(reader.fieldnames):
                hint = "it needs the columns model, quant, gpu ... and decode_tok_s, or item, value, unit"
                raise BadInput(f"{path}: not a measurement table", hint)
            for index, cells in enumerate(reader):
                yield Row(index, cells)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"cannot read {path}: {error}") from error
