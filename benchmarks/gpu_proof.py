"""What an NVIDIA card shows of its host: NVML fields, copies by NUMA node, launches at a full and a starved CPU.

    python benchmarks/gpu_proof.py              one line a figure
    python benchmarks/gpu_proof.py --csv FILE   and as a table: figure, value, unit, condition

Without a card, a driver or its library it says why and ends with 0. The driver's own interface is called (libcuda), so
that nothing needs to be installed. Starved: the launching thread shares one core with three that never rest.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_COPY_BYTES, _LAUNCHES, _NEIGHBOURS = 256 * 2**20, 20_000, 3
_PTX = b""".version 6.0
.target sm_50
.address_size 64
.visible .entry nothing() { ret; }
"""
Figure = tuple[str, float | str, str, str]


class NoCard(Exception):
    """Why there is nothing to measure."""


class Driver:
    """The few calls of libcuda that are needed, each checked."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise NoCard(f"no NVIDIA driver: {error}") from error
        self("cuInit", 0)
        count = ctypes.c_int()
        self("cuDeviceGetCount", ctypes.byref(count))
        if not count.value:
            raise NoCard("the driver sees no card")
        device, self._context = ctypes.c_int(), ctypes.c_void_p()
        self("cuDeviceGet", ctypes.byref(device), 0)
        self("cuCtxCreate_v2", ctypes.byref(self._context), 0, device)

    def __call__(self, name: str, *arguments: object) -> None:
        code = getattr(self._library, name)(*arguments)
        if code:
            raise NoCard(f"{name} ended with {code}")

    def copy_bytes_per_s(self) -> float:
        """Host to device from pinned pages, touched first by this thread: they lie on its NUMA node."""
        host, device = ctypes.c_void_p(), ctypes.c_uint64()
        self("cuMemHostAlloc", ctypes.byref(host), ctypes.c_size_t(_COPY_BYTES), 0)
        self("cuMemAlloc_v2", ctypes.byref(device), ctypes.c_size_t(_COPY_BYTES))
        try:
            ctypes.memset(host, 1, _COPY_BYTES)
            best = float("inf")
            for _ in range(5):
                begin = time.perf_counter()
                self("cuMemcpyHtoD_v2", device, host, ctypes.c_size_t(_COPY_BYTES))
                best = min(best, time.perf_counter() - begin)
            return _COPY_BYTES / best
        finally:
            self("cuMemFree_v2", device)
            self("cuMemFreeHost", host)

    def launch_s(self) -> float:
        """Mean seconds of an empty kernel's launch, the GPU waited for only at the end."""
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        self("cuModuleLoadData", ctypes.byref(module), _PTX)
        self("cuModuleGetFunction", ctypes.byref(function), module, b"nothing")
        begin = time.perf_counter()
        for _ in range(_LAUNCHES):
            self("cuLaunchKernel", function, 1, 1, 1, 32, 1, 1, 0, None, None, None)
        self("cuCtxSynchronize")
        return (time.perf_counter() - begin) / _LAUNCHES


def nvml_fields() -> Iterator[Figure]:
    """Of every card: name, clock, link, power limit, throttle reasons, memory; a field that is refused is `?`."""
    import pynvml as nvml

    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise NoCard(f"NVML: {error}") from error
    fields = {
        "name": nvml.nvmlDeviceGetName,
        "link generation": nvml.nvmlDeviceGetCurrPcieLinkGeneration,
        "link width": nvml.nvmlDeviceGetCurrPcieLinkWidth,
        "power limit mW": nvml.nvmlDeviceGetEnforcedPowerLimit,
        "throttle reasons": nvml.nvmlDeviceGetCurrentClocksThrottleReasons,
        "free bytes": lambda card: nvml.nvmlDeviceGetMemoryInfo(card).free,
    }
    for index in range(nvml.nvmlDeviceGetCount()):
        card = nvml.nvmlDeviceGetHandleByIndex(index)
        for name, read in fields.items():
            try:
                yield f"gpu{index} {name}", str(read(card)), "", "NVML"
            except nvml.NVMLError as error:
                yield f"gpu{index} {name}", "?", "", f"NVML: {error}"


def numa_nodes() -> dict[int, set[int]]:
    """CPUs by node, those that this process may use."""
    allowed, found = os.sched_getaffinity(0), {}
    for path in sorted(Path("/sys/devices/system/node").glob("node[0-9]*")):
        cpus: set[int] = set()
        for piece in (path / "cpulist").read_text().strip().split(","):
            first, _, last = piece.partition("-")
            cpus |= set(range(int(first), int(last or first) + 1)) if first else set()
        if cpus & allowed:
            found[int(path.name.removeprefix("node"))] = cpus & allowed
    return found or {0: allowed}


@contextmanager
def bound(cpus: set[int]) -> Iterator[None]:
    """This process on these CPUs only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def busy(core: int) -> Iterator[None]:
    """A process on one core that never rests."""
    spin = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", spin])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def figures() -> Iterator[Figure]:
    """All of them. Raises NoCard."""
    driver = Driver()
    yield from nvml_fields()
    for node, cpus in numa_nodes().items():
        with bound(cpus):
            yield "copy to gpu0", driver.copy_bytes_per_s() / 1e9, "GB/s", f"pages of node {node}"
    yield "launch", driver.launch_s() * 1e6, "us", "full CPU"
    core = min(os.sched_getaffinity(0))
    with bound({core}), ExitStack() as neighbours:
        for _ in range(_NEIGHBOURS):
            neighbours.enter_context(busy(core))
        time.sleep(0.5)
        yield "launch", driver.launch_s() * 1e6, "us", f"one core shared with {_NEIGHBOURS} busy processes"


def main() -> int:
    """Print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path)
    arguments = parser.parse_args()
    try:
        found = list(figures())
    except NoCard as why:
        print(f"skipped: {why}")
        return 0
    for name, value, unit, condition in found:
        print(f"{name}: {value if isinstance(value, str) else round(value, 3)} {unit} ({condition})")
    if arguments.csv:
        with arguments.csv.open("w", newline="") as file:
            csv.writer(file).writerows([("figure", "value", "unit", "condition"), *found])
    return 0


if __name__ == "__main__":
    sys.exit(main())
