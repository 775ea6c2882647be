"""`start-slow`: requests wait before anything is computed for them, seen as a late first token of a tiny prompt."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.steps import plain
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, sign
from wellfed.watching.view import EngineView, View

_LEAST_S = 1.0  # seconds that nobody computed: less is a scheduler's tick or a network (assumed)
_LEAST = 2  # answered probes
_SHARE = 0.5  # of the time to the first token
_TAKEN = 0.6  # of its slots: the engine and the probe are not looked at in the same instant


def judge(view: View) -> Iterable[Sign]:
    """A prompt of a line cannot take so long: most of the time to its first token nobody worked on it."""
    probe = view.probe
    if probe is None or probe.answered < _LEAST or probe.ttft_s is None or probe.idle_s is None:
        return []
    if probe.idle_s < _LEAST_S or probe.idle_s < _SHARE * probe.ttft_s:
        return []
    engine = view.engine
    if engine is not None and _full(engine):
        return []  # its slots are taken, and the only one that waits for one is the probe
    counted = engine.queue_s if engine is not None else None
    return sign(
        min(0.9, probe.idle_s / (probe.idle_s + 10.0)),
        ENGINE,
        sentence(
            "watch.start-slow.requests-wait-before",
            "requests wait before they are computed: in the engine's queue, its API server, or a proxy before it",
        ),
        sentence(
            "watch.start-slow.first-token-takes",
            "the first token takes {ttft:.2g} s, at least {idle:.2g} s of it waiting",
            ttft=probe.ttft_s,
            idle=probe.idle_s,
        )
        + (
            sentence(
                "watch.start-slow.connecting-takes-ms",
                " (connecting takes {connect:.0f} ms)",
                connect=1e3 * probe.connect_s,
            )
            if probe.connect_s is not None
            else ""
        ),
        None
        if counted is None
        else sentence(
            "watch.start-slow.own-queue-holds",
            "its own queue holds requests for {counted:.2g} s on average",
            counted=counted,
        ),
    )


def _full(engine: EngineView) -> bool:
    if not engine.slots or engine.running is None or engine.waiting is None:
        return False
    return engine.waiting < 1 and engine.running + engine.waiting >= _TAKEN * engine.slots


RULE = Rule(
    id="start-slow",
    title=sentence("watch.start-slow.title", "Requests wait before they are computed"),
    kind=Kind.ILL,
    reads=sentence(
        "watch.start-slow.reads",
        "requests of our own (--probe): time to the first token of a line of prompt, time between tokens",
    ),
    rule=sentence(
        "watch.start-slow.rule",
        "At least 2 answers: the first token takes 1 s longer than the prompt could at the speed "
        "of decoding, and that is most of it.",
    ),
    judge=judge,
    fix=(
        plain(
            sentence(
                "watch.start-slow.fix-more-sequences-once",
                "# More sequences at once or more copies of the engine; or look at the proxy between.",
            )
        ),
    ),
    then=sentence("watch.start-slow.then", "The engine's own queue (its /metrics); the same request past the proxy."),
    like="queueing",
)
