"""`no-demand` (healthy): nobody asks."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """Nothing runs or waits in most samples."""
    engine = view.engine
    if engine is None or engine.idle is None or engine.idle < 0.5 or (engine.silent or 0.0) > 0.3:
        return []
    cores = view.process.cores if view.process else None
    why = (
        sentence("watch.no-demand.nobody-asks", "nobody asks")
        if engine.idle > 0.95
        else sentence("watch.no-demand.less-asked-could", "less is asked than it could do")
    )
    return sign(
        engine.idle,
        ENGINE,
        why,
        sentence("watch.no-demand.no-request-samples", "no request in {idle} of samples", idle=percent(engine.idle)),
        None if cores is None else sentence("watch.no-demand.uses-cores", "uses {cores:.2f} cores", cores=cores),
    )


RULE = Rule(
    id="no-demand",
    title=sentence("watch.no-demand.title", "No demand: the engine waits for requests"),
    kind=Kind.HEALTHY,
    reads=sentence("watch.no-demand.reads", "the engine's running and waiting requests"),
    rule=sentence("watch.no-demand.rule", "No request runs or waits in at least half of the samples."),
    judge=judge,
    then=sentence("watch.no-demand.then", "Whether requests reach it: the proxy's or client's own log."),
)
