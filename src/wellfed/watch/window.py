"""Samples to a view: every rate is made over the intervals of one window that can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from wellfed.watch import window_gpu, window_host
from wellfed.watch.sample import Engine, Process, Sample, Sockets, Thread
from wellfed.watch.series import Point, finite, growth, last, mean, rate, share, slope
from wellfed.watch.trace import Promise
from wellfed.watch.view import Baseline, EngineView, ProcessView, SocketView, ThreadView, View

_MOST_TOK_S = 1e6  # no engine makes more
_MOST_CORES = 1.3  # of one thread: clocks of kernel and monotonic differ a little


def view(samples: Sequence[Sample], promise: Promise | None = None, baseline: Baseline | None = None) -> View:
    """What `samples`, in the order taken, amount to. Any sample may lack or misreport anything."""
    good = [sample for sample in samples if finite(sample.t) is not None]
    steps = [b.t - a.t for a, b in pairwise(good) if b.t > a.t]
    seconds = sum(steps)
    usual = median(steps) if steps else 0.0
    covered = sum(step for step in steps if step <= 6 * usual)
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
        engine=engine(good),
        promise=promise,
        baseline=baseline,
        watcher_cores=_per_s((s.t, s.watcher_cpu_s) for s in good),
    )


def process(samples: Sequence[Sample]) -> ProcessView | None:
    """The engine's processes over the window; of a process that was replaced, the last."""
    known = [(s.t, s.process) for s in samples if s.process is not None]
    if not known:
        return None
    pid = known[-1][1].pid
    mine = [(t, each) for t, each in known if each.pid == pid]
    alive = [(t, each) for t, each in mine if each.alive]
    threads = _threads(alive)
    return ProcessView(
        pid=pid,
        gone=not mine[-1][1].alive and not (len(mine) > 1 and mine[-2][1].alive),
        stopped=share([each for _, each in alive], lambda p: None if p.state is None else p.state in "Tt"),
        sleeping_on_disk=share([each for _, each in alive], lambda p: None if p.state is None else p.state == "D"),
        threads=threads,
        cores=sum(thread.busy for thread in threads) if threads is not None else None,
        waiting_cores=_total(thread.waiting for thread in threads or ()),
        cpus_allowed=last(each.cpus_allowed for _, each in alive),
        major_faults_per_s=_per_s((t, p.major_faults) for t, p in alive),
        read_bytes_per_s=_per_s((t, p.read_bytes_total) for t, p in alive),
        rss_bytes=last(p.rss_bytes for _, p in alive),
        rss_growth_bytes_per_s=slope(_known((t, p.rss_bytes) for t, p in alive)),
        swap_bytes=last(p.swap_bytes for _, p in alive),
        pages=_pages(last(p.pages for _, p in alive)),
        uses_gpu=last(p.uses_gpu for _, p in alive),
    )


def _pages(pages: object) -> dict[int, int] | None:
    return {each.node: each.size_bytes for each in pages} if isinstance(pages, tuple) else None


def _threads(known: Sequence[tuple[float, Process]]) -> tuple[ThreadView, ...] | None:
    """Each thread over the time it was there. None when no rate can be told."""
    series: dict[int, list[tuple[float, Thread]]] = {}
    for t, each in known:
        for thread in each.threads or ():
            series.setdefault(thread.tid, []).append((t, thread))
    span = sum(b - a for (a, _), (b, _) in pairwise(known) if b > a)
    found = [view for each in series.values() if (view := _thread(each, span)) is not None]
    return tuple(found) if found else None


def _thread(series: Sequence[tuple[float, Thread]], span: float) -> ThreadView | None:
    busy = rate(_known((t, each.cpu_s) for t, each in series), _MOST_CORES)
    if busy is None:
        return None
    waiting = rate(_known((t, each.wait_s) for t, each in series), _MOST_CORES)
    switched = _per_s((t, each.involuntary) for t, each in series)
    there = min(1.0, busy.seconds / span) if span > 0 else 1.0  # a thread of a moment is not a hot thread
    newest = series[-1][1]
    return ThreadView(
        tid=newest.tid,
        pid=newest.pid,
        name=newest.name or "?",
        busy=min(1.0, busy.per_s) * there,
        waiting=None if waiting is None else min(1.0, waiting.per_s) * there,
        involuntary_per_s=switched,
        cpu=newest.cpu,
    )


def engine(samples: Sequence[Sample]) -> EngineView | None:
    """The engine's words over the window, each answer counted once."""
    told = [s.engine for s in samples if s.engine is not None]
    if not told:
        return None
    unique = [a for a, b in zip(told, [*told[1:], None], strict=True) if b is None or a.t != b.t]
    answers = [each for each in unique if each.answers and each.error is None]
    half = len(answers) // 2
    return EngineView(
        kind=last(each.kind for each in told),
        silent=share(told, lambda each: None if each.answers is None else each.waited_s is not None),
        waited_s=max((each.waited_s for each in told if finite(each.waited_s) is not None), default=None),  # type: ignore[type-var]
        refused=share(told, lambda each: each.answers is False and each.waited_s is None),
        running=mean(each.running for each in answers),
        waiting=mean(each.waiting for each in answers),
        waiting_always=_always(answers),
        waiting_slope_per_s=slope(_known((each.t, each.waiting) for each in answers)),
        idle=share(answers, lambda e: None if e.running is None else e.running + (e.waiting or 0) <= 0),
        slots=last(each.slots for each in told),
        tok_s=_tokens(answers),
        tok_s_by_half=(_tokens(answers[: half + 1]), _tokens(answers[half:])),
        prompt_tok_s=_per_s(((e.t, e.prompt_tokens_total) for e in answers), _MOST_TOK_S),
        steps_per_s=_per_s(((e.t, e.steps_total) for e in answers), _MOST_TOK_S),
        preemptions=growth(_known((e.t, e.preemptions_total) for e in answers)),
        kv_usage=_top(each.kv_usage for each in answers),
        context_fill=_top(each.context_fill for each in answers),
        queue_s_per_s=_per_s((e.t, e.queue_s_total) for e in answers),
        error=last(each.error for each in told),
    )


def _tokens(answers: Sequence[Engine]) -> float | None:
    return _per_s(((e.t, e.tokens_total) for e in answers), _MOST_TOK_S)


def _always(answers: Sequence[Engine]) -> bool | None:
    waiting = share(answers, lambda each: None if each.waiting is None else each.waiting > 0)
    return None if waiting is None else waiting >= 0.8


def _top(values: Iterable[float | None]) -> float | None:
    """The upper quartile of what is between 0 and 1: a peak that lasts, not one odd value."""
    known = sorted(value for value in values if value is not None and 0 <= value <= 1.0001)
    return known[(3 * len(known)) // 4] if known else None


def sockets(samples: Sequence[Sample]) -> SocketView | None:
    """Queues at the port."""
    known: list[tuple[float, Sockets]] = [(s.t, s.sockets) for s in samples if s.sockets is not None]
    if not known:
        return None
    return SocketView(
        connections=mean(each.connections for _, each in known),
        stuck=share([each for _, each in known], lambda each: each.stuck > 0),
        unread_bytes=mean(each.unread_bytes for _, each in known),
        unread_slope_bytes_per_s=slope([(t, float(each.unread_bytes)) for t, each in known]),
        accepting=mean(each.accepting for _, each in known),
    )


def _known(points: Iterable[tuple[float, float | None]]) -> list[Point]:
    return [(t, value) for t, value in points if value is not None]


def _per_s(points: Iterable[tuple[float, float | None]], most_per_s: float = float("inf")) -> float | None:
    found = rate(_known(points), most_per_s)
    return None if found is None else found.per_s


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
