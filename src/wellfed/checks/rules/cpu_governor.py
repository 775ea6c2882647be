"""`cpu-governor`: do the cores run at full clock?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, passed, warn
from wellfed.hardware.machine import Machine
from wellfed.message import listed, sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    counts = dict(machine.os.governors) or ({machine.os.governor: 1} if machine.os.governor else {})
    if not counts:
        return [
            missing(
                machine,
                sentence("check.cpu-governor.frequency-governor", "frequency governor"),
                "os.governor",
                "os.governors",
            )
        ]
    slow = {governor: count for governor, count in counts.items() if governor != "performance"}
    measured = listed(
        sentence("check.cpu-governor.on-cpus", "{governor} on {count} CPUs", governor=governor, count=count)
        for governor, count in sorted(counts.items())
    )
    if slow:
        why = sentence(
            "check.cpu-governor.cores-wait-gpu",
            "cores that wait for the GPU look idle, are clocked down, and launch the next kernels late",
        )
        return [warn(SYSTEM, why, measured, "performance")]
    return [passed(SYSTEM, sentence("check.cpu-governor.all-cores-under", "all cores under performance"), measured)]


def repair(machine: Machine) -> Machine:
    """The machine with all CPUs under the governor performance."""
    if not machine.os.governors and not machine.os.governor:
        return machine
    count = sum(machine.os.governors.values())
    governors = {"performance": count} if count else {}
    return replace(machine, os=replace(machine.os, governor="performance", governors=governors))


CHECK = Check(
    id="cpu-governor",
    code="CPU-01",
    title=sentence("check.cpu-governor.title", "The frequency governor is performance"),
    severity=Verdict.WARN,
    reads="/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    rule=sentence("check.cpu-governor.rule", "`performance` on every CPU; anything else warns."),
    judge=judge,
    traps=(
        sentence(
            "check.cpu-governor.trap-virtual-machines",
            "Virtual machines and some servers have no governor (the firmware decides): skip.",
        ),
    ),
    ask=("grep . /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",),
    refs=("https://docs.kernel.org/admin-guide/pm/cpufreq.html",),
    repair=repair,
)
