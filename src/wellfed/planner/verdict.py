"""CPU, GPU or both, and why: the best plan of each placement side by side."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.message import Amount, Message, counted, joined, message
from wellfed.nouns.plan import Plan
from wellfed.planner.kinds import Kind
from wellfed.planner.ranking import Ranking
from wellfed.planner.search import KEEPS_UP, served_share


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kind` is None when nothing fits. `sides` has the best plan of each placement that fits."""

    kind: Kind | None
    reasons: tuple[Message, ...]
    sides: tuple[tuple[Kind, Plan], ...] = ()

    @property
    def why(self) -> str:
        """The reasons in English, on one line."""
        return joined("; ", self.reasons)


def verdict(ranking: Ranking) -> Verdict:
    """What the ranking says of CPU against GPU."""
    sides = tuple((kind, plan) for kind in Kind if (plan := ranking.best_of(kind)) is not None)
    best = ranking.best
    if best is None:
        return Verdict(None, (_nothing_fits(ranking),))
    chosen = next(kind for kind, plan in sides if plan is best)
    return Verdict(chosen, tuple(_reasons(ranking, chosen, best, sides)), sides)


def _reasons(ranking: Ranking, chosen: Kind, best: Plan, sides: tuple[tuple[Kind, Plan], ...]) -> list[Message]:
    reasons = [*_room(best)]
    if (share := served_share(best)) < KEEPS_UP:
        rate = best.workload.request_rate or 0.0
        text = "it cannot keep up: it answers {served} of {rate} requests/s"
        reasons.append(message("verdict.behind", text, served=f"{share * rate:.3g}", rate=f"{rate:g}"))
    reasons += [_other_side(best, kind, plan) for kind, plan in sides if kind is not chosen]
    missing = [kind for kind in Kind if kind not in {kind for kind, _ in sides}]
    if Kind.GPU in missing and Kind.GPU in ranking.too_big:
        single, many = "the GPU alone cannot hold it", "the {count} GPUs alone cannot hold it"
        reasons.append(counted("verdict.too-big", single, many, len(best.machine.gpus)))
    if not best.machine.gpus:
        reasons.append(message("verdict.no-gpu", "this machine has no GPU that wellfed knows"))
    return reasons


def _other_side(best: Plan, kind: Kind, plan: Plan) -> Message:
    """What another placement would reach; its weights are named where they are not the best plan's."""
    ratio = plan.estimate.total_tok_s.value / best.estimate.total_tok_s.value
    share, engine, weights = _share(ratio), plan.layout.engine.value, plan.layout.quantisation
    if weights == best.layout.quantisation:
        text = "{kind} would reach {share} of the tokens/s ({engine})"
        return message("verdict.side", text, kind=kind.value, share=share, engine=engine)
    text = "{kind} would reach {share} of the tokens/s ({engine}, weights in {weights})"
    return message("verdict.side-weights", text, kind=kind.value, share=share, engine=engine, weights=weights.upper())


def _share(ratio: float) -> str:
    return "< 1 %" if ratio < 0.01 else f"{ratio:.0%}".replace("%", " %")


_NOTHING_BYTES = 64 * 2**20  # to spare: a pool with less is full (assumed)


def _fills_its_pool(plan: Plan) -> bool:
    """Whether what is spare is nothing because a serving engine takes all that its share leaves for the cache."""
    tightest, room = plan.estimate.memory.tightest, plan.estimate.memory.max_sequences
    spare = None if tightest is None else tightest.spare_bytes
    pooled = any(term.name == "kept free" for term in tightest.terms) if tightest is not None else False
    return pooled and bool(room) and spare is not None and 0 <= spare < _NOTHING_BYTES


def _room(plan: Plan) -> list[Message]:
    """How much is left, and whether it suffices for the users asked for."""
    tightest = plan.estimate.memory.tightest
    if tightest is None:
        text = "whether it fits is not known: the memory of this machine could not be read"
        return [message("verdict.unread", text)]
    spare = Amount(tightest.spare_bytes, "B")
    if _fills_its_pool(plan):
        holds = (plan.estimate.memory.max_sequences or 0) * plan.workload.context
        text = "fits: the engine fills {device}, its KV cache in {kind} holds {tokens} tokens"
        reasons = [message("verdict.pool", text, device=tightest.device, kind=plan.layout.kv_type, tokens=holds)]
    elif plan.layout.kv_type == "f16":
        reasons = [
            message("verdict.fits", "fits with {spare} to spare on {device}", spare=spare, device=tightest.device)
        ]
    else:
        text = "fits with {spare} to spare on {device}, its KV cache in {kind}"
        reasons = [message("verdict.fits-kv", text, spare=spare, device=tightest.device, kind=plan.layout.kv_type)]
    room, users = plan.estimate.memory.max_sequences, plan.workload.concurrency
    if room is not None and plan.workload.request_rate is None and room < users:
        text = "room for {room} of the {users} users with full contexts: the others wait"
        reasons.append(message("verdict.part", text, room=room, users=users))
    if plan.machine.os.chassis in {"desktop", "laptop"} and _is_tight(plan):
        reasons.append(message("verdict.desktop", "little is left for a desktop, if this card draws one, too"))
    return reasons


_TIGHT_BYTES = 0.5 * 2**30  # what desktops and browsers take of a card, assumed


def _is_tight(plan: Plan) -> bool:
    spares = [d.spare_bytes for d in plan.estimate.memory.devices if d.device != "ram" and d.spare_bytes is not None]
    return bool(spares) and min(spares) < _TIGHT_BYTES


def _nothing_fits(ranking: Ranking) -> Message:
    if ranking.near_miss is None:
        return message("verdict.no-engine", "no engine runs this on this machine")
    miss = ranking.near_miss
    return message(
        "verdict.nothing", "the closest ({engine}, {weights}) is {missing} short of {device}",
        engine=miss.layout.engine.value, weights=miss.layout.quantisation.upper(),
        missing=Amount(miss.missing_bytes, "B"), device=miss.device,
    )  # fmt: skip
