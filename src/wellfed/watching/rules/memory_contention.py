"""`memory-contention`: the threads run all the time, and yet each step takes longer, while others are busy."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.memory import BUS_SHARED, KEEP_OTHERS_OFF, MOVE_OTHERS
from wellfed.message import sentence
from wellfed.watching.rules.base import SYSTEM, Kind, Rule, Sign, percent, rates, sign
from wellfed.watching.view import Baseline, View

_SLOWER = 0.75  # of the baseline, or of the low end of the plan's interval
_FOREIGN_CORES = 0.3  # cores' worth of other work from which it can matter (assumed)


def judge(view: View) -> Iterable[Sign]:
    """Slower per CPU second than before or than planned, with others running and no waiting for CPUs."""
    process, host, engine = view.process, view.host, view.engine
    if process is None or host is None or engine is None or view.on_gpu or not process.wanting:
        return []
    foreign = host.foreign_cores_anywhere
    if foreign is None or foreign < _FOREIGN_CORES or (process.waiting_share or 0.0) >= 0.15:
        return []
    fraction, against = _speed_share(view)
    if fraction is None or fraction > _SLOWER:
        return []
    beside = _sibling_busy(view)
    return sign(
        1 - fraction,
        SYSTEM,
        sentence(
            "watch.memory-contention.others-run-other",
            "others run on the other hyperthreads of its cores: they share units, caches and memory with it",
        )
        if beside
        else sentence(
            "watch.memory-contention.cpus-itself-yet",
            "it has its CPUs to itself, yet each step takes longer: others use up memory bandwidth or shared cache",
        ),
        sentence(
            "watch.memory-contention.work-per-cpu",
            "work per CPU second is {kept} of {against}",
            kept=percent(fraction),
            against=against,
        ),
        sentence("watch.memory-contention.others-use-cores", "others use {foreign:.2f} cores", foreign=foreign),
        sentence(
            "watch.memory-contention.hyperthreads-beside",
            "hyperthreads beside its own are busy {beside} of the time",
            beside=percent(beside),
        )
        if beside
        else None,
        rates(view),
        fix=(KEEP_OTHERS_OFF,) if beside else (),
    )


def _speed_share(view: View) -> tuple[float | None, str]:
    now, before = view.steps_per_cpu_s, view.baseline
    running = view.engine.running if view.engine else None
    if before is not None and now is not None and running and abs(running - before.running) <= 0.25 * before.running:
        share, clocks = now / before.steps_per_cpu_s, _clocks(view, before)
        return share / clocks, sentence(
            "watch.memory-contention.what-before-watch", "what it was before in this watch"
        ) + (sentence("watch.memory-contention.same-clocks", " at the same clocks") if clocks < 1 else "")
    rate = view.engine.user_tok_s if view.engine and view.engine.decoding else None
    if view.promise is not None and rate is not None and running is not None and running < 1.5:
        return rate / view.promise.decode_low_tok_s, sentence(
            "watch.memory-contention.least-plan-expects", "the least that the plan expects"
        )
    return None, ""


def _clocks(view: View, before: Baseline) -> float:
    """What busier neighbours leave of the clocks: that much slower is no memory's fault. 1 where it cannot be told."""
    now = view.host.clock_share if view.host else None
    return min(1.0, now / before.clock_share) if now and before.clock_share else 1.0


def _sibling_busy(view: View) -> float | None:
    """How busy the hyperthreads are that share a core with the engine's hot threads; None when they rest."""
    process, host = view.process, view.host
    if process is None or host is None:
        return None
    engine_cpus = {thread.cpu for thread in process.wanting if thread.cpu is not None}
    cores = {host.core_of_cpu[cpu] for cpu in engine_cpus if cpu in host.core_of_cpu}
    siblings_busy = [
        busy for cpu, busy in host.busy_by_cpu.items() if cpu not in engine_cpus and host.core_of_cpu.get(cpu) in cores
    ]
    busiest = max(siblings_busy, default=0.0)
    return busiest if busiest >= _FOREIGN_CORES else None


RULE = Rule(
    id="memory-contention",
    title=BUS_SHARED.title,
    kind=Kind.ILL,
    loss=True,
    reads=sentence(
        "watch.memory-contention.reads",
        "decode steps per second of the engine's CPU time; an undisturbed time before, or a plan; others' CPU time",
    ),
    rule=sentence(
        "watch.memory-contention.rule",
        "Threads do not wait, others use >= 0.3 cores, and work per CPU second is below 75 % of the reference.",
    ),
    judge=judge,
    fix=(MOVE_OTHERS,),
    then=sentence("watch.memory-contention.then", "`wellfed bench memory` now and when the others are gone."),
    explains=("queueing",),
)
