"""`unresponsive`: asked, it does not answer, and it does not work either."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.watch.rules.base import ENGINE, Kind, Rule, Sign, percent, sign
from wellfed.watch.view import View

_IDLE_CORES = 0.05


def judge(view: View) -> Iterable[Sign]:
    """Silent or refusing in most samples while its threads sleep."""
    engine, process = view.engine, view.process
    if engine is None or process is None or process.cores is None or process.cores > _IDLE_CORES:
        return []
    silent, refused = engine.silent or 0.0, engine.refused or 0.0
    if silent + refused < 0.5:
        return []
    return sign(
        0.9,
        ENGINE,
        "it does not answer, and its threads do not run: a deadlock, or it waits for something outside",
        f"no answer in {percent(silent + refused)} of samples",
        f"uses {process.cores:.2f} cores",
        engine.error,
    )


RULE = Rule(
    id="unresponsive",
    title="The engine does not answer and does not work",
    kind=Kind.ILL,
    reads="the endpoint, CPU time of all threads",
    rule="No answer in half of the samples, and less than 0.05 cores used.",
    judge=judge,
    fix=("# Restart it; before that, `py-spy dump` or gdb tells where its threads wait.",),
    then="Where its threads wait: /proc/PID/task/*/wchan and stack.",
)
