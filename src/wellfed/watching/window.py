"""Samples to a view: every rate is made over the intervals of one window that can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import median

from wellfed.partial_sums import total_of_known
from wellfed.watching import window_asked, window_gpu, window_host, window_kernel
from wellfed.watching.sample import Process, Sample, Sockets, Thread
from wellfed.watching.series import (
    LONGEST_GAP,
    Same,
    even_span,
    finite,
    known_points,
    last,
    mean,
    per_s,
    rate,
    share,
    slope,
    trusted_step,
)
from wellfed.watching.trace import Promise
from wellfed.watching.view import Baseline, ProcessView, SocketView, ThreadView, View

_MOST_CORES = 1.3  # of one thread: clocks of kernel and monotonic differ a little


def view(samples: Sequence[Sample], promise: Promise | None = None, baseline: Baseline | None = None) -> View:
    """What `samples`, in the order taken, amount to. Any sample may lack or misreport anything."""
    good = [sample for sample in samples if finite(sample.t) is not None]
    steps = [b.t - a.t for a, b in pairwise(good) if b.t > a.t]
    seconds = sum(steps)
    usual = median(steps) if steps else 0.0
    covered = sum(step for step in steps if step <= LONGEST_GAP * usual)
    engine_process = process(good)
    return View(
        seconds=seconds,
        samples=len(good),
        coverage=covered / seconds if seconds > 0 else 0.0,
        process=engine_process,
        host=window_host.host(good, engine_process),
        cgroup=window_host.cgroup(good),
        sockets=sockets(good),
        gpus=window_gpu.gpus(good),
        engine=window_asked.engine(good),
        probe=window_asked.probe(good),
        kernel=window_kernel.kernel(good),
        promise=promise,
        baseline=baseline,
        watcher_cores=per_s((s.t, s.watcher_cpu_s) for s in good),
    )


def process(samples: Sequence[Sample]) -> ProcessView | None:
    """The engine's processes over the window; of a process that was replaced, the last."""
    readings = [(s.t, s.process) for s in samples if s.process is not None]
    if not readings:
        return None
    pid = readings[-1][1].pid
    of_pid = [(t, state) for t, state in readings if state.pid == pid]
    alive = [(t, state) for t, state in of_pid if state.alive]
    threads = _threads(alive)
    return ProcessView(
        pid=pid,
        gone=not of_pid[-1][1].alive and not (len(of_pid) > 1 and of_pid[-2][1].alive),
        stopped=share([state for _, state in alive], lambda p: None if p.state is None else p.state in "Tt"),
        sleeping_on_disk=share([state for _, state in alive], lambda p: None if p.state is None else p.state == "D"),
        threads=threads,
        cores=sum(thread.busy for thread in threads) if threads is not None else None,
        waiting_cores=total_of_known(thread.waiting for thread in threads or ()),
        cpus_allowed=last(state.cpus_allowed for _, state in alive),
        major_faults_per_s=per_s((t, p.major_faults) for t, p in alive),
        read_bytes_per_s=per_s((t, p.read_bytes_total) for t, p in alive),
        rss_bytes=last(p.rss_bytes for _, p in alive),
        rss_growth_bytes_per_s=slope(known_points((t, p.rss_bytes) for t, p in alive)),
        swap_bytes=last(p.swap_bytes for _, p in alive),
        pages=_pages(last(p.pages for _, p in alive)),
        uses_gpu=last(p.uses_gpu for _, p in alive),
    )


def _pages(pages: object) -> dict[int, int] | None:
    return {node.node: node.size_bytes for node in pages} if isinstance(pages, tuple) else None


def _threads(readings: Sequence[tuple[float, Process]]) -> tuple[ThreadView, ...] | None:
    """Each thread over the time it was there. None when no rate can be told."""
    even = _even_threads(readings)
    series: dict[int, list[tuple[float, Thread]]] = {}
    for t, history in readings:
        for thread in history.threads or ():
            if thread.tid not in even:
                series.setdefault(thread.tid, []).append((t, thread))
    steps = [b - a for (a, _), (b, _) in pairwise(readings) if b > a]
    span = sum(step for step in steps if step <= LONGEST_GAP * median(steps))  # as the rates themselves have it
    odd = [view for history in series.values() if (view := _thread(history, span)) is not None]
    views = (*even.values(), *odd)
    return views or None


def _even_threads(readings: Sequence[tuple[float, Process]]) -> dict[int, ThreadView]:
    """Threads whose counters grow evenly all the time: of these the first and the last sample tell it all."""
    span = even_span([t for t, _ in readings])
    if span is None:
        return {}
    steps = pairwise(readings)
    doubtful = frozenset().union(*(_doubtful_threads(Same(a), Same(b), t1 - t0) for (t0, a), (t1, b) in steps))
    newest = {thread.tid: thread for thread in readings[-1][1].threads or ()}
    return {
        first.tid: _even_thread(first, newest[first.tid], span)
        for first in readings[0][1].threads or ()
        if first.tid not in doubtful
    }


def _even_thread(first: Thread, newest: Thread, span: float) -> ThreadView:
    waiting = _grown(first.wait_s, newest.wait_s)
    switched = _grown(first.involuntary, newest.involuntary)
    return ThreadView(
        tid=newest.tid,
        pid=newest.pid,
        name=newest.name or "?",
        busy=min(1.0, (_grown(first.cpu_s, newest.cpu_s) or 0.0) / span),
        waiting=None if waiting is None else min(1.0, waiting / span),
        involuntary_per_s=None if switched is None else switched / span,
        cpu=newest.cpu,
    )


def _grown(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


@lru_cache(maxsize=128)
def _doubtful_threads(earlier: Same, later: Same, seconds: float) -> frozenset[int]:
    """Threads of which a counter did not simply grow between two samples, or that are not in both."""
    threads_before, threads_after = earlier.value.threads or (), later.value.threads or ()
    before, after = {thread.tid: thread for thread in threads_before}, {thread.tid: thread for thread in threads_after}
    if len(before) < len(threads_before) or len(after) < len(threads_after):  # a number twice: nothing is clear
        return frozenset(before.keys() | after.keys())
    most = _MOST_CORES * seconds
    odd = {tid for tid, thread in before.items() if tid not in after or not _trusted(thread, after[tid], most)}
    return frozenset(odd | (after.keys() - before.keys()))


def _trusted(before: Thread, after: Thread, most: float) -> bool:
    return (
        trusted_step(before.cpu_s, after.cpu_s, most)
        and (before.wait_s is after.wait_s is None or trusted_step(before.wait_s, after.wait_s, most))
        and (
            before.involuntary is after.involuntary is None
            or trusted_step(before.involuntary, after.involuntary, math.inf)
        )
    )


def _thread(series: Sequence[tuple[float, Thread]], span: float) -> ThreadView | None:
    busy = rate(known_points((t, state.cpu_s) for t, state in series), _MOST_CORES)
    if busy is None:
        return None
    waiting = rate(known_points((t, state.wait_s) for t, state in series), _MOST_CORES)
    switched = per_s((t, state.involuntary) for t, state in series)
    lifetime_share = min(1.0, busy.seconds / span) if span > 0 else 1.0  # a thread of a moment is not a hot thread
    newest = series[-1][1]
    return ThreadView(
        tid=newest.tid,
        pid=newest.pid,
        name=newest.name or "?",
        busy=min(1.0, busy.per_s) * lifetime_share,
        waiting=None if waiting is None else min(1.0, waiting.per_s) * lifetime_share,
        involuntary_per_s=switched,
        cpu=newest.cpu,
    )


def sockets(samples: Sequence[Sample]) -> SocketView | None:
    """Queues at the engine's port over the window; None where they are not told."""
    readings: list[tuple[float, Sockets]] = [(s.t, s.sockets) for s in samples if s.sockets is not None]
    if not readings:
        return None
    return SocketView(
        connections=mean(queues.connections for _, queues in readings),
        stuck=share([queues for _, queues in readings], lambda queues: queues.stuck > 0),
        unread_bytes=mean(queues.unread_bytes for _, queues in readings),
        unread_slope_bytes_per_s=slope([(t, float(queues.unread_bytes)) for t, queues in readings]),
        accepting=mean(queues.accepting for _, queues in readings),
    )
