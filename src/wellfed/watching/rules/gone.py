"""`gone`: the process has ended."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.serving import ENDED
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, sign
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """Not alive in the last two samples."""
    process = view.process
    if process is None or not process.gone:
        return []
    killed = view.cgroup is not None and bool(view.cgroup.oom_kills)
    why = (
        sentence("watch.gone.kernel-killed", "the kernel killed it: its control group ran out of memory")
        if killed
        else sentence("watch.gone.process-ended", "the process has ended")
    )
    return sign(
        1.0,
        ENGINE,
        why,
        sentence("watch.gone.process-longer-there", "process {pid} is no longer there", pid=process.pid),
        sentence("watch.gone.oom-kill-counted", "an OOM kill was counted") * killed,
    )


RULE = Rule(
    id="gone",
    title=ENDED.title,
    kind=Kind.ILL,
    reads="/proc/PID",
    rule=sentence(
        "watch.gone.rule", "The process is not there, or another one has its number, in the last two samples."
    ),
    judge=judge,
    then=sentence("watch.gone.then", "Its log, and the kernel's."),
    explains=("*",),
)
