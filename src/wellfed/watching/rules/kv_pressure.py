"""`kv-pressure`: the KV cache is full, and running sequences are thrown out or held back."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.serving import CACHE_SHORT
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """Preemptions, or a cache above 90 % with requests waiting."""
    engine = view.engine
    if engine is None or (engine.kv_usage is None and not engine.preemptions):
        return []
    full = (engine.kv_usage or 0.0) >= 0.9
    if not (engine.preemptions and (engine.kv_usage or 1.0) >= 0.7) and not (full and engine.waiting):
        return []
    return sign(
        0.5 + (0.3 if engine.preemptions else 0.0) + (0.1 if full else 0.0),
        ENGINE,
        sentence(
            "watch.kv-pressure.kv-cache-full",
            "the KV cache is full: sequences wait for room, and those thrown out are computed again",
        ),
        sentence("watch.kv-pressure.cache-full", "the cache is {kv_usage} full", kv_usage=percent(engine.kv_usage)),
        sentence("watch.kv-pressure.preemptions", "{preemptions:.0f} preemptions", preemptions=engine.preemptions)
        if engine.preemptions
        else None,
        sentence("watch.kv-pressure.requests-wait", "{waiting:.1f} requests wait", waiting=engine.waiting)
        if engine.waiting
        else None,
    )


RULE = Rule(
    id="kv-pressure",
    title=CACHE_SHORT.title,
    kind=Kind.ILL,
    reads="vLLM kv_cache_usage_perc, num_preemptions_total; SGLang token_usage, retractions",
    rule=sentence(
        "watch.kv-pressure.rule",
        "Sequences were preempted with the cache above 70 %, or requests wait with it above 90 %.",
    ),
    judge=judge,
    then=sentence("watch.kv-pressure.then", "`wellfed plan`: how many sequences of this context fit."),
    explains=("queueing",),
)
