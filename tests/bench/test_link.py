"""Copies measured through a driver of our own that keeps books: every call in order, everything given back."""

from __future__ import annotations

import ctypes
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from wellfed.bench.link import Driver, NoGpu, measure
from wellfed.hardware.machine import Machine, NumaNode, Origin

SIZE = 2**20
GIGA = 1e9


class Cuda:
    """The calls that are used; a copy takes as long as its bandwidth says. `breaks` names a call that fails."""

    def __init__(self, gpus: int = 2, peers: bool = True, breaks: str = "") -> None:
        self.gpus, self.peers, self.breaks = gpus, peers, breaks
        self.calls: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.last = 0.0
        self.nodes: list[set[int]] = []

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            self.calls[name] += 1
            if name == self.breaks:
                return 2  # CUDA_ERROR_OUT_OF_MEMORY
            known = vars(Cuda).get(f"_{name}")
            return int(known(self, *arguments) or 0) if known else 0

        return call

    @staticmethod
    def _set(target: Any, value: Any) -> None:
        target._obj.value = value

    def _cuDeviceGetCount(self, target: Any) -> None:  # noqa: N802
        self._set(target, self.gpus)

    def _cuDeviceCanAccessPeer(self, target: Any, a: Any, b: Any) -> None:  # noqa: N802
        self._set(target, int(self.peers))

    def _cuMemHostAlloc(self, *_: Any) -> None:  # noqa: N802
        self.held["host"] += 1
        self.nodes.append(os.sched_getaffinity(0))

    def _cuMemFreeHost(self, *_: Any) -> None:  # noqa: N802
        self.held["host"] -= 1

    def _cuMemAlloc_v2(self, *_: Any) -> None:  # noqa: N802
        self.held["device"] += 1

    def _cuMemFree_v2(self, *_: Any) -> None:  # noqa: N802
        self.held["device"] -= 1

    def _cuDevicePrimaryCtxRetain(self, *_: Any) -> None:  # noqa: N802
        self.held["context"] += 1

    def _cuDevicePrimaryCtxRelease_v2(self, *_: Any) -> None:  # noqa: N802
        self.held["context"] -= 1

    def _cuEventCreate(self, *_: Any) -> None:  # noqa: N802
        self.held["event"] += 1

    def _cuEventDestroy_v2(self, *_: Any) -> None:  # noqa: N802
        self.held["event"] -= 1

    def _cuMemcpyHtoDAsync_v2(self, device: Any, host: Any, size: Any, stream: Any) -> None:  # noqa: N802
        self.last = size.value / (25 * GIGA)

    def _cuMemcpyDtoHAsync_v2(self, host: Any, device: Any, size: Any, stream: Any) -> None:  # noqa: N802
        self.last = size.value / (20 * GIGA)

    def _cuMemcpyPeerAsync(self, a: Any, b: Any, c: Any, d: Any, size: Any, stream: Any) -> None:  # noqa: N802
        self.last = size.value / (50 * GIGA)

    def _cuEventElapsedTime(self, target: Any, begin: Any, end: Any) -> None:  # noqa: N802
        assert isinstance(target._obj, ctypes.c_float)
        self._set(target, self.last * 1e3)


def two_nodes() -> Machine:
    """Two nodes over the CPUs that there are."""
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    nodes = (NumaNode(0, cpus=cpus[:1]), NumaNode(1, cpus=cpus[-1:]), NumaNode(2, cpus=(100_000,)))
    return Machine("two", Origin.LIVE, numa_nodes=nodes)


def test_every_gpu_from_every_node_both_ways_and_every_pair() -> None:
    cuda = Cuda()
    before = os.sched_getaffinity(0)
    found = measure(two_nodes(), Driver(cuda), SIZE)
    rates = {(c.gpu, c.node, c.peer, c.direction): c.bytes_per_s / GIGA for c in found}
    assert len(found) == 2 * 2 * 2 + 2
    assert rates[1, 0, None, "host to device"] == pytest.approx(25, rel=1e-3)
    assert rates[0, 1, None, "device to host"] == pytest.approx(20, rel=1e-3)
    assert rates[0, None, 1, "device to device"] == pytest.approx(50, rel=1e-3)
    assert all(copy.direct for copy in found if copy.peer is not None)
    assert os.sched_getaffinity(0) == before
    assert cuda.nodes[:2] == [{min(before)}, {max(before)}]  # pinned memory is allocated by a thread of the node
    assert not +cuda.held


def test_gpus_that_cannot_reach_each_other_are_told() -> None:
    found = measure(two_nodes(), Driver(Cuda(peers=False)), SIZE)
    assert [copy.direct for copy in found if copy.peer is not None] == [False, False]


@pytest.mark.parametrize("call", ["cuMemHostAlloc", "cuMemAlloc_v2", "cuEventSynchronize", "cuMemcpyPeerAsync"])
def test_a_driver_that_refuses_keeps_nothing(call: str) -> None:
    cuda = Cuda(breaks=call)
    before = os.sched_getaffinity(0)
    with pytest.raises(NoGpu, match=call):
        measure(two_nodes(), Driver(cuda), SIZE)
    assert os.sched_getaffinity(0) == before
    assert cuda.held["host"] == cuda.held["device"] == cuda.held["context"] == 0


def test_no_gpu_is_a_reason_and_not_a_crash() -> None:
    with pytest.raises(NoGpu, match="sees no GPU"):
        measure(two_nodes(), Driver(Cuda(gpus=0)))
    with pytest.raises(NoGpu, match="cuInit"):
        Driver(Cuda(breaks="cuInit"))
