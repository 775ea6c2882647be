"""The verb that looks at what runs: sample it, diagnose it, price what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wellfed.errors import BadInput, WellfedError
from wellfed.faults.fault import AtWork
from wellfed.faults.registry import of_behaviour
from wellfed.frozen import dataclass
from wellfed.message import message, sentence
from wellfed.nouns.finding import Cost, Finding, Verdict
from wellfed.verbs.promises import promise
from wellfed.watching.diagnose import Cause, Diagnosis, findings
from wellfed.watching.sample import Sample
from wellfed.watching.target import Target, find
from wellfed.watching.trace import Promise, stream
from wellfed.watching.view import View
from wellfed.watching.watcher import Sampler, Sliding, replay

SCHEMA = "wellfed.watch/1"
_MODELS = "--model", "-m"
_LISTENS_S = 2.0


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How to watch. `window` in samples; `probe_s` between requests of our own, None for none.

    `expect_tok_s` is what one user was promised, where no plan can tell.
    """

    interval_s: float = 1.0
    window: int = 20
    seconds: float | None = None
    model: str | None = None
    key: str | None = None
    concurrency: int = 1
    probe_s: float | None = None
    expect_tok_s: float | None = None


def target(name: str | None = None, pid: int | None = None, url: str | None = None) -> Target:
    """What to watch. Raises BadInput when it cannot be found."""
    return find(name, pid, url)


def ensure_somebody_listens(chosen: Target) -> None:
    """Raises BadInput for an address given alone at which nothing listens now."""
    from wellfed.asking.address import Address, AskingError, Trouble
    from wellfed.asking.document import fetch

    if chosen.url is None or chosen.pid is not None:
        return
    try:
        fetch(Address(chosen.url), "/health", most_bytes=2**20, within_s=_LISTENS_S)
    except AskingError as error:
        if error.trouble in (Trouble.CLOSED, Trouble.UNREACHABLE):
            problem = message("watch.nobody", "nothing answers at {url}: {why}", url=chosen.url, why=str(error))
            hint = message("watch.nobody.hint", "is the address right, and has the engine been started? `wellfed ps`")
            raise BadInput(problem, hint) from error


def command_of(chosen: Target) -> tuple[str, ...]:
    """The words of the target's command line, where they can be read."""
    try:
        return tuple(Path(f"/proc/{chosen.pid or 0}/cmdline").read_bytes().decode("utf-8", "replace").split("\0"))
    except OSError:
        return ()


def model_of(command: Sequence[str]) -> str | None:
    """The model file that a command line names, where it is there."""
    models = (command[index + 1] for index, word in enumerate(command[:-1]) if word in _MODELS)
    return next((name for name in models if Path(name).exists()), None)


def promise_or_why(chosen: Target, options: WatchOptions) -> Promise | str:
    """The promise for the model that was named or that the engine's command names; else why there is none.

    A plan is one for this machine: an engine elsewhere can only be held against what was expected of it.
    """
    if options.expect_tok_s is not None:
        rate = options.expect_tok_s
        return Promise(rate, 0.9 * rate, 1.1 * rate, "", source="as expected of it")
    if chosen.pid is None:
        return sentence(
            "watching.no-plan-compare", "no plan to compare with: it runs elsewhere; --expect gives it a rate to keep"
        )
    command = command_of(chosen)
    model = options.model or model_of(command)
    if model is None:
        return sentence("watching.no-plan-compare-2", "no plan to compare with: name the model with --model")
    try:
        return promise(model, options.concurrency, chosen.engine, command)
    except WellfedError as error:
        if options.model is not None:
            raise
        return sentence("watching.no-plan-compare-3", "no plan to compare with: {message}", message=error.message)


def live(
    chosen: Target,
    options: WatchOptions,
    promised: Promise | None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[Sample, Diagnosis]]:
    """Sample and diagnose until `options.seconds` are over, or for ever. `say` hears once of what cannot be read."""
    sliding = Sliding(options.window, promised)
    key = options.key or chosen.key
    with Sampler(chosen, options.interval_s, key, probe_s=options.probe_s, model=options.model) as sampler:
        for line in sampler.unread:
            say(line)
        for sample in sampler.every(options.interval_s, options.seconds):
            sliding.add(sample)
            yield sample, sliding.diagnose()


def replayed(path: Path, options: WatchOptions) -> tuple[Target, Promise | None, Iterator[tuple[Sample, Diagnosis]]]:
    """A recorded trace again. Raises BadInput for a damaged one."""
    header, samples = stream(path)
    steps = replay(samples, options.window, header.promise)
    return Target(header.target or str(path)), header.promise, steps


def price(cause: Cause, view: View) -> Cost | None:
    """What a fault costs: the rate with it lifted minus the rate now.

    Lifted, the engine does what the plan promises (plans are made without faults), and at least what the share of time
    that the fault takes (`Rule.loss`) would add to what it does now: the larger of both that are known.
    """
    at_work = _at_work(cause.rule.id)
    if at_work is AtWork.AS_BEFORE:
        return Cost(note=sentence("watching.does-slow-engine", "does not slow the engine now"))
    if cause.rule.id == "start-slow" and view.probe is not None and view.probe.idle_s is not None:
        return Cost(
            ttft_s=view.probe.idle_s,
            note=sentence(
                "watching.s-time-first", "{idle:.2g} s of the time to the first token", idle=view.probe.idle_s
            ),
        )
    engine = view.engine
    rate = engine.user_tok_s if engine is not None else None
    if rate is None and at_work is AtWork.NOTHING:
        rate = 0.0
    if rate is None:
        lost = 100 * cause.sign.strength
        return Cost(note=sentence("watching.time", "{lost:.0f} % of the time", lost=lost)) if cause.rule.loss else None
    gaps = _gaps(cause, view.promise, rate)
    if not gaps:
        return None
    gap, note = max(gaps)
    return Cost(decode_tok_s=gap, note=note)


def _gaps(cause: Cause, promise: Promise | None, rate: float) -> list[tuple[float, str]]:
    """What lifting the fault would add to `rate` (tokens/s of one user), by each of the ways that tell it."""
    gaps: list[tuple[float, str]] = []
    if promise is not None:
        gaps.append((0.0, sentence("watching.nothing-below-what", "nothing below what the plan promises")))
        promised, as_what = _lifted(cause, promise)
        text = "{as_what} {promised:.3g} tokens/s for one user, now {rate:.3g}"
        note = sentence("watching.tokens-s-one", text, as_what=as_what, promised=promised, rate=rate)
        gaps.append((promised - rate, note))
    lost = cause.sign.strength
    if cause.rule.loss and lost < 0.99:
        text = "it takes {lost:.0f} % of the time, now {rate:.3g} tokens/s"
        note = sentence("watching.takes-time-now", text, lost=100 * lost, rate=rate)
        gaps.append((rate * lost / (1 - lost), note))
    return gaps


def _at_work(rule: str) -> AtWork:
    return next((fault.at_work for fault in of_behaviour(rule)), AtWork.SLOWER)


def _lifted(cause: Cause, promise: Promise) -> tuple[float, str]:
    """The rate with the fault lifted: plans are made without faults, but for those of the machine itself."""
    for mended_rule in promise.mended:
        if mended_rule.rule == cause.rule.id:
            return mended_rule.decode_tok_s, sentence(
                "watching.mended-machine-plan", "on the mended machine the plan promises"
            )
    return promise.decode_tok_s, sentence(
        "watching.plan-promises", "the plan promises"
    ) if promise.limited_by else sentence("watching.expected", "expected are")


def priced_findings(diagnosis: Diagnosis) -> tuple[Finding, ...]:
    """The diagnosis as priced findings."""
    return findings(diagnosis, price)


def exit_code(diagnosis: Diagnosis) -> int:
    """1 when a fault is named, else 0: unknown is not a fault."""
    return 1 if any(finding.verdict in (Verdict.WARN, Verdict.FAIL) for finding in priced_findings(diagnosis)) else 0


def document(chosen: Target, sample: Sample, diagnosis: Diagnosis) -> dict[str, Any]:
    """One line of `wellfed watch --json`."""
    from wellfed.checks.outputs.to_json import finding_json
    from wellfed.watching.codec import to_json

    view = diagnosis.view
    return {
        "schema": SCHEMA,
        "target": chosen.name,
        "time": sample.wall,
        "diagnosis": diagnosis.id,
        "ill": diagnosis.ill,
        "findings": [finding_json(finding) for finding in priced_findings(diagnosis)],
        "next": list(diagnosis.next),
        "window": {"seconds": view.seconds, "samples": view.samples, "coverage": view.coverage},
        "engine": to_json(view.engine),
        "probe": to_json(view.probe),
        "promise": to_json(view.promise),
    }
