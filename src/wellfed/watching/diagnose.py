"""A view to ranked causes: what is wrong, what follows from it, what is healthy, or what to measure next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from wellfed.frozen import dataclass
from wellfed.message import joined, sentence
from wellfed.nouns.finding import Cost, Finding, Verdict
from wellfed.watching.registry import ALL
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, remedies_of
from wellfed.watching.view import View

UNKNOWN = "unknown"
# Of a window, below which nothing is said (assumed): a rate wants two intervals, most of the time seen
_LEAST_SAMPLES = 3
_LEAST_SECONDS = 1.5
_LEAST_COVERAGE = 0.5  # share of the window's seconds
_LEAST_OF_PROMISE = 0.7  # of the plan's range's low end: less contradicts a healthy window (assumed)
_GRAVE = 0.4  # strength from which a fault fails the check rather than warns (assumed)


@dataclass(frozen=True, slots=True)
class Cause:
    """A rule that fired. `of`: the cause that explains this one, if any."""

    rule: Rule
    sign: Sign
    of: str | None = None


Pricer = Callable[[Cause, View], Cost | None]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a window says. `causes` are ranked; `id` is the first one's, `unknown` where there is none."""

    view: View
    causes: tuple[Cause, ...]
    why_unknown: str = ""
    next: tuple[str, ...] = ()
    crashed: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The diagnosis in a word."""
        return self.causes[0].rule.id if self.causes else UNKNOWN

    @property
    def ill(self) -> bool:
        """Whether a fault is named."""
        return any(cause.rule.kind is Kind.ILL for cause in self.causes)


def diagnose(view: View, rules: Sequence[Rule] = ALL) -> Diagnosis:
    """Every rule over the view. Faults come before healthy limits; with neither, or with a contradiction, unknown."""
    thin = _too_thin(view)
    if thin:
        return Diagnosis(
            view, (), thin, (sentence("diagnose.watch-longer-wellfed", "Watch for longer: `wellfed watch --for 30`."),)
        )
    fired, crashed = _fired(view, rules)
    ills = _ranked([cause for cause in fired if cause.rule.kind is Kind.ILL])
    if ills:
        return Diagnosis(view, tuple(ills), crashed=crashed)
    healthy = [cause for cause in fired if cause.rule.kind is Kind.HEALTHY]
    contradiction = _slower_than_planned(view)
    if healthy and not contradiction:
        return Diagnosis(view, tuple(healthy), crashed=crashed)
    return Diagnosis(view, (), contradiction or _nothing_fits(view), _what_next(view), crashed)


def _too_thin(view: View) -> str:
    if view.samples < _LEAST_SAMPLES or view.seconds < _LEAST_SECONDS:
        return sentence(
            "diagnose.too-little-seen",
            "too little was seen: {samples} samples over {seconds:.1f} s",
            samples=view.samples,
            seconds=view.seconds,
        )
    if view.coverage < _LEAST_COVERAGE:
        return sentence(
            "diagnose.samples-gaps-they",
            "samples have gaps: they cover {coverage:.0f} % of {seconds:.0f} s",
            coverage=100 * view.coverage,
            seconds=view.seconds,
        )
    return ""


def _fired(view: View, rules: Sequence[Rule]) -> tuple[list[Cause], tuple[str, ...]]:
    causes: list[Cause] = []
    crashed: list[str] = []
    for rule in rules:
        try:
            causes += [Cause(rule, sign) for sign in rule.judge(view)]
        except Exception as error:  # noqa: BLE001  a broken rule must not hide the others
            crashed.append(f"{rule.id}: {type(error).__name__}: {error}")
    return causes, tuple(crashed)


def _ranked(causes: list[Cause]) -> list[Cause]:
    """By strength; what another one explains comes last, and names it."""
    order = sorted(causes, key=lambda cause: -cause.sign.strength)
    marked = [Cause(cause.rule, cause.sign, _explained(cause, order)) for cause in order]
    first = [cause for cause in marked if cause.of is None]
    return first + [cause for cause in marked if cause.of is not None]


def _explained(cause: Cause, others: Sequence[Cause]) -> str | None:
    """The id of the stronger cause that this one follows from; None where it stands for itself."""
    for earlier in others:
        if earlier.rule.id != cause.rule.id and _explains(earlier.rule, cause.rule):
            if cause.rule.explains and "*" in cause.rule.explains:
                continue  # two that explain everything do not explain each other
            return earlier.rule.id
    return None


def _explains(rule: Rule, follows: Rule) -> bool:
    """Whether a rule names the other among what follows from it, or the kind that the other is like."""
    ids = rule.explains
    return follows.id in ids or "*" in ids or (follows.like is not None and follows.like in (rule.id, *ids))


def _slower_than_planned(view: View) -> str:
    """What contradicts a healthy window: a user gets less than 0.7 of the least in the plan's range; else empty."""
    promise, share = view.promise, view.against_promise
    if promise is None or share is None or view.engine is None or (view.engine.running or 0) > 1.5:
        return ""
    least = _LEAST_OF_PROMISE * promise.decode_low_tok_s / promise.decode_tok_s
    if share >= least:
        return ""
    return sentence(
        "diagnose.plan-tokens-s", "{share:.0f} % of the plan's tokens/s, and no cause is seen", share=100 * share
    )


def _nothing_fits(view: View) -> str:
    if view.probe is not None and view.probe.error and not view.probe.answered:
        return sentence(
            "diagnose.requests-our-own", "requests of our own are not answered: {error}", error=view.probe.error
        )
    if view.probe is not None and view.probe.tok_s is not None and view.promise is not None and view.process is None:
        share = view.probe.tok_s / view.promise.decode_tok_s
        return sentence(
            "diagnose.asked-gives-tokens",
            "asked, it gives {share:.0f} % of the tokens/s that were promised: neither slow nor as promised",
            share=100 * share,
        )
    if view.process is None and view.engine is None:
        return sentence("diagnose.neither-process-nor", "neither the process nor the endpoint could be read")
    if view.engine is None:
        return sentence("diagnose.engine-own-metrics", "the engine's own metrics could not be read")
    if view.engine.error:
        return sentence("diagnose.engine-tells-nothing", "the engine tells nothing: {error}", error=view.engine.error)
    return sentence("diagnose.nothing-seen", "nothing seen explains what the engine does")


def _what_next(view: View) -> tuple[str, ...]:
    """What would make a diagnosis possible: the endpoint's answers, the process, a request of our own, a plan."""
    unanswered = view.probe is None and (view.engine is None or view.engine.error)
    probe = sentence(
        "diagnose.let-asked-wellfed", "Let it be asked: `wellfed watch --probe` measures what a user gets."
    )
    return (*_to_ask_endpoint(view), *_to_see_process(view), *([probe] if unanswered else ()), _to_compare_with(view))


def _to_ask_endpoint(view: View) -> Iterable[str]:
    troubles = {part.trouble for part in (view.engine, view.probe) if part is not None}
    if "key" in troubles:
        yield sentence(
            "diagnose.give-key-wellfed",
            "Give its key: `wellfed watch --api-key-file FILE`, or the variable WELLFED_API_KEY.",
        )
    if "certificate" in troubles:
        yield sentence(
            "diagnose.name-authority",
            "Name the authority that signed its certificate (SSL_CERT_FILE=FILE), or watch it over http.",
        )
    elif "key" not in troubles and (view.engine is None or view.engine.error or view.engine.running is None):
        yield sentence(
            "diagnose.start-engine-metrics",
            "Start the engine with its metrics on (llama.cpp and SGLang: --metrics, --enable-metrics).",
        )


def _to_see_process(view: View) -> Iterable[str]:
    if view.process is None or view.process.threads is None:
        yield sentence(
            "diagnose.watch-engine-own",
            "Watch on the engine's own machine, in its PID namespace, as its user: threads could not be read.",
        )
    elif view.process.waiting_share is None and view.process.wanting:
        yield sentence(
            "diagnose.kernel-does-tell",
            "This kernel does not tell how long threads wait for a CPU (schedstat): `top -H` meanwhile.",
        )


def _to_compare_with(view: View) -> str:
    if view.promise is None:
        return sentence(
            "diagnose.give-plan-compare",
            "Give the plan to compare with: `wellfed watch --model MODEL`, or a rate with --expect.",
        )
    if view.process is None:
        return sentence(
            "diagnose.watch-own-machine",
            "Watch it on its own machine: without its process and counters only the speed can be told.",
        )
    return sentence(
        "diagnose.measure-what-plan",
        "Measure what the plan builds on: `wellfed bench memory`, then `wellfed bench engine`.",
    )


def findings(diagnosis: Diagnosis, price: Pricer | None = None) -> tuple[Finding, ...]:
    """The diagnosis as findings, the first cause first; costs only for causes that no other explains."""
    if not diagnosis.causes:
        why = joined("; ", (diagnosis.why_unknown, *diagnosis.crashed))
        return (
            Finding(
                UNKNOWN, Verdict.UNKNOWN, ENGINE, why, fix=tuple(joined("", ("# ", step)) for step in diagnosis.next)
            ),
        )
    return tuple(_finding(cause, diagnosis.view, price) for cause in diagnosis.causes)


def _finding(cause: Cause, view: View, price: Pricer | None) -> Finding:
    ill = cause.rule.kind is Kind.ILL
    grave = cause.sign.strength >= _GRAVE and cause.of is None
    remedies = cause.sign.fix or remedies_of(cause.rule)
    follows = (sentence("diagnose.follows-from", " (follows from {of})", of=cause.of),) if cause.of else ()
    why = joined("", (cause.sign.why, *follows))
    return Finding(
        id=cause.rule.id,
        verdict=(Verdict.FAIL if grave else Verdict.WARN) if ill else Verdict.PASS,
        subject=cause.sign.subject,
        why=why,
        measured=joined("; ", cause.sign.evidence) if cause.sign.evidence else None,
        wanted=None,
        fix=tuple(remedy.text for remedy in remedies),
        remedies=remedies,
        refs=cause.rule.refs,
        cost=price(cause, view) if ill and cause.of is None and price is not None else None,
    )


def names(diagnoses: Iterable[Diagnosis]) -> tuple[str, ...]:
    """Ids in order of appearance, each once."""
    return tuple(dict.fromkeys(diagnosis.id for diagnosis in diagnoses))
