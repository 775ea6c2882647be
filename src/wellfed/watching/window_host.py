"""The machine's and the control group's part of a view."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from wellfed.watching.sample import Cgroup, Cpu, Host, Sample
from wellfed.watching.series import (
    Point,
    Same,
    even_span,
    growth,
    known_points,
    last,
    mean,
    per_s,
    rate,
    slope,
    trusted_step,
)
from wellfed.watching.view import CgroupView, HostView, ProcessView

_MOST_CORES = 1.3
_BUSY = 0.3  # from here on a CPU's clock says something


def host(samples: Sequence[Sample], engine: ProcessView | None) -> HostView | None:
    """CPU time by owner, memory and its pressure."""
    known = [(s.t, s.host) for s in samples if s.host is not None]
    if not known:
        return None
    busy = _by_cpu(known, "busy_s")
    allowed = [cpu for cpu in busy if engine is None or not engine.cpus_allowed or cpu in engine.cpus_allowed]
    own = (engine.cores if engine else None) or 0.0
    watcher = per_s((s.t, s.watcher_cpu_s) for s in samples) or 0.0
    everywhere = sum(busy.values()) if busy else None
    here = sum(busy[cpu] for cpu in allowed) if busy else None
    newest = known[-1][1]
    return HostView(
        cpus=len(allowed) if busy else None,
        busy_by_cpu=busy,
        node_of_cpu={cpu.cpu: cpu.node for cpu in newest.cpus or () if cpu.node is not None},
        core_of_cpu={cpu.cpu: cpu.core for cpu in newest.cpus or () if cpu.core is not None},
        busy_cores=everywhere,
        foreign_cores=None if here is None else max(0.0, here - own - watcher),
        foreign_cores_anywhere=None if everywhere is None else max(0.0, everywhere - own - watcher),
        stolen_cores=sum(_by_cpu(known, "steal_s").values()) if busy else None,
        clock_share=_clock_share(newest.cpus, busy),
        memory_total_bytes=last(h.memory_total_bytes for _, h in known),
        memory_available_bytes=last(h.memory_available_bytes for _, h in known),
        memory_falling_bytes_per_s=_falling(known),
        refaults_per_s=per_s((t, h.refaults) for t, h in known),
        swap_pages_per_s=_sum(per_s((t, h.swapped_in) for t, h in known), per_s((t, h.swapped_out) for t, h in known)),
        remote_pages_per_s=_remote(known),
        memory_pressure=per_s((t, h.pressure.memory_some_s if h.pressure else None) for t, h in known),
        io_pressure=per_s((t, h.pressure.io_some_s if h.pressure else None) for t, h in known),
        cpu_pressure=per_s((t, h.pressure.cpu_some_s if h.pressure else None) for t, h in known),
    )


def cgroup(samples: Sequence[Sample]) -> CgroupView | None:
    """Quota and memory limit."""
    known: list[tuple[float, Cgroup]] = [(s.t, s.cgroup) for s in samples if s.cgroup is not None]
    if not known:
        return None
    periods = growth(known_points((t, c.periods) for t, c in known))
    throttled = growth(known_points((t, c.throttled) for t, c in known))
    return CgroupView(
        quota_cores=last(c.quota_cores for _, c in known),
        throttled_periods=min(1.0, throttled / periods) if periods and throttled is not None else None,
        memory_bytes=last(c.memory_bytes for _, c in known),
        memory_limit_bytes=last(c.memory_limit_bytes for _, c in known),
        stalls_per_s=per_s((t, c.memory_stalls) for t, c in known),
        refaults_per_s=per_s((t, c.refaults) for t, c in known),
        oom_kills=growth(known_points((t, c.oom_kills) for t, c in known)),
        growth_bytes_per_s=slope(known_points((t, c.memory_bytes) for t, c in known)),
    )


def _by_cpu(known: Sequence[tuple[float, Host]], what: str) -> dict[int, float]:
    """Each CPU's rate. Most counters grow evenly: of these the first and the last value tell it all."""
    span = even_span([t for t, _ in known])
    if span is None:
        return _one_by_one(known, what, None)
    steps = pairwise(known)
    doubtful = frozenset().union(*(_doubtful(Same(a), Same(b), what, t1 - t0) for (t0, a), (t1, b) in steps))
    first, newest = _values(known[0][1], what), _values(known[-1][1], what)
    even = {
        cpu: min(1.0, (newest[cpu] - value) / span)
        for cpu, value in first.items()
        if cpu not in doubtful and value is not None
    }
    return {**even, **_one_by_one(known, what, doubtful)} if doubtful else even


@lru_cache(maxsize=256)
def _doubtful(earlier: Same, later: Same, what: str, seconds: float) -> frozenset[int]:
    """CPUs whose counter did not simply grow between two samples, or is not in both."""
    before, after = _values(earlier.value, what), _values(later.value, what)
    if len(before) < len(earlier.value.cpus or ()) or len(after) < len(later.value.cpus or ()):
        return frozenset(before.keys() | after.keys())  # a number twice: nothing is clear
    most = _MOST_CORES * seconds
    odd = {cpu for cpu, value in before.items() if cpu not in after or not trusted_step(value, after[cpu], most)}
    return frozenset(odd | (after.keys() - before.keys()))


def _values(each: Host, what: str) -> dict[int, Any]:
    return {cpu.cpu: getattr(cpu, what) for cpu in each.cpus or ()}


def _one_by_one(known: Sequence[tuple[float, Host]], what: str, only: frozenset[int] | None) -> dict[int, float]:
    """The same of `only` these (None: of all), with what is not to be trusted left out."""
    series: dict[int, list[Point]] = {}
    for t, each in known:
        for cpu in each.cpus or ():
            value = getattr(cpu, what)
            if value is not None and (only is None or cpu.cpu in only):
                series.setdefault(cpu.cpu, []).append((t, value))
    rates = {cpu: rate(points, _MOST_CORES) for cpu, points in series.items()}
    return {cpu: min(1.0, found.per_s) for cpu, found in rates.items() if found is not None}


def _clock_share(cpus: tuple[Cpu, ...] | None, busy: dict[int, float]) -> float | None:
    shares = [
        cpu.clock_hz / cpu.clock_max_hz
        for cpu in cpus or ()
        if cpu.clock_hz and cpu.clock_max_hz and busy.get(cpu.cpu, 0.0) >= _BUSY
    ]
    return mean(shares)


def _falling(known: Sequence[tuple[float, Host]]) -> float | None:
    change = slope(known_points((t, h.memory_available_bytes) for t, h in known))
    return None if change is None else -change


def _remote(known: Sequence[tuple[float, Host]]) -> float | None:
    def count(each: Host) -> float | None:
        values = [node.other for node in each.nodes or () if node.other is not None]
        return float(sum(values)) if values else None

    return per_s((t, count(h)) for t, h in known)


def _sum(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
