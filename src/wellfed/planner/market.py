"""Whole machines for a model: every GPU of the catalogue, in every count, in every host that takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from wellfed.catalog.hardware import cpus, gpus
from wellfed.catalog.prices import Prices
from wellfed.engines.capabilities import CAPABILITIES, usable_quantisations, why_not
from wellfed.errors import WellfedError
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine
from wellfed.hardware.parts import GpuSpec
from wellfed.message import Message, message, sentence
from wellfed.models.model import Model
from wellfed.models.quantisation import weights
from wellfed.models.weights import Weights
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Speeds, speeds_of
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, EXPERTS_ON_CPU, Engine, Layout, NumaPolicy
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.estimate import estimate, speeds
from wellfed.perf.memory import spare_bytes
from wellfed.planner.degrees import divides
from wellfed.planner.goal import Goal, Objective
from wellfed.planner.power import power
from wellfed.planner.search import QuantisationOf, lateness_of
from wellfed.planner.sensitivity import Sensitivity, sensitivities
from wellfed.planner.which_cpu import WhichCpu, which_cpu
from wellfed.planner.which_cpu import behind as with_cpu
from wellfed.written.hosts import Host, hosted, hosts, own_machine

_COUNTS = (1, 2, 4, 8)
_ROOM_BYTES = 1.5e9  # context and cache on each GPU, a first bound only; the ledger decides
_WHOLE = ("soc", "superchip")
_OLDEST = 2016  # GPUs before that are in no engine's support list


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine, its plan, what it draws and what it costs (None without prices, with the reason)."""

    machine: Machine
    plan: Plan
    power_w: float | None
    price: float | None
    price_reason: str = ""
    cpu: WhichCpu | None = None  # how its host's CPU was chosen; None where it comes with the GPU

    @property
    def parts(self) -> int:
        """GPUs and CPUs together: the fewer, the simpler."""
        return _parts(self.machine)


def _parts(machine: Machine) -> int:
    return len(machine.gpus) + len(machine.sockets)


@dataclass(frozen=True, slots=True)
class _Bid:
    """An offer before somebody looks at it: what its plan would be asked, and how fast that is."""

    request: Request
    speeds: Speeds
    power_w: float | None
    price: float | None
    price_reason: str

    @property
    def machine(self) -> Machine:
        return self.request.machine

    def offer(self, calibration: Calibration) -> Offer:
        """The offer, with its plan estimated whole."""
        request = self.request
        computed = estimate(request, calibration)
        plan = Plan(request.machine, request.model, request.weights, request.layout, request.workload, computed)
        return Offer(self.machine, plan, self.power_w, self.price, self.price_reason)


@dataclass(frozen=True, slots=True)
class Market:
    """Offers, best first; how many machines were looked at. `nearest`: where none is within budget and power, the
    cheapest that can do it, or that draws least.
    """

    offers: tuple[Offer, ...]
    machines: int
    feasible: int
    weakest: tuple[Sensitivity, ...] = ()
    ranked_by: Message | None = None
    currency: str = ""
    nearest: Offer | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """What the machine is bought for. `budget` is in the currency of the prices."""

    model: Model
    workload: Workload
    goal: Goal
    quantisation: QuantisationOf
    calibration: Calibration
    prices: Prices | None = None
    budget: float | None = None
    most_power_w: float | None = None


@dataclass(frozen=True, slots=True)
class _Family:
    """The same GPUs in several hosts. Where the GPUs hold the model, hosts differ little: the first speaks for all."""

    machines: tuple[Callable[[], Machine], ...]
    alike: bool


def market(demand: Demand, keep: int = 12) -> Market:
    """Every machine's likely best layout, estimated; the best `keep` machines of different GPUs and counts.

    Offers that meet the latency targets come first. Then: the price per tokens/s where prices are given, else power,
    then the count of parts; for `throughput` and `latency` the speed decides, for `quality` the bits. Of GPUs that hold
    the model themselves, one host is tried first, and the others for the front runners.
    """
    first: list[tuple[_Bid, _Family]] = []
    count = 0
    for family in _families(demand):
        count += len(family.machines)
        tried = family.machines[:1] if family.alike else family.machines
        first += [(bid, family) for make in tried if (bid := _bid(demand, make)) is not None]
    able = [bid for bid, _ in first]
    first = [pair for pair in first if _affordable(demand, pair[0])]
    first.sort(key=lambda pair: _rank(demand, pair[0]))
    bids = [bid for bid, _ in first]
    for _, family in first[: 2 * keep]:
        rest = family.machines[1:] if family.alike else ()
        more = [bid for make in rest if (bid := _bid(demand, make)) is not None]
        bids += [bid for bid in more if _affordable(demand, bid)]
    bids.sort(key=lambda bid: _rank(demand, bid))
    chosen = [_with_cpu(demand, bid) for bid in _different(bids, keep)]
    chosen.sort(key=lambda offer: _rank_of(demand, offer))
    weakest = _sensitivities(demand, chosen[0].plan) if chosen else ()
    currency = demand.prices.currency if demand.prices else ""
    nearest = None if chosen else min(able, key=lambda bid: _excess(demand, bid), default=None)
    beyond = None if nearest is None else nearest.offer(demand.calibration)
    return Market(tuple(chosen), count, len(bids), weakest, ranked_by(demand), currency, beyond)


def _with_cpu(demand: Demand, bid: _Bid) -> Offer:
    """The offer in the same host with the cheapest, or least, CPU that costs its plan less than 3 %."""
    offer = bid.offer(demand.calibration)
    choice = which_cpu(offer.plan, demand.calibration, cpus(), demand.prices)
    if choice is None:
        return offer
    machine = with_cpu(bid.machine, choice.pick.cpu, choice.pick.sockets)
    rebid = None if machine is None else _bid_for(demand, machine)
    if rebid is None:
        return offer
    worse = bid.price is not None and (rebid.price is None or rebid.price > bid.price)
    final_offer = offer if worse or not _affordable(demand, rebid) else rebid.offer(demand.calibration)
    return replace(final_offer, cpu=choice)


def _families(demand: Demand) -> Iterator[_Family]:
    """Every GPU in every count, in the hosts that take it; machines that come whole; hosts alone."""
    least = _least_bytes(demand)
    for gpu in gpus():
        if (gpu.year is not None and gpu.year < _OLDEST) or "laptop" in gpu.id:
            continue
        if gpu.form in _WHOLE:
            yield _Family((partial(own_machine, gpu),), alike=False)
            continue
        for count in _COUNTS:
            family = _hosted(gpu, count, demand.model, least)
            if family.machines:
                yield family
    for host in hosts():
        module = next((size for size in host.module_gib if host.memory_bytes(size) > least), None)
        if module is not None:
            yield _Family((partial(hosted, host, None, 0, module),), alike=False)


def _least_bytes(demand: Demand) -> float:
    """The weights at the coarsest quality that is accepted."""
    coarsest = (
        "ud-iq1_s" if demand.goal.least_quality_bits < 2 else "q2_k" if demand.goal.least_quality_bits < 4 else "iq4_xs"
    )
    names = demand.goal.quantisations or (coarsest,)
    return min(weights(demand.model, demand.quantisation(name)).total for name in names)


def _hosted(gpu: GpuSpec, count: int, model: Model, least: float) -> _Family:
    on_gpus = count * (gpu.memory_bytes - _ROOM_BYTES) > least
    machines: list[Callable[[], Machine]] = []
    if on_gpus or (model.is_moe and count == 1):
        for host in hosts():
            if not host.takes(gpu, count) or not _sensible(host, gpu, count):
                continue
            enough = host.memory_bytes(host.module_gib[0]) if on_gpus else least + 16e9
            module = next((size for size in host.module_gib if host.memory_bytes(size) >= enough), None)
            if module is not None:
                machines.append(partial(hosted, host, gpu, count, module))
    return _Family(tuple(machines), alike=on_gpus)


def _sensible(host: Host, gpu: GpuSpec, count: int) -> bool:
    """Hosts whose PCIe generation is not behind the card's, desktops only for what fits a desktop."""
    if gpu.form in ("sxm", "oam"):
        return count in (4, 8)
    newer = (gpu.pcie_generation or 4) >= 5
    if host.id == "server-used":
        return not newer
    return host.id != "desktop" or (gpu.board_power_w or 300) * count <= 1200


def _best(demand: Demand, machine: Machine) -> tuple[Request, Speeds] | None:
    """The best of the likely layouts that fit, and how fast it is."""
    best: tuple[tuple[float, ...], Request, Speeds] | None = None
    for layout, model_weights in _likely(demand, machine):
        request = Request(machine, demand.model, model_weights, layout, demand.workload)
        spare = spare_bytes(request)
        if spare is None or spare < 0:
            continue
        try:
            reached = speeds(request, demand.calibration)
        except WellfedError:
            continue
        key = (lateness_of(demand.workload, reached), -reached.total_tok_s)
        if best is None or key < best[0]:
            best = key, request, reached
    return best[1:] if best else None


def _likely(demand: Demand, machine: Machine) -> Iterator[tuple[Layout, Weights]]:
    """The few layouts that usually win: all on GPUs in the finest weights that fit, experts on CPU, CPU alone."""
    gpu = machine.gpus[0].spec if machine.gpus else None
    if gpu is None:
        yield from _first_fitting(demand, Engine.LLAMA_CPP, None, machine.memory_bytes or 0.0, _cpu_layout(machine))
        return
    room = sum((g.memory_bytes or 0) - _ROOM_BYTES for g in machine.gpus)
    count = len(machine.gpus)
    several = count > 1 or demand.workload.concurrency > 1
    engine = (
        Engine.VLLM if several and why_not(CAPABILITIES[Engine.VLLM], demand.model, gpu) is None else Engine.LLAMA_CPP
    )
    tensor = _tensor(demand, count) if engine is Engine.VLLM else 1
    slots = next((n for n in CAPABILITIES[engine].max_sequences if n >= demand.workload.concurrency), 1024)
    replicas = count // tensor if engine is Engine.VLLM else 1
    on_gpu = Layout(
        engine, "", gpus=count, tensor_parallel=tensor, data_parallel=replicas, max_sequences=slots, offload=ALL_GPU
    )
    room = room / replicas
    fitting = list(_first_fitting(demand, engine, gpu, room * 0.9, on_gpu))
    yield from fitting
    if not fitting and demand.model.is_moe and machine.sockets:
        policy = NumaPolicy.ONE_SOCKET if len(machine.sockets) == 1 else NumaPolicy.INTERLEAVE
        mixed = Layout(Engine.LLAMA_CPP, "", gpus=1, offload=EXPERTS_ON_CPU, numa=policy, ubatch_tokens=2048)
        yield from _first_fitting(demand, Engine.LLAMA_CPP, gpu, machine.memory_bytes or 0.0, mixed)


def _tensor(demand: Demand, count: int) -> int:
    """The widest tensor parallelism that divides the model and the GPUs; the rest are replicas."""
    return max(n for n in range(1, count + 1) if count % n == 0 and divides(demand.model, n))


def _cpu_layout(machine: Machine) -> Layout:
    policy = NumaPolicy.ONE_SOCKET if len(machine.sockets) == 1 else NumaPolicy.INTERLEAVE
    return Layout(Engine.LLAMA_CPP, "", gpus=0, offload=CPU_ONLY, numa=policy)


def _first_fitting(
    demand: Demand, engine: Engine, gpu: GpuSpec | None, room: float, layout: Layout
) -> Iterator[tuple[Layout, Weights]]:
    """The layout in the finest weights that fit, among those at least as fine as asked; 4 to 8 bits unless quality."""
    names = demand.goal.quantisations or usable_quantisations(CAPABILITIES[engine], demand.model, gpu)
    for name in names:
        kind = demand.quantisation(name)
        if kind.bits < demand.goal.least_quality_bits:
            continue
        if kind.bits > 9 and demand.goal.objective is not Objective.QUALITY and not demand.goal.quantisations:
            continue
        model_weights = weights(demand.model, kind)
        if model_weights.total <= room:
            yield replace(layout, quantisation=name), model_weights
            return


def _bid(demand: Demand, make: Callable[[], Machine]) -> _Bid | None:
    """The machine with its best likely layout; None where it cannot be built or cannot run the model."""
    try:
        machine = make()
    except WellfedError:
        return None  # the lanes do not suffice
    bid = _bid_for(demand, machine)
    return bid if bid is not None and _affordable(demand, bid) else None


def _bid_for(demand: Demand, machine: Machine) -> _Bid | None:
    best = _best(demand, machine)
    if best is None:
        return None
    price, reason = (
        (None, sentence("planner.market.no-prices-given", "no prices were given"))
        if demand.prices is None
        else demand.prices.of(machine)
    )
    return _Bid(*best, power(machine).total_w, price, reason)


def _affordable(demand: Demand, offer: _Bid) -> bool:
    if demand.budget is not None and (offer.price is None or offer.price > demand.budget):
        return False
    return demand.most_power_w is None or (offer.power_w is not None and offer.power_w <= demand.most_power_w)


def _excess(demand: Demand, offer: _Bid) -> float:
    """How many times what was asked an offer costs or draws, the worse of the two; unknown is beyond all."""
    limits = ((demand.budget, offer.price), (demand.most_power_w, offer.power_w))
    return max((float("inf") if value is None else value / most for most, value in limits if most), default=0.0)


def ranked_by(demand: Demand) -> Message:
    """What the offers are sorted by, in a line."""
    match demand.goal.objective:
        case Objective.THROUGHPUT:
            return message("market.by-total", "sorted by how far targets are missed, then by tokens/s of all users")
        case Objective.LATENCY:
            return message("market.by-speed", "sorted by how far targets are missed, then by one user's tokens/s")
        case Objective.QUALITY:
            return message("market.by-weights", "sorted by how far targets are missed, then by fineness of the weights")
    if demand.prices is not None:
        return message("market.by-price", "sorted by how far targets are missed, then by money per token/s of all")
    return message("market.by-power", "sorted by how far targets are missed, then by power (no prices were given)")


def _rank(demand: Demand, bid: _Bid) -> tuple[float, ...]:
    missed, speed = lateness_of(demand.workload, bid.speeds), bid.speeds.total_tok_s
    match demand.goal.objective:
        case Objective.THROUGHPUT:
            return (missed, -speed)
        case Objective.LATENCY:
            return (missed, bid.speeds.tpot_s)
        case Objective.QUALITY:
            return (missed, -demand.quantisation(bid.request.layout.quantisation).bits, -speed)
        case _:
            unknown, parts = float("inf"), _parts(bid.machine)
            if demand.prices is not None:
                return (missed, unknown if bid.price is None else bid.price / speed, parts)
            return (missed, unknown if bid.power_w is None else bid.power_w, parts, -speed)


def _rank_of(demand: Demand, offer: Offer) -> tuple[float, ...]:
    plan = offer.plan
    request = Request(plan.machine, plan.model, plan.weights, plan.layout, plan.workload)
    return _rank(demand, _Bid(request, speeds_of(plan.estimate), offer.power_w, offer.price, offer.price_reason))


def _different(offers: Sequence[_Bid], keep: int) -> list[_Bid]:
    """One offer for each GPU and count."""
    seen: dict[tuple[str, int], _Bid] = {}
    for offer in offers:
        gpu = offer.machine.gpus[0].spec.id if offer.machine.gpus and offer.machine.gpus[0].spec else "cpu"
        seen.setdefault((gpu, len(offer.machine.gpus)), offer)
        if len(seen) == keep:
            break
    return list(seen.values())


def _sensitivities(demand: Demand, plan: Plan) -> tuple[Sensitivity, ...]:
    return sensitivities(plan, lambda request: estimate(request, demand.calibration))
