"""What other programs do while something is measured: a busy machine's figures are not the machine's."""

from __future__ import annotations

import os
import time
from types import TracebackType

import psutil

_SETTLED_S = 0.05  # a shorter look tells nothing: the kernel counts in ticks of 10 ms


class Neighbours:
    """Looks from its beginning to its end: `with Neighbours() as others: ...; others.cores`.

    `engine` is the process of an engine that works for this one: it and its children are no others.
    """

    def __init__(self, engine: int | None = None) -> None:
        self.cores: float | None = None  # cores' worth of CPU time of all other processes; None: not told
        self._engine = engine

    def __enter__(self) -> Neighbours:
        self._begin = _busy_s(), _own_s() + _engine_s(self._engine), time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        busy, own_s, begin = self._begin
        now_busy, now_own, seconds = _busy_s(), _own_s() + _engine_s(self._engine), time.monotonic() - begin
        if busy is None or now_busy is None or seconds < _SETTLED_S:
            return
        self.cores = max(0.0, (now_busy - busy) - (now_own - own_s)) / seconds


def _busy_s() -> float | None:
    """CPU seconds of everybody since the boot."""
    try:
        times = psutil.cpu_times()
    except (OSError, RuntimeError, psutil.Error):
        return None
    idle = times.idle + getattr(times, "iowait", 0.0)
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user and nice already
    return float(sum(times) - idle - guest)


def _engine_s(pid: int | None) -> float:
    """CPU seconds of a process and its children; 0 where it ended, or there is none."""
    try:
        family = [] if pid is None else [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        times = [process.cpu_times() for process in family]
    except psutil.Error:
        return 0.0
    return float(sum(time.user + time.system for time in times))


def _own_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
