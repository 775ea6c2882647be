"""`numa-balancing`: does the kernel move pages behind the engine's back?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, passed, skip, warn
from wellfed.checks.places import cpu_nodes, some_nodes_only
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    if len(cpu_nodes(machine)) == 1 and not some_nodes_only(machine):
        return [skip(sentence("check.numa-balancing.one-numa-node", "one NUMA node"))]
    on = machine.os.numa_balancing
    if on is None:
        return [
            missing(
                machine,
                sentence("check.numa-balancing.automatic-numa", "automatic NUMA balancing"),
                "os.numa_balancing",
            )
        ]
    if on:
        why = sentence(
            "check.numa-balancing.kernel-unmaps-moves",
            "the kernel unmaps and moves weights while the engine reads them",
        )
        return [warn(SYSTEM, why, "1", "0")]
    return [passed(SYSTEM, sentence("check.numa-balancing.automatic-numa-2", "automatic NUMA balancing is off"), "0")]


def repair(machine: Machine) -> Machine:
    """The machine with automatic NUMA balancing off."""
    off = False if machine.os.numa_balancing else machine.os.numa_balancing
    return replace(machine, os=replace(machine.os, numa_balancing=off))


CHECK = Check(
    id="numa-balancing",
    code="NUM-04",
    title=sentence("check.numa-balancing.title", "Automatic NUMA balancing is off"),
    severity=Verdict.WARN,
    reads="/proc/sys/kernel/numa_balancing",
    rule=sentence("check.numa-balancing.rule", "Several NUMA nodes: 0."),
    judge=judge,
    traps=(
        sentence(
            "check.numa-balancing.trap-absent-file-kernel",
            "An absent file (a kernel without NUMA balancing) is a skip; so is a single node.",
        ),
    ),
    ask=("cat /proc/sys/kernel/numa_balancing",),
    refs=("https://docs.kernel.org/admin-guide/sysctl/kernel.html#numa-balancing",),
    repair=repair,
)
