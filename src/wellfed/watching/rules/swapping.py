"""`swapping`: memory goes to swap and back."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.memory import LESS_HERE
from wellfed.message import sentence
from wellfed.units import format_bytes
from wellfed.watching.rules.base import SYSTEM, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View

_PAGES_PER_S = 100.0  # in and out together (assumed): 0.4 MB/s of 4 KiB pages


def judge(view: View) -> Iterable[Sign]:
    """The engine has memory in swap, and pages move."""
    process, host = view.process, view.host
    if process is None or host is None or not process.swap_bytes or (host.swap_pages_per_s or 0.0) < _PAGES_PER_S:
        return []
    return sign(
        max(0.6, host.memory_pressure or 0.0),
        SYSTEM,
        sentence(
            "watch.swapping.memory-short-engine", "memory is short: the engine's own pages go to swap and come back"
        ),
        sentence(
            "watch.swapping.engine-swap",
            "{swap_bytes} of the engine is in swap",
            swap_bytes=format_bytes(process.swap_bytes),
        ),
        sentence("watch.swapping.pages-s-move", "{swap_pages:.0f} pages/s move", swap_pages=host.swap_pages_per_s),
        sentence(
            "watch.swapping.somebody-waited",
            "somebody waited for memory {memory_pressure} of the time",
            memory_pressure=percent(host.memory_pressure),
        )
        if host.memory_pressure
        else None,
    )


RULE = Rule(
    id="swapping",
    title=sentence("watch.swapping.title", "Swapping"),
    kind=Kind.ILL,
    reads=sentence("watch.swapping.reads", "/proc/PID/status VmSwap; /proc/vmstat pswpin, pswpout"),
    rule=sentence("watch.swapping.rule", "The engine has pages in swap while at least 100 pages/s move."),
    judge=judge,
    fix=(LESS_HERE,),
    then=sentence("watch.swapping.then", "`wellfed plan`: what the model needs against what is free."),
    explains=("queueing", "unresponsive", "memory-runs-out", "memory-contention"),
)
