"""How many replicas a load needs: what one group of nodes can take within its targets, and which groups to run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.layout import Layout
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.partial_sums import total_if_all_known
from wellfed.perf.memory import ledgers
from wellfed.planner.goal import Objective
from wellfed.planner.search import KEEPS_UP, Search, missed_targets, served_share

_FRONT = 6  # layouts whose largest rate is looked for
_PRECISION = 0.03  # relative, of the largest rate that is found by bisection (assumed)
_LOWEST, _HIGHEST = 1e-3, 1e4  # requests a second
_USERS = tuple(2**n for n in range(11))  # at a time of one replica


@dataclass(frozen=True, slots=True)
class Stock:
    """`count` equal nodes; `price_hour` of one, in the user's currency; None: unknown."""

    name: str
    count: int
    price_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one replica on `nodes` nodes takes within the targets: requests a second, and users at a time.

    `at` is its plan at that rate. `p99`: targets are held by the 99th percentile, not by the mean.
    """

    nodes: int
    requests_per_s: float
    plan: Plan
    p99: bool = False

    @property
    def tokens_per_s(self) -> float:
        """Answers' tokens of one replica under that load."""
        return self.requests_per_s * self.plan.workload.output_tokens


@dataclass(frozen=True, slots=True)
class Share:
    """Replicas of one stock: how many, on how many nodes in all."""

    stock: Stock
    capacity: Capacity
    replicas: int

    @property
    def nodes(self) -> int:
        """Nodes in use."""
        return self.replicas * self.capacity.nodes

    @property
    def price_hour(self) -> float | None:
        """Price of the share's nodes for an hour, in the user's currency; None where it is unknown."""
        return None if self.stock.price_hour is None else self.stock.price_hour * self.nodes


@dataclass(frozen=True, slots=True)
class Deployment:
    """Shares that carry the load, with `spare` replicas to lose. `short`: requests a second that nothing can take."""

    shares: tuple[Share, ...]
    rate: float | None
    spare: int
    short: float = 0.0

    @property
    def requests_per_s(self) -> float:
        """Requests/s that all replicas take together."""
        return sum(share.replicas * share.capacity.requests_per_s for share in self.shares)

    @property
    def price_hour(self) -> float | None:
        """Price of all nodes for an hour, in the user's currency; None where one is unknown."""
        return total_if_all_known(share.price_hour for share in self.shares if share.replicas)

    def price_per_million(self, output_tokens: float) -> float | None:
        """Money for a million answered tokens at the rate asked for (else at all that the replicas take)."""
        served = min(self.rate, self.requests_per_s) if self.rate else self.requests_per_s
        if self.price_hour is None or served <= 0:
            return None
        return self.price_hour / (served * output_tokens * 3600) * 1e6


def capacity(search: Search, p99: bool = False) -> Capacity | None:
    """The most requests a second that one group (`search.machine`, all its nodes) takes within the workload's targets.

    Without targets: the most it keeps up with. None where the model does not fit, or one user is already too late.
    """
    best: Capacity | None = None
    for plan in _front(search):
        rate = _largest(search, plan, p99)
        if rate is not None and (best is None or rate[0] > best.requests_per_s):
            best = Capacity(search.machine.count, rate[0], rate[1], p99)
    return best


def fits(search: Search) -> bool:
    """Whether any layout fits one group, whatever the targets."""
    free = replace(search.workload, ttft_target_s=None, tpot_target_s=None)
    return bool(_front(replace(search, workload=free)))


def _front(search: Search) -> list[Plan]:
    """The layouts that serve the most tokens at a time: those whose largest rates are worth computing."""
    wide = replace(
        search,
        sweep=True,
        goal=replace(search.goal, objective=Objective.THROUGHPUT),
        workload=replace(search.workload, request_rate=None),
    )
    chosen: dict[Layout, Plan] = {}
    for plan in wide.run().plans:
        chosen.setdefault(replace(plan.layout, max_sequences=1), plan)
        if len(chosen) == _FRONT:
            break
    return list(chosen.values())


def _largest(search: Search, front: Plan, p99: bool) -> tuple[float, Plan] | None:
    """Bisection between a rate that is kept and one that is not."""

    def at(rate: float) -> Plan | None:
        return _within_promise(search, front, replace(search.workload, request_rate=rate, concurrency=1), p99)

    low, plan = _LOWEST, at(_LOWEST)
    if plan is None:
        return None
    high = 0.1
    while high < _HIGHEST and (better := at(high)) is not None:
        low, plan, high = high, better, high * 4
    while high / low > 1 + _PRECISION:
        middle = math.sqrt(low * high)
        better = at(middle)
        if better is None:
            high = middle
        else:
            low, plan = middle, better
    return low, plan


def _within_promise(search: Search, front: Plan, workload: Workload, p99: bool) -> Plan | None:
    request = Request(front.machine, front.model, front.weights, front.layout, workload)
    try:
        if ledgers(request).fits is False:
            return None
        estimate = search.estimate(request)
    except WellfedError:
        return None
    plan = replace(front, workload=workload, estimate=_judged(estimate, p99))
    return plan if not missed_targets(plan) and served_share(plan) > KEEPS_UP else None


def _judged(estimate: Estimate, p99: bool) -> Estimate:
    """The estimate whose waits are those of the 99th percentile, where that is what counts."""
    if not p99 or estimate.ttft_p99_s is None:
        return estimate
    ttft = estimate.ttft_s.scaled(estimate.ttft_p99_s / estimate.ttft_s.value)
    tpot = (
        estimate.tpot_s
        if estimate.tpot_p99_s is None
        else estimate.tpot_s.scaled(estimate.tpot_p99_s / estimate.tpot_s.value)
    )
    return replace(estimate, ttft_s=ttft, tpot_s=tpot)


def smallest_groups(count: int) -> list[int]:
    """Nodes a replica may span, of so many: 1, 2, 3, 4, 6, 8 ..."""
    sizes = {1} | {2**n for n in range(10)} | {3 * 2**n for n in range(8)}
    return sorted(size for size in sizes if size <= count)


def deploy(options: Sequence[tuple[Stock, Sequence[Capacity]]], rate: float | None, spare: int) -> Deployment:
    """Replicas for a rate: the cheapest capacity first (by price, else by nodes), so many that losing `spare` of the
    largest still carries it. Without a rate, everything there is runs.
    """
    ways = [[(stock, capacity) for capacity in capacities] for stock, capacities in options if capacities]
    deployments = [_deployed(list(chosen), rate, spare) for chosen in product(*ways)] if ways else []
    if not deployments:
        return Deployment((), rate, spare, rate or 0.0)
    if rate is None:
        return max(deployments, key=lambda deployment: deployment.requests_per_s)
    return min(deployments, key=_preference)


def _preference(deployment: Deployment) -> tuple[float, float, int]:
    """What carries the rate first, then the least money, then the fewest nodes."""
    price = deployment.price_hour
    nodes = sum(share.nodes for share in deployment.shares)
    return (deployment.short, math.inf if price is None else price, nodes)


def _deployed(chosen: list[tuple[Stock, Capacity]], rate: float | None, spare: int) -> Deployment:
    chosen.sort(key=lambda pair: _cost(*pair))
    shares: list[Share] = []
    for stock, capacity in chosen:
        most = stock.count // capacity.nodes
        needed = most if rate is None else _needed(shares, capacity, most, rate, spare)
        if needed:
            shares.append(Share(stock, capacity, needed))
    short = 0.0 if rate is None else max(0.0, rate - _after_losses(shares, spare))
    return Deployment(tuple(shares), rate, spare, short)


def _cost(stock: Stock, capacity: Capacity) -> tuple[float, float]:
    per_node = capacity.requests_per_s / capacity.nodes
    return (math.inf if stock.price_hour is None else stock.price_hour / per_node, -per_node)


def _needed(shares: Sequence[Share], capacity: Capacity, most: int, rate: float, spare: int) -> int:
    for count in range(most + 1):
        tried = [*shares, *([Share(Stock("", count), capacity, count)] if count else [])]
        if tried and _after_losses(tried, spare) >= rate:
            return count
    return most


def _after_losses(shares: Sequence[Share], spare: int) -> float:
    """What is left when the `spare` largest replicas are lost."""
    single = sorted((share.capacity.requests_per_s for share in shares for _ in range(share.replicas)), reverse=True)
    return sum(single[spare:])


@dataclass(frozen=True, slots=True)
class Routing:
    """What a router that knows prefixes changes: requests a second with and without, for replicas that share a load.

    `needed`: replicas for the rate behind one that does not; None without a rate, or where no number of them does.
    """

    replicas: int
    aware: float
    unaware: float
    needed: int | None = None


def routing(
    search: Search,
    replicas: int,
    find: Callable[[Search], Capacity | None] = capacity,
    rate: float | None = None,
    spare: int = 0,
) -> Routing | None:
    """Conversations whose earlier turns (`depth_tokens`) lie in one replica's cache: a router that sends them there
    keeps every hit, one that does not hits one time in `replicas`. None where nothing is cached, or nothing fits.
    """
    if search.workload.depth_tokens <= 0 or replicas < 2:
        return None
    warm, mixed = find(search), find(_missing(search, replicas))
    if warm is None or mixed is None:
        return None
    needed = None if rate is None else _needed_unaware(search, find, rate, spare, mixed)
    return Routing(replicas, warm.requests_per_s * replicas, mixed.requests_per_s * replicas, needed)


def _missing(search: Search, replicas: int) -> Search:
    """The same load where earlier turns are found one time in `replicas`, and are prompt the other times."""
    load = search.workload
    missed = round(load.depth_tokens * (1 - 1 / replicas))
    cold = replace(load, depth_tokens=load.depth_tokens - missed, prompt_tokens=load.prompt_tokens + missed)
    return replace(search, workload=cold)


def _needed_unaware(
    search: Search, find: Callable[[Search], Capacity | None], rate: float, spare: int, first: Capacity
) -> int | None:
    """Replicas that carry the rate: more of them hit less often, so that the number is asked again until it holds."""
    capacity: Capacity | None = first
    needed = 0
    for _ in range(8):
        if capacity is None:
            return None
        more = math.ceil(rate / capacity.requests_per_s) + spare
        if more <= needed:
            return needed
        needed, capacity = more, find(_missing(search, more))
    return needed
