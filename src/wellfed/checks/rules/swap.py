"""`swap`: has the system begun to swap?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, passed, warn
from wellfed.faults.memory import CALMER_SWAP, EMPTY_SWAP
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict
from wellfed.units import GIB, format_bytes


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    total, used = machine.os.swap_total_bytes, machine.os.swap_used_bytes
    if total == 0:
        return [passed(SYSTEM, sentence("check.swap.no-swap", "no swap"), "0 B")]
    if used is None:
        return [
            missing(machine, sentence("checked.swap", "swap"), "os.swap_used_bytes", "os.swap_total_bytes", "meminfo")
        ]
    if used > GIB:
        why = sentence(
            "check.swap.memory-been-swapped",
            "memory has been swapped out: weights or caches may be next, at a thousandth of the speed",
        )
        return [
            warn(
                SYSTEM,
                why,
                sentence("check.swap.used", "{used} used", used=format_bytes(used)),
                sentence("check.swap.most-1-00", "at most 1.00 GiB"),
                [CALMER_SWAP, EMPTY_SWAP],
            )
        ]
    return [
        passed(
            SYSTEM,
            sentence("check.swap.next-nothing-swapped", "next to nothing is swapped out"),
            sentence("check.swap.used", "{used} used", used=format_bytes(used)),
        )
    ]


def repair(machine: Machine) -> Machine:
    """The machine with nothing swapped out."""
    if not machine.os.swap_used_bytes:
        return machine
    return replace(machine, os=replace(machine.os, swap_used_bytes=0))


CHECK = Check(
    id="swap",
    code="MEM-07",
    title=sentence("check.swap.title", "Nothing much is swapped out"),
    severity=Verdict.WARN,
    reads=sentence("check.swap.reads", "SwapTotal and SwapFree of /proc/meminfo"),
    rule=sentence("check.swap.rule", "More than 1 GiB used warns. Swap that is there but unused is fine."),
    judge=judge,
    ask=("free -b",),
    refs=("https://docs.kernel.org/admin-guide/sysctl/vm.html#swappiness",),
    repair=repair,
)
