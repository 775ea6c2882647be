"""`no-demand` (healthy): nobody asks."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """Nothing runs or waits in most samples."""
    engine = view.engine
    if engine is None or engine.idle is None or engine.idle < 0.5 or (engine.silent or 0.0) > 0.3:
        return []
    cores = view.process.cores if view.process else None
    why = "nobody asks" if engine.idle > 0.95 else "less is asked than it could do"
    return sign(
        engine.idle,
        ENGINE,
        why,
        f"no request in {percent(engine.idle)} of samples",
        None if cores is None else f"uses {cores:.2f} cores",
    )


RULE = Rule(
    id="no-demand",
    title="No demand: the engine waits for requests",
    kind=Kind.HEALTHY,
    reads="the engine's running and waiting requests",
    rule="No request runs or waits in at least half of the samples.",
    judge=judge,
    then="Whether requests reach it: the proxy's or client's own log.",
)
