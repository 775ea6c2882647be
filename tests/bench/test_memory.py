"""The memory benchmark counts what it moves; how fast is the machine's affair."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from wellfed.bench import kernels, memory
from wellfed.errors import WellfedError
from wellfed.hardware.machine import Machine, NumaNode, Origin

HERE = Machine("here", Origin.LIVE)


def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Three small arrays."""
    return np.arange(100.0), np.arange(100.0) * 2, np.zeros(100)


@pytest.mark.parametrize("kind", ["numba", "numpy"])
def test_kernels_do_what_they_are_counted_for(kind: str) -> None:
    if kind == "numba":
        pytest.importorskip("numba")
    found = kernels.compiled() if kind == "numba" else kernels.plain()
    a, b, c = arrays()
    assert found["read"](a, b, c) == a.sum()
    found["copy"](a, b, c)
    assert (c == a).all()
    found["triad"](a, b, c)
    assert (c == a + 3 * b).all()
    assert set(found) == set(kernels.BYTES_PER_ELEMENT)


def test_without_numba_numpy_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError

    monkeypatch.setattr(memory, "compiled", missing)
    before = os.sched_getaffinity(0)
    report = memory.measure(HERE, 2**20, repetitions=2)
    assert "numpy" in report.kernels
    assert report.points[-1].threads == len(before)
    assert all(rate > 0 for point in report.points for rate in point.bytes_per_s.values())
    assert report.theoretical_bytes_per_s is None
    assert os.sched_getaffinity(0) == before


def test_every_pair_of_nodes_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "compiled", kernels.plain)
    monkeypatch.setattr(memory, "_bind_pages", lambda *_: None)
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    two = replace(HERE, numa_nodes=(NumaNode(0, cpus=cpus[:1]), NumaNode(1, cpus=cpus[-1:])))
    report = memory.measure(two, 2**20, repetitions=1)
    assert set(report.matrix) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(WellfedError, match="do not fit"):
        memory.measure(HERE, 2**50)


@pytest.mark.parametrize(("most", "steps"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_sweep_ends_with_all(most: int, steps: list[int]) -> None:
    assert memory.sweep(most) == steps


def test_the_clock_is_a_clock() -> None:
    pytest.importorskip("numba")
    found = memory.clock_hz(sorted(os.sched_getaffinity(0))[:1])
    assert found is not None
    assert 0.2e9 < found < 8e9


def test_without_numba_the_clock_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    assert memory.clock_hz([0]) is None
