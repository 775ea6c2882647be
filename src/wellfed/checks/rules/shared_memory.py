"""`shared-memory`: is /dev/shm large enough for several ranks?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, fail, missing, no_gpus, passed, skip
from wellfed.checks.places import cards
from wellfed.hardware.machine import Machine
from wellfed.message import message, sentence
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.finding import Finding, Verdict
from wellfed.units import GIB, MIB, format_bytes

NEEDED_PER_GPU = 256 * MIB  # NCCL's rings and an engine's message queues; Docker gives 64 MiB in all


def judge(machine: Machine) -> Iterable[Finding]:
    """Nothing without an engine: only what runs one needs it."""
    del machine
    return [skip(message("check.needs-plan", "matters to a running engine: give a model (-m)"))]


def against(machine: Machine, estimate: Estimate) -> Iterable[Finding]:
    """One finding for the machine."""
    del estimate
    if len(cards(machine)) < 2:
        return [no_gpus(machine, 2)]
    size = machine.os.shared_memory_bytes
    if size is None:
        return [missing(machine, "/dev/shm", "os.shared_memory_bytes")]
    needed = NEEDED_PER_GPU * len(cards(machine))
    if size < needed:
        why = sentence(
            "check.shared-memory.ranks-exchange-data",
            "ranks exchange data through /dev/shm: they hang or die when it is full",
        )
        return [
            fail(
                SYSTEM,
                why,
                format_bytes(size),
                sentence("check.shared-memory.least", "at least {needed}", needed=format_bytes(needed)),
            )
        ]
    return [passed(SYSTEM, "/dev/shm is large enough", format_bytes(size))]


def repair(machine: Machine) -> Machine:
    """The machine with plenty of shared memory."""
    size = machine.os.shared_memory_bytes
    if size is None:
        return machine
    return replace(machine, os=replace(machine.os, shared_memory_bytes=max(size, 16 * GIB)))


CHECK = Check(
    id="shared-memory",
    code="SYS-03",
    title=sentence("check.shared-memory.title", "/dev/shm has room for several ranks"),
    severity=Verdict.FAIL,
    reads=sentence("check.shared-memory.reads", "the size of /dev/shm"),
    rule=sentence(
        "check.shared-memory.rule",
        "With a model and two or more GPUs: at least {needed_per_gpu} MiB per GPU.",
        needed_per_gpu=NEEDED_PER_GPU // MIB,
    ),
    judge=judge,
    ask=("df -B1 /dev/shm",),
    refs=("https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html#shared-memory",),
    repair=repair,
    against=against,
)
