"""What a check is, and the words in which it judges."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from wellfed.estimate import Estimate
from wellfed.finding import Finding, Verdict
from wellfed.hardware.machine import Machine, Origin

Judge = Callable[[Machine], Iterable[Finding]]
Change = Callable[[Machine], Machine]

SYSTEM = "system"
_NOT_SUPPORTED = re.compile(r"not supported|n/a", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Check:
    """One rule, with its own documentation.

    `judge` yields a finding per subject. `repair` returns the machine with this fault mended on every subject.
    `effect` returns the machine as it performs with the fault, for faults that its parts do not show (a shared
    uplink: each card's link is whole, and yet they get half). `against` judges again once a plan's estimate is
    known (does the plan's ledger fit what is free now?); it takes the place of `judge` then.
    """

    id: str
    title: str
    severity: Verdict  # the worst it gives
    reads: str
    why: str
    rule: str
    judge: Judge
    traps: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    repair: Change | None = None
    effect: Change | None = None
    against: Callable[[Machine, Estimate], Iterable[Finding]] | None = None
    modelled: bool = False  # estimates of speed and memory know what this fault does


def say(
    verdict: Verdict,
    subject: str,
    why: str,
    measured: str | None = None,
    wanted: str | None = None,
    fix: Iterable[str] = (),
) -> Finding:
    """A finding whose id and references the runner fills in.

    A line of `fix` that starts with `#` is for a human; any other is a shell command.
    """
    return Finding("", verdict, subject, why, measured, wanted, tuple(fix))


def passed(subject: str, why: str, measured: str | None = None, wanted: str | None = None) -> Finding:
    """All is well."""
    return say(Verdict.PASS, subject, why, measured, wanted)


def warn(
    subject: str, why: str, measured: str | None = None, wanted: str | None = None, fix: Iterable[str] = ()
) -> Finding:
    """Costs something, or may."""
    return say(Verdict.WARN, subject, why, measured, wanted, fix)


def fail(
    subject: str, why: str, measured: str | None = None, wanted: str | None = None, fix: Iterable[str] = ()
) -> Finding:
    """A fault."""
    return say(Verdict.FAIL, subject, why, measured, wanted, fix)


def skip(why: str, subject: str = SYSTEM) -> Finding:
    """Does not apply here."""
    return say(Verdict.SKIP, subject, why)


def unknown(why: str, subject: str = SYSTEM, measured: str | None = None, fix: Iterable[str] = ()) -> Finding:
    """Applies, but could not be read."""
    return say(Verdict.UNKNOWN, subject, why, measured, None, fix)


def reason(machine: Machine, *keys: str) -> str | None:
    """Why the first of `keys` that could not be read could not be read."""
    return next((machine.unknown[key] for key in keys if key in machine.unknown), None)


def missing(machine: Machine, what: str, *keys: str, subject: str = SYSTEM) -> Finding:
    """The verdict on a setting that has no value.

    A reason on record makes it unknown (or a skip, when the reason is that the hardware has no such thing); so does
    a dump, which tells only some things. A setting that a live machine does not have is skipped, and one that a
    machine on paper cannot have yet, too.
    """
    if why := reason(machine, *keys):
        return skip(f"{what}: {why}", subject) if _NOT_SUPPORTED.search(why) else unknown(f"{what}: {why}", subject)
    if machine.origin is Origin.DUMP:
        return unknown(f"{what}: the dump does not tell", subject)
    if machine.origin is Origin.PARTS:
        return skip(f"{what}: not decided on a planned machine", subject)
    return skip(f"{what}: not present on this machine", subject)


def unread(machine: Machine, what: str, *keys: str, subject: str = SYSTEM) -> Finding:
    """Like `missing`, for what every machine has: where it has no value, nobody could look."""
    found = missing(machine, what, *keys, subject=subject)
    if found.verdict is Verdict.SKIP and machine.origin is not Origin.PARTS:
        return unknown(f"{what}: could not be read", subject)
    return found


def no_gpus(machine: Machine, needed: int = 1) -> Finding:
    """Why a check of GPUs has fewer than `needed` of them: there are none, or nobody could look."""
    if machine.gpus and needed > 1:
        return skip("fewer than two GPUs" if needed == 2 else f"fewer than {needed} GPUs")
    if why := reason(machine, "gpus", "pci"):
        return unknown(f"GPUs: {why}")
    if machine.origin is Origin.DUMP and not machine.pci and not machine.gpus:
        return unknown("GPUs: the dump does not tell")
    return skip("no GPU")


def stamped(finding: Finding, check: Check) -> Finding:
    """The finding under its check's id, with its references."""
    return replace(finding, id=check.id, refs=finding.refs or check.refs)
