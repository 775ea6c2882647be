"""`cpu-too-few`: more busy threads than CPUs they may run on."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.cpus import FEWER_THREADS, MATCHING_THREADS
from wellfed.faults.steps import at
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, hot, percent, rates, sign
from wellfed.watching.rules.cpu_shares import wait
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """The threads wait for each other."""
    queueing = wait(view)
    if queueing is None or queueing.oversubscription < 0.1:
        return []
    return sign(
        queueing.oversubscription,
        ENGINE,
        sentence(
            "watch.cpu-too-few.more-busy-threads",
            "it has more busy threads than CPUs: at every barrier those that run spin, waiting for one that cannot",
        ),
        _crowd(queueing.threads, queueing.cpus),
        sentence(
            "watch.cpu-too-few.they-wait-time",
            "they wait {own} of the time they want to run, for each other",
            own=percent(queueing.oversubscription),
        ),
        hot(view),
        rates(view),
        fix=(at(MATCHING_THREADS, cpus=queueing.cpus, threads=queueing.threads),),
    )


def _crowd(threads: int, cpus: int) -> str:
    if cpus == 1:
        return sentence("watch.cpu-too-few.busy-threads-one", "{threads} busy threads may use 1 CPU", threads=threads)
    return sentence(
        "watch.cpu-too-few.busy-threads-may", "{threads} busy threads may use {cpus} CPUs", threads=threads, cpus=cpus
    )


RULE = Rule(
    id="cpu-too-few",
    title=sentence("watch.cpu-too-few.title", "More busy threads than CPUs (cpuset or affinity too small)"),
    kind=Kind.ILL,
    loss=True,
    reads=sentence(
        "watch.cpu-too-few.reads", "/proc/PID/task/*/schedstat: time run and time waited; Cpus_allowed_list"
    ),
    rule=sentence(
        "watch.cpu-too-few.rule",
        "Hot threads wait at least 15 % of the time they want to run, and at least 10 % for each other.",
    ),
    judge=judge,
    fix=(FEWER_THREADS,),
    then=sentence("watch.cpu-too-few.then", "`wellfed check --select cpuset`."),
    explains=("queueing", "unresponsive", "gpu-launch-bound", "tokeniser-bound", "memory-contention"),
)
