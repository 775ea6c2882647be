"""Rates from the first and last value where counters grow evenly: the same as step by step, whatever else happens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed.watching import window, window_host
from wellfed.watching.sample import Cpu, Host, Process, Thread

SPOILT = (None, 0.0, -5.0, 1e9)


@st.composite
def counters(draw, most_per_step: float):
    """Some counters over some samples, most of them even, some reset, lost, mad or missing."""
    count, samples = draw(st.integers(1, 4)), draw(st.integers(2, 8))
    steps = draw(st.lists(st.floats(0.0, most_per_step), min_size=count, max_size=count))
    rows = [{number: 10.0 + steps[number] * at for number in range(count)} for at in range(samples)]
    for _ in range(draw(st.integers(0, 2))):
        row, number = draw(st.integers(0, samples - 1)), draw(st.integers(0, count - 1))
        value = draw(st.sampled_from((*SPOILT, "gone")))
        if value == "gone":
            rows[row].pop(number, None)
        else:
            rows[row][number] = value
    times = [float(at) for at in range(samples)]
    if draw(st.booleans()):
        times[draw(st.integers(0, samples - 1))] += draw(st.sampled_from((0.3, 50.0, -3.0)))
    return list(zip(times, rows, strict=True))


@given(counters(1.2))
def test_cpus(rows):
    known = [(t, Host(cpus=tuple(Cpu(number, busy_s=value) for number, value in row.items()))) for t, row in rows]
    quick, slow = (
        window_host._by_cpu(known, window_host._busy_s),
        window_host._one_by_one(known, window_host._busy_s, None),
    )
    assert quick == pytest.approx(slow)


@given(counters(1.2))
def test_threads(rows):
    known = [
        (
            t,
            Process(
                1, True, threads=tuple(Thread(n, 1, "a", cpu_s=v, wait_s=v, involuntary=3) for n, v in row.items())
            ),
        )
        for t, row in rows
    ]
    quick = {view.tid: view for view in window._threads(known) or ()}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(window, "_even_threads", lambda known: {})
        slow = {view.tid: view for view in window._threads(known) or ()}
    assert quick.keys() == slow.keys()
    for tid, view in slow.items():
        assert (quick[tid].busy, quick[tid].waiting) == pytest.approx((view.busy, view.waiting))
        assert quick[tid].involuntary_per_s == pytest.approx(view.involuntary_per_s)


def test_a_number_that_comes_twice_is_not_taken_for_even():
    twice = (Cpu(0, busy_s=1.0), Cpu(0, busy_s=2.0))
    known = [(0.0, Host(cpus=twice)), (1.0, Host(cpus=(Cpu(0, busy_s=1.5),))), (2.0, Host(cpus=twice))]
    assert window_host._by_cpu(known, window_host._busy_s) == window_host._one_by_one(known, window_host._busy_s, None)
