"""Host-device copies through the CUDA driver: pinned, both ways, per GPU and NUMA node. Needs no CUDA toolkit."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import permutations
from typing import TYPE_CHECKING, Any

from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.message import sentence

if TYPE_CHECKING:
    from wellfed.hardware.machine import Machine

_SIZE = 256 * 2**20  # bytes of one copy: long beside the call's own microseconds
_REPEAT = 8  # copies, of which the median counts
_ALREADY_ENABLED = 704  # CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED


class NoGpu(WellfedError):
    """No GPU to measure; the message says why."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One direction measured: bytes/s, median of the repetitions."""

    gpu: int
    direction: str  # host to device | device to host | device to device
    node: int | None
    bytes_per_s: float
    peer: int | None = None
    direct: bool | None = None  # between GPUs: without a stop in host memory


class Driver:
    """The few calls of libcuda that copies need (CUDA Driver API reference)."""

    def __init__(self, library: Any | None = None) -> None:
        self._cuda = library if library is not None else _load()
        self._call("cuInit", 0)

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._cuda, name)(*arguments)
        if code != 0:
            raise NoGpu(
                sentence(
                    "bench.link.cuda-driver-answered",
                    "the CUDA driver answered {name} with error {code}",
                    name=name,
                    code=code,
                )
            )

    def count(self) -> int:
        """GPUs the driver sees."""
        number = ctypes.c_int()
        self._call("cuDeviceGetCount", ctypes.byref(number))
        return number.value

    @contextmanager
    def context(self, gpu: int) -> Iterator[ctypes.c_void_p]:
        """GPU `gpu`'s primary context, current in this thread."""
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), gpu)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        try:
            self._call("cuCtxSetCurrent", context)
            yield context
        finally:
            self._call("cuDevicePrimaryCtxRelease_v2", device)

    @contextmanager
    def buffers(self, size: int) -> Iterator[tuple[ctypes.c_void_p, ctypes.c_uint64]]:
        """Pinned host memory, allocated by this thread on its node, and device memory."""
        host, device = ctypes.c_void_p(), ctypes.c_uint64()
        self._call("cuMemHostAlloc", ctypes.byref(host), ctypes.c_size_t(size), 0)
        try:
            self._call("cuMemAlloc_v2", ctypes.byref(device), ctypes.c_size_t(size))
            try:
                yield host, device
            finally:
                self._call("cuMemFree_v2", device)
        finally:
            self._call("cuMemFreeHost", host)

    @contextmanager
    def device_memory(self, size: int) -> Iterator[ctypes.c_uint64]:
        """Memory of the current context's GPU."""
        device = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(device), ctypes.c_size_t(size))
        try:
            yield device
        finally:
            self._call("cuMemFree_v2", device)

    def reach(self, gpu: int, peer: int, context: ctypes.c_void_p) -> bool:
        """Let the current context (of `gpu`) read `peer`'s memory directly; whether the platform can."""
        able, here, to = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(here), gpu)
        self._call("cuDeviceGet", ctypes.byref(to), peer)
        self._call("cuDeviceCanAccessPeer", ctypes.byref(able), here, to)
        if able.value and self._cuda.cuCtxEnablePeerAccess(context, 0) not in (0, _ALREADY_ENABLED):
            return False
        return bool(able.value)

    def seconds(self, name: str, *arguments: Any) -> float:
        """GPU time of one asynchronous copy, by events."""
        begin, end, took = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_float()
        for event in (begin, end):
            self._call("cuEventCreate", ctypes.byref(event), 0)
        self._call("cuEventRecord", begin, None)
        self._call(name, *arguments, None)
        self._call("cuEventRecord", end, None)
        self._call("cuEventSynchronize", end)
        self._call("cuEventElapsedTime", ctypes.byref(took), begin, end)
        for event in (begin, end):
            self._call("cuEventDestroy_v2", event)
        return took.value / 1e3


def _load() -> Any:
    for name in ("libcuda.so.1", ctypes.util.find_library("cuda")):
        if name:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    raise NoGpu(
        sentence("bench.link.no-cuda-driver", "no CUDA driver (libcuda) here"),
        sentence("bench.link.host-device-copies", "host-device copies can be measured on NVIDIA GPUs only"),
    )


def measure(
    machine: Machine, driver: Driver | None = None, size: int = _SIZE, progress: Callable[[str], None] = lambda _: None
) -> list[Copy]:
    """Both directions of every GPU from every NUMA node, and every pair of GPUs.

    Raises NoGpu with the reason when there is none.
    """
    cuda = driver or Driver()
    count = cuda.count()
    if count == 0:
        raise NoGpu(
            sentence("bench.link.cuda-driver-sees", "the CUDA driver sees no GPU"),
            sentence("bench.link.cuda-visible-devices", "CUDA_VISIBLE_DEVICES may hide it"),
        )
    allowed = os.sched_getaffinity(0)
    nodes: list[tuple[int | None, list[int]]] = [
        (node.os_index, node_cpus)
        for node in machine.numa_nodes
        if (node_cpus := [cpu for cpu in node.cpus if cpu in allowed])
    ] or [(None, sorted(allowed))]
    copies = []
    try:
        for gpu in range(count):
            for node, cpus in nodes:
                progress(
                    sentence(
                        "bench.link.gpu-node", "GPU {gpu}, node {node}", gpu=gpu, node="?" if node is None else node
                    )
                )
                os.sched_setaffinity(0, cpus)
                copies += _both_directions(cuda, gpu, node, size)
        os.sched_setaffinity(0, allowed)
        for gpu, peer in permutations(range(count), 2):
            progress(f"GPU {gpu} to GPU {peer}")
            copies.append(_between(cuda, gpu, peer, size))
    finally:
        os.sched_setaffinity(0, allowed)
    return copies


def _between(cuda: Driver, gpu: int, peer: int, size: int) -> Copy:
    with cuda.context(peer) as peer_context, cuda.device_memory(size) as target_buffer, cuda.context(gpu) as context:
        direct = cuda.reach(gpu, peer, peer_context)
        with cuda.device_memory(size) as here:
            call = ("cuMemcpyPeerAsync", target_buffer, peer_context, here, context, ctypes.c_size_t(size))
            times = sorted(cuda.seconds(*call) for _ in range(_REPEAT + 1))
    return Copy(gpu, "device to device", None, size / times[len(times) // 2], peer, direct)


def _both_directions(cuda: Driver, gpu: int, node: int | None, size: int) -> list[Copy]:
    with cuda.context(gpu), cuda.buffers(size) as (host, device):
        length = ctypes.c_size_t(size)
        calls = {
            "host to device": ("cuMemcpyHtoDAsync_v2", device, host, length),
            "device to host": ("cuMemcpyDtoHAsync_v2", host, device, length),
        }
        copies = []
        for direction, call in calls.items():
            times = sorted(cuda.seconds(*call) for _ in range(_REPEAT + 1))  # the first wakes the link
            copies.append(Copy(gpu, direction, node, size / times[len(times) // 2]))
    return copies
