"""The machine's and the control group's part of a view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

from wellfed.partial_sums import total_of_known
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

_MOST_CORES = 1.3  # of one CPU: clocks of kernel and monotonic differ a little
Counter = Callable[[Cpu], float | None]  # reads a counter of one CPU, in seconds
_BUSY = 0.3  # share of the time; from here on a CPU's clock says something


def host(samples: Sequence[Sample], engine: ProcessView | None) -> HostView | None:
    """CPU time by owner, memory and its pressure."""
    readings = [(s.t, s.host) for s in samples if s.host is not None]
    if not readings:
        return None
    busy = _by_cpu(readings, _busy_s)
    allowed = [cpu for cpu in busy if engine is None or not engine.cpus_allowed or cpu in engine.cpus_allowed]
    engine_cores = (engine.cores if engine else None) or 0.0
    watcher = per_s((s.t, s.watcher_cpu_s) for s in samples) or 0.0
    everywhere = sum(busy.values()) if busy else None
    here = sum(busy[cpu] for cpu in allowed) if busy else None
    newest = readings[-1][1]
    return HostView(
        cpus=len(allowed) if busy else None,
        busy_by_cpu=busy,
        node_of_cpu={cpu.cpu: cpu.node for cpu in newest.cpus or () if cpu.node is not None},
        core_of_cpu={cpu.cpu: cpu.core for cpu in newest.cpus or () if cpu.core is not None},
        busy_cores=everywhere,
        foreign_cores=None if here is None else max(0.0, here - engine_cores - watcher),
        foreign_cores_anywhere=None if everywhere is None else max(0.0, everywhere - engine_cores - watcher),
        stolen_cores=sum(_by_cpu(readings, _steal_s).values()) if busy else None,
        clock_share=_clock_share(newest.cpus, busy),
        memory_total_bytes=last(h.memory_total_bytes for _, h in readings),
        memory_available_bytes=last(h.memory_available_bytes for _, h in readings),
        memory_falling_bytes_per_s=_falling(readings),
        refaults_per_s=per_s((t, h.refaults) for t, h in readings),
        swap_pages_per_s=total_of_known(
            (per_s((t, h.swapped_in) for t, h in readings), per_s((t, h.swapped_out) for t, h in readings))
        ),
        remote_pages_per_s=_remote(readings),
        memory_pressure=per_s((t, h.pressure.memory_some_s if h.pressure else None) for t, h in readings),
        io_pressure=per_s((t, h.pressure.io_some_s if h.pressure else None) for t, h in readings),
        cpu_pressure=per_s((t, h.pressure.cpu_some_s if h.pressure else None) for t, h in readings),
    )


def cgroup(samples: Sequence[Sample]) -> CgroupView | None:
    """How the control group's CPU quota and memory limit were met over the window."""
    readings: list[tuple[float, Cgroup]] = [(s.t, s.cgroup) for s in samples if s.cgroup is not None]
    if not readings:
        return None
    periods = growth(known_points((t, c.periods) for t, c in readings))
    throttled = growth(known_points((t, c.throttled) for t, c in readings))
    return CgroupView(
        quota_cores=last(c.quota_cores for _, c in readings),
        throttled_periods=min(1.0, throttled / periods) if periods and throttled is not None else None,
        memory_bytes=last(c.memory_bytes for _, c in readings),
        memory_limit_bytes=last(c.memory_limit_bytes for _, c in readings),
        stalls_per_s=per_s((t, c.memory_stalls) for t, c in readings),
        refaults_per_s=per_s((t, c.refaults) for t, c in readings),
        oom_kills=growth(known_points((t, c.oom_kills) for t, c in readings)),
        growth_bytes_per_s=slope(known_points((t, c.memory_bytes) for t, c in readings)),
    )


def _by_cpu(readings: Sequence[tuple[float, Host]], counter: Counter) -> dict[int, float]:
    """Each CPU's rate. Most counters grow evenly: of these the first and the last value tell it all."""
    span = even_span([t for t, _ in readings])
    if span is None:
        return _one_by_one(readings, counter, None)
    steps = pairwise(readings)
    doubtful = frozenset().union(*(_doubtful(Same(a), Same(b), counter, t1 - t0) for (t0, a), (t1, b) in steps))
    first, newest = _values(readings[0][1], counter), _values(readings[-1][1], counter)
    even = {
        cpu: min(1.0, ((newest[cpu] or 0.0) - value) / span)
        for cpu, value in first.items()
        if cpu not in doubtful and value is not None
    }
    return {**even, **_one_by_one(readings, counter, doubtful)} if doubtful else even


@lru_cache(maxsize=256)
def _doubtful(earlier: Same, later: Same, counter: Counter, seconds: float) -> frozenset[int]:
    """CPUs whose counter did not simply grow between two samples, or is not in both."""
    before, after = _values(earlier.value, counter), _values(later.value, counter)
    if len(before) < len(earlier.value.cpus or ()) or len(after) < len(later.value.cpus or ()):
        return frozenset(before.keys() | after.keys())  # a number twice: nothing is clear
    most = _MOST_CORES * seconds
    odd = {cpu for cpu, value in before.items() if cpu not in after or not trusted_step(value, after[cpu], most)}
    return frozenset(odd | (after.keys() - before.keys()))


def _values(state: Host, counter: Counter) -> dict[int, float | None]:
    return {cpu.cpu: counter(cpu) for cpu in state.cpus or ()}


def _one_by_one(
    readings: Sequence[tuple[float, Host]], counter: Counter, only: frozenset[int] | None
) -> dict[int, float]:
    """Each CPU's rate with untrustworthy steps left out, of the CPUs in `only` (None: of all)."""
    series: dict[int, list[Point]] = {}
    for t, state in readings:
        for cpu in state.cpus or ():
            value = counter(cpu)
            if value is not None and (only is None or cpu.cpu in only):
                series.setdefault(cpu.cpu, []).append((t, value))
    rates = {cpu: rate(points, _MOST_CORES) for cpu, points in series.items()}
    return {cpu: min(1.0, growth_rate.per_s) for cpu, growth_rate in rates.items() if growth_rate is not None}


def _clock_share(cpus: tuple[Cpu, ...] | None, busy: dict[int, float]) -> float | None:
    shares = [
        cpu.clock_hz / cpu.clock_max_hz
        for cpu in cpus or ()
        if cpu.clock_hz and cpu.clock_max_hz and busy.get(cpu.cpu, 0.0) >= _BUSY
    ]
    return mean(shares)


def _busy_s(cpu: Cpu) -> float | None:
    return cpu.busy_s


def _steal_s(cpu: Cpu) -> float | None:
    return cpu.steal_s


def _falling(readings: Sequence[tuple[float, Host]]) -> float | None:
    change = slope(known_points((t, h.memory_available_bytes) for t, h in readings))
    return None if change is None else -change


def _remote(readings: Sequence[tuple[float, Host]]) -> float | None:
    def count(state: Host) -> float | None:
        values = [node.other for node in state.nodes or () if node.other is not None]
        return float(sum(values)) if values else None

    return per_s((t, count(h)) for t, h in readings)
