"""`up` says which measurement lies outside its range, and why it may."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, cast

import pytest

from wellfed.launch import cores
from wellfed.nouns.estimate import Quantity
from wellfed.verbs import bringing_up
from wellfed.verbs.bringing_up import Held, Report
from wellfed.written.machines import parse_machine

INSIDE = Held("decode", "tok/s", Quantity(10.0, 8.0, 12.0), 9.0)
OUTSIDE = Held("decode", "tok/s", Quantity(10.0, 8.0, 12.0), 5.0)
EXACT = Held("resident memory", "B", Quantity.exact(10.0), 5.0)


def report(row: Held, load: float | None) -> Report:
    nothing = cast(Any, None)
    return Report(nothing, (row,), nothing, None, load)


@pytest.mark.parametrize("row", [INSIDE, EXACT, Held("load", "s", None, 3.0)])
def test_what_is_inside_or_has_no_range_is_not_mentioned(row: Held) -> None:
    assert report(row, 0.9).outside() == ()


@pytest.mark.parametrize(("load", "why"), [(0.9, "up.busy"), (0.05, "up.idle"), (None, "up.calibrate")])
def test_outside_is_said_with_its_likely_cause(load: float | None, why: str) -> None:
    said = report(OUTSIDE, load).outside()
    assert [one.id for one in said] == ["up.outside", why] and "decode" in str(said[0])


def test_a_busy_minute_that_is_over_is_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = parse_machine("ryzen 5 7600, 32gb")
    monkeypatch.setattr(os, "getloadavg", lambda: (64.0, 64.0, 64.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    looked = replace(machine, os=replace(machine.os, others_running=0.1))
    assert bringing_up._others_per_core(looked) == pytest.approx(0.05)
    monkeypatch.setattr(cores, "running_threads", lambda: 3.0)
    assert bringing_up._others_per_core(machine) == pytest.approx(1.5)
