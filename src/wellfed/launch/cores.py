"""Cores that nobody else uses now. Engine threads meet after every op: one that must wait for a core stops them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psutil

_LOOK_S = 0.4
_CALM = 0.3  # of a core: what daemons and a desktop take, and engine threads can live with


def idle_cores(
    cpus: Sequence[int] = (), look: Callable[[], Sequence[float]] = lambda: psutil.cpu_percent(_LOOK_S, percpu=True)
) -> float:
    """Cores' worth of idle time on `cpus` (all, when empty), by a short look; `look` gives percent busy of each."""
    busy = list(look())
    chosen = [busy[cpu] for cpu in cpus if cpu < len(busy)] or busy
    return sum(1 - percent / 100 for percent in chosen)


def threads_now(planned: int, idle: float) -> int:
    """`planned` threads, or fewer where other programs are busy on cores they would need; at least one."""
    return max(1, min(planned, int(idle + _CALM)))
