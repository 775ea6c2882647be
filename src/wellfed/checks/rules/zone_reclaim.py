"""`zone-reclaim`: does the kernel rather evict than use another node's memory?"""

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
        return [skip(sentence("check.zone-reclaim.one-numa-node", "one NUMA node"))]
    mode = machine.os.zone_reclaim_mode
    if mode is None:
        return [missing(machine, sentence("check.zone-reclaim.zone-reclaim", "zone reclaim"), "os.zone_reclaim_mode")]
    if mode:
        why = sentence(
            "check.zone-reclaim.full-node-drops",
            "a full node drops the model's file from its cache instead of using the other node's free memory",
        )
        return [warn(SYSTEM, why, str(mode), "0")]
    return [
        passed(
            SYSTEM,
            sentence(
                "check.zone-reclaim.free-memory-other", "free memory of other nodes is used before anything is dropped"
            ),
            "0",
        )
    ]


def repair(machine: Machine) -> Machine:
    """The machine with zone reclaim off."""
    mode = 0 if machine.os.zone_reclaim_mode else machine.os.zone_reclaim_mode
    return replace(machine, os=replace(machine.os, zone_reclaim_mode=mode))


CHECK = Check(
    id="zone-reclaim",
    code="NUM-05",
    title=sentence("check.zone-reclaim.title", "Zone reclaim is off"),
    severity=Verdict.WARN,
    reads="/proc/sys/vm/zone_reclaim_mode",
    rule=sentence("check.zone-reclaim.rule", "Several NUMA nodes: 0."),
    judge=judge,
    ask=("cat /proc/sys/vm/zone_reclaim_mode",),
    refs=("https://docs.kernel.org/admin-guide/sysctl/vm.html#zone-reclaim-mode",),
    repair=repair,
)
