"""`up` says which measurement lies outside its range, and why it may."""

from __future__ import annotations

from typing import Any, cast

import pytest

from wellfed.nouns.estimate import Quantity
from wellfed.verbs.bringing_up import Held, Report

INSIDE = Held("decode", "tok/s", Quantity(10.0, 8.0, 12.0), 9.0)
OUTSIDE = Held("decode", "tok/s", Quantity(10.0, 8.0, 12.0), 5.0)
EXACT = Held("resident memory", "B", Quantity.exact(10.0), 5.0)


def report(row: Held, load: float | None) -> Report:
    nothing = cast(Any, None)
    return Report(nothing, (row,), nothing, None, load)


@pytest.mark.parametrize("row", [INSIDE, EXACT, Held("load", "s", None, 3.0)])
def test_what_is_inside_or_has_no_range_is_not_mentioned(row: Held) -> None:
    assert report(row, 0.9).outside() == ()


@pytest.mark.parametrize(("load", "why"), [(0.9, "up.busy"), (0.05, "up.idle"), (None, "up.idle")])
def test_outside_is_said_with_its_likely_cause(load: float | None, why: str) -> None:
    said = report(OUTSIDE, load).outside()
    assert [one.id for one in said] == ["up.outside", why] and "decode" in str(said[0])
