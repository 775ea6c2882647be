"""`gpu-low-clocks`: a busy GPU stays at low clocks without being throttled."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.cards import RELEASE_APPLICATION_CLOCKS, RELEASE_CLOCKS
from wellfed.message import sentence
from wellfed.watching.rules.base import Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """Below 60 % of its clock, while it is busy most of the time."""
    signs: list[Sign] = []
    for gpu in view.engine_gpus:
        if gpu.clock_share is None or gpu.clock_share >= 0.6 or (gpu.busy or 0.0) < 0.7:
            continue
        fixed = gpu.reasons.get("applications_clocks_setting", 0.0) >= 0.5
        signs += sign(
            1 - gpu.clock_share,
            gpu.subject,
            sentence("watch.gpu-low-clocks.clocks-set-low", "its clocks are set low")
            if fixed
            else sentence("watch.gpu-low-clocks.busy-yet-low", "busy, and yet in a low performance state"),
            sentence(
                "watch.gpu-low-clocks.clock-highest-busy",
                "clock at {clock_share} of its highest, busy {busy}",
                clock_share=percent(gpu.clock_share),
                busy=percent(gpu.busy),
            ),
            None if gpu.pstate is None else f"P{gpu.pstate}",
            fix=(RELEASE_CLOCKS, RELEASE_APPLICATION_CLOCKS) if fixed else (),
        )
    return signs


RULE = Rule(
    id="gpu-low-clocks",
    title=sentence("watch.gpu-low-clocks.title", "GPU clocks low without a reason"),
    kind=Kind.ILL,
    loss=True,
    reads=sentence("watch.gpu-low-clocks.reads", "NVML clocks, performance state, utilisation"),
    rule=sentence(
        "watch.gpu-low-clocks.rule", "Busy at least 70 % of the time at less than 60 % of the highest clock."
    ),
    judge=judge,
    fix=(RELEASE_CLOCKS,),
    then=sentence("watch.gpu-low-clocks.then", "`nvidia-smi -q -d CLOCK,PERFORMANCE`: who set them."),
    explains=("queueing",),
)
