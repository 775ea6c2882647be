"""What a fleet's faults cost its model: on each node alone, or on a group of nodes that one copy of the model spans.

A step of a tensor- or pipeline-parallel group ends when its last node is done: a group with one slow node is as fast
as a group of such nodes, and that is what is estimated for each node. All nodes of a build run one plan, the usual
machine's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wellfed.checks.pricing import as_is
from wellfed.checks.registry import select
from wellfed.errors import BadInput, WellfedError
from wellfed.fleet.checked import FAULTS, Group, Node
from wellfed.fleet.kinds import Build
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.message import message
from wellfed.nouns.finding import Verdict
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.estimate import estimate
from wellfed.verbs import inputs
from wellfed.verbs.checking import Pricer, check, check_plan, no_price

_FAST = 10e9 / 8  # bytes/s; slower ports carry no tensors


def priced(
    nodes: Sequence[Node],
    builds: Sequence[Build],
    paths: Mapping[str, Path],
    model: str,
    workload: Workload,
    group: Group | None,
) -> list[Node]:
    """The nodes with their speed and what each fault costs. Equal machines with the same faults are priced once."""
    inputs.model(model)  # an unknown name is an error before the work
    usual: dict[str, _Usual] = {}
    for build in builds:
        first = _Usual.of(paths[(build.equal or build.labels)[0]], model, workload, group)
        usual |= dict.fromkeys(build.labels, first)
    priced_nodes: dict[Any, Node] = {}
    nodes_priced = []
    for node in nodes:
        if node.member is None:
            nodes_priced.append(node)
            continue
        key = (node.member.family, *_traits(node), *_faults(node))
        if key not in priced_nodes:
            priced_nodes[key] = _priced(
                node, inputs.captured(paths[node.label]), usual[node.label], model, workload, group
            )
        nodes_priced.append(replace(priced_nodes[key], label=node.label, member=node.member, notes=node.notes))
    return nodes_priced


@dataclass(frozen=True, slots=True)
class _Usual:
    """A build's usual machine: what its ports can do, and the plan that all its nodes run (None: nothing fits it)."""

    ports: float | None
    plan: Plan | None

    @classmethod
    def of(cls, path: Path, model: str, workload: Workload, group: Group | None) -> _Usual:
        machine = inputs.captured(path)
        ports = _ports(machine)
        if no_price(machine) is not None:
            return cls(ports, None)
        return cls(ports, Pricer.of(_grouped(machine, group, ports), model, workload).plan)


def _traits(node: Node) -> tuple[Any, ...]:
    return tuple(sorted(node.member.traits.items())) if node.member else ()


def _faults(node: Node) -> tuple[Any, ...]:
    return tuple(sorted((f.id, f.subject, f.verdict.value) for f in node.findings))


def _priced(node: Node, machine: Machine, usual: _Usual, model: str, workload: Workload, group: Group | None) -> Node:
    """By the plan of its build, which is what runs on it; by one of its own where that does not fit it."""
    machine = _grouped(machine, group, usual.ports)
    own_plan = None if usual.plan is None else _estimated_on(usual.plan, machine)
    checked = check(machine, model, workload) if own_plan is None else check_plan(own_plan)
    rate = checked.plan.estimate.decode_tok_s.value if checked.plan else None
    gain = checked.together.decode_tok_s if checked.together else 0.0
    complaints = tuple(f for f in checked.findings if f.verdict in (*FAULTS, Verdict.UNKNOWN))
    best = None if rate is None else rate + gain
    return replace(node, findings=complaints, decode_tok_s=rate, best_tok_s=best)


def _estimated_on(plan: Plan, machine: Machine) -> Plan | None:
    """The plan on another machine of its build, as that performs; None where it does not fit."""
    if plan.layout.gpus > machine.count * len(machine.gpus):
        return None
    request = Request(as_is(machine, select()), plan.model, plan.weights, plan.layout, plan.workload)
    try:
        degraded = estimate(request, inputs.calibration(machine=machine))
    except WellfedError:
        return None
    return None if degraded.memory.fits is False else replace(plan, machine=machine, estimate=degraded)


def _grouped(machine: Machine, group: Group | None, usual_ports: float | None) -> Machine:
    """So many of the machine; without a group, itself. Its network: what is told, less what its ports are short of the
    usual ones; where nothing is told, what its ports can do. Raises BadInput where neither is known.
    """
    if group is None:
        return machine
    ports_rate = _ports(machine)
    rate = ports_rate
    if group.network is not None:
        lost = ports_rate / usual_ports if ports_rate is not None and usual_ports and ports_rate < usual_ports else 1.0
        rate = group.network.between(group.nodes) * lost
    if not rate:
        raise BadInput(
            message("fleet.group-network", "a group of {count} nodes needs a network, and {node} tells of none",
                    count=group.nodes, node=machine.name),
            message("fleet.group-network.hint", "such as --network '400g x8 rails'"),
        )  # fmt: skip
    return replace(machine, count=group.nodes, network_bytes_per_s=rate)


def _ports(machine: Machine) -> float | None:
    """All fast ports that are up, one direction; None where no rate is told."""
    rates = [
        nic.bytes_per_s
        for nic in machine.nics
        if nic.physical and nic.up is not False and nic.bytes_per_s and nic.bytes_per_s >= _FAST
    ]
    return sum(rates) if rates else None
