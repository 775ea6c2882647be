"""Rates of counters that may lie: resets, clock jumps, gaps, missing values, NaN."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from operator import sub
from statistics import median
from typing import Any, TypeVar

from wellfed.frozen import dataclass

T = TypeVar("T")
Point = tuple[float, float]  # time in seconds, value

LONGEST_GAP = 6.0  # times the usual interval: what happened in between is not known


@dataclass(frozen=True, slots=True)
class Rate:
    """Growth per second over the intervals that can be trusted, and what share of the span they are."""

    per_s: float
    seconds: float
    intervals: int


def finite(value: float | None) -> float | None:
    """The value, or None for what is not a number one can reckon with."""
    return value if value is not None and math.isfinite(value) else None


def rate(points: Iterable[Point], most_per_s: float = math.inf, least_seconds: float = 0.5) -> Rate | None:
    """Growth per second; None with less than `least_seconds` of trustworthy intervals.

    An interval counts when time went forward, not much further than usual, and the counter did not fall or grow faster
    than `most_per_s`, which nothing physical could.
    """
    listed = points if isinstance(points, list) else list(points)
    steady = _steady(listed, most_per_s, least_seconds)
    if steady is not None:
        return steady
    pairs = _pairs(listed)
    if not pairs:
        return None
    longest = LONGEST_GAP * median([dt for dt, _ in pairs])
    trusted = [(dt, dv) for dt, dv in pairs if dt <= longest and 0 <= dv <= most_per_s * dt]
    seconds = math.fsum(dt for dt, _ in trusted)
    if seconds < least_seconds:
        return None
    return Rate(math.fsum(dv for _, dv in trusted) / seconds, seconds, len(trusted))


def _steady(points: list[Point], most_per_s: float, least_seconds: float) -> Rate | None:
    """The same rate where nothing is to be left out, which is usual and quickly seen; None where something may be."""
    if len(points) < 2:
        return None
    times, values = zip(*points, strict=True)
    steps, growths = list(map(sub, times[1:], times)), list(map(sub, values[1:], values))
    shortest, span, grown = min(steps), math.fsum(steps), sum(growths)
    if not (math.isfinite(span) and math.isfinite(grown) and shortest > 0 and min(growths) >= 0 and values[0] >= 0):
        return None
    if span < least_seconds or max(steps) > LONGEST_GAP * shortest or max(growths) > most_per_s * shortest:
        return None
    return Rate(math.fsum(growths) / span, span, len(steps))


class Same:
    """Wraps a value so that it equals itself alone: a cache key for large values that need no comparing."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, another: object) -> bool:
        return isinstance(another, Same) and self.value is another.value


def even_span(times: Sequence[float], least_seconds: float = 0.5) -> float | None:
    """The seconds from the first time to the last, where no step between is to be left out of a rate; else None."""
    steps = list(map(sub, times[1:], times))
    if not steps or not math.isfinite(sum(steps)) or min(steps) <= 0:
        return None
    span = math.fsum(steps)
    return span if span >= least_seconds and max(steps) <= LONGEST_GAP * min(steps) else None


def trusted_step(before: float | None, after: float | None, most: float) -> bool:
    """Whether a counter grew from one to the other as `rate` takes it: from zero or above, by no more than `most`."""
    return before is not None and after is not None and before >= 0 and 0 <= after - before <= most


def per_s(points: Iterable[tuple[float, float | None]], most_per_s: float = math.inf) -> float | None:
    """Growth per second of a counter whose values may be None, as `rate` trusts it."""
    growth_rate = rate(known_points(points), most_per_s)
    return None if growth_rate is None else growth_rate.per_s


def known_points(points: Iterable[tuple[float, float | None]]) -> list[Point]:
    """Points that have a value."""
    return [(t, value) for t, value in points if value is not None]


def growth(points: Iterable[Point]) -> float | None:
    """How much a counter grew in all, falls (resets) left out; None with fewer than two values."""
    pairs = _pairs(points)
    return math.fsum(max(0.0, dv) for _, dv in pairs) if pairs else None


def slope(points: Iterable[Point]) -> float | None:
    """Change per second of a gauge by Theil and Sen: the median of all pairs' slopes, which a few lies cannot move."""
    ordered = _ordered(points)
    if len(ordered) < 4:
        return None
    step = max(1, len(ordered) // 40)
    few = ordered[::step]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(few) for b in few[i + 1 :] if b[0] > a[0]]
    return median(slopes) if slopes else None


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what is known and finite."""
    numbers = [value for value in map(finite, values) if value is not None]
    return math.fsum(numbers) / len(numbers) if numbers else None


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what is known and finite."""
    numbers = [value for value in map(finite, values) if value is not None]
    return median(numbers) if numbers else None


def share(samples: Sequence[T], test: Callable[[T], bool | None]) -> float | None:
    """The share of samples for which `test` holds, of those for which it can be told."""
    answers = [answer for answer in map(test, samples) if answer is not None]
    return sum(answers) / len(answers) if answers else None


def last(values: Iterable[T | None]) -> T | None:
    """The last known value."""
    newest: T | None = None
    for value in values:
        newest = value if value is not None else newest
    return newest


def _pairs(points: Iterable[Point], isfinite: Callable[[float], bool] = math.isfinite) -> list[tuple[float, float]]:
    """(dt, dv) of a counter's neighbours whose time went forward; what is below zero is no counter."""
    steps: list[tuple[float, float]] = []
    t0, v0 = math.nan, 0.0
    for t, value in points:
        if not (isfinite(t) and isfinite(value)) or value < 0:
            continue
        if t > t0:
            steps.append((t - t0, value - v0))
        if t != t0:
            t0, v0 = t, value
    return steps


def _ordered(points: Iterable[Point]) -> list[Point]:
    """Finite points whose time goes forward."""
    ordered: list[Point] = []
    for point in points:
        if math.isfinite(point[0]) and math.isfinite(point[1]) and (not ordered or point[0] > ordered[-1][0]):
            ordered.append(point)
    return ordered
