"""When a series changed its level, if it did: robust statistics of medians, without a model of its noise.

A speed falls as more requests run beside it. That part is taken out first: the slope of log speed over log2(running)
is the median over pairs of points that are near in time (Theil, Sen; near, so that a change of level between two
points is in few pairs). Then the series is cut where two medians fit it best (least absolute deviations), and the cut
counts if the medians differ by more than noise explains: their standard error is 1.2533 s/sqrt(n) with s from the
median absolute deviation (Rousseeuw, Croux 1993) and n lowered by the series' autocorrelation. Each side is cut again.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from wellfed.frozen import dataclass

# All assumed: what it takes for a change to be told rather than be noise
LEAST_SHARE = 0.05  # relative change of speed; smaller ones are not told
_LEAST_Z = 6.0  # standard errors between the two levels
LEAST_POINTS = 5  # on either side of a cut
_COARSE = 120  # blocks in which a cut is looked for first
_DEPTH = 3  # how often a stretch is halved: at most 2**3 - 1 changes
_LEAST_SPREAD = 1e-3  # of log speed: a tenth of a percent is never noise alone
_NEAR = 8  # points: pairs further apart in time do not count for the slope over load
_LEAST_PAIRS = 12  # that a slope needs
_LEAST_STEP = 0.25  # of log2(running) between the points of a pair
LOAD_STEP = 0.4  # of log2(running): more is another load


@dataclass(frozen=True, slots=True)
class Point:
    """A bucket of time: a speed, and how many requests shared the replica (None: not told)."""

    at: float
    speed: float
    running: float | None = None

    @property
    def load(self) -> float:
        """log2 of the requests that run."""
        return math.log2(max(1.0, self.running or 1.0))


@dataclass(frozen=True, slots=True)
class Shift:
    """At `at` the level changed by `ratio` (0.88: 12 % slower); `z`: how many standard errors that is.

    `last`: the time of the last point before it.
    """

    at: float
    last: float
    ratio: float
    z: float


def slope(points: Sequence[Point]) -> float | None:
    """How log speed changes with each doubling of the requests; 0 at most, -log 2 at least. None: not told."""
    steps = [
        (points[second].load - points[first].load, math.log(points[second].speed / points[first].speed))
        for first in range(len(points))
        for second in range(first + 1, min(first + 1 + _NEAR, len(points)))
    ]
    slopes = [speed / load for load, speed in steps if abs(load) >= _LEAST_STEP]
    return max(-math.log(2), min(0.0, median(slopes))) if len(slopes) >= _LEAST_PAIRS else None


def levels(points: Sequence[Point], by_load: float | None) -> list[float]:
    """log speed, as it would be with one request running."""
    return [math.log(point.speed) - (by_load or 0.0) * point.load for point in points]


def shifts(points: Sequence[Point], by_load: float | None) -> tuple[Shift, ...]:
    """Every change of level, in time order, each against the stretch before it."""
    values = levels(points, by_load)
    load_known = by_load is not None
    cuts = [0, *sorted(_cuts(points, values, load_known, 0, _DEPTH)), len(values)]
    judged = []
    for begin, cut, end in zip(cuts, cuts[1:], cuts[2:], strict=False):
        shift = _judged(points[begin:end], values[begin:end], cut - begin, load_known)
        judged += [shift] if shift is not None else []
    return tuple(judged)


def _cuts(points: Sequence[Point], values: Sequence[float], load_known: bool, first: int, depth: int) -> list[int]:
    """Places where the level changes, by halves."""
    cut = _best(values) if depth and len(values) >= 2 * LEAST_POINTS else None
    if cut is None or _judged(points, values, cut, load_known) is None:
        return []
    cuts_before = _cuts(points[:cut], values[:cut], load_known, first, depth - 1)
    return [*cuts_before, first + cut, *_cuts(points[cut:], values[cut:], load_known, first + cut, depth - 1)]


def _best(values: Sequence[float]) -> int | None:
    """Where to cut: on medians of blocks first, then point by point near there."""
    block = max(1, len(values) // _COARSE)
    coarse = [median(values[n : n + block]) for n in range(0, len(values), block)]
    least = -(-LEAST_POINTS // block)
    if len(coarse) < 2 * least + 1:
        coarse, block, least = list(values), 1, LEAST_POINTS
    costs = _costs(coarse)
    if len(costs) < 2 * least:
        return None
    first = min(range(least, len(coarse) - least + 1), key=costs.__getitem__) * block
    near = range(max(LEAST_POINTS, first - block), min(len(values) - LEAST_POINTS, first + block) + 1)
    if block == 1 or not near:
        return first if LEAST_POINTS <= first <= len(values) - LEAST_POINTS else None
    low, high = max(0, near[0] - 4 * block), min(len(values), near[-1] + 4 * block)
    window = _costs(values[low:high])
    return min(near, key=lambda cut: window[cut - low])


def _costs(values: Sequence[float]) -> list[float]:
    """For each cut, the absolute deviations from the medians of its two sides."""
    before = _running_deviation(values)
    after = _running_deviation(values[::-1])[::-1]
    return [before_cut + after_cut for before_cut, after_cut in zip(before, after, strict=True)]


def _running_deviation(values: Sequence[float]) -> list[float]:
    """Of the first 0, 1, 2 ... values: the sum of absolute deviations from their median."""
    ordered: list[float] = []
    deviations = [0.0]
    total = below = 0.0  # `below`: the sum of the lower half
    for value in values:
        half = len(ordered) // 2
        place = bisect_left(ordered, value)
        insort(ordered, value)
        total += value
        below += (value if place < half else 0.0) - (ordered[half] if place < half else 0.0)
        new = len(ordered) // 2
        below += sum(ordered[half:new])
        odd = len(ordered) % 2
        above = total - below - (ordered[new] if odd else 0.0)
        deviations.append(above - below)
    return deviations


def _judged(points: Sequence[Point], values: Sequence[float], cut: int, load_known: bool) -> Shift | None:
    before, after = values[:cut], values[cut:]
    step = median(after) - median(before)
    loads = [median(point.load for point in side) for side in (points[:cut], points[cut:])]
    if abs(math.expm1(step)) < LEAST_SHARE or (not load_known and abs(loads[1] - loads[0]) > LOAD_STEP):
        return None
    z = abs(step) / _standard_error(before, after)
    return Shift(points[cut].at, points[cut - 1].at, math.exp(step), z) if z >= _LEAST_Z else None


def _standard_error(before: Sequence[float], after: Sequence[float]) -> float:
    """Of the difference of two medians, from what is left on both sides together."""
    residuals = [value - median(side) for side in (before, after) for value in side]
    spread = max(1.4826 * median(abs(value) for value in residuals), _LEAST_SPREAD)
    alike = max(0.0, min(0.95, _autocorrelation(residuals, spread)))
    independent = [max(1.0, len(side) * (1 - alike) / (1 + alike)) for side in (before, after)]
    return 1.2533 * spread * math.sqrt(sum(1 / count for count in independent))


def _autocorrelation(residuals: Sequence[float], spread: float) -> float:
    """At lag one, of values held to three spreads so that outliers do not decide."""
    clipped = [max(-3 * spread, min(3 * spread, value)) for value in residuals]
    power = sum(value * value for value in clipped)
    return sum(a * b for a, b in pairwise(clipped)) / power if power else 0.0
