"""`cpu-stolen`: the hypervisor gives this machine's CPUs to others."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.cpus import CPU_STOLEN
from wellfed.message import sentence
from wellfed.watching.rules.base import SYSTEM, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """Steal above a tenth of the busy time, while the engine wants CPUs."""
    host, process = view.host, view.process
    if host is None or process is None or not host.stolen_cores or not host.busy_cores or not process.wanting:
        return []
    share = host.stolen_cores / (host.stolen_cores + host.busy_cores)
    if share < 0.1:
        return []
    return sign(
        share,
        SYSTEM,
        sentence("watch.stolen.hypervisor-runs", "the hypervisor runs other machines on these CPUs"),
        sentence(
            "watch.stolen.cores-stolen-time",
            "{stolen_cores:.2f} cores stolen, {share} of the time wanted",
            stolen_cores=host.stolen_cores,
            share=percent(share),
        ),
    )


RULE = Rule(
    id="cpu-stolen",
    title=CPU_STOLEN.title,
    kind=Kind.ILL,
    loss=True,
    reads="/proc/stat: steal",
    rule=sentence("watch.stolen.rule", "At least 10 % of the CPU time that is wanted is stolen."),
    judge=judge,
    then=sentence("watch.stolen.then", "Steal over a day: neighbours come and go."),
    explains=("queueing", "unresponsive", "gpu-launch-bound", "tokeniser-bound", "memory-contention"),
)
