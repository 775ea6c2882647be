"""The little of Prometheus' text format that engines' gauges and counters need (prometheus.io/docs/instrumenting)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping

from wellfed.frozen import dataclass

# Possessive: a line is looked at once, however long and however wrong.
_LINE = re.compile(
    r'([a-zA-Z_:][\w:]*+)(?:\{((?:[^"}]++|"(?:[^"\\]++|\\.)*+")*+)\})?\s++([^\s{}"]++)(?:\s++-?\d++)?\s*+$', re.ASCII
)
_LABEL = re.compile(r'\b([a-zA-Z_]\w*+)\s*+=\s*+"((?:[^"\\]++|\\.)*+)"', re.ASCII)
_MOST_LINE = 16_384  # characters: engines' lines have some hundreds
_MOST_SERIES = 10_000  # of one name
MOST = 1e18  # tokens, seconds, bytes: nobody has counted more


@dataclass(frozen=True, slots=True)
class Series:
    """One value with its labels."""

    labels: Mapping[str, str]
    value: float


Metrics = dict[str, list[float]]
Found = Mapping[str, list[Series]]


def metrics(text: str, prefix: str = "") -> Metrics:
    """Finite values by name, one per label set. Damaged lines and histogram buckets are passed over."""
    lines = (line for line in text.splitlines() if line.startswith(prefix))
    return {name: [each.value for each in found] for name, found in _series(lines).items()}


def series(text: str, wanted: Collection[str]) -> Found:
    """Finite values of the `wanted` names with their labels; other lines are not looked at."""
    names = frozenset(wanted)
    return _series(line for line in text.splitlines() if _name(line) in names)


def _name(line: str) -> str:
    return line.partition(" ")[0].partition("{")[0]


def _series(lines: Iterable[str]) -> dict[str, list[Series]]:
    found: dict[str, list[Series]] = {}
    for line in lines:
        match = None if line.startswith("#") or len(line) > _MOST_LINE else _LINE.match(line)
        if match is None or match[1].endswith("_bucket"):
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        if math.isfinite(value) and abs(value) <= MOST and len(found.get(match[1], ())) < _MOST_SERIES:
            found.setdefault(match[1], []).append(Series(dict(_LABEL.findall(match[2] or "")), value))
    return found


def total(found: Metrics, *names: str) -> float | None:
    """The sum over label sets of the first name that is there."""
    return _first(found, sum, *names)


def _first(found: Metrics, fold: Callable[[list[float]], float], *names: str) -> float | None:
    for name in names:
        if found.get(name):
            return float(fold(found[name]))
    return None
