"""What a plan is to be good at, and the least it must do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from wellfed.layout import Engine


class Objective(StrEnum):
    """What to rank by: one user's speed, everyone's together, fidelity of the weights, or speed per money or watt."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    QUALITY = "quality"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Goal:
    """`least_quality` is in bits per weight; empty tuples mean any. `usable_tok_s` is what quality may not go below."""

    objective: Objective = Objective.LATENCY
    least_quality_bits: float = 4.0
    engines: tuple[Engine, ...] = ()
    quantisations: tuple[str, ...] = ()
    kv_types: tuple[str, ...] = ()
    usable_tok_s: float = 5.0
