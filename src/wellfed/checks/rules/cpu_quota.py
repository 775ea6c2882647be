"""`cpu-quota`: does a control group ration CPU time?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, fail, passed, reason, skip, unknown, warn
from wellfed.checks.places import cards
from wellfed.hardware.machine import Machine, Origin
from wellfed.message import message
from wellfed.nouns.finding import Finding, Verdict

CORES_PER_GPU = 2  # the thread that launches, and one that tokenises, samples and serves
FIX = "# Raise the limit: docker --cpus, systemd CPUQuota=, Kubernetes resources.limits.cpu (or none)."


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    quota = machine.os.cpu_quota
    if quota is None:
        if why := reason(machine, "os.cpu_quota", "cgroup"):
            return [unknown(f"CPU quota: {why}")]
        if machine.origin is Origin.DUMP:
            return [unknown("CPU quota: the dump does not tell")]
        return [skip("no quota")]
    needed = max(2, CORES_PER_GPU * len(cards(machine)))
    allowed = machine.os.cpus_allowed or machine.os.cpus_online or ()
    measured = f"{quota:g} CPUs' worth of time"
    if quota < needed:
        why = "too little to keep the GPUs launching: every period ends with all threads stopped"
        return [fail(SYSTEM, why, measured, f"at least {needed}", [FIX])]
    if not allowed:
        return [unknown(message("cpu-quota.no-cpus", "how many CPUs the quota is for is not told"), measured=measured)]
    if quota < len(allowed):
        why = f"engines start a thread for each of {len(allowed)} CPUs and are stopped when the quota is used up"
        return [warn(SYSTEM, why, measured, f"{len(allowed)}, or as many threads as quota", [FIX])]
    return [passed(SYSTEM, "the quota covers every CPU", measured)]


def repair(machine: Machine) -> Machine:
    """No quota."""
    return replace(machine, os=replace(machine.os, cpu_quota=None))


CHECK = Check(
    id="cpu-quota",
    code="CPU-05",
    title="No control group rations CPU time below need",
    severity=Verdict.FAIL,
    reads="cgroup v2 cpu.max, v1 cpu.cfs_quota_us, from the process's group up",
    why="A quota does not slow threads evenly: it lets them run and then stops them all for the rest of 100 ms.",
    rule=f"At least 2, and {CORES_PER_GPU} per GPU, else fail; fewer than the CPUs that are allowed warns.",
    judge=judge,
    traps=("No limit is not a limit of 0.", "A quota does not show in the number of CPUs that programs see."),
    ask=("cat /sys/fs/cgroup/cpu.max",),
    refs=("https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu",),
    repair=repair,
)
