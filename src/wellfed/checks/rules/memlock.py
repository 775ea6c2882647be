"""`memlock`: may a process pin its memory?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, fail, missing, passed, skip, warn
from wellfed.hardware.machine import UNLIMITED, Machine
from wellfed.message import message, sentence
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.finding import Finding, Verdict
from wellfed.units import format_bytes


def judge(machine: Machine) -> Iterable[Finding]:
    """Nothing without an engine: only what runs one needs it."""
    del machine
    return [skip(message("check.needs-plan", "matters to a running engine: give a model (-m)"))]


def against(machine: Machine, estimate: Estimate) -> Iterable[Finding]:
    """One finding for the machine."""
    del estimate
    limit = machine.os.memlock_bytes
    if limit is None:
        return [
            missing(
                machine, sentence("check.memlock.limit-locked-memory", "limit of locked memory"), "os.memlock_bytes"
            )
        ]
    if limit is UNLIMITED or limit >= (machine.memory_bytes or 1 << 62):
        return [
            passed(
                SYSTEM,
                sentence("check.memlock.memory-may-pinned", "memory may be pinned"),
                "unlimited" if limit is UNLIMITED else format_bytes(limit),
            )
        ]
    measured = format_bytes(limit)
    if any(nic.kind == "infiniband" and nic.up is not False for nic in machine.nics):
        why = sentence(
            "check.memlock.rdma-registers",
            "RDMA registers its buffers as locked memory and fails, or falls back to TCP",
        )
        return [fail(SYSTEM, why, measured, "unlimited")]
    why = sentence("check.memlock.mlock-pinned-buffers", "--mlock and pinned buffers in RAM fail beyond it")
    return [warn(SYSTEM, why, measured, "unlimited")]


def repair(machine: Machine) -> Machine:
    """The machine with no limit on pinned memory."""
    if machine.os.memlock_bytes is None:
        return machine
    return replace(machine, os=replace(machine.os, memlock_bytes=UNLIMITED))


CHECK = Check(
    id="memlock",
    code="SYS-02",
    title=sentence("check.memlock.title", "Processes may lock memory"),
    severity=Verdict.FAIL,
    reads=sentence("check.memlock.reads", "Max locked memory of /proc/self/limits"),
    rule=sentence(
        "check.memlock.rule",
        "With a model: unlimited, or at least all RAM. Less warns; with InfiniBand it fails. Without a model: skip.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.memlock.trap-cuda-pinned-memory",
            "CUDA's pinned memory does not count against this limit; mlock and RDMA do.",
        ),
    ),
    ask=("grep locked /proc/self/limits",),
    refs=("https://man7.org/linux/man-pages/man2/getrlimit.2.html",),
    repair=repair,
    against=against,
)
