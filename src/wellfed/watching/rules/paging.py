"""`paging`: the model's pages are thrown out of memory and read again from storage."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.memory import NOT_CRAWLING, RAISE_LIMIT
from wellfed.message import sentence
from wellfed.units import format_bandwidth, format_bytes
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, percent, rates, sign
from wellfed.watching.view import View

_FAULTS_PER_S = 15.0  # major faults; a resident model has none (assumed)
_REFAULTS_PER_S = 50.0  # pages evicted and read again (assumed)


def judge(view: View) -> Iterable[Sign]:
    """Major faults of the engine together with refaults: pages that had been here before."""
    process, group, host = view.process, view.cgroup, view.host
    if process is None or (process.major_faults_per_s or 0.0) < _FAULTS_PER_S:
        return []
    inside = (group.refaults_per_s if group else None) or 0.0
    refaults = max(inside, (host.refaults_per_s if host else None) or 0.0)
    if refaults < _REFAULTS_PER_S:
        return []
    stall = max((host.io_pressure if host else None) or 0.0, (host.memory_pressure if host else None) or 0.0)
    limit = group.memory_limit_bytes if group else None
    return sign(
        max(0.6, min(1.0, stall)),
        ENGINE,
        sentence(
            "watch.paging.pages-mapped-model",
            "pages of the mapped model are evicted and read from storage again at every step",
        ),
        sentence(
            "watch.paging.major-faults-s",
            "{major_faults:.0f} major faults/s, {refaults:.0f} evicted pages needed again per second",
            major_faults=process.major_faults_per_s,
            refaults=refaults,
        ),
        sentence(
            "watch.paging.reads-from-storage",
            "reads {read} from storage",
            read=format_bandwidth(process.read_bytes_per_s),
        )
        if process.read_bytes_per_s
        else None,
        sentence("watch.paging.stalled-time", "stalled {stall} of the time", stall=percent(stall))
        if stall > 0.01
        else None,
        sentence("watch.paging.control-group-may", "its control group may use {limit}", limit=format_bytes(limit))
        if limit
        else None,
        rates(view),
    )


RULE = Rule(
    id="paging",
    title=sentence("watch.paging.title", "Model pages evicted from memory and read again"),
    kind=Kind.ILL,
    reads=sentence(
        "watch.paging.reads",
        "/proc/PID/stat majflt; workingset_refault of the control group or machine; PSI; /proc/PID/io",
    ),
    rule=sentence(
        "watch.paging.rule", "At least 15 major faults/s of the engine while evicted file pages are needed again."
    ),
    judge=judge,
    fix=(
        RAISE_LIMIT,
        NOT_CRAWLING,
    ),
    then=sentence("watch.paging.then", "`wellfed plan`: what the model needs against what the limit allows."),
    explains=("queueing", "unresponsive", "memory-contention", "other-tenant-cpu", "memory-runs-out"),
)
