"""`ram-free`: is main memory free?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, fail, passed, skip, unread, warn
from wellfed.faults.memory import STOP_HOLDERS
from wellfed.hardware.machine import Machine, Origin
from wellfed.message import sentence
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.finding import Finding, Verdict
from wellfed.units import format_bytes

LITTLE, SOME = 0.1, 0.5  # of the memory free: less than the first fails, than the second warns (assumed)


def available_bytes(machine: Machine) -> int | None:
    """What this process could still get: MemAvailable, or less where a control group says so."""
    limit, used = machine.os.memory_limit_bytes, machine.os.memory_used_by_cgroup_bytes
    under_limit = None if limit is None else max(0, limit - (used or 0))
    return min((size for size in (machine.os.memory_free_bytes, under_limit) if size is not None), default=None)


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    if machine.origin is Origin.PARTS:
        return [skip(sentence("check.ram-free.planned-machine", "a planned machine's memory is free"))]
    free, total = available_bytes(machine), machine.memory_bytes
    if free is None or not total:
        return [
            unread(
                machine,
                sentence("check.ram-free.free-memory", "free memory"),
                "os.memory_free_bytes",
                "memory",
                "meminfo",
            )
        ]
    measured = sentence(
        "check.ram-free.free", "{free} free of {total}", free=format_bytes(free), total=format_bytes(total)
    )
    if free < total * LITTLE:
        return [
            fail(
                SYSTEM,
                sentence("check.ram-free.hardly-any-memory", "hardly any memory is left"),
                measured,
                sentence("check.ram-free.least", "at least {some:.0%}", some=SOME),
                [STOP_HOLDERS],
            )
        ]
    if free < total * SOME:
        limited = machine.os.memory_limit_bytes is not None and machine.os.memory_limit_bytes < total
        why = sentence("check.ram-free.others-hold-most", "others hold most of the memory") + (
            sentence("check.ram-free.control-group-limit", ", or the control group's limit does") if limited else ""
        )
        return [
            warn(
                SYSTEM,
                why,
                measured,
                sentence("check.ram-free.least", "at least {some:.0%}", some=SOME),
                [STOP_HOLDERS],
            )
        ]
    return [passed(SYSTEM, sentence("check.ram-free.most-memory-free", "most of the memory is free"), measured)]


def against(machine: Machine, estimate: Estimate) -> Iterable[Finding]:
    """As `judge`, but what the plan needs must fit what is free."""
    free = available_bytes(machine)
    needed = next((device.needed_bytes for device in estimate.memory.devices if device.device == "ram"), None)
    if machine.origin is Origin.PARTS or free is None or needed is None or needed <= free:
        return judge(machine)
    measured, wanted = (
        sentence("check.ram-free.free-now", "{free} free", free=format_bytes(free)),
        sentence("check.ram-free.plan", "{needed} for the plan", needed=format_bytes(needed)),
    )
    return [
        fail(
            SYSTEM,
            sentence("check.ram-free.plan-does-fit", "the plan does not fit what is free now"),
            measured,
            wanted,
            [STOP_HOLDERS],
        )
    ]


def repair(machine: Machine) -> Machine:
    """All memory free, no limit."""
    if available_bytes(machine) is None or machine.memory_bytes is None:
        return machine
    settings = replace(
        machine.os,
        memory_free_bytes=machine.memory_bytes,
        memory_limit_bytes=None,
        memory_used_by_cgroup_bytes=None,
    )
    nodes = tuple(
        replace(node, memory_free_bytes=node.memory_bytes) if node.memory_free_bytes is not None else node
        for node in machine.numa_nodes
    )
    return replace(machine, os=settings, numa_nodes=nodes)


CHECK = Check(
    id="ram-free",
    code="MEM-08",
    title=sentence("check.ram-free.title", "Main memory is free"),
    severity=Verdict.FAIL,
    reads=sentence(
        "check.ram-free.reads", "MemAvailable of /proc/meminfo; memory.max and memory.current of the control group"
    ),
    rule=sentence(
        "check.ram-free.rule",
        "Less than {some:.0%} of installed memory free warns, less than {little:.0%} fails; a "
        "plan that does not fit what is free fails.",
        some=SOME,
        little=LITTLE,
    ),
    judge=judge,
    traps=(
        sentence("check.ram-free.trap-container-limit", "A container's limit counts, not the host's memory."),
        sentence("check.ram-free.trap-page-cache-counts", "The page cache counts as free: the kernel gives it up."),
    ),
    ask=("free -b",),
    refs=("https://docs.kernel.org/filesystems/proc.html#meminfo",),
    repair=repair,
    against=against,
)
