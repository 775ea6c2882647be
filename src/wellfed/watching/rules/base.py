"""What a rule of diagnosis is, and the words in which it judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from wellfed.faults.registry import of_behaviour
from wellfed.faults.steps import complete
from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.nouns.finding import Remedy
from wellfed.units import format_rate
from wellfed.watching.view import View


class Kind(StrEnum):
    """`ill` names a fault; `healthy` names the limit an engine runs at when nothing is wrong."""

    ILL = "ill"
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class Sign:
    """What a rule saw. `strength` 0..1: the share of speed it takes, where that can be told; else how sure it is."""

    strength: float
    subject: str
    why: str
    evidence: tuple[str, ...]
    fix: tuple[Remedy, ...] = ()


Judge = Callable[[View], Iterable[Sign]]

ENGINE, SYSTEM = "engine", "system"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a fault shows in a running engine. Why it matters and what mends it, its fault tells (`wellfed.faults`).

    `reads`: the evidence it needs. `then`: what to measure next when it is the suspect. `explains`: diagnoses that
    follow from this one and are not named beside it. `loss`: its strength is the share of speed or time that the
    fault takes. `like`: a symptom: it follows from that diagnosis, and from whatever explains that one. `fix`: those
    of the fault's remedies that are for an engine at work, where not all are; the advice at a healthy limit.
    """

    id: str
    title: str
    kind: Kind
    reads: str
    rule: str
    judge: Judge
    fix: tuple[Remedy, ...] = ()
    then: str = ""
    explains: tuple[str, ...] = ()
    loss: bool = False
    like: str | None = None
    refs: tuple[str, ...] = ()


def remedies_of(rule: Rule) -> tuple[Remedy, ...]:
    """What to do about a diagnosis: of its nearest fault, or its own where it has no fault."""
    faults = of_behaviour(rule.id)
    return rule.fix or (tuple(remedy for remedy in faults[0].remedies if complete(remedy)) if faults else ())


def sign(strength: float, subject: str, why: str, *evidence: str | None, fix: Iterable[Remedy] = ()) -> list[Sign]:
    """One sign, its strength cut to 0..1; evidence that is None is left out."""
    stated = tuple(item for item in evidence if item)
    return [Sign(min(1.0, max(0.0, strength)), subject, why, stated, tuple(fix))]


def percent(share: float | None) -> str:
    """A share in per cent, "?" where it is not known."""
    return "?" if share is None else f"{100 * share:.0f} %"


def hot(view: View) -> str | None:
    """The hottest thread, for evidence."""
    threads = view.process.wanting if view.process else ()
    if not threads:
        return None
    first = threads[0]
    waits = (
        ""
        if first.waiting is None
        else sentence("watch.base.waits", ", waits {waiting}", waiting=percent(first.waiting))
    )
    return sentence(
        "watch.base.thread-runs-time",
        "thread {first} ({tid}) runs {busy} of the time{waits}",
        first=first.name,
        tid=first.tid,
        busy=percent(first.busy),
        waits=waits,
    )


def rates(view: View) -> str | None:
    """What the engine makes, against the plan where there is one."""
    engine = view.engine
    if engine is None or engine.tok_s is None:
        return None
    rate = f"{format_rate(engine.tok_s)} tok/s"
    if view.against_promise is None:
        return rate
    share = percent(view.against_promise)
    return sentence("watch.base.rate-of-plan", "{rate}, {share} of the plan's", rate=rate, share=share)
