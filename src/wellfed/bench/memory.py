"""DRAM bandwidth: read, copy and triad by threads, by NUMA node of threads and pages, with the huge-page state.

And the clock that the cores keep with all of them at work, which machines in the cloud do not tell.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from wellfed.bench.doubt import doubt
from wellfed.bench.kernels import BYTES_PER_ELEMENT, CYCLES_PER_STEP, chain, compiled, plain
from wellfed.bench.neighbours import Neighbours
from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.message import Message, sentence
from wellfed.units import format_bytes

if TYPE_CHECKING:
    from wellfed.hardware.machine import Machine

_DEFAULT_BYTES = 256 * 2**20  # per array and thread: far beyond any cache's share
_CLOCK_STEPS = 100_000_000  # about 0.2 s: turbo states settle within a few ms
_BURSTS, _PAUSE_S = 5, 0.3  # short readings, and the seconds between them
_MBIND, _MPOL_BIND = {"x86_64": 237, "aarch64": 235}, 2


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement. Bandwidths are bytes/s, best of the repetitions (others are noise from without)."""

    threads: int
    cpu_node: int | None
    memory_node: int | None
    bytes_per_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """Everything measured, with what it must be read against."""

    points: tuple[Point, ...]
    transparent_huge_pages: str | None
    theoretical_bytes_per_s: float | None
    array_bytes: int
    matrix: Mapping[tuple[int, int], float] = field(default_factory=dict)  # (cpu node, memory node) -> read bytes/s
    kernels: str = "numba"
    clock_hz: float | None = None  # of a core with all at work; None where it cannot be told
    small_pages_bytes_per_s: float | None = None  # read by all threads, no huge pages behind the arrays
    huge_share: float | None = None  # of the arrays behind `points`, backed by huge pages
    foreign_cores: float | None = None  # CPU time per second of other programs meanwhile
    bursts: tuple[float, ...] = ()  # read by all threads, bytes/s, of short bursts apart from each other

    @property
    def doubt(self) -> Message | None:
        """Why these are not the machine's figures; None where nothing speaks against them."""
        threads = max(point.threads for point in self.points)
        return doubt(self.best(), self.theoretical_bytes_per_s, self.foreign_cores, threads, self.bursts)

    def best(self, kernel: str = "read") -> float:
        """The highest bandwidth seen with threads on their own memory."""
        highest = max(point.bytes_per_s[kernel] for point in self.points)
        return max(highest, *self.bursts) if kernel == "read" and self.bursts else highest


def measure(
    machine: Machine,
    array_bytes: int | None = None,
    repetitions: int = 5,
    progress: Callable[[str], None] = lambda _: None,
) -> MemoryReport:
    """Sweep threads over all CPUs allowed; with several NUMA nodes, also every pair of nodes.

    What other programs do meanwhile is recorded, and reading is repeated in short bursts apart from each other. Raises
    WellfedError when the `bench` extra is missing or too little memory is free.
    """
    with Neighbours() as neighbours:
        report = _measured(machine, array_bytes or _DEFAULT_BYTES, repetitions, progress)
    return replace(report, foreign_cores=neighbours.cores)


def _measured(machine: Machine, size: int, repetitions: int, progress: Callable[[str], None]) -> MemoryReport:
    kernels, kind = _kernels()
    cpus = sorted(os.sched_getaffinity(0))
    _ensure_room(3 * size * len(cpus))
    nodes = {node.os_index: [cpu for cpu in node.cpus if cpu in cpus] for node in machine.numa_nodes}
    nodes = {node: node_cpus for node, node_cpus in nodes.items() if node_cpus}
    points, huge = [], None
    for count in sweep(len(cpus)):
        progress(sentence("bench.memory.threads", "{count} threads", count=count))
        workers = [_Worker(cpu, size, None) for cpu in cpus[:count]]
        points.append(_point(kernels, workers, None, None, repetitions))
        huge = _huge_share(size * len(_Worker.ARRAYS) * count)
        del workers
    progress(sentence("bench.memory.short-bursts", "short bursts"))
    bursts = _bursts(kernels["read"], [_Worker(cpu, size, None) for cpu in cpus])
    progress(sentence("bench.memory.small-pages", "small pages"))
    small = _best(kernels["read"], "read", [_Worker(cpu, size, None, huge=False) for cpu in cpus], repetitions)
    matrix: dict[tuple[int, int], float] = {}
    if len(nodes) > 1:
        for cpu_node, node_cpus in nodes.items():
            for memory_node in nodes:
                progress(
                    sentence(
                        "bench.memory.node-reads-node",
                        "node {cpu_node} reads node {memory_node}",
                        cpu_node=cpu_node,
                        memory_node=memory_node,
                    )
                )
                workers = [_Worker(cpu, size, memory_node) for cpu in node_cpus]
                point = _point(kernels, workers, cpu_node, memory_node, repetitions)
                matrix[cpu_node, memory_node] = point.bytes_per_s["read"]
                points.append(point)
    theory, clock = machine.memory_bandwidth_bytes_per_s, clock_hz(cpus)
    return MemoryReport(tuple(points), _thp(), theory, size, matrix, kind, clock, small, huge, bursts=bursts)


def _bursts(kernel: Callable[..., Any], workers: Sequence[_Worker]) -> tuple[float, ...]:
    """Read by all workers, a few times with pauses: what disturbs one burst may be gone at the next."""
    rates = []
    for turn in range(_BURSTS):
        time.sleep(_PAUSE_S if turn else 0.0)
        rates.append(_best(kernel, "read", workers, 1))
    return tuple(rates)


def clock_hz(cpus: Sequence[int]) -> float | None:
    """The median core's clock with one thread at work on each of `cpus`; None without numba."""
    try:
        steps = chain()
    except ImportError:
        return None
    steps(1000)  # compiled, warm
    clocks_hz = [0.0] * len(cpus)
    together = threading.Barrier(len(cpus))

    def work(index: int) -> None:
        os.sched_setaffinity(0, [cpus[index]])
        together.wait()
        begin = time.perf_counter()
        steps(_CLOCK_STEPS)
        clocks_hz[index] = CYCLES_PER_STEP * _CLOCK_STEPS / (time.perf_counter() - begin)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(cpus))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return median(clocks_hz)


def _kernels() -> tuple[dict[str, Callable[..., Any]], str]:
    try:
        return compiled(), "numba"
    except ImportError:
        pass
    try:
        return plain(), sentence("bench.memory.numpy-install-numba", "numpy (install numba for the triad)")
    except ImportError as error:
        raise WellfedError(
            sentence("bench.memory.bench-memory-needs", "bench memory needs numpy"), "pip install 'wellfed[bench]'"
        ) from error


def _ensure_room(needed: int) -> None:
    import psutil

    free = psutil.virtual_memory().available
    if needed > 0.8 * free:
        hint = sentence(
            "bench.memory.smaller-arrays-mib", "smaller arrays: --mib; they must still be far larger than the caches"
        )
        raise WellfedError(
            sentence(
                "bench.memory.arrays-do-fit",
                "arrays of {needed} do not fit {free} of free memory",
                needed=format_bytes(needed),
                free=format_bytes(free),
            ),
            hint,
        )


def sweep(most: int) -> list[int]:
    """Numbers of threads to measure with: 1, 2, 4 ... and all `count`."""
    return sorted({*(2**n for n in range(most.bit_length()) if 2**n <= most), most})


def _point(
    kernels: Mapping[str, Callable[..., Any]],
    workers: Sequence[_Worker],
    cpu_node: int | None,
    memory_node: int | None,
    repetitions: int,
) -> Point:
    rates = {name: _best(kernel, name, workers, repetitions) for name, kernel in kernels.items()}
    return Point(len(workers), cpu_node, memory_node, rates)


class _Worker:
    """Arrays of one thread, touched by it on its own CPU first.

    They are private memory: what is shared is of another kind, which huge pages back only where told to.
    """

    ARRAYS = range(3)

    def __init__(self, cpu: int, size: int, node: int | None, huge: bool = True) -> None:
        import numpy as np

        self.cpu = cpu
        self._maps = [mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in self.ARRAYS]
        advice = getattr(mmap, "MADV_HUGEPAGE" if huge else "MADV_NOHUGEPAGE", None)
        for area in self._maps:
            if advice is not None:
                area.madvise(advice)
            if node is not None:
                _bind_pages(area, size, node)
        self.arrays = [np.frombuffer(area, dtype=np.float64) for area in self._maps]

    def touch(self) -> None:
        """First touch, from the thread that will use it."""
        os.sched_setaffinity(0, [self.cpu])
        for array in self.arrays:
            array[:] = 1.0


def _bind_pages(area: mmap.mmap, size: int, node: int) -> None:
    number = _MBIND.get(platform.machine())
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    mask = ctypes.c_ulong(1 << node)
    libc = ctypes.CDLL(None, use_errno=True)
    if number is None or libc.syscall(
        ctypes.c_long(number), ctypes.c_void_p(address), ctypes.c_ulong(size), _MPOL_BIND, ctypes.byref(mask), 65, 0
    ):
        raise WellfedError(
            sentence(
                "bench.memory.cannot-put-memory",
                "cannot put memory on node {node}: {ctypes}",
                node=node,
                ctypes=os.strerror(ctypes.get_errno()),
            )
        )


def _best(kernel: Callable[..., Any], name: str, workers: Sequence[_Worker], repetitions: int) -> float:
    """Bytes/s of all workers together, from the first start to the last end; the best repetition."""
    times = [[(0.0, 0.0)] * repetitions for _ in workers]
    barrier = threading.Barrier(len(workers))

    def work(index: int) -> None:
        worker = workers[index]
        worker.touch()
        kernel(*worker.arrays)  # compiled, warm
        for turn in range(repetitions):
            barrier.wait()
            begin = time.perf_counter()
            kernel(*worker.arrays)
            times[index][turn] = (begin, time.perf_counter())

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = [
        max(worker_times[turn][1] for worker_times in times) - min(worker_times[turn][0] for worker_times in times)
        for turn in range(repetitions)
    ]
    moved = BYTES_PER_ELEMENT[name] * len(workers[0].arrays[0]) * len(workers)
    return float(moved / min(spans))


def _huge_share(size: int) -> float | None:
    """Huge pages of this process over `size` bytes; None where the kernel does not tell."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("AnonHugePages:")), None)
    return None if kilobytes is None else min(1.0, int(kilobytes) * 1024 / size)


def _thp() -> str | None:
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        return None
    return text.partition("[")[2].partition("]")[0] or None
