"""`numa-memory`: has every NUMA node with CPUs memory too?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, passed, skip, unread, warn
from wellfed.checks.places import some_nodes_only
from wellfed.hardware.machine import Machine, NumaNode
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict
from wellfed.units import format_bytes


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per NUMA node with CPUs."""
    nodes = [node for node in machine.numa_nodes if not node.gpu_memory and node.cpus]
    if not nodes:
        return [unread(machine, sentence("checked.numa-nodes", "NUMA nodes"), "numa_nodes")]
    if len(nodes) == 1 and some_nodes_only(machine):
        return [unread(machine, sentence("check.numa-memory.all-numa-nodes", "all NUMA nodes"), "numa_nodes.partial")]
    if len(nodes) == 1:
        return [skip(sentence("check.numa-memory.one-numa-node", "one NUMA node"))]
    largest = max(node.memory_bytes or 0 for node in nodes)
    return [_judge_node(machine, node, largest) for node in nodes]


def _judge_node(machine: Machine, node: NumaNode, largest: int) -> Finding:
    subject = f"node{node.os_index}"
    if node.memory_bytes is None:
        return unread(
            machine,
            sentence("check.numa-memory.node-memory", "the node's memory"),
            subject,
            "numa_nodes",
            subject=subject,
        )
    measured, wanted = format_bytes(node.memory_bytes), format_bytes(largest)
    if node.memory_bytes == 0:
        return fail(
            subject,
            sentence("check.numa-memory.cpus-but-memory", "has CPUs but no memory: every access is remote"),
            measured,
            wanted,
        )
    if node.memory_bytes < largest * 0.7:
        return warn(
            subject,
            sentence("check.numa-memory.much-less-memory", "has much less memory than the largest node"),
            measured,
            wanted,
        )
    return passed(subject, sentence("check.numa-memory.share-memory", "has its share of memory"), measured)


def repair(machine: Machine) -> Machine:
    """Every node with CPUs as large as the largest."""
    nodes_with_cpus = [node for node in machine.numa_nodes if not node.gpu_memory and node.cpus]
    largest = max((node.memory_bytes or 0 for node in nodes_with_cpus), default=0)
    nodes = tuple(
        replace(node, memory_bytes=largest)
        if node in nodes_with_cpus and node.memory_bytes is not None and node.memory_bytes < largest * 0.7
        else node
        for node in machine.numa_nodes
    )
    return replace(machine, numa_nodes=nodes)


CHECK = Check(
    id="numa-memory",
    code="NUM-03",
    title=sentence("check.numa-memory.title", "Every NUMA node with CPUs has its share of memory"),
    severity=Verdict.FAIL,
    reads="/sys/devices/system/node/node*/meminfo",
    rule=sentence(
        "check.numa-memory.rule", "A node with CPUs and no memory fails; one with less than 70 % of the largest warns."
    ),
    judge=judge,
    traps=(
        sentence(
            "check.numa-memory.trap-gpu-own-memory",
            "A GPU's own memory node (Grace Hopper) and nodes without CPUs (CXL, HBM) do not count.",
        ),
    ),
    ask=("numactl -H",),
    refs=("https://docs.kernel.org/admin-guide/mm/numaperf.html",),
    repair=repair,
)
