"""What a plan is to be good at, and the least it must do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from wellfed.layout import Engine


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
    """`least_quality` is in bits per weight; empty tuples mean any. `usable_tok_s` is what quality may not go below."""

    objective: Objective = Objective.BALANCED
    least_quality_bits: float = 4.0
    engines: tuple[Engine, ...] = ()
    quantisations: tuple[str, ...] = ()
    kv_types: tuple[str, ...] = ()
    usable_tok_s: float = 5.0


# A preference, not a measurement: how much faster coarser weights must be before a balanced ranking takes them.
_COARSENESS = ((7.5, 1.0), (5.9, 1.05), (4.9, 1.1), (3.9, 1.25), (2.9, 1.8), (0.0, 3.0))


def coarseness(bits: float) -> float:
    """The factor by which a balanced ranking multiplies the time of a plan with weights of `bits`."""
    return next(factor for least, factor in _COARSENESS if bits >= least)
