"""`cpu-quota`: does a control group ration CPU time?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, fail, passed, reason, skip, unknown, warn
from wellfed.checks.places import cards
from wellfed.hardware.machine import Machine, Origin
from wellfed.message import message, sentence
from wellfed.nouns.finding import Finding, Verdict

CORES_PER_GPU = 2  # the thread that launches, and one that tokenises, samples and serves


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    quota = machine.os.cpu_quota
    if quota is None:
        if why := reason(machine, "os.cpu_quota", "cgroup"):
            return [unknown(sentence("check.cpu-quota.cpu-quota", "CPU quota: {why}", why=why))]
        if machine.origin is Origin.DUMP:
            return [unknown(sentence("check.cpu-quota.cpu-quota-dump", "CPU quota: the dump does not tell"))]
        return [skip(sentence("check.cpu-quota.no-quota", "no quota"))]
    needed = max(2, CORES_PER_GPU * len(cards(machine)))
    allowed = machine.os.cpus_allowed or machine.os.cpus_online or ()
    measured = sentence("check.cpu-quota.cpus-worth-time", "{quota:g} CPUs' worth of time", quota=quota)
    if quota < needed:
        why = sentence(
            "check.cpu-quota.too-little-keep",
            "too little to keep the GPUs launching: every period ends with all threads stopped",
        )
        return [fail(SYSTEM, why, measured, sentence("check.cpu-quota.least", "at least {needed}", needed=needed))]
    if not allowed:
        return [unknown(message("cpu-quota.no-cpus", "how many CPUs the quota is for is not told"), measured=measured)]
    if quota < len(allowed):
        why = sentence(
            "check.cpu-quota.engines-start-thread",
            "engines start a thread for each of {count} CPUs and are stopped when the quota is used up",
            count=len(allowed),
        )
        return [
            warn(
                SYSTEM,
                why,
                measured,
                sentence(
                    "check.cpu-quota.many-threads-quota", "{count}, or as many threads as quota", count=len(allowed)
                ),
            )
        ]
    return [passed(SYSTEM, sentence("check.cpu-quota.quota-covers-every", "the quota covers every CPU"), measured)]


def repair(machine: Machine) -> Machine:
    """The machine without a quota of CPU time."""
    return replace(machine, os=replace(machine.os, cpu_quota=None))


CHECK = Check(
    id="cpu-quota",
    code="CPU-05",
    title=sentence("check.cpu-quota.title", "No control group rations CPU time below need"),
    severity=Verdict.FAIL,
    reads=sentence("check.cpu-quota.reads", "cgroup v2 cpu.max, v1 cpu.cfs_quota_us, from the process's group up"),
    rule=sentence(
        "check.cpu-quota.rule",
        "At least 2, and {cores_per_gpu} per GPU, else fail; fewer than the CPUs that are allowed warns.",
        cores_per_gpu=CORES_PER_GPU,
    ),
    judge=judge,
    traps=(
        sentence("check.cpu-quota.trap-no-limit-limit", "No limit is not a limit of 0."),
        sentence(
            "check.cpu-quota.trap-quota-does-show", "A quota does not show in the number of CPUs that programs see."
        ),
    ),
    ask=("cat /sys/fs/cgroup/cpu.max",),
    refs=("https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu",),
    repair=repair,
)
