"""CPU, GPU or both, and why: the best plan of each placement side by side."""

from __future__ import annotations

from dataclasses import dataclass

from wellfed.plan import Plan
from wellfed.planner.kinds import Kind
from wellfed.planner.search import KEEPS_UP, Ranking, served_share
from wellfed.units import format_bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kind` is None when nothing fits. `sides` has the best plan of each placement that fits."""

    kind: Kind | None
    why: str
    sides: tuple[tuple[Kind, Plan], ...] = ()


def verdict(ranking: Ranking) -> Verdict:
    """What the ranking says of CPU against GPU."""
    sides = tuple((kind, plan) for kind in Kind if (plan := ranking.best_of(kind)) is not None)
    best = ranking.best
    if best is None:
        return Verdict(None, _nothing_fits(ranking))
    chosen = next(kind for kind, plan in sides if plan is best)
    return Verdict(chosen, "; ".join(_reasons(ranking, chosen, best, sides)), sides)


def _reasons(ranking: Ranking, chosen: Kind, best: Plan, sides: tuple[tuple[Kind, Plan], ...]) -> list[str]:
    reasons = [_room(best)]
    if (share := served_share(best)) < KEEPS_UP:
        asked = best.workload.request_rate or 0.0
        reasons.append(f"it cannot keep up: it answers {share * asked:.3g} of {asked:g} requests/s")
    for kind, plan in sides:
        if kind is chosen:
            continue
        ratio = best.estimate.total_tok_s.value / plan.estimate.total_tok_s.value
        reasons.append(f"{kind} would reach {_share(1 / ratio)} of the tokens/s ({plan.layout.engine})")
    missing = [kind for kind in Kind if kind not in {kind for kind, _ in sides}]
    if Kind.GPU in missing and Kind.GPU in ranking.too_big:
        reasons.append(f"the {'GPU' if len(best.machine.gpus) == 1 else 'GPUs'} alone cannot hold it")
    if not best.machine.gpus:
        reasons.append("this machine has no GPU that wellfed knows")
    return reasons


def _share(ratio: float) -> str:
    return "less than 1 %" if ratio < 0.01 else f"{ratio:.0%}".replace("%", " %")


def _room(plan: Plan) -> str:
    tightest = plan.estimate.memory.tightest
    if tightest is None:
        return "whether it fits is not known: the memory of this machine could not be read"
    cache = "" if plan.layout.kv_type == "f16" else f", its KV cache in {plan.layout.kv_type}"
    return f"fits with {format_bytes(tightest.spare_bytes)} to spare on {tightest.device}{cache}"


def _nothing_fits(ranking: Ranking) -> str:
    if ranking.near_miss is None:
        return "no engine runs this on this machine"
    miss = ranking.near_miss
    return (
        f"nothing fits: the closest ({miss.layout.engine}, {miss.layout.quantisation}) "
        f"is {format_bytes(miss.missing_bytes)} short on {miss.device}"
    )
