"""Findings: what a check or a watch says of one subject."""

from __future__ import annotations

from enum import StrEnum

from wellfed.frozen import dataclass
from wellfed.message import Message


class Verdict(StrEnum):
    """`skip` does not apply; `unknown` applies but could not be read, and never counts as pass."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    UNKNOWN = "unknown"


FAULTS = (Verdict.WARN, Verdict.FAIL)


@dataclass(frozen=True, slots=True)
class Cost:
    """The estimate of the repaired machine minus the estimate of this one; positive is what the fault costs."""

    decode_tok_s: float = 0.0
    prefill_tok_s: float = 0.0
    ttft_s: float = 0.0
    load_s: float = 0.0
    note: str = ""
    message: Message | None = None  # the note as a value


class Safety(StrEnum):
    """What a remedy asks for: a command that harms nothing, one after which something must start anew, or hands."""

    SAFE = "safe"
    RESTART = "needs a restart"
    BY_HAND = "by hand"


class Reach(StrEnum):
    """Where a remedy acts: not everywhere can everybody act (a guest has no BIOS, a laptop no slots)."""

    LOOK = "look"  # changes nothing
    SYSTEM = "system"
    KERNEL = "kernel command line"
    FIRMWARE = "firmware"
    HARDWARE = "hardware"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One step towards mending a fault. `text` is a shell command, or advice for a human after `# `."""

    text: str
    safety: Safety = Safety.SAFE
    reach: Reach = Reach.SYSTEM
    message: Message | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One verdict on one subject (gpu0, node1, socket0, system ...).

    `why` and `fix` are English; `message` is `why` as a value, where the check gives one. `remedies` are the lines of
    `fix` with what they ask for; `places` the PCI addresses it is about; `code` the check's short code.
    """

    id: str
    verdict: Verdict
    subject: str
    why: str
    measured: str | None = None
    wanted: str | None = None
    fix: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    cost: Cost | None = None
    message: Message | None = None
    remedies: tuple[Remedy, ...] = ()
    places: tuple[str, ...] = ()
    code: str | None = None
    counts: bool = True  # False: a fault that costs the model nothing, and breaks nothing
