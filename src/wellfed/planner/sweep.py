"""One plan's speed swept over the context that is already there and over users at a time."""

from __future__ import annotations

from collections.abc import Iterator

from wellfed.errors import WellfedError
from wellfed.frozen import dataclass, replace
from wellfed.nouns.estimate import Quantity
from wellfed.nouns.layout import Layout
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import ledgers
from wellfed.planner.candidates import candidates
from wellfed.planner.search import Search, lateness, meets_targets

_USERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_MOST_USERS = 4096


@dataclass(frozen=True, slots=True)
class Point:
    """The plan at `x` (tokens of context, or users). Rates in tokens/s."""

    x: int
    decode_tok_s: Quantity
    total_tok_s: Quantity
    ttft_s: Quantity


def over_context(search: Search, plan: Plan) -> tuple[Point, ...]:
    """With 0, 1,024, 4,096 ... tokens before the prompt, as far as model and memory reach."""
    workload = plan.workload
    rest = workload.prompt_tokens + workload.output_tokens
    most = plan.estimate.memory.max_context or workload.context
    depths = [0, *(1024 * 4**n for n in range(6))]
    wanted = [depth for depth in depths if depth + rest <= max(most, workload.context)]
    loads = [replace(workload, depth_tokens=d, context_tokens=max(workload.context, d + rest)) for d in wanted]
    return tuple(_points(search, plan, [(load.depth_tokens + rest, load) for load in loads]))


def over_users(search: Search, plan: Plan) -> tuple[Point, ...]:
    """With 1, 2, 4 ... users at a time and as many as were asked for, as far as memory reaches."""
    room = plan.estimate.memory.max_sequences
    users = max(1, plan.workload.concurrency)
    counts = [n for n in sorted({*_USERS, users}) if room is None or n <= max(room, users)]
    loads = [replace(plan.workload, concurrency=n, request_rate=None) for n in counts]
    return tuple(_points(search, plan, [(load.concurrency, load) for load in loads]))


def _points(search: Search, plan: Plan, loads: list[tuple[int, Workload]]) -> Iterator[Point]:
    for x, workload in loads:
        sequences = max(plan.layout.max_sequences, workload.concurrency) if plan.layout.max_sequences > 1 else 1
        layout = replace(plan.layout, max_sequences=sequences)
        request = Request(plan.machine, plan.model, plan.weights, layout, workload)
        try:
            if ledgers(request).fits is False:
                continue
            estimate = search.estimate(request)
        except WellfedError:
            continue
        yield Point(x, estimate.decode_tok_s, estimate.total_tok_s, estimate.ttft_s)


@dataclass(frozen=True, slots=True)
class MostUsers:
    """The most users at a time for which some plan keeps the targets, and that plan. `at_least`: more may do."""

    users: int
    plan: Plan
    at_least: bool = False


def most_users(search: Search) -> MostUsers | None:
    """Doubling, then halving, over the plans that keep the targets at fewer users; None when one user is too many."""
    layouts = list(candidates(search.machine, search.model, search.goal, [], search.workload))
    low, plan = 1, _keeps(search, layouts, 1)
    if plan is None:
        return None
    while low < _MOST_USERS:
        tried = _keeps(search, layouts, low * 2)
        if tried is None:
            break
        low, plan = low * 2, tried
    else:
        return MostUsers(low, plan, at_least=True)
    high = low * 2
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        tried = _keeps(search, layouts, middle)
        if tried is None:
            high = middle
        else:
            low, plan = middle, tried
    return MostUsers(low, plan)


def _keeps(search: Search, layouts: list[Layout], users: int) -> Plan | None:
    """The best plan for so many users, if it keeps the targets with room for all of them."""
    narrowed = replace(search, sweep=False, workload=replace(search.workload, concurrency=users, request_rate=None))
    plans = [plan for plan in narrowed.rank(layouts).plans if lateness(plan) == 0.0 and _has_room(plan, users)]
    return plans[0] if plans and meets_targets(plans[0]) is not False else None


def _has_room(plan: Plan, users: int) -> bool:
    room = plan.estimate.memory.max_sequences
    return room is None or room >= users
