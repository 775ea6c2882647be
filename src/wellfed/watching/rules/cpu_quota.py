"""`cpu-quota`: the control group's CPU time is used up before each period ends."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.message import sentence
from wellfed.watching.rules.base import SYSTEM, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View

_OFTEN = 0.1  # share of the quota's periods that were cut short (assumed)


def judge(view: View) -> Iterable[Sign]:
    """More than a tenth of the periods cut short."""
    group = view.cgroup
    if group is None or group.throttled_periods is None or group.throttled_periods < _OFTEN:
        return []
    return sign(
        group.throttled_periods,
        SYSTEM,
        sentence(
            "watch.cpu-quota.control-group-cpu",
            "its control group's CPU time is used up early, and all its threads stand still until the next period",
        ),
        sentence(
            "watch.cpu-quota.periods-throttled",
            "{throttled_periods} of periods were throttled",
            throttled_periods=percent(group.throttled_periods),
        ),
        None
        if group.quota_cores is None
        else sentence(
            "watch.cpu-quota.quota-cores", "the quota is {quota_cores:g} cores", quota_cores=group.quota_cores
        ),
        None
        if view.process is None or view.process.cores is None
        else sentence("watch.cpu-quota.uses-cores", "it uses {cores:.2f} cores", cores=view.process.cores),
    )


RULE = Rule(
    id="cpu-quota",
    title=sentence("watch.cpu-quota.title", "CPU quota of the control group used up"),
    kind=Kind.ILL,
    reads=sentence("watch.cpu-quota.reads", "cgroup cpu.stat: nr_periods, nr_throttled, of every group on the way up"),
    rule=sentence("watch.cpu-quota.rule", "At least 10 % of the periods were throttled."),
    judge=judge,
    then=sentence(
        "watch.cpu-quota.then", "Whether the engine's threads exceed the quota: `wellfed check --select cpu-quota`."
    ),
    explains=(
        "cpu-too-few",
        "other-tenant-cpu",
        "queueing",
        "unresponsive",
        "gpu-launch-bound",
        "tokeniser-bound",
        "memory-contention",
    ),
    refs=("https://docs.kernel.org/scheduler/sched-bwc.html",),
)
