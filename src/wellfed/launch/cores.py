"""Cores that nobody else uses now. Engine threads meet after every op: one that must wait for a core stops them all."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

_LOOK_S = 0.4  # seconds that the other programs are looked at
_LOOKS = 20  # in that time
_CALM = 0.3  # of a core: what daemons and a desktop take, and engine threads can live with


def idle_cores(
    cpus: Sequence[int] = (), look: Callable[[], Sequence[float]] = lambda: psutil.cpu_percent(_LOOK_S, percpu=True)
) -> float:
    """Cores' worth of idle time on `cpus` (all, when empty), by a short look; `look` gives percent busy of each."""
    busy = list(look())
    chosen = [busy[cpu] for cpu in cpus if cpu < len(busy)] or busy
    return sum(1 - percent / 100 for percent in chosen)


def running_threads(read: Callable[[], str] = lambda: Path("/proc/stat").read_text()) -> float | None:
    """Threads that ran or waited for a core, but this one: the mean of a short look; None where it is not told."""
    counts = []
    for _ in range(_LOOKS):
        try:
            text = read()
        except OSError:
            return None
        counted = re.search(r"^procs_running (\d+)$", text, re.MULTILINE)
        if counted is None:
            return None
        counts.append(max(0, int(counted[1]) - 1))
        time.sleep(_LOOK_S / _LOOKS)
    return sum(counts) / len(counts)


def threads_now(planned: int, idle: float) -> int:
    """`planned` threads, or fewer where other programs are busy on cores they would need; at least one."""
    return max(1, min(planned, int(idle + _CALM)))
