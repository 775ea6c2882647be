"""`queueing`: more is asked than it can serve at once."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.serving import OVERLOADED
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, rates, sign
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """Requests wait in nearly all samples while others run."""
    engine = view.engine
    if engine is None or not engine.waiting_always or not engine.waiting or not engine.running:
        return []
    grows = engine.waiting_slope_per_s
    return sign(
        engine.waiting / (engine.waiting + engine.running),
        ENGINE,
        sentence(
            "watch.queueing.more-requests-come",
            "more requests come than it runs at once: each waits for others to end before its first token",
        ),
        sentence(
            "watch.queueing.waiting-beside",
            "{waiting:.1f} waiting beside {running:.1f} running",
            waiting=engine.waiting,
            running=engine.running,
        )
        + (sentence("watch.queueing.slots", " of {slots} slots", slots=engine.slots) if engine.slots else ""),
        sentence("watch.queueing.queue-grows-minute", "the queue grows by {grows:.1f} a minute", grows=60 * grows)
        if grows is not None and grows > 0.01
        else None,
        rates(view),
    )


RULE = Rule(
    id="queueing",
    title=OVERLOADED.title,
    kind=Kind.ILL,
    reads=sentence("watch.queueing.reads", "the engine's running and waiting requests"),
    rule=sentence("watch.queueing.rule", "Requests wait in at least 80 % of samples."),
    judge=judge,
    then=sentence(
        "watch.queueing.then", "`wellfed plan --concurrency N`: whether more slots fit, and what each user then gets."
    ),
)
