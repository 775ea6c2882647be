"""What a plan is to be good at, and the least it must do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from wellfed.engines.versions import Version
from wellfed.frozen import dataclass
from wellfed.message import Amount, Message, message
from wellfed.nouns.layout import Engine, Speculation
from wellfed.planner.speculate import Draft

if TYPE_CHECKING:
    from wellfed.engines.pins import Pins


class Objective(StrEnum):
    """What to rank by: one user's speed (balanced: with a preference for finer weights), everyone's together, fidelity
    of the weights, or speed per money or watt."""

    BALANCED = "balanced"
    LATENCY = "latency"
    THROUGHPUT = "throughput"
    QUALITY = "quality"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Goal:
    """`least_quality` is in bits per weight; empty tuples mean any. `usable_tok_s` is what quality may not go below.

    `kv_types`: KV caches to try, by name; empty: each engine's own default. `any_kv`: all that engines are tried with.
    """

    objective: Objective = Objective.BALANCED
    least_quality_bits: float = 4.0
    engines: tuple[Engine, ...] = ()
    quantisations: tuple[str, ...] = ()
    kv_types: tuple[str, ...] = ()
    any_kv: bool = False
    pins: tuple[tuple[Engine, Pins], ...] = ()  # what is pinned of each engine's layouts; others are left out
    versions: tuple[Version, ...] = ()  # of engines, where one is named
    speculation: Speculation | None = None  # how tokens are drafted, where it is asked for
    may_speculate: bool = True  # the model's own prediction layers are tried unasked
    acceptance: float | None = None  # the chance that a drafted token is right; None: what its kind does
    draft: Draft | None = None  # the model that drafts
    streams: bool = False  # experts may be read from disk, where nothing holds them
    adapters: tuple[int, int] | None = None  # how many are served beside the model, and their rank

    def pinned(self, engine: Engine) -> Pins | None:
        """What is pinned of an engine's layouts."""
        return next((pins for name, pins in self.pins if name is engine), None)

    def version(self, engine: Engine) -> Version | None:
        """The version of an engine that the answer is for, where one is named."""
        return next((version for version in self.versions if version.engine is engine), None)

    usable_tok_s: float = 5.0


def order_words(goal: Goal, has_targets: bool) -> Message:
    """In which order plans stand, in a sentence; engines that few would install here come after the others."""
    match goal.objective:
        case Objective.BALANCED:
            by = message("goal.by-balanced", "time of a whole answer, weighed against coarser weights")
        case Objective.LATENCY:
            by = message("goal.by-latency", "time of a whole answer")
        case Objective.THROUGHPUT:
            by = message("goal.by-throughput", "tokens/s of all users together")
        case Objective.QUALITY:
            rate = Amount(goal.usable_tok_s, "tok/s")
            by = message("goal.by-quality", "the finest weights that write at least {rate}", rate=rate)
        case Objective.COST:
            by = message("goal.by-cost", "money for each token/s, or watts where no price is known")
    if has_targets:
        return message("goal.order-targets", "rows: what keeps the targets first, then by {by}", by=by)
    return message("goal.order", "rows by {by}", by=by)


QUALITY: Mapping[str, float] = {
    "any": 0.0, "at-least-q2": 2.0, "at-least-q3": 3.0, "at-least-q4": 4.0, "at-least-q5": 5.0, "at-least-q6": 6.0,
    "at-least-q8": 8.0, "full": 15.0,
}  # fmt: skip

# A preference, not a measurement: how much faster coarser weights must be before a balanced ranking takes them.
_COARSENESS = ((7.5, 1.0), (5.9, 1.05), (4.9, 1.1), (3.9, 1.25), (2.9, 1.8), (0.0, 3.0))


def coarseness(bits: float) -> float:
    """The factor by which a balanced ranking multiplies the time of a plan with weights of `bits`."""
    return next(factor for least, factor in _COARSENESS if bits >= least)


# Likewise for a quantised KV cache: what 8 and 4 bits of it must gain before they are taken.
_KV_COARSENESS = ((2.0, 1.0), (1.0, 1.03), (0.7, 1.15), (0.0, 1.3))


def kv_coarseness(element_bytes: float) -> float:
    """The factor by which a balanced ranking multiplies the time of a plan with such a KV cache."""
    return next(factor for least, factor in _KV_COARSENESS if element_bytes >= least)
