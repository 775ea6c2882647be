"""The way out when nothing fits: single changes in order of least loss, each with the plan that it makes possible."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum

from wellfed.catalog.model_tables import entry_ids
from wellfed.catalog.models import Entry, by_id, entry
from wellfed.engines.capabilities import CAPABILITIES
from wellfed.frozen import dataclass, replace
from wellfed.message import Amount, Message, message
from wellfed.models.model import Model
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import ledgers
from wellfed.planner.candidates import candidates
from wellfed.planner.goal import Goal
from wellfed.planner.kinds import Kind, describe, kind_of
from wellfed.planner.search import Search
from wellfed.planner.upgrades import Upgrade

_CONTEXT_STEP = 256
_SIBLINGS = 12  # models of the family that are tried, the nearest first, then the largest
_PURPOSES = frozenset(("coder", "code", "math", "prover", "base", "vl", "ocr", "omni", "embedding", "reranker"))


class LeverKind(StrEnum):
    """What is changed."""

    CONTEXT = "context"
    KV_TYPE = "kv-type"
    USERS = "users"
    WEIGHTS = "weights"
    OFFLOAD = "offload"
    ENGINE = "engine"
    MODEL = "model"
    PART = "part"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Lever:
    """One change that makes a plan fit, and that plan."""

    kind: LeverKind
    change: Message
    plan: Plan


def levers(search: Search, upgrades: tuple[Upgrade, ...] = ()) -> tuple[Lever, ...]:
    """What would fit instead, least loss first: each changes one thing of what was asked."""
    ways: tuple[Callable[[Search], Lever | None], ...] = (
        _shorter, _cache, _fewer_users, _coarser, _offloaded, _engine, _from_disk,
    )  # fmt: skip
    ways_out = [lever for way in ways if (lever := way(search)) is not None]
    ways_out += _siblings(search)
    bought = next((upgrade for upgrade in upgrades if upgrade.gain == float("inf")), None)
    if bought is not None:
        ways_out.append(Lever(LeverKind.PART, message("lever.part", "add {part}", part=bought.change), bought.plan))
    return tuple(ways_out)


def fits_anyhow(search: Search) -> bool:
    """Whether some layout has room; asks ledgers alone."""
    return any(ledgers(request).fits is not False for request in _requests(search))


def _requests(search: Search) -> Iterator[Request]:
    return search.requests(candidates(search.machine, search.model, search.goal, [], search.workload))


def _best(search: Search) -> Plan | None:
    return replace(search, sweep=False).run().best


def _in_context(search: Search, tokens: int) -> Search:
    return replace(search, workload=replace(search.workload, context_tokens=tokens))


def _with_users(search: Search, count: int) -> Search:
    return replace(search, workload=replace(search.workload, concurrency=count))


def _largest_fitting(fits: Callable[[int], bool], low: int, high: int) -> int | None:
    """The largest n in low..high for which `fits`, which holds below every n for which it does; None where none is."""
    if not fits(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _shorter(search: Search) -> Lever | None:
    """The largest context that fits, prompts and answers as long as asked for."""
    workload = search.workload
    least = -(-_needed(workload) // _CONTEXT_STEP)
    most = workload.context // _CONTEXT_STEP
    if most <= least:
        return None
    steps = _largest_fitting(lambda n: fits_anyhow(_in_context(search, n * _CONTEXT_STEP)), least, most)
    if steps is None:
        return None
    tokens = steps * _CONTEXT_STEP
    plan = _best(_in_context(search, tokens))
    text = "room for {tokens} tokens of context instead of {wanted}"
    change = message("lever.context", text, tokens=tokens, wanted=workload.context)
    return None if plan is None else Lever(LeverKind.CONTEXT, change, plan)


def _needed(workload: Workload) -> int:
    return workload.depth_tokens + workload.prompt_tokens + workload.output_tokens


def _cache(search: Search) -> Lever | None:
    if search.goal.any_kv:
        return None
    plan = _best(replace(search, goal=replace(search.goal, kv_types=(), any_kv=True)))
    if plan is None:
        return None
    return Lever(LeverKind.KV_TYPE, message("lever.kv", "the KV cache in {kind}", kind=plan.layout.kv_type), plan)


def _from_disk(search: Search) -> Lever | None:
    """Experts that memory does not hold are read from disk: it runs, as slowly as that is."""
    if search.goal.streams or not search.model.is_moe:
        return None
    plan = _best(replace(search, goal=replace(search.goal, streams=True)))
    change = message("lever.disk", "experts that memory does not hold read from disk (--stream)")
    return None if plan is None else Lever(LeverKind.DISK, change, plan)


def _fewer_users(search: Search) -> Lever | None:
    users = search.workload.concurrency
    if users <= 1 or search.workload.request_rate is not None:
        return None
    count = _largest_fitting(lambda n: fits_anyhow(_with_users(search, n)), 1, users - 1)
    if count is None:
        return None
    plan = _best(_with_users(search, count))
    change = message("lever.users", "{count} users at a time instead of {wanted}", count=count, wanted=users)
    return None if plan is None else Lever(LeverKind.USERS, change, plan)


def _coarser(search: Search) -> Lever | None:
    goal = search.goal
    if search.file_weights is not None or (not goal.quantisations and goal.least_quality_bits == 0.0):
        return None
    plan = _finest(search, replace(goal, quantisations=()))
    if plan is None:
        return None
    kind = plan.layout.quantisation.upper()
    return Lever(LeverKind.WEIGHTS, message("lever.weights", "weights in {kind}", kind=kind), plan)


def _finest(search: Search, goal: Goal) -> Plan | None:
    """The best plan in weights of 4 bits or more, else in any."""
    for bits in (4.0, 0.0):
        plan = _best(replace(search, goal=replace(goal, least_quality_bits=bits)))
        if plan is not None:
            return plan
    return None


def _offloaded(search: Search) -> Lever | None:
    """Layers or experts on the CPU where a pinned setting keeps them on the GPUs: as many as must."""
    if not any(pins.places for _, pins in search.goal.pins):
        return None
    engines = search.goal.engines or tuple(engine for engine, _ in search.goal.pins)
    plan = _best(replace(search, goal=replace(search.goal, pins=(), engines=engines)))
    if plan is None:
        return None
    change = message("lever.offload", "{layout}, without what --set pins", layout=describe(plan.layout))
    return Lever(LeverKind.OFFLOAD, change, plan)


def _engine(search: Search) -> Lever | None:
    if not search.goal.engines:
        return None
    plan = _finest(search, replace(search.goal, engines=()))
    if plan is None:
        return None
    label = CAPABILITIES[plan.layout.engine].label
    return Lever(LeverKind.ENGINE, message("lever.engine", "{engine} instead", engine=label), plan)


def _siblings(search: Search) -> Iterator[Lever]:
    """Smaller models of the family: the nearest at a usable speed, and the nearest that the GPUs hold whole."""
    usable: Lever | None = None
    for lever in _relatives(search):
        quick = lever.plan.estimate.decode_tok_s.value >= search.goal.usable_tok_s
        on_gpus = kind_of(lever.plan.layout) is Kind.GPU
        if quick and (usable is None or on_gpus):
            usable = lever
            yield lever
        if quick and (on_gpus or not search.machine.gpus):
            return


def _relatives(search: Search) -> Iterator[Lever]:
    """A lever for each smaller relative that fits, the nearest first, the larger of equally near ones first."""
    wanted = search.model
    catalogued = [entry(identity) for identity in entry_ids() if identity != wanted.id]
    kin = [e for e in catalogued if e.has_config and e.task == _task(wanted.id) and _related(wanted, e)]
    smaller = [e for e in kin if 0 < (e.parameters or 0.0) < wanted.parameters]
    smaller.sort(key=lambda e: (*_distance(wanted.name, e.name), -(e.parameters or 0.0), len(e.name), e.id))
    bits = min(4.0, search.goal.least_quality_bits or 4.0)
    goal = replace(search.goal, quantisations=(), least_quality_bits=bits, any_kv=False)
    for sibling in smaller[:_SIBLINGS]:
        model = by_id(sibling.id)
        if model.context_limit < _needed(search.workload):
            continue
        context = min(search.workload.context, model.context_limit)
        workload = replace(search.workload, context_tokens=context)
        plan = _best(replace(search, model=model, workload=workload, goal=goal, file_weights=None))
        if plan is not None:
            change = message(
                "lever.model", "{model} ({billions} billion parameters)",
                model=model.name, billions=Amount(model.parameters / 1e9, ""),
            )  # fmt: skip
            yield Lever(LeverKind.MODEL, change, plan)


def _related(model: Model, sibling: Entry) -> bool:
    """Of one family, or of one brand by their names: "Qwen3" and "Qwen2.5"."""
    brand, others = (re.match(r"[a-z]+", name.lower()) for name in (model.name, sibling.name))
    by_name = brand is not None and others is not None and brand.group() == others.group()
    return by_name or (sibling.family is not None and sibling.family == model.family)


def _distance(name: str, sibling: str) -> tuple[int, int]:
    """How far a name is from another: purposes that only one has, then how few words they begin with together.

    DeepSeek-R1's 14B is DeepSeek-R1-Distill-Qwen-14B, not the larger DeepSeek-Coder-33B.
    """
    mine, theirs = name.lower().split("-"), sibling.lower().split("-")
    shared = 0
    for a, b in zip(mine, theirs, strict=False):
        if a != b:
            break
        shared += 1
    return len(_PURPOSES & (set(mine) ^ set(theirs))), -shared


def _task(identity: str) -> object:
    return entry(identity).task if identity in entry_ids() else "text"
