"""`numa-hidden`: does the system see the sockets' memory apart?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, passed, skip, unknown, unread, warn
from wellfed.checks.places import cpu_nodes
from wellfed.hardware.machine import Machine, NumaNode, Origin
from wellfed.message import message, sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    if not machine.sockets and machine.origin is not Origin.PARTS:
        return [unread(machine, sentence("check.numa-hidden.number-sockets", "the number of sockets"), "sockets")]
    if len(machine.sockets) < 2:
        return [skip(message("numa-hidden.one-socket", "one socket"))]
    nodes = cpu_nodes(machine)
    if not nodes:
        return [unread(machine, sentence("checked.numa-nodes", "NUMA nodes"), "numa_nodes")]
    if machine.origin is Origin.DUMP and len(nodes) < len(machine.sockets) and not _all_cpus(machine):
        return [
            unknown(
                sentence("check.numa-hidden.dump-may-show", "the dump may not show every NUMA node"),
                measured=sentence("check.numa-hidden.seen", "{count} seen", count=len(nodes)),
            )
        ]
    measured, wanted = (
        f"{len(nodes)} NUMA node(s)",
        sentence("check.numa-hidden.more", "{count} or more", count=len(machine.sockets)),
    )
    if len(nodes) < len(machine.sockets):
        why = sentence(
            "check.numa-hidden.several-sockets-look",
            "several sockets look like one memory: no program can keep its weights beside its threads",
        )
        return [warn("system", why, measured, wanted)]
    return [
        passed(
            "system",
            sentence("check.numa-hidden.each-socket-memory", "each socket's memory is a node of its own"),
            measured,
            wanted,
        )
    ]


def _all_cpus(machine: Machine) -> bool:
    """Whether the nodes that are shown have all threads of all sockets."""
    shown = {cpu for node in machine.numa_nodes for cpu in node.cpus}
    threads = [socket.threads for socket in machine.sockets]
    return all(threads) and len(shown) >= sum(count or 0 for count in threads)


def repair(machine: Machine) -> Machine:
    """The machine with a NUMA node for each socket."""
    if len(machine.sockets) < 2 or len(cpu_nodes(machine)) >= len(machine.sockets) or not machine.numa_nodes:
        return machine
    joined = machine.numa_nodes[0]
    count = len(machine.sockets)
    share = joined.memory_bytes // count if joined.memory_bytes else None
    free = joined.memory_free_bytes // count if joined.memory_free_bytes else None
    homes = {cpu.os_index: cpu.socket for cpu in machine.cpus}
    nodes = tuple(
        NumaNode(
            os_index=at,
            socket=socket.index,
            cpus=tuple(cpu for cpu in joined.cpus if homes.get(cpu) == socket.index),
            memory_bytes=share,
            memory_free_bytes=free,
            distances={neighbour: 10 if neighbour == at else 20 for neighbour in range(count)},
        )
        for at, socket in enumerate(machine.sockets)
    )
    sockets = tuple(replace(socket, numa_nodes=(at,)) for at, socket in enumerate(machine.sockets))
    return replace(machine, numa_nodes=nodes, sockets=sockets)


CHECK = Check(
    id="numa-hidden",
    code="NUM-02",
    title=sentence("check.numa-hidden.title", "The system sees which memory belongs to which socket"),
    severity=Verdict.WARN,
    reads=sentence("check.numa-hidden.reads", "NUMA nodes against sockets"),
    rule=sentence("check.numa-hidden.rule", "At least as many NUMA nodes as sockets."),
    judge=judge,
    traps=(
        sentence(
            "check.numa-hidden.trap-more-nodes-sockets",
            "More nodes than sockets (NPS4, SNC) is fine; a GPU's own memory node does not count.",
        ),
    ),
    ask=(
        "lscpu",
        "numactl -H",
    ),
    refs=("https://docs.kernel.org/admin-guide/mm/numaperf.html",),
    repair=repair,
)
