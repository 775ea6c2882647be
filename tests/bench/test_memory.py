"""The memory benchmark counts what it moves; how fast is the machine's affair."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wellfed.bench import kernels, memory, store
from wellfed.bench.doubt import doubt
from wellfed.bench.neighbours import Neighbours
from wellfed.errors import BadInput, WellfedError
from wellfed.hardware.machine import Machine, NumaNode, Origin
from wellfed.nouns.calibration import Calibration

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


@pytest.mark.parametrize(
    ("read", "theory", "foreign", "bursts", "id"),
    [
        (60e9, 83.2e9, 0.1, (59e9, 60e9), None),
        (60e9, None, 0.1, (59e9, 60e9), None),
        (60e9, None, None, (), None),
        (4.65e9, 83.2e9, 0.1, (), "bench.memory.implausible"),
        (200e9, 83.2e9, 0.1, (), "bench.memory.implausible"),
        (30e9, 83.2e9, 3.0, (), "bench.memory.busy"),
        (30e9, None, 0.1, (10e9, 11e9, 30e9), "bench.memory.unsteady"),
    ],
)
def test_a_measurement_is_doubted(
    read: float, theory: float | None, foreign: float | None, bursts: tuple[float, ...], id: str | None
) -> None:
    found = doubt(read, theory, foreign, 8, bursts)
    assert (found.id if found is not None else None) == id


def test_a_doubted_measurement_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    point = memory.Point(2, None, None, {"read": 20e9, "copy": 20e9, "triad": 20e9})
    report = memory.MemoryReport((point,), None, None, 2**20, foreign_cores=0.0, bursts=(20e9, 21e9))
    store.save("memory", report)
    kept = store.last_memory(HERE)
    assert kept is not None and kept.read_bytes_per_s == 21e9
    store.save("memory", replace(report, foreign_cores=1.5))
    assert store.last_memory(HERE) is None
    for content in ("[]", '{"result": 3}', '{"result": {"points": []}}', "\x00", "[" * 99_999):
        (tmp_path / "wellfed" / "memory.json").write_text(content)
        assert store.last_memory(HERE) is None
    (tmp_path / "wellfed" / "memory.json").write_bytes(b"\xff")
    assert store.last_memory(HERE) is None


def test_neighbours_are_seen() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with Neighbours() as others:
            time.sleep(0.5)
    finally:
        busy.kill()
        busy.wait()
    assert others.cores is not None and others.cores > 0.1


def test_an_engine_that_works_for_us_is_no_neighbour() -> None:
    engine = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with Neighbours() as all_others, Neighbours(engine.pid) as others:
            time.sleep(0.5)
    finally:
        engine.kill()
        engine.wait()
    assert others.cores is not None and all_others.cores is not None
    assert others.cores < all_others.cores


BAD = [
    b"\xff\xfe", b"", b"[]", b"null", b"3", b"[" * 100_000, b'{"schema": 3}', b'{"schema": "wellfed.calibration/1"}',
]  # fmt: skip


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_foreign_calibrations_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calibration.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="not a calibration"):
        store.own_calibration(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory", 3), ("memory", {"read_bytes_per_s": "x"}), ("memory", {"strange": 1.0}), ("observations", 3),
        ("observations", [3]), ("observations", [{"what": "x"}]), ("parameters", {"a": "x"}), ("residuals", {"a": 3}),
        ("residuals", {"a": {"rows": "x", "sigma": 1, "bias": 0, "median_ape": 0, "mape": 0}}), ("parameters", []),
    ],
)  # fmt: skip
def test_wrong_types_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: object) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    path = store.save_calibration(store.OwnCalibration("m", store.MemoryFigures(4e10), Calibration("x", {"a": 1.0})))
    assert store.own_calibration() is not None
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(BadInput, match="not a calibration"):
        store.own_calibration()
