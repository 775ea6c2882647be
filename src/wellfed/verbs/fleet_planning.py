"""A model on several kinds of nodes: what a replica takes, how many are needed, what a trace would see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellfed.errors import BadInput, UnknownName, WellfedError
from wellfed.fleet.disaggregation import Disaggregation, disaggregated, side
from wellfed.fleet.network import Network, network
from wellfed.fleet.replicas import (
    Capacity,
    Deployment,
    Routing,
    Stock,
    capacity,
    deploy,
    fits,
    routing,
    smallest_groups,
)
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.message import Message, message, message_of
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.verbs import inputs, planning

if TYPE_CHECKING:
    from wellfed.fleet.simulate import Simulated
    from wellfed.planner.search import Search

_UNFIT = message("fleet.unfit", "does not fit")
_TOO_LATE = message("fleet.too-late", "too late with one user already: the targets are out of reach")
SERVING = (Engine.VLLM, Engine.SGLANG)  # what carries work over machines today, and has a router in front


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """What is asked. `machines`: (count, line) of each kind of node, with prices by the hour in the same order."""

    machines: tuple[tuple[int, str], ...] = ()
    snapshots: Path | None = None
    network: str | None = None
    workload: Workload = PRESETS["chat"]
    rate: float | None = None
    spare: int = 0
    p99: bool = False
    prices_hour: tuple[float, ...] = ()
    engines: tuple[Engine, ...] = ()
    quantisations: tuple[str, ...] = ()
    trace: Path | None = None
    disaggregate: bool = False  # also: prefill and decode on workers of their own


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of node as it was planned: a replica's capacity by how many nodes it spans, or why there is none."""

    stock: Stock
    machine: Machine
    capacities: tuple[Capacity, ...]
    why: Message | None = None


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """The answer: kinds, the deployment, what a trace would see, what a router changes."""

    model: str
    workload: Workload
    kinds: tuple[Kind, ...]
    deployment: Deployment
    routing: Routing | None = None
    simulated: Simulated | None = None
    network: Network | None = None
    splits: tuple[Disaggregation, ...] | None = None  # the best first; None: not asked for
    blind: Simulated | None = None  # the trace behind a router that knows no prefixes; None: it has no conversations

    @property
    def meets(self) -> bool:
        """Whether the replicas carry the rate (without one: whether any runs at all)."""
        return bool(self.deployment.shares) and self.deployment.short == 0


def fleet_plan(model: str, options: FleetOptions) -> FleetPlan:
    """Replicas for a load on the nodes there are. Raises BadInput for a fleet without nodes, a trace that is none."""
    between = network(options.network) if options.network is not None else None
    stocks = _stocks(options, between)
    kinds = []
    searches: dict[str, Search] = {}
    for stock, machine in stocks:
        kind, kind_searches = _kind(model, stock, machine, options, between)
        kinds.append(kind)
        searches.update(kind_searches)
    deployment = deploy([(kind.stock, kind.capacities) for kind in kinds], options.rate, options.spare)
    simulated = blind = None
    if options.trace is not None and deployment.shares:
        simulated, blind = _through(options.trace, deployment, searches, options)
    first = deployment.shares[0] if deployment.shares else None
    turns = None
    if first is not None:
        reached = _search_of(searches, first.stock, first.capacity.nodes)
        turns = routing(reached, first.replicas, rate=options.rate, spare=options.spare)
    splits = _splits(kinds, searches, options) if options.disaggregate else None
    return FleetPlan(model, options.workload, tuple(kinds), deployment, turns, simulated, between, splits, blind)


def _splits(kinds: Sequence[Kind], searches: dict[str, Search], options: FleetOptions) -> tuple[Disaggregation, ...]:
    """Prefill and decode on workers of their own, on each kind of nodes and over each two; the best first."""
    sides = []
    for kind in kinds:
        for smallest in kind.capacities[:1]:
            pool = side(kind.stock, _search_of(searches, kind.stock, smallest.nodes), smallest)
            sides += [pool] if pool is not None else []
    pairs = ((a, b) for a in sides for b in sides)
    splits = [split for a, b in pairs if (split := disaggregated(a, b, options.rate, options.spare)) is not None]
    return tuple(sorted(splits, key=lambda split: -split.worth))


def _stocks(options: FleetOptions, between: Network | None) -> list[tuple[Stock, Machine]]:
    if not options.machines and options.snapshots is None:
        raise BadInput(
            message("fleet.no-machines", "no machine is named"),
            message("fleet.no-machines.hint", "--machines '3=8x h200, 2x xeon 8480+', or --snapshots FOLDER"),
        )
    if options.prices_hour and len(options.prices_hour) != len(options.machines):
        raise BadInput(
            message("fleet.prices", "--price-hour is given {prices} times, --machines {kinds} times",
                    prices=len(options.prices_hour), kinds=len(options.machines)),
            message("fleet.prices.hint", "one --price-hour for each --machines, in the same order"),
        )  # fmt: skip
    prices: Sequence[float | None] = options.prices_hour or [None] * len(options.machines)
    stocks = [
        (Stock(line, count, price), _joined(inputs.machine(line, 1), between))
        for (count, line), price in zip(options.machines, prices, strict=True)
    ]
    if options.snapshots is not None:
        stocks += _of_snapshots(options.snapshots, between)
    return stocks


def _joined(machine: Machine, between: Network | None, nodes: int = 1) -> Machine:
    """A machine whose network is what a group of so many nodes has of it; without one told, its own."""
    return machine if between is None else replace(machine, network_bytes_per_s=between.between(nodes))


def _of_snapshots(folder: Path, between: Network | None) -> list[tuple[Stock, Machine]]:
    """One kind a build, as its first usual machine is."""
    from wellfed.verbs.fleets import fleet_check, snapshot_path

    stocks = []
    for build in fleet_check(folder).builds:
        label = (build.equal or build.labels)[0]
        machine = _joined(replace(inputs.captured(snapshot_path(folder, label)), count=1), between)
        if machine.gpus:
            name = " · ".join(part for part in (build.product, build.cpus, build.gpu) if part)
            stocks.append((Stock(name, len(build.labels)), machine))
    if not stocks:
        raise BadInput(message("fleet.no-gpus", "no machine of {folder} has a GPU", folder=str(folder)))
    return stocks


def _kind(
    model: str, stock: Stock, machine: Machine, options: FleetOptions, between: Network | None
) -> tuple[Kind, dict[str, Search]]:
    """The smallest group of nodes that holds the model within the targets, and the next larger one."""
    capacities: list[Capacity] = []
    searches: dict[str, Search] = {}
    why: Message | None = None
    for nodes in smallest_groups(stock.count):
        if nodes > 1 and machine.network_bytes_per_s is None:
            if why is None or why.id == _UNFIT.id:
                why = message("fleet.no-network", "does not fit one node, and no network is told (--network)")
            break
        try:
            group = replace(_joined(machine, between, nodes), count=nodes)
            search, _ = planning.search(model, _plan_options(options), group)
            kind_capacity = capacity(search, options.p99)
        except UnknownName:
            raise
        except WellfedError as error:
            why = message_of(error.message) or message("fleet.cannot", "{why}", why=error.message)
            continue
        if kind_capacity is None:
            why = _TOO_LATE if fits(search) else _UNFIT
            continue
        capacities.append(kind_capacity)
        searches[_key(stock, nodes)] = search
        if len(capacities) == 2 or options.rate is None:
            break
    return Kind(stock, machine, tuple(capacities), None if capacities else why), searches


def _plan_options(options: FleetOptions) -> planning.PlanOptions:
    return planning.PlanOptions(
        workload=options.workload, engines=options.engines or SERVING, quantisations=options.quantisations
    )


def _key(stock: Stock, nodes: int) -> str:
    return f"{nodes} {stock.name}"


def _search_of(searches: dict[str, Search], stock: Stock, nodes: int) -> Search:
    return searches[_key(stock, nodes)]


def _through(
    path: Path, deployment: Deployment, searches: dict[str, Search], options: FleetOptions
) -> tuple[Simulated, Simulated | None]:
    """The trace behind a router that knows prefixes, and, where it has conversations, behind one that does not."""
    from wellfed.fleet.simulate import simulate, speed
    from wellfed.fleet.trace import read_trace

    arrivals = read_trace(path)
    replicas = [
        replica
        for share in deployment.shares
        for replica in [speed(_search_of(searches, share.stock, share.capacity.nodes), share.capacity.plan)]
        * share.replicas
    ]
    targets = (options.workload.ttft_target_s, options.workload.tpot_target_s)
    seen = simulate(arrivals, replicas, *targets)
    if len(replicas) < 2 or not any(arrival.conversation for arrival in arrivals):
        return seen, None
    return seen, simulate(arrivals, replicas, *targets, knows_prefixes=False)


def fleet_plan_document(plan: FleetPlan) -> dict[str, Any]:
    """The JSON document of `wellfed fleet plan --json`."""
    deployment = plan.deployment
    return {
        "schema": "wellfed.fleet-plan/1",
        "model": plan.model,
        "rate": deployment.rate,
        "meets": plan.meets,
        "requests_per_s": deployment.requests_per_s,
        "short_requests_per_s": deployment.short,
        "spare": deployment.spare,
        "price_hour": deployment.price_hour,
        "price_per_million_tokens": deployment.price_per_million(plan.workload.output_tokens),
        "kinds": [
            {
                "machine": kind.stock.name,
                "nodes": kind.stock.count,
                "why": kind.why.to_dict() if kind.why else None,
                "capacities": [_capacity(capacity) for capacity in kind.capacities],
            }
            for kind in plan.kinds
        ],
        "shares": [
            {
                "machine": share.stock.name,
                "replicas": share.replicas,
                "nodes": share.nodes,
                "price_hour": share.price_hour,
                "replica": _capacity(share.capacity),
            }
            for share in deployment.shares
        ],
        "network": None if plan.network is None else asdict(plan.network),
        "disaggregated": None if plan.splits is None else [_split(split) for split in plan.splits],
        "routing": None
        if plan.routing is None
        else {
            "replicas": plan.routing.replicas,
            "prefix_aware_requests_per_s": plan.routing.aware,
            "unaware_requests_per_s": plan.routing.unaware,
            "unaware_replicas_needed": plan.routing.needed,
        },
        "simulated": None if plan.simulated is None else _simulated_json(plan.simulated),
        "simulated_unaware": None if plan.blind is None else _simulated_json(plan.blind),
    }


def _simulated_json(simulated: Simulated) -> dict[str, Any]:
    return {
        "requests": simulated.requests,
        "seconds": simulated.seconds,
        "ttft_s": dict(zip(("mean", "p90", "p99"), simulated.ttft_s, strict=True)),
        "tpot_s": dict(zip(("mean", "p90", "p99"), simulated.tpot_s, strict=True)),
        "late": simulated.late,
        "tokens_per_s": simulated.tokens_per_s,
        "found_share": simulated.cached_share,
    }


def _split(split: Disaggregation) -> dict[str, Any]:
    cell = split.cell
    pools = {"prefill": (cell.prefill, cell.prefill_workers), "decode": (cell.decode, cell.decode_workers)}
    return {
        **{
            name: {"machine": pool.stock.name, "workers": workers, "gpus_a_worker": pool.worker_gpus}
            for name, (pool, workers) in pools.items()
        },
        "nodes": cell.nodes,
        "requests_per_s": cell.requests_per_s,
        "together_requests_per_s": split.together_requests_per_s,
        "users": cell.users,
        "ttft_s": cell.ttft_s,
        "tpot_s": cell.tpot_s,
        "cells": split.cells,
        "cells_there": split.cells_there,
        "enough": split.enough,
    }


def _capacity(capacity: Capacity) -> dict[str, Any]:
    from wellfed.planner.kinds import describe

    layout, estimate = capacity.plan.layout, capacity.plan.estimate
    return {
        "nodes": capacity.nodes,
        "engine": layout.engine.value,
        "quantisation": layout.quantisation,
        "layout": describe(layout),
        "gpus": layout.gpus,
        "requests_per_s": capacity.requests_per_s,
        "tokens_per_s": capacity.tokens_per_s,
        "running": estimate.running,
        "ttft_s": estimate.ttft_s.value,
        "ttft_p99_s": estimate.ttft_p99_s,
        "tpot_s": estimate.tpot_s.value,
        "p99": capacity.p99,
    }
