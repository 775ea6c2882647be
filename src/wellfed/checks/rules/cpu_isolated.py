"""`cpu-isolated`: does the kernel keep CPUs out of scheduling?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, passed, warn
from wellfed.checks.rules.cpu_offline import spans
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    isolated = machine.os.cpus_isolated
    if isolated is None:
        return [missing(machine, sentence("checked.isolated-cpus", "isolated CPUs"), "os.cpus_isolated")]
    if not isolated:
        return [passed(SYSTEM, sentence("check.cpu-isolated.no-cpu-isolated", "no CPU is isolated"), "0 isolated")]
    why = sentence(
        "check.cpu-isolated.threads-never-moved",
        "threads are never moved onto or off isolated CPUs: unpinned ones pile up on one, or never run there",
    )
    return [
        warn(
            SYSTEM,
            why,
            f"CPUs {spans(isolated)}",
            sentence("check.cpu-isolated.none-threads-pinned", "none, or threads pinned to them"),
        )
    ]


def repair(machine: Machine) -> Machine:
    """The machine with no CPU kept out of scheduling."""
    isolated = machine.os.cpus_isolated
    if not isolated:
        return machine
    allowed = machine.os.cpus_allowed  # the kernel leaves isolated CPUs out of what processes start with
    allowed = tuple(sorted({*allowed, *isolated})) if allowed else allowed
    return replace(machine, os=replace(machine.os, cpus_isolated=(), cpus_allowed=allowed))


CHECK = Check(
    id="cpu-isolated",
    code="CPU-04",
    title=sentence("check.cpu-isolated.title", "No CPUs are kept out of scheduling"),
    severity=Verdict.WARN,
    reads="/sys/devices/system/cpu/isolated",
    rule=sentence("check.cpu-isolated.rule", "Any isolated CPU warns."),
    judge=judge,
    ask=("cat /sys/devices/system/cpu/isolated",),
    refs=("https://docs.kernel.org/admin-guide/kernel-parameters.html",),
    repair=repair,
)
