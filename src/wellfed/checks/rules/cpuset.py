"""`cpuset`: may the engine use the CPUs and the memory beside its GPUs?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, fail, missing, passed, warn
from wellfed.checks.pcie_path import by_address
from wellfed.checks.places import cards, node_of
from wellfed.checks.rules.cpu_offline import spans
from wellfed.faults.cpus import WIDEN_SET
from wellfed.hardware.machine import Machine
from wellfed.message import listed, sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    online, allowed = machine.os.cpus_online, machine.os.cpus_allowed
    if allowed is None or online is None:
        return [missing(machine, sentence("checked.cpu-set", "CPU set"), "os.cpus_allowed", "cpuset", "cgroup")]
    measured, wanted = f"CPUs {spans(allowed)}", f"CPUs {spans(online)}"
    if stranded := _stranded(machine, set(allowed)):
        why = sentence(
            "check.cpuset.none-cpus-beside",
            "none of the CPUs beside {stranded} is allowed: all its work crosses the sockets",
            stranded=listed(stranded),
        )
        return [fail(SYSTEM, why, measured, wanted, [WIDEN_SET])]
    if lost := _memory_elsewhere(machine, set(allowed)):
        nodes = ",".join(map(str, machine.os.memory_nodes_allowed or ()))
        why = sentence(
            "check.cpuset.threads-may-run",
            "threads may run on node {lost}, but have no memory there",
            lost=listed(lost),
        )
        return [
            fail(
                SYSTEM,
                why,
                sentence("check.cpuset.memory-node", "memory of node {nodes}", nodes=nodes),
                wanted,
                [WIDEN_SET],
            )
        ]
    if len(set(allowed) & set(online)) < len(online):
        why = sentence(
            "check.cpuset.process-may-use",
            "the process may use {count} of {count2} CPUs",
            count=len(allowed),
            count2=len(online),
        )
        return [warn(SYSTEM, why, measured, wanted, [WIDEN_SET])]
    return [passed(SYSTEM, sentence("check.cpuset.all-online-cpus", "all online CPUs are allowed"), measured)]


def _stranded(machine: Machine, allowed: set[int]) -> list[str]:
    cpus = {node.os_index: set(node.cpus) for node in machine.numa_nodes if node.cpus}
    devices = by_address(machine)
    homes = {gpu.index: node_of(machine, gpu, devices) for gpu in cards(machine)}
    return [f"gpu{index}" for index, node in homes.items() if node in cpus and not cpus[node] & allowed]


def _memory_elsewhere(machine: Machine, allowed: set[int]) -> list[int]:
    mems = machine.os.memory_nodes_allowed
    if mems is None:
        return []
    nodes = [node for node in machine.numa_nodes if node.cpus and node.memory_bytes != 0]
    return [node.os_index for node in nodes if set(node.cpus) & allowed and node.os_index not in mems]


def repair(machine: Machine) -> Machine:
    """The machine with all online CPUs and all nodes' memory allowed."""
    if machine.os.cpus_allowed is None or machine.os.cpus_online is None:
        return machine
    mems = machine.os.memory_nodes_allowed
    nodes = None if mems is None else tuple(sorted({*mems, *(node.os_index for node in machine.numa_nodes)}))
    settings = replace(machine.os, cpus_allowed=machine.os.cpus_online, memory_nodes_allowed=nodes)
    return replace(machine, os=settings)


CHECK = Check(
    id="cpuset",
    code="CPU-06",
    title=sentence("check.cpuset.title", "The process may use the CPUs and memory beside its GPUs"),
    severity=Verdict.FAIL,
    reads=sentence("check.cpuset.reads", "Cpus_allowed_list and Mems_allowed_list of /proc/self/status, cgroup cpuset"),
    rule=sentence(
        "check.cpuset.rule",
        "For every GPU some CPU of its node is allowed, and memory of every node whose CPUs are "
        "(else fail); fewer CPUs than online warns.",
    ),
    judge=judge,
    ask=("grep allowed_list /proc/self/status",),
    refs=("https://docs.kernel.org/admin-guide/cgroup-v2.html#cpuset",),
    repair=repair,
)
