"""A row of a measurement table, and the predictions it allows."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Quantity
from wellfed.nouns.plan import Request
from wellfed.plain_file import read_text

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
        value = float(match[0]) if match else None
        return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Case:
    """One measured value and how to predict it.

    `group` names what must be left out together when errors are told (a GPU, a model, a thread), `source` who measured.
    For `oom` rows `measured` is 1 or 0 and the prediction is 1 where it does not fit. `request` is there for fits and
    explanations.
    """

    row: int
    cls: str
    metric: str
    measured: float
    group: str
    predict: Callable[[Calibration], Quantity]
    request: Request | None = None
    outlier: str = ""  # why the row is reported but not fitted
    source: str = ""
    whole_request: bool = False  # a rate of answers over the whole request's time


def source_of(row: Row) -> str:
    """Who measured: a repository, a thread, a file; of a community's collection, its machine."""
    text = re.split(r"\s*[(<]", row.text("source"))[0].strip()
    repository = re.match(r"(?:https?://)?(github)(?:\.com/|:)([\w.-]+/[\w.-]+)(.*)", text)
    if repository is None:
        return text
    name, rest = repository[2], repository[3]
    thread = re.search(r"(issue|pull|discussion)s?[ /]+(\d+)", rest)
    shared = "community" in rest or "leaderboard" in rest or "/ai-benchmarks" in name
    machine = f" {row.text('gpu')} {row.text('cpu')}" if shared else ""
    return f"{name}{f' {thread[1]} {thread[2]}' if thread else ''}{machine}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A value that cannot be predicted, and why. `unresolved`: a name was not understood."""

    row: int
    cls: str
    metric: str
    reason: str
    unresolved: bool = False


_MOST_BYTES = 64 * 2**20
Outcome = Case | Skipped
Interpreter = Callable[[Row], tuple[Outcome, ...] | None]  # None: not a row of this kind


def read_table(path: Path) -> Iterator[Row]:
    """The rows of a CSV file. Raises BadInput when it is not one."""
    try:
        with io.StringIO(read_text(path, _MOST_BYTES), newline="") as file:
            reader = csv.DictReader(file)
            if not reader.fieldnames or not {"item", "decode_tok_s", "effect"} & set(reader.fieldnames):
                hint = sentence(
                    "accuracy.case.needs-columns-model",
                    "it needs the columns model, quant, gpu ... and decode_tok_s, or item, value, unit",
                )
                raise BadInput(
                    sentence("accuracy.case.measurement-table", "{path}: not a measurement table", path=path), hint
                )
            effects: dict[str, str] = {}
            for index, cells in enumerate(reader):
                yield Row(index, _with_earlier(cells, effects) if "effect" in cells else cells)
    except csv.Error as error:
        raise BadInput(
            sentence("accuracy.case.cannot-read", "cannot read {path}: {error}", path=path, error=error)
        ) from error


def _with_earlier(cells: dict[str, str], effects: dict[str, str]) -> dict[str, str]:
    """A row of pairs with what earlier ones of its source said, in the cell `before`: "same run as above"."""
    source = cells.get("source") or ""
    before = effects.get(source, "")
    words = " ; ".join(cells.get(name) or "" for name in ("condition_a", "notes"))
    effects[source] = words if len(words) > 60 or not before else before
    return {**cells, "before": before}
