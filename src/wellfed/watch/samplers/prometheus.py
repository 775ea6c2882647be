"""The little of Prometheus' text format that engines' gauges and counters need (prometheus.io/docs/instrumenting)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

_LINE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$')

Metrics = dict[str, list[float]]


def metrics(text: str, prefix: str = "") -> Metrics:
    """Finite values by name, one per label set. Damaged lines and histogram buckets are passed over."""
    found: Metrics = {}
    for line in text.splitlines():
        if not line.startswith(prefix) or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None or match[1].endswith("_bucket"):
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        if math.isfinite(value):
            found.setdefault(match[1], []).append(value)
    return found


def total(found: Metrics, *names: str) -> float | None:
    """The sum over label sets (several engines behind one server) of the first name that is there."""
    return _first(found, sum, *names)


def most(found: Metrics, *names: str) -> float | None:
    """The largest over label sets of the first name that is there."""
    return _first(found, max, *names)


def _first(found: Metrics, fold: Callable[[list[float]], float], *names: str) -> float | None:
    for name in names:
        if found.get(name):
            return float(fold(found[name]))
    return None
