"""Prefill and decode on workers of their own: in which ratio, on which kinds of nodes, and whether it is worth it.

A cell is P workers that prefill and D that decode, in the ratio that serves the most requests for its nodes within the
targets; pools grow by whole cells. Speeds are those of `perf.serving.disaggregation`: users that ask again when
answered, means, no bursts; the same nodes without the split are estimated the same way, so that both can be compared.
The cache is handed over by the network between nodes, at each worker's share of it, or inside a node where a cell fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from wellfed.errors import WellfedError
from wellfed.fleet.replicas import Capacity, Stock
from wellfed.frozen import dataclass
from wellfed.nouns.layout import Layout
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.partial_sums import total_of_known
from wellfed.perf.memory import ledgers
from wellfed.perf.serving.disaggregation import Split, split
from wellfed.perf.serving.estimate import knobs_for, shape_for
from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.room import Room, room
from wellfed.perf.serving.shape import Shape
from wellfed.planner.search import Search

_MOST_WORKERS = 8  # of a kind in a cell
_MOST_USERS = 1 << 14  # at a time of one cell: the search ends there (assumed)
_NEARLY = 0.97  # of the best: a smaller cell that is so good is the better one


@dataclass(frozen=True, slots=True)
class Side:
    """What prefills or decodes: nodes of a stock, and the plan that one worker's layout is taken from."""

    stock: Stock
    search: Search
    plan: Plan

    @property
    def worker_gpus(self) -> int:
        """GPUs of one worker."""
        return self.plan.layout.tensor_parallel

    @property
    def workers_a_node(self) -> int:
        """Workers of this side that fit one node."""
        return len(self.plan.machine.gpus) // self.worker_gpus


@dataclass(frozen=True, slots=True)
class Cell:
    """P prefill workers and D decode workers, and what they take within the targets."""

    prefill: Side
    decode: Side
    prefill_workers: int
    decode_workers: int
    requests_per_s: float
    users: int
    ttft_s: float
    tpot_s: float

    @property
    def nodes(self) -> float:
        """Nodes that the cell's GPUs would fill, parts of one included."""
        first = self.prefill_workers / self.prefill.workers_a_node
        return first + self.decode_workers / self.decode.workers_a_node

    @property
    def price_hour(self) -> float | None:
        """Price of the cell's nodes for an hour; None where one kind's price is unknown."""
        a, b = self.prefill.stock.price_hour, self.decode.stock.price_hour
        if a is None or b is None:
            return None
        first = self.prefill_workers / self.prefill.workers_a_node
        return a * first + b * self.decode_workers / self.decode.workers_a_node


@dataclass(frozen=True, slots=True)
class Disaggregation:
    """The best cell of two kinds of nodes (or one), how many of it the rate needs, and what the same GPUs take without
    a split (`together`; None: nothing fits them within the targets).
    """

    cell: Cell
    cells: int
    cells_there: int
    together_requests_per_s: float | None
    spare: int

    @property
    def gain(self) -> float | None:
        """Requests of the cell over those of its GPUs without a split; None: those take none."""
        if not self.together_requests_per_s:
            return None
        return self.cell.requests_per_s / self.together_requests_per_s

    @property
    def worth(self) -> float:
        """Requests a second of the cell per price of an hour; per node where a price is unknown."""
        return _worth(self.cell)

    @property
    def enough(self) -> bool:
        """Whether there are nodes for as many cells as the rate needs."""
        return self.cells <= self.cells_there


def side(stock: Stock, search: Search, capacity: Capacity) -> Side | None:
    """A side of what was planned for a kind of nodes; None where one worker spans nodes, or pipelines."""
    layout = capacity.plan.layout
    if capacity.nodes > 1 or layout.pipeline_parallel > 1 or layout.tensor_parallel > len(capacity.plan.machine.gpus):
        return None
    return Side(stock, search, capacity.plan)


def disaggregated(prefill: Side, decode: Side, rate: float | None, spare: int = 0) -> Disaggregation | None:
    """The best cell of the two, and how many carry the rate (None: as many as there are) with `spare` workers of each
    to lose. None where no cell that the nodes hold is within the targets.
    """
    cells = [cell for p, d in _ratios() if (cell := _cell(prefill, decode, p, d)) is not None and _cells_that_fit(cell)]
    if not cells:
        return None
    enough = _NEARLY * max(map(_worth, cells))
    best = min((cell for cell in cells if _worth(cell) >= enough), key=lambda cell: (cell.nodes, -_worth(cell)))
    cells_available = _cells_that_fit(best)
    needed = cells_available if rate is None else math.ceil(rate / best.requests_per_s)
    needed += 0 if rate is None else math.ceil(spare / min(best.prefill_workers, best.decode_workers))
    return Disaggregation(best, needed, cells_available, _together(best), spare)


def _ratios() -> Iterator[tuple[int, int]]:
    """Prefill and decode workers of the cells that are tried, no cell a multiple of another."""
    for p in range(1, _MOST_WORKERS + 1):
        for d in range(1, _MOST_WORKERS + 1):
            if math.gcd(p, d) == 1:
                yield p, d


def _worth(cell: Cell) -> float:
    """Requests a second per price of an hour; per node where a price is unknown."""
    return cell.requests_per_s / (cell.price_hour or cell.nodes)


def _cells_that_fit(cell: Cell) -> int:
    """How many cells the nodes have room for; both sides share them where they are of one stock."""
    first = cell.prefill.stock.count * cell.prefill.workers_a_node
    second = cell.decode.stock.count * cell.decode.workers_a_node
    if cell.prefill.stock == cell.decode.stock:
        return first // (cell.prefill_workers + cell.decode_workers)
    return min(first // cell.prefill_workers, second // cell.decode_workers)


def _cell(prefill: Side, decode: Side, p: int, d: int) -> Cell | None:
    shapes = _shapes(prefill, decode, p, d)
    if shapes is None:
        return None
    first, second, prefill_knobs, knobs = shapes
    workload = decode.plan.workload

    def at(users: int) -> Split:
        return split(first, second, knobs, p, d, float(users), prefill_knobs=prefill_knobs)

    users = _most_users(at, workload, max(1, int(d * second.slots)))
    if users is None:
        return None
    loaded = at(users)
    return Cell(prefill, decode, p, d, loaded.rate, users, loaded.ttft, loaded.tpot)


def _most_users(at: Callable[[int], Split], workload: Workload, most: int) -> int | None:
    """The most users whose waits are within the targets; more users never wait less."""

    def in_time(users: int) -> bool:
        loaded = at(users)
        late = workload.ttft_target_s is not None and loaded.ttft > workload.ttft_target_s
        return not late and (workload.tpot_target_s is None or loaded.tpot <= workload.tpot_target_s)

    if not in_time(1):
        return None
    low, high = 1, min(most, _MOST_USERS) + 1
    while high - low > max(1, low // 64):
        middle = (low + high) // 2
        low, high = (middle, high) if in_time(middle) else (low, middle)
    return low


def _shapes(prefill: Side, decode: Side, p: int, d: int) -> tuple[Shape, Shape, Knobs, Knobs] | None:
    try:
        first, _ = _worker(prefill)
        second, space = _worker(decode)
        if ledgers(first).fits is False or ledgers(second).fits is False:
            return None
        prompt, answer = shape_for(first, room(first)), shape_for(second, space)
        handed = _handed_over(prefill, decode, p, d, answer)
        if handed is None:
            return None
        knobs = knobs_for(second, decode.search.calibration)
        return prompt, handed, knobs_for(first, prefill.search.calibration), knobs
    except WellfedError:
        return None


def _worker(side: Side) -> tuple[Request, Room]:
    """One worker's request, for a node alone."""
    plan = side.plan
    layout: Layout = replace(plan.layout, gpus=side.worker_gpus, data_parallel=1, prefill_gpus=0)
    workload = replace(plan.workload, request_rate=None, concurrency=max(1, layout.max_sequences))
    request = Request(replace(plan.machine, count=1), plan.model, plan.weights, layout, workload)
    return request, room(request)


def _handed_over(prefill: Side, decode: Side, p: int, d: int, shape: Shape) -> Shape | None:
    """The shape with its cache counted as the network makes it: `split` hands it over by the link inside a node. None
    where the cell needs a network and none is told.
    """
    first, second = p / prefill.workers_a_node, d / decode.workers_a_node
    if prefill.stock == decode.stock and first + second <= 1:
        return shape
    shares = [side.plan.machine.network_bytes_per_s for side in (prefill, decode)]
    if None in shares:
        return None
    slowest = min((rate or 0.0) / side.workers_a_node for rate, side in zip(shares, (prefill, decode), strict=True))
    return replace(shape, context_bytes=shape.context_bytes * max(1.0, shape.link_bandwidth / slowest))


def _together(cell: Cell) -> float | None:
    """What the cell's GPUs take without a split, by the same closed loop."""
    rates = [_aggregated(cell.prefill, cell.prefill_workers), _aggregated(cell.decode, cell.decode_workers)]
    return total_of_known(rates)


def _aggregated(side: Side, workers: int) -> float | None:
    request, _ = _worker(side)
    best: float | None = None
    users = 1
    while users <= _MOST_USERS:
        try:
            estimate = side.search.estimate(replace(request, workload=replace(request.workload, concurrency=users)))
        except WellfedError:
            break
        load = request.workload
        late = load.ttft_target_s is not None and estimate.ttft_s.value > load.ttft_target_s
        if late or (load.tpot_target_s is not None and estimate.tpot_s.value > load.tpot_target_s):
            break
        best = max(best or 0.0, estimate.total_tok_s.value / load.output_tokens)
        users = max(users + 1, users * 9 // 8)
    return None if best is None else best * workers
