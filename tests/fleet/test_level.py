"""When a series changed its level: found where it is, told as large as it is, and not claimed where nothing changed."""

from __future__ import annotations

import math
import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed.fleet.level import Point, _running_deviation, shifts, slope


def series(count: int, fault: float, at: int, seed: int, by_load: float = -0.3) -> list[Point]:
    """Noise of 3 % that holds on, a load that swings."""
    chance, drift, found = random.Random(seed), 0.0, []
    for number in range(count):
        drift = 0.6 * drift + chance.gauss(0, 0.03)
        running = 1 + 6 * (1 + math.sin(number / 23)) + 2 * chance.random()
        speed = 60 * math.exp(drift) * running**by_load * (fault if number >= at else 1)
        found.append(Point(number * 600.0, speed, running))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_noise_and_load_are_no_change(seed: int) -> None:
    points = series(600, 1.0, 0, seed)
    assert shifts(points, slope(points)) == ()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("fault", [0.85, 1.2])
def test_a_change_is_found_where_it_is(seed: int, fault: float) -> None:
    points = series(600, fault, 400, seed)
    (found,) = shifts(points, slope(points))
    assert found.ratio == pytest.approx(fault, abs=0.03)
    assert abs(found.at / 600 - 400) < 20


def test_two_changes_are_two() -> None:
    points = series(900, 0.8, 300, 1)
    points = [*points[:600], *(Point(p.at, p.speed / 0.8 * 0.6, p.running) for p in points[600:])]
    found = shifts(points, slope(points))
    assert [round(shift.at / 600, -2) for shift in found] == [300, 600]
    assert found[1].ratio == pytest.approx(0.75, abs=0.03)


def test_the_slope_is_that_of_the_load_whatever_changed_between() -> None:
    points = series(600, 0.7, 250, 3, by_load=-0.4)
    found = slope(points)
    assert found == pytest.approx(-0.4 * math.log(2), abs=0.05)


def test_a_load_that_never_varies_tells_no_slope() -> None:
    assert slope([Point(60.0 * number, 40.0, 4.0) for number in range(50)]) is None


@pytest.mark.parametrize("count", range(12))
def test_few_points_are_never_wrong(count: int) -> None:
    points = series(count, 0.5, count // 2, 1)
    assert all(0.3 < shift.ratio < 0.8 for shift in shifts(points, slope(points)))


@given(st.lists(st.floats(-1e3, 1e3), max_size=40))
def test_sums_of_deviations_are_what_they_say(values: list[float]) -> None:
    found = _running_deviation(values)
    for count in range(1, len(values) + 1):
        middle = median(values[:count])
        assert found[count] == pytest.approx(sum(abs(value - middle) for value in values[:count]), abs=1e-6)
