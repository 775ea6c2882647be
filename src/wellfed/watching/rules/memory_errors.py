"""`memory-errors`: RAM, or a CPU, reports errors."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.memory import MEMORY_FAILING
from wellfed.message import sentence
from wellfed.watching.rules.base import SYSTEM, Kind, Rule, Sign, sign
from wellfed.watching.view import View

_CORRECTED = 10.0  # in a window: each costs a few microseconds, many foretell worse


def judge(view: View) -> Iterable[Sign]:
    """Uncorrected errors, many corrected ones, or the kernel's word of machine checks."""
    kernel = view.kernel
    if kernel is None:
        return []
    corrected, lost = kernel.memory_corrected or 0.0, kernel.memory_uncorrected or 0.0
    many = corrected >= _CORRECTED
    if not lost and not many and not kernel.log_memory:
        return []
    why = (
        sentence("watch.memory-errors.ram-lost-data", "RAM lost data")
        if lost
        else sentence(
            "watch.memory-errors.ram-cpu-reports", "RAM or a CPU reports errors that could be corrected so far"
        )
    )
    return sign(
        0.95 if lost else 0.4 if many else 0.3,
        SYSTEM,
        why,
        sentence("watch.memory-errors.uncorrected-memory", "{lost:.0f} uncorrected memory errors", lost=lost)
        if lost
        else None,
        sentence("watch.memory-errors.corrected-memory", "{corrected:.0f} corrected memory errors", corrected=corrected)
        if corrected
        else None,
        sentence(
            "watch.memory-errors.lines-them-kernel",
            "{log_memory} lines of them in the kernel's log",
            log_memory=kernel.log_memory,
        )
        if kernel.log_memory
        else None,
    )


RULE = Rule(
    id="memory-errors",
    title=MEMORY_FAILING.title,
    kind=Kind.ILL,
    reads=sentence(
        "watch.memory-errors.reads",
        "/sys/devices/system/edac/mc/*: ce_count, ue_count; machine checks and EDAC in the kernel's log",
    ),
    rule=sentence(
        "watch.memory-errors.rule", "An uncorrected error, 10 corrected ones in a window, or a line in the log."
    ),
    judge=judge,
    then=sentence("watch.memory-errors.then", "`ras-mc-ctl --errors`, `dmesg | grep -i -e edac -e 'hardware error'`."),
    refs=("https://docs.kernel.org/admin-guide/ras.html",),
)
