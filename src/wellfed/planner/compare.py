"""Machines side by side."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.nouns.plan import Plan
from wellfed.planner.power import Power
from wellfed.planner.sensitivity import Sensitivity, weakest


@dataclass(frozen=True, slots=True)
class Compared:
    """One machine with its best plan (None when nothing fits, and `why`), its power and what its parts are worth."""

    name: str
    machine: Machine
    plan: Plan | None
    why: str
    power: Power
    sensitivities: tuple[Sensitivity, ...] = ()

    @property
    def weakest(self) -> Sensitivity | None:
        """The part that holds it back most."""
        return weakest(self.sensitivities)

    @property
    def tokens_per_joule(self) -> float | None:
        """All output over all power; None when either is unknown."""
        if self.plan is None or self.power.total_w is None:
            return None
        return self.plan.estimate.total_tok_s.value / self.power.total_w

    def worth(self, reference: Compared) -> float | None:
        """How many times the price of `reference` this machine may cost before that one gives more for the money.

        The break-even of a second-hand GPU against more channels, say; None when one of the two does not fit.
        """
        if self.plan is None or reference.plan is None:
            return None
        return self.plan.estimate.total_tok_s.value / reference.plan.estimate.total_tok_s.value
