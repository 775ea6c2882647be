"""`memory-contention`: the threads run all the time, and yet each step takes longer, while others are busy."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.watch.rules.base import SYSTEM, Kind, Rule, Sign, percent, rates, sign
from wellfed.watch.view import View

_SLOWER = 0.75  # of the baseline, or of the low end of the plan's interval
_FOREIGN_CORES = 0.3


def judge(view: View) -> Iterable[Sign]:
    """Slower per CPU second than before or than planned, with others running and no waiting for CPUs."""
    process, host, engine = view.process, view.host, view.engine
    if process is None or host is None or engine is None or view.on_gpu or not process.wanting:
        return []
    foreign = host.foreign_cores_anywhere
    if foreign is None or foreign < _FOREIGN_CORES or (process.waiting_share or 0.0) >= 0.15:
        return []
    kept, against = _kept(view)
    if kept is None or kept > _SLOWER:
        return []
    return sign(
        1 - kept,
        SYSTEM,
        "it has its CPUs for itself, and yet each step takes longer: others use up memory bandwidth or shared cache",
        f"work per CPU second is {percent(kept)} of {against}",
        f"others use {foreign:.2f} cores",
        rates(view),
    )


def _kept(view: View) -> tuple[float | None, str]:
    now, before = view.steps_per_cpu_s, view.baseline
    running = view.engine.running if view.engine else None
    if before is not None and now is not None and running and abs(running - before.running) <= 0.25 * before.running:
        return now / before.steps_per_cpu_s, "what it was before in this watch"
    rate = view.engine.user_tok_s if view.engine and view.engine.decoding else None
    if view.promise is not None and rate is not None and running is not None and running < 1.5:
        return rate / view.promise.decode_low_tok_s, "the least that the plan expects"
    return None, ""


RULE = Rule(
    id="memory-contention",
    title="Another tenant on the memory bus",
    kind=Kind.ILL,
    loss=True,
    reads="decode steps per second of the engine's CPU time; an undisturbed time before, or a plan; others' CPU time",
    rule="Threads do not wait, others use >= 0.3 cores, and work per CPU second is below 75 % of the reference.",
    judge=judge,
    fix=("# Stop or move the others, to another socket where there is one; bandwidth can be rationed (resctrl MBA).",),
    then="`wellfed bench memory` now and when the others are gone.",
    explains=("queueing",),
)
