"""`up` says which measurement lies outside its range, and why it may."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from wellfed.launch import cores
from wellfed.nouns.estimate import Quantity
from wellfed.nouns.layout import CPU_ONLY, Engine, Layout
from wellfed.verbs import bringing_up
from wellfed.verbs.bringing_up import Comparison, Report
from wellfed.written.machines import parse_machine

CPU = Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=0, offload=CPU_ONLY)
INSIDE = Comparison("decode", "tok/s", Quantity(10.0, 8.0, 12.0), 9.0)
OUTSIDE = Comparison("decode", "tok/s", Quantity(10.0, 8.0, 12.0), 5.0)
EXACT = Comparison("resident memory", "B", Quantity.exact(10.0), 5.0)


def report(row: Comparison, load: float | None) -> Report:
    nothing = cast(Any, None)
    return Report(nothing, (row,), nothing, None, load)


@pytest.mark.parametrize("row", [INSIDE, EXACT, Comparison("load", "s", None, 3.0)])
def test_what_is_inside_or_has_no_range_is_not_mentioned(row: Comparison) -> None:
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


@pytest.mark.parametrize(
    ("looked", "others_cores", "threads", "wanted"),
    [
        (3.0, 0.0, 2, 0.0),  # the load of the look is over
        (0.0, 1.0, 2, 1.0),  # a thread of others that found a core free
        (0.0, 4.0, 6, 6.0),  # six threads of others beside six: each has half of the eight cores
        (2.0, None, 2, 2.0),  # nothing was told meanwhile
        (None, 4.0, 2, None),  # not a machine that is looked at
    ],
)
def test_the_load_while_asked_counts(
    looked: float | None, others_cores: float | None, threads: int, wanted: float | None
) -> None:
    machine = parse_machine("ryzen 7 7700x, 32gb")
    machine = replace(machine, os=replace(machine.os, others_running=looked))
    plan = cast(Any, SimpleNamespace(machine=machine, layout=replace(CPU, threads=threads)))
    assert bringing_up.beside(plan, others_cores).os.others_running == (
        None if wanted is None else pytest.approx(wanted)
    )
