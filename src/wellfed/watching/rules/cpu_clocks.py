"""`cpu-clocks`: busy CPUs run far below their clock."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.message import sentence
from wellfed.watching.rules.base import SYSTEM, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View

_LOW = 0.45  # share of the CPUs' highest clock (assumed)


def judge(view: View) -> Iterable[Sign]:
    """Less than 45 % of the highest clock while the engine's threads want to run."""
    host, process = view.host, view.process
    if host is None or process is None or host.clock_share is None or not process.wanting or host.clock_share >= _LOW:
        return []
    return sign(
        1 - host.clock_share,
        SYSTEM,
        sentence(
            "watch.cpu-clocks.busy-cpus-run",
            "busy CPUs run far below their clock: a power-saving governor, a power limit or heat",
        ),
        sentence(
            "watch.cpu-clocks.highest-clock",
            "{clock_share} of the highest clock",
            clock_share=percent(host.clock_share),
        ),
    )


RULE = Rule(
    id="cpu-clocks",
    title=sentence("watch.cpu-clocks.title", "CPU clocks low under load"),
    kind=Kind.ILL,
    loss=True,
    reads=sentence("watch.cpu-clocks.reads", "cpufreq scaling_cur_freq and cpuinfo_max_freq of CPUs that are busy"),
    rule=sentence(
        "watch.cpu-clocks.rule",
        "Busy CPUs run below 45 % of their highest clock (wide vectors on all cores lower it to 60 %).",
    ),
    judge=judge,
    then=sentence(
        "watch.cpu-clocks.then", "`turbostat`: power and temperature; `wellfed check --select cpu-governor`."
    ),
    explains=("queueing", "gpu-launch-bound", "memory-contention"),
)
