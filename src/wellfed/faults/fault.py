"""One fault: what is wrong, why it matters, what mends it, what it costs, and its two kinds of evidence."""

from __future__ import annotations

from enum import StrEnum

from wellfed.frozen import dataclass
from wellfed.message import Message, message
from wellfed.nouns.finding import Remedy


@dataclass(frozen=True, slots=True)
class Price:
    """How a fault is priced. `is_estimated` is False where no estimate shows what it does, and `how` then tells why."""

    how: Message
    is_estimated: bool = True


MENDED = Price(message("fault.mended", "The estimate of the repaired machine minus the estimate of this one."))
LIFTED = Price(
    message(
        "fault.lifted",
        "What the plan promises minus the rate now, and at least what the share of time that it takes would add.",
    )
)


def no_price(why: Message) -> Price:
    """No estimate shows it, for this reason."""
    return Price(why, is_estimated=False)


class AtWork(StrEnum):
    """What an engine with the fault still does, for its price while it runs."""

    SLOWER = "slower than its plan"
    NOTHING = "nothing comes"
    AS_BEFORE = "not slowed yet"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong, by whatever it is seen.

    `states` are ids of checks that see it on a machine at rest; `behaviours` ids of diagnoses that see what it does
    to a running engine. `remedies` mend it; findings take them from here, filled in for their machine.
    `hardware`: a broken part, which counts even where it costs nothing.
    """

    id: str
    title: str
    why: str
    remedies: tuple[Remedy, ...]
    states: tuple[str, ...] = ()
    behaviours: tuple[str, ...] = ()
    price: Price = MENDED
    at_work: AtWork = AtWork.SLOWER
    hardware: bool = False
