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
    return {name: [sample.value for sample in samples] for name, samples in _series(lines).items()}


def series(text: str, metric_names: Collection[str]) -> Found:
    """Finite values of `metric_names` with their labels; other lines are not looked at."""
    names = frozenset(metric_names)
    return _series(line for line in text.splitlines() if _name(line) in names)


def _name(line: str) -> str:
    return line.partition(" ")[0].partition("{")[0]


def _series(lines: Iterable[str]) -> dict[str, list[Series]]:
    samples_of: dict[str, list[Series]] = {}
    for line in lines:
        match = None if line.startswith("#") or len(line) > _MOST_LINE else _LINE.match(line)
        if match is None or match[1].endswith("_bucket"):
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        if math.isfinite(value) and abs(value) <= MOST and len(samples_of.get(match[1], ())) < _MOST_SERIES:
            samples_of.setdefault(match[1], []).append(Series(dict(_LABEL.findall(match[2] or "")), value))
    return samples_of


def total(samples: Metrics, *names: str) -> float | None:
    """The sum over label sets of the first name that is there."""
    return _first(samples, sum, *names)


def _first(samples: Metrics, fold: Callable[[list[float]], float], *names: str) -> float | None:
    for name in names:
        if samples.get(name):
            return float(fold(samples[name]))
    return None
