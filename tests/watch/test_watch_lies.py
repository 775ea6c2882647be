"""Traces that lie: resets, clock jumps, gaps, vanished processes, nonsense. No crash, no fault where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.watch.scenes import H100, PID, QUIET, Scene, T

from wellfed.watching.diagnose import diagnose, findings
from wellfed.watching.sample import Sample
from wellfed.watching.series import growth, rate, slope
from wellfed.watching.view import View
from wellfed.watching.watcher import replay
from wellfed.watching.window import view

FAIR = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
HEALTHY = (
    QUIET,
    Scene(running=0.0, tok_s=0.0, steps_s=0.0, threads=(T(0.0), T(0.01))),
    Scene(gpus=(H100,), threads=(T(0.3), T(0.97, pid=PID + 100)), engine_now={"kind": "vllm"}),
    Scene(nodes=2, cpus=16, threads=tuple(T(0.95, 0.02, cpu=i) for i in range(8)), process_now={"pages": None}),
)
WEIRD = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 1e30, -1e30])

Lie = Callable[[list[Sample]], list[Sample]]


def vanish(at: int) -> Lie:
    """One sample is missing."""
    return lambda trace: trace[:at] + trace[at + 1 :]


def clock(at: int, by: float) -> Lie:
    """The clock jumps and stays off; engines' own stamps are of the same clock."""

    def lie(trace: list[Sample]) -> list[Sample]:
        return trace[:at] + [
            replace(s, t=s.t + by, engine=s.engine and replace(s.engine, t=s.engine.t + by)) for s in trace[at:]
        ]

    return lie


def reset(at: int) -> Lie:
    """All counters begin again: the machine slept, or somebody cleared them."""

    def lie(trace: list[Sample]) -> list[Sample]:
        zero = trace[min(at, len(trace) - 1)]
        return trace[:at] + [_minus(s, zero) for s in trace[at:]]

    return lie


def blind(at: int, part: str) -> Lie:
    """One part could not be read once."""
    return lambda trace: [replace(s, **{part: None}) if i == at else s for i, s in enumerate(trace)]


def nan(at: int) -> Lie:
    """Every float of a sample but its time is NaN."""
    return lambda trace: [_with_floats(s, lambda _: math.nan) if i == at else s for i, s in enumerate(trace)]


def twice(at: int) -> Lie:
    """A sample is there twice."""
    return lambda trace: trace[: at + 1] + trace[at:]


PARTS = ("process", "host", "cgroup", "sockets", "gpus", "engine")
LIES = st.one_of(
    st.builds(vanish, st.integers(1, 18)),
    st.builds(clock, st.integers(1, 18), st.floats(-5000, 5000)),
    st.builds(reset, st.integers(1, 18)),
    st.builds(blind, st.integers(0, 19), st.sampled_from(PARTS)),
    st.builds(nan, st.integers(0, 19)),
    st.builds(twice, st.integers(0, 18)),
)
COUNTERS = ("_s", "_total", "faults", "refaults", "voluntary", "periods", "throttled", "swapped_in", "swapped_out")


def _minus(value: Any, zero: Any) -> Any:
    """Counters of `value` less those of `zero`."""
    if is_dataclass(value) and not isinstance(value, type) and type(value) is type(zero):
        pairs = {f.name: (getattr(value, f.name), getattr(zero, f.name)) for f in fields(value)}
        return replace(value, **{name: _less(name, a, b) for name, (a, b) in pairs.items()})
    return value


def _less(name: str, a: Any, b: Any) -> Any:
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return tuple(_minus(x, y) for x, y in zip(a, b, strict=True))
    if is_dataclass(a):
        return _minus(a, b)
    counter = name.endswith(COUNTERS) and not name.endswith(("waited_s", "answer_s", "watcher_cpu_s"))
    return a - b if counter and isinstance(a, int | float) and isinstance(b, int | float) else a


def _with_floats(value: Any, change: Callable[[float], float], keep: tuple[str, ...] = ("t",)) -> Any:
    if isinstance(value, float):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_with_floats(each, change) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        found = {f.name: getattr(value, f.name) for f in fields(value)}
        return replace(value, **{n: v if n in keep else _with_floats(v, change) for n, v in found.items()})
    return value


@FAIR
@example(HEALTHY[0], [reset(2), reset(1), reset(3)])  # a counter below zero, then above it
@given(st.sampled_from(HEALTHY), st.lists(LIES, min_size=1, max_size=4))
@pytest.mark.slow
def test_lies_make_no_false_alarm(scene: Scene, lies: list[Lie]) -> None:
    trace = list(scene.samples(20))
    for lie in lies:
        trace = lie(trace)
    for _, found in replay(trace, window=20):
        assert not found.crashed
        assert not found.ill, [(cause.rule.id, cause.sign.evidence) for cause in found.causes]


@FAIR
@given(st.sampled_from(HEALTHY), st.data())
@pytest.mark.slow
def test_nonsense_everywhere_does_not_crash(scene: Scene, data: st.DataObject) -> None:
    trace = [
        _with_floats(s, lambda v: data.draw(WEIRD) if data.draw(st.booleans()) else v, ()) for s in scene.samples(5)
    ]
    found = diagnose(view(trace))
    assert not found.crashed, found.crashed
    assert findings(found)


@FAIR
@given(st.sampled_from(HEALTHY), st.integers(0, 19))
def test_a_process_that_vanishes_is_told_only_when_it_stays_away(scene: Scene, at: int) -> None:
    trace = list(scene.samples(20))
    process = trace[at].process
    assert process is not None
    trace[at] = replace(trace[at], process=replace(process, alive=False, threads=None, state=None))
    assert not diagnose(view(trace)).ill
    trace[-2:] = [replace(s, process=replace(process, alive=False, threads=None, state=None)) for s in trace[-2:]]
    assert diagnose(view(trace)).id == "gone"


POINTS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e9)), max_size=40)


@FAIR
@given(POINTS)
def test_rates_are_never_negative_nor_beyond_what_is_possible(points: list[tuple[float, float]]) -> None:
    found = rate(points, most_per_s=5.0)
    assert found is None or 0 <= found.per_s <= 5.0 * (1 + 1e-9)
    grown = growth(points)
    assert grown is None or grown >= 0


@FAIR
@given(st.floats(0.1, 100), st.integers(3, 40), st.integers(2, 39))
def test_a_reset_does_not_move_a_steady_rate(per_s: float, count: int, at: int) -> None:
    points = [(float(i), per_s * (i if i < at else i - at)) for i in range(count)]  # from 0 on: a fall shows
    found = rate(points)
    assert found is None or found.per_s == pytest.approx(per_s)


@FAIR
@given(st.floats(-100, 100), st.integers(8, 40), st.integers(0, 39), st.floats(-1e12, 1e12))
def test_one_lie_hardly_moves_a_slope(per_s: float, count: int, at: int, lie: float) -> None:
    points = [(float(i), lie if i == at else per_s * i) for i in range(count)]
    found = slope(points)
    assert found == pytest.approx(per_s, rel=1e-6, abs=1e-6)


def test_an_empty_window_says_nothing() -> None:
    assert isinstance(view(()), View)
    assert diagnose(view(())).id == "unknown"
