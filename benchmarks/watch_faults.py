"""Real faults on the real embedded engine, one at a time: for the confusion matrix and for marked tests.

What they need is said in `missing`: control groups, two NUMA nodes, two CPUs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from watch_lab import Lab, body, can_group, get, group, limit_cores, limit_memory

from wellfed.engines.spec import Binding, MemoryPolicy
from wellfed.launch.bound import parse_list
from wellfed.watching.sample import Sample
from wellfed.watching.window import view

__all__ = ["FAULTS", "Lab", "expected", "get", "kept", "missing"]

BUSY_LOOP = "while True: pass"
# A byte of every cache line, or all of it, read and written: lines cross the bus twice for next to no computing.
HOGS = tuple(
    f"import numpy as n\nlines = n.ones({size}, dtype=n.{kind})[::{step}]\nwhile True: n.add(lines, 1, out=lines)"
    for size, kind, step in ((2**28, "uint8", 64), (2**27, "float32", 1), (2**26, "uint8", 64))
)
_MOST_HOGS, _ENGINES = 8, 3


# --- the faults; each yields what was seen --------------------------------------------------------------------------


def healthy(model: Path, priority: int, seconds: float) -> list[Sample]:
    """One user, one thread."""
    with contextlib.closing(Lab(model, priority).start()) as lab:
        lab.users(1)
        time.sleep(1.5)
        return lab.watch(seconds)


def no_demand(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Nobody asks."""
    with contextlib.closing(Lab(model, priority).start()) as lab:
        return lab.watch(seconds)


def cpu_too_few(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Two threads on one CPU."""
    first = min(os.sched_getaffinity(0))
    with contextlib.closing(Lab(model, priority, threads=2, affinity=(first,)).start()) as lab:
        lab.users(1)
        time.sleep(1.5)
        return lab.watch(seconds)


def cpu_quota(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Half a core."""
    with group("cpu") as folder, contextlib.closing(Lab(model, priority, groups=(folder,)).start()) as lab:
        limit_cores(folder, 0.5)
        lab.users(1)
        time.sleep(1.5)
        return lab.watch(seconds)


def other_tenant_cpu(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Two busy loops against two spinning threads."""
    with contextlib.closing(Lab(model, priority, threads=2).start()) as lab:
        lab.beside(BUSY_LOOP, 2)
        lab.users(1)
        time.sleep(1.5)
        return lab.watch(seconds)


def memory_contention(model: Path, priority: int, seconds: float) -> list[Sample]:
    """A quiet time first, then processes on the other CPUs that do little but move cache lines.

    How much they take depends on where their pages and the engine's lie, which nobody chooses: the first that hurts
    is taken.
    """
    seen: list[Sample] = []
    for _ in range(_ENGINES):
        seen = _beside(model, priority, seconds, *HOGS)
        if kept(seen) <= HURT:
            break
    return seen


def busy_neighbour(model: Path, priority: int, seconds: float) -> list[Sample]:
    """The same with processes that only compute."""
    return _beside(model, priority, seconds, BUSY_LOOP)


def _beside(model: Path, priority: int, seconds: float, *codes: str) -> list[Sample]:
    """One thread on the first CPU, the others elsewhere. With 16-bit weights: unpacking 4-bit ones hides memory."""
    first, *others = sorted(os.sched_getaffinity(0))
    wide = widened(model)
    try:
        with contextlib.closing(Lab(wide, priority, affinity=(first,)).start()) as lab:
            lab.users(1)
            time.sleep(1.5)
            quiet = lab.watch(seconds)
            seen: list[Sample] = []
            for code in codes:
                end = lab.beside(code, min(len(others), _MOST_HOGS), tuple(others))
                time.sleep(1.5)
                seen = [*quiet, *lab.watch(seconds)]
                if kept(seen) <= HURT:
                    break
                end()
            return seen
    finally:
        wide.unlink(missing_ok=True)


def widened(model: Path) -> Path:
    """A copy of the model whose matrices are 16-bit floats."""
    import gguf
    import numpy

    reader = gguf.GGUFReader(model)
    path = Path(tempfile.gettempdir()) / f"wellfed-lab-f16-{os.getpid()}.gguf"
    writer = gguf.GGUFWriter(path, str(reader.fields["general.architecture"].contents()))
    for name, value in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            inner = value.types[-1] if len(value.types) > 1 else None
            writer.add_key_value(name, value.contents(), value.types[0], sub_type=inner)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, values.astype(numpy.float16 if values.ndim > 1 else numpy.float32))
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    return path


def queueing(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Six users, two slots."""
    with contextlib.closing(Lab(model, priority).start()) as lab:
        lab.users(6)
        time.sleep(1.5)
        return lab.watch(seconds)


def context_full(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Prompts that leave little of the context."""
    with contextlib.closing(Lab(model, priority, parallel=1, context=512).start()) as lab:
        lab.users(1, tokens=40, words=430)
        time.sleep(1.5)
        return lab.watch(seconds)


def paging(model: Path, priority: int, seconds: float) -> list[Sample]:
    """A limit that leaves no room for the mapped file."""
    copy = Path(tempfile.gettempdir()) / f"wellfed-lab-{os.getpid()}.gguf"
    shutil.copyfile(model, copy)
    try:
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        return paging_of(copy, priority, seconds)
    finally:
        copy.unlink(missing_ok=True)


def paging_of(model: Path, priority: int, seconds: float) -> list[Sample]:
    """The same with a file that nobody else has mapped and that is on a disk."""
    forget(model)
    with group("memory") as folder, contextlib.closing(Lab(model, priority, groups=(folder,)).start()) as lab:
        limit_memory(folder, model.stat().st_size // 2)
        lab.users(1)
        time.sleep(2.5)
        return lab.watch(seconds)


def forget(file: Path) -> None:
    """Drop a file's clean pages from the page cache."""
    with file.open("rb") as opened:
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def numa_remote(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Threads on the first node, every page on the second."""
    (here, cpus), (there, _) = nodes()[:2]
    return _bound(model, priority, seconds, Binding(cpus, (there,), MemoryPolicy.BIND, f"not {here}"))


def numa_cached(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Bound as it should be, but an earlier reader left the file's pages on the other node, where they stay."""
    (here, cpus), (there, _) = nodes()[:2]
    forget(model)
    _bound(model, priority, 0.1, Binding(cpus, (there,), MemoryPolicy.BIND), mapped=True)
    return _bound(model, priority, seconds, Binding(cpus, (here,), MemoryPolicy.BIND), mapped=True)


def numa_one_node(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Threads on both nodes, every page on the first: first touch by one thread does that."""
    first, *_ = pair = nodes()[:2]
    cpus = tuple(cpu for _, each in pair for cpu in each)
    return _bound(model, priority, seconds, Binding(cpus, (first[0],), MemoryPolicy.BIND), threads=2)


def numa_local(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Threads and pages on the first node."""
    node, cpus = nodes()[0]
    return _bound(model, priority, seconds, Binding(cpus, (node,), MemoryPolicy.BIND))


def numa_even(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Threads on both nodes, pages too, in turns."""
    pair = nodes()[:2]
    cpus = tuple(cpu for _, each in pair for cpu in each)
    binding = Binding(cpus, tuple(node for node, _ in pair), MemoryPolicy.INTERLEAVE)
    return _bound(model, priority, seconds, binding, threads=2)


def _bound(
    model: Path, priority: int, seconds: float, binding: Binding, threads: int = 1, mapped: bool = False
) -> list[Sample]:
    words = (() if mapped else ("--no-mmap",)) + (("--numa", "distribute") if threads > 1 else ())
    with contextlib.closing(Lab(model, priority, threads, binding=binding, words=words).start()) as lab:
        lab.users(1)
        time.sleep(2.5)
        return lab.watch(seconds)


def nodes() -> list[tuple[int, tuple[int, ...]]]:
    """NUMA nodes that have CPUs, with those."""
    found = []
    for folder in Path("/sys/devices/system/node").glob("node[0-9]*"):
        cpus = tuple(parse_list((folder / "cpulist").read_text().strip()))
        if cpus:
            found.append((int(folder.name.removeprefix("node")), cpus))
    return sorted(found)


def stopped(model: Path, priority: int, seconds: float) -> list[Sample]:
    """SIGSTOP in the middle of an answer."""
    with contextlib.closing(Lab(model, priority).start()) as lab:
        lab.users(1)
        time.sleep(1.5)
        os.kill(lab.pid, signal.SIGSTOP)
        return lab.watch(seconds)


def slow_client(model: Path, priority: int, seconds: float) -> list[Sample]:
    """A client that asks and never reads."""
    with contextlib.closing(Lab(model, priority).start()) as lab:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", lab.port))
        lab.ended.append(deaf.close)
        question = body(2000, 12)
        head = f"POST /v1/completions HTTP/1.1\r\nHost: lab\r\nContent-Length: {len(question)}\r\n\r\n"
        deaf.sendall((head + question).encode())
        time.sleep(2.0)
        return lab.watch(seconds)


FAULTS: dict[str, Callable[[Path, int, float], list[Sample]]] = {
    "healthy": healthy,
    "no-demand": no_demand,
    "cpu-too-few": cpu_too_few,
    "cpu-quota": cpu_quota,
    "other-tenant-cpu": other_tenant_cpu,
    "memory-contention": memory_contention,
    "busy-neighbour": busy_neighbour,
    "queueing": queueing,
    "context-full": context_full,
    "paging": paging,
    "stopped": stopped,
    "slow-client": slow_client,
    "numa-remote": numa_remote,
    "numa-cached": numa_cached,
    "numa-one-node": numa_one_node,
    "numa-local": numa_local,
    "numa-even": numa_even,
}
NEED_CPUS = ("memory-contention", "busy-neighbour")
NEED_GROUPS = ("cpu-quota", "paging")
SAME = {  # what is said of them
    **dict.fromkeys(("healthy", "busy-neighbour", "numa-local", "numa-even"), "cpu-bound"),
    **dict.fromkeys(("numa-cached", "numa-one-node"), "numa-remote"),
}
HURT = 0.75  # a fault that leaves more of the engine's speed than this is none


def missing(fault: str) -> str:
    """Why the fault cannot be made here; empty where it can."""
    if fault in NEED_GROUPS and not can_group():
        return "needs root and control groups"
    if fault in NEED_CPUS and len(os.sched_getaffinity(0)) < 2:
        return "needs two CPUs"
    if fault.startswith("numa-") and len(nodes()) < 2:
        return "needs two NUMA nodes"
    return ""


def expected(fault: str, samples: list[Sample]) -> str:
    """The diagnosis that is right.

    Not every machine's bandwidth can be used up by so few; where the engine's work per CPU second stayed, it was not
    hurt, and healthy is right.
    """
    if fault == "memory-contention" and kept(samples) > HURT:
        return "cpu-bound"
    return SAME.get(fault, fault)


def kept(samples: list[Sample]) -> float:
    """Work per CPU second in the second half over that in the first."""
    half = len(samples) // 2
    before, after = (view(part).steps_per_cpu_s for part in (samples[:half], samples[half:]))
    return after / before if before and after else 1.0
