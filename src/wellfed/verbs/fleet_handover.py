"""The verb that hands a fleet over: nodes as labels and Slurm's files, a fleet's plan as manifests and thresholds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wellfed.engines.spec import Endpoint
from wellfed.errors import BadInput, WellfedError
from wellfed.fleet.disaggregation import Cell
from wellfed.fleet.handover import dynamo, manifests, scaling, serving
from wellfed.fleet.handover.labels import labels
from wellfed.fleet.handover.node_features import feature_file, node_features
from wellfed.fleet.handover.replica_set import ReplicaSet, named
from wellfed.fleet.handover.slurm_files import gres, node_lines, topology
from wellfed.fleet.handover.slurm_health import Expected, health_script
from wellfed.fleet.replicas import Capacity, Share
from wellfed.fleet.traits import product
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.message import message
from wellfed.nouns.finding import Finding
from wellfed.topology.collect import collect
from wellfed.verbs import inputs
from wellfed.verbs.commands import command_for, model_reference
from wellfed.verbs.fleet_planning import FleetPlan
from wellfed.verbs.fleets import fleet_check, snapshot_path, snapshots

_PORT = 8000
PLAN_FORMS: Mapping[str, Callable[[Sequence[ReplicaSet]], str]] = {
    "kubernetes": manifests.manifests,
    "dra": manifests.with_claims,
    "kserve": serving.kserve,
    "llm-d": serving.llm_d,
    "dynamo": dynamo.dynamo,
    "ray-serve": serving.ray_serve,
    "keda": scaling.keda,
    "hpa": scaling.hpa,
}
# What hands the cache over: vLLM documentation, NixlConnector usage, one connector on both sides. KServe's own presets
# for prefill and decode add it, and so does the room for Dynamo.
_CONNECTOR = ("--kv-transfer-config", '{"kv_connector":"NixlConnector","kv_role":"kv_both"}')
_APART: Mapping[str, tuple[str, ...]] = {"kserve": (), "llm-d": _CONNECTOR, "dynamo": ()}


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """`switches`: leaf switches with their nodes, which no snapshot tells; `days` that a feature file holds."""

    switches: tuple[tuple[str, tuple[str, ...]], ...] = ()
    days: float | None = None
    namespace: str = "node-feature-discovery"


def plan_export(plan: FleetPlan, form: str) -> str:
    """A plan's replicas in one of `PLAN_FORMS`. Raises BadInput where nothing runs, Unsupported where a form cannot."""
    sets = replica_sets(plan)
    apart = _apart(plan, _APART[form]) if form in _APART else None
    return PLAN_FORMS[form](sets if apart is None else [apart])


def replica_sets(plan: FleetPlan) -> list[ReplicaSet]:
    """Its replicas as what the exports write down. Raises BadInput where none runs."""
    shares = [share for share in plan.deployment.shares if share.replicas]
    if not shares:
        raise BadInput(message("handover.nothing", "{model} runs on none of these nodes: nothing to hand over",
                               model=plan.model))  # fmt: skip
    return [_set(plan, share, named(plan.model, n, len(shares))) for n, share in enumerate(shares, 1)]


def _set(plan: FleetPlan, share: Share, name: str, more: tuple[str, ...] = ()) -> ReplicaSet:
    capacity_plan = share.capacity.plan
    reference = model_reference(plan.model, capacity_plan)
    spec = command_for(capacity_plan, reference, Endpoint("0.0.0.0", _PORT))
    spec = replace(spec, argv=(*spec.argv, *more))
    return ReplicaSet(name, share, spec, capacity_plan.model.id.rpartition("/")[2], reference.argument)


def _apart(plan: FleetPlan, more: tuple[str, ...]) -> ReplicaSet | None:
    """Decode workers with their prefill workers: the best cell on one kind of nodes, as often as the rate needs it.

    Both have `more` arguments. None where none was asked for, none is within the targets, or nodes are too few.
    """
    same = [s for s in plan.splits or () if s.cell.prefill.stock == s.cell.decode.stock and s.enough and s.cells]
    if not same:
        return None
    cell, cells = same[0].cell, same[0].cells
    name = named(plan.model, 1, 1)
    counts = (cells * cell.decode_workers, cells * cell.prefill_workers)
    decode, prefill = (_set(plan, _workers(cell, count), name, more) for count in counts)
    return replace(decode, prefill=prefill)


def _workers(cell: Cell, count: int) -> Share:
    """So many workers of the cell's layout, each a replica of its own."""
    plan = cell.decode.plan
    layout = replace(plan.layout, gpus=cell.decode.worker_gpus, data_parallel=1)
    capacity = Capacity(1, cell.requests_per_s / cell.decode_workers, replace(plan, layout=layout))
    return Share(cell.decode.stock, capacity, count)


def node_export(form: str, folder: Path | None, options: NodeOptions) -> Mapping[str, str]:
    """Texts by file name. Without a folder: of this machine."""
    if form == "slurm-health":
        return {"wellfed-health.sh": _health(folder)}
    machines, facts_by_node = _machines(folder)
    match form:
        case "nfd":
            return {f"{node}.features": feature_file(facts_by_node[node], days=options.days) for node in machines}
        case "node-features":
            return {"node-features.json": node_features(facts_by_node, options.namespace)}
        case "slurm-gres":
            return {"gres.conf": gres(machines)}
        case "slurm-nodes":
            return {"nodes.conf": node_lines(machines, facts_by_node)}
        case _:
            return {"topology.conf": topology(list(machines), options.switches)}


def _machines(folder: Path | None) -> tuple[dict[str, Machine], dict[str, Mapping[str, str]]]:
    """Machines and their labels by node, under the nodes' own names where those are known here."""
    import socket

    if folder is None:
        machine = inputs.machine()
        node = socket.gethostname().partition(".")[0].lower() or "this"
        return {node: machine}, {node: labels(machine, _findings(machine))}
    machines: dict[str, Machine] = {}
    for label, path, name in snapshots(folder):
        try:
            machines[name or label] = inputs.captured(path)
        except WellfedError as error:
            problem = message("handover.unread", "{node}: {why}", node=label, why=error.message)
            raise BadInput(problem, message("handover.unread.hint", "gather it again, or move it away")) from error
    return machines, {node: labels(machine, _findings(machine)) for node, machine in machines.items()}


def _findings(machine: Machine) -> tuple[Finding, ...]:
    from wellfed.checks.run import run_checks

    return tuple(run_checks(machine))


def _health(folder: Path | None) -> str:
    """Each build's usual machine; builds that share a product's name cannot be told apart on a node."""
    if folder is None:
        machine = inputs.machine()
        return health_script([Expected(product(machine, collect()), machine)])
    builds = fleet_check(folder).builds
    names = Counter(build.product for build in builds)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise BadInput(
            message("handover.two-builds", "{count} builds are called {name}: a node could not tell which it is",
                    count=names[twice[0]], name=twice[0]),
            message("handover.two-builds.hint", "put the snapshots of each build into a folder of its own"),
        )  # fmt: skip
    usual = (inputs.captured(snapshot_path(folder, (build.equal or build.labels)[0])) for build in builds)
    return health_script([Expected(build.product, machine) for build, machine in zip(builds, usual, strict=True)])
