"""`other-tenant-cpu`: other processes take the engine's CPUs."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.cpus import CPU_SHARED
from wellfed.message import sentence
from wellfed.watching.rules.base import SYSTEM, Kind, Rule, Sign, hot, percent, rates, sign
from wellfed.watching.rules.cpu_shares import wait
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """The threads wait for others."""
    queueing = wait(view)
    if queueing is None or queueing.contention < 0.1 or queueing.foreign_cores < 0.2:
        return []
    return sign(
        queueing.contention,
        SYSTEM,
        sentence(
            "watch.other-tenant-cpu.other-processes-take",
            "other processes take its CPUs; one thread that waits makes all others spin at the next barrier",
        ),
        sentence(
            "watch.other-tenant-cpu.others-use-cpus",
            "others use {foreign_cores:.2f} of its {cpus} CPUs",
            foreign_cores=queueing.foreign_cores,
            cpus=queueing.cpus,
        ),
        sentence(
            "watch.other-tenant-cpu.threads-wait-time",
            "its threads wait {others} of the time they want to run, for others",
            others=percent(queueing.contention),
        ),
        hot(view),
        rates(view),
    )


RULE = Rule(
    id="other-tenant-cpu",
    title=CPU_SHARED.title,
    kind=Kind.ILL,
    loss=True,
    reads=sentence(
        "watch.other-tenant-cpu.reads", "/proc/stat against the engine's own CPU time; /proc/PID/task/*/schedstat"
    ),
    rule=sentence(
        "watch.other-tenant-cpu.rule",
        "Hot threads wait at least 15 % of the time they want to run, at least 10 % for others that use >= 0.2 cores.",
    ),
    judge=judge,
    then=sentence("watch.other-tenant-cpu.then", "`top -H`: who it is."),
    explains=("queueing", "unresponsive", "gpu-launch-bound", "tokeniser-bound", "memory-contention"),
)
