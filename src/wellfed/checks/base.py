"""What a check is, and the words in which it judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from wellfed.faults.fault import Fault
from wellfed.faults.registry import of_state
from wellfed.faults.steps import complete, look, plain
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine, Origin
from wellfed.message import Message, counted, message, message_of
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.finding import FAULTS, Cost, Finding, Remedy, Verdict

Judge = Callable[[Machine], Iterable[Finding]]
Change = Callable[[Machine], Machine]

SYSTEM = "system"
NOT_SHOWN = ("check.unread", "check.not-read")  # ids of messages with a reader's reason
UNTOLD = "check.untold"  # the id of the message that a dump does not tell something


@dataclass(frozen=True, slots=True)
class Check:
    """How a fault is seen on a machine at rest. Why it matters and what mends it, its fault tells (`fault_of`).

    `judge` yields a finding per subject. `repair` returns the machine with this fault mended on every subject.
    `effect` returns the machine as it performs with the fault, for faults that its parts do not show (a shared
    uplink: each card's link is whole, and yet they get half). `against` judges again once a plan's estimate is
    known (does the plan's ledger fit what is free now?); it takes the place of `judge` then.
    """

    id: str
    title: str
    severity: Verdict  # the worst it gives
    reads: str
    rule: str
    judge: Judge
    traps: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    repair: Change | None = None
    effect: Change | None = None
    against: Callable[[Machine, Estimate], Iterable[Finding]] | None = None
    code: str = ""  # short, for tables and filters: PCI-01
    price: Callable[[Machine, Estimate], Cost] | None = None  # its own, where the estimate does not have it
    ask: tuple[str, ...] = ()  # commands whose output would tell, for a dump that does not
    why: str = ""  # of another package's check that has no fault: why it matters
    fault: Fault | None = None  # another package's own


def fault_of(check: Check) -> Fault | None:
    """The fault that a check sees; None for another package's check that brings none."""
    return check.fault or next(iter(of_state(check.id)), None)


def say(
    verdict: Verdict,
    subject: str,
    why: str | Message,
    measured: str | None = None,
    wanted: str | None = None,
    fix: Iterable[str | Remedy] = (),
    places: Iterable[str] = (),
) -> Finding:
    """A finding whose id, code and references the runner fills in."""
    remedies = tuple(step if isinstance(step, Remedy) else plain(step) for step in fix)
    lines = tuple(step.text for step in remedies)
    text = why if isinstance(why, str) else str(why)
    return Finding(
        "",
        verdict,
        subject,
        text,
        measured,
        wanted,
        lines,
        message=message_of(why),
        remedies=remedies,
        places=tuple(places),
    )


ROOT = look("sudo wellfed check")
LOAD = look("wellfed check --load")
BENCH = look("wellfed bench memory")


def passed(
    subject: str,
    why: str | Message,
    measured: str | None = None,
    wanted: str | None = None,
    places: Iterable[str] = (),
) -> Finding:
    """A finding that all is well with the subject."""
    return say(Verdict.PASS, subject, why, measured, wanted, places=places)


def warn(
    subject: str,
    why: str | Message,
    measured: str | None = None,
    wanted: str | None = None,
    fix: Iterable[str | Remedy] = (),
    places: Iterable[str] = (),
) -> Finding:
    """A finding of what costs something, or may."""
    return say(Verdict.WARN, subject, why, measured, wanted, fix, places)


def fail(
    subject: str,
    why: str | Message,
    measured: str | None = None,
    wanted: str | None = None,
    fix: Iterable[str | Remedy] = (),
    places: Iterable[str] = (),
) -> Finding:
    """A finding of a fault."""
    return say(Verdict.FAIL, subject, why, measured, wanted, fix, places)


def skip(why: str | Message, subject: str = SYSTEM) -> Finding:
    """A finding that the check does not apply to the subject."""
    return say(Verdict.SKIP, subject, why)


def unknown(
    why: str | Message, subject: str = SYSTEM, measured: str | None = None, fix: Iterable[str | Remedy] = ()
) -> Finding:
    """A finding that the check applies and nobody could look; `why` says what is in the way."""
    return say(Verdict.UNKNOWN, subject, why, measured, None, fix)


def reason(machine: Machine, *keys: str) -> str | None:
    """Why the first of `keys` that could not be read could not be read."""
    return next((machine.unknown[key] for key in keys if key in machine.unknown), None)


def missing(machine: Machine, setting: str, *keys: str, subject: str = SYSTEM) -> Finding:
    """The verdict on a setting that has no value.

    A reason on record makes it unknown (or a skip, when the driver said that the hardware has no such thing); so does
    a dump, which tells only some things. A setting that a live machine does not have is skipped, and one that a
    machine on paper cannot have yet, too.
    """
    why = reason(machine, *keys)
    if any(key in machine.unsupported for key in keys):
        return skip(
            message("check.unsupported", "{what}: the driver says that this card has none", what=setting), subject
        )
    if why:
        return unknown(message("check.unread", "{what}: {why}", what=setting, why=why), subject)
    if machine.origin is Origin.DUMP:
        return unknown(message(UNTOLD, "{what}: the dump does not tell", what=setting), subject)
    if machine.origin is Origin.PARTS:
        return skip(message("check.planned", "{what}: not decided on a planned machine", what=setting), subject)
    return skip(message("check.absent", "{what}: not present on this machine", what=setting), subject)


def unread(machine: Machine, setting: str, *keys: str, subject: str = SYSTEM) -> Finding:
    """Like `missing`, for what every machine has: where it has no value, nobody could look."""
    finding = missing(machine, setting, *keys, subject=subject)
    if finding.verdict is Verdict.SKIP and machine.origin is not Origin.PARTS:
        return unknown(message("check.not-read", "{what}: could not be read", what=setting), subject)
    return finding


def no_gpus(machine: Machine, needed: int = 1) -> Finding:
    """Why a check of GPUs has fewer than `needed` of them: there are none, or nobody could look."""
    if machine.gpus and needed > 1 and (cut := reason(machine, "gpus.cut")):
        return unknown(message("check.unread", "{what}: {why}", what="GPUs", why=cut))
    if machine.gpus and needed > 1:
        return skip(counted("check.fewer-gpus", "one GPU", "fewer than {needed} GPUs", needed - 1, needed=needed))
    if why := reason(machine, "gpus", "pci"):
        return unknown(message("check.unread", "{what}: {why}", what="GPUs", why=why))
    if machine.origin is Origin.DUMP and not machine.pci_complete and not machine.gpus:
        return unknown(message(UNTOLD, "{what}: the dump does not tell", what="GPUs"))
    return skip(message("check.no-gpu", "no GPU"))


def stamped(finding: Finding, check: Check) -> Finding:
    """The finding under its check's id, with its references; a fault's remedies where it has none for its machine."""
    stamped = replace(finding, id=check.id, refs=finding.refs or check.refs, code=check.code)
    if finding.fix or finding.verdict not in FAULTS:
        return stamped
    remedies = _usual(check)
    return replace(stamped, remedies=remedies, fix=tuple(remedy.text for remedy in remedies))


def _usual(check: Check) -> tuple[Remedy, ...]:
    fault = fault_of(check)
    return tuple(remedy for remedy in fault.remedies if complete(remedy)) if fault else ()
