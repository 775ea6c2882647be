"""`cpu-boost`: may the cores boost?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, passed, warn
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    if machine.os.boost is None:
        return [missing(machine, sentence("checked.boost", "boost"), "os.boost")]
    if machine.os.boost:
        return [passed(SYSTEM, sentence("check.cpu-boost.boost", "boost is on"), "on")]
    why = sentence(
        "check.cpu-boost.cores-stay-base",
        "cores stay at base clock: launches and the CPU's share of the model are slower",
    )
    return [warn(SYSTEM, why, "off", "on")]


def repair(machine: Machine) -> Machine:
    """The machine with boost on."""
    return replace(machine, os=replace(machine.os, boost=True)) if machine.os.boost is False else machine


CHECK = Check(
    id="cpu-boost",
    code="CPU-02",
    title=sentence("check.cpu-boost.title", "The cores may boost"),
    severity=Verdict.WARN,
    reads="intel_pstate/no_turbo, cpufreq/boost",
    rule=sentence("check.cpu-boost.rule", "Boost off warns."),
    judge=judge,
    traps=(sentence("check.cpu-boost.trap-absent-files-virtual", "Absent files (virtual machines, ARM) are a skip."),),
    ask=("grep . /sys/devices/system/cpu/cpufreq/boost",),
    refs=("https://docs.kernel.org/admin-guide/pm/cpufreq.html#frequency-boost-support",),
    repair=repair,
)
