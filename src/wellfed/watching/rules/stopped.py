"""`stopped`: the process is stopped by a signal or a debugger."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.serving import CONTINUE, STOPPED
from wellfed.faults.steps import at
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """State T in most samples."""
    process = view.process
    if process is None or process.stopped is None or process.stopped < 0.5:
        return []
    return sign(
        1.0,
        ENGINE,
        sentence("watch.stopped.process-stopped-gets", "the process is stopped: it gets no CPU until it is continued"),
        sentence("watch.stopped.state-t-samples", "state T in {stopped} of samples", stopped=percent(process.stopped)),
        sentence("watch.stopped.unanswered-s", "unanswered for {waited:.0f} s", waited=view.engine.waited_s)
        if view.engine and view.engine.waited_s
        else None,
        fix=(at(CONTINUE, pid=process.pid),),
    )


RULE = Rule(
    id="stopped",
    title=STOPPED.title,
    kind=Kind.ILL,
    reads=sentence("watch.stopped.reads", "/proc/PID/stat: the state"),
    rule=sentence("watch.stopped.rule", "State T or t in at least half of the samples."),
    judge=judge,
    then=sentence("watch.stopped.then", "Who stopped it: a shell's job control (Ctrl-Z), a debugger, `docker pause`."),
    explains=("*",),
)
