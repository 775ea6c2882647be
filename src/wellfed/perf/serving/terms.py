"""Passes written out: what takes the time, and what limits it."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.nouns.estimate import Term
from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.shape import Shape
from wellfed.perf.serving.step import Side, forward, sides

MEMORY, COMPUTE, HOST = "memory bandwidth", "compute", "host CPU"


def terms(shape: Shape, knobs: Knobs, decodes: float, prefill: float, times: float = 1.0) -> tuple[Term, ...]:
    """The terms of `times` passes over `decodes` sequences and `prefill` prompt tokens; they add up to its time."""
    seconds, both = forward(shape, knobs, decodes, prefill), sides(shape, knobs, decodes, prefill)
    cache = (both.cache[0], both.cache[1] + both.prompt_scores[1])
    wire, latency = both.link
    named = (
        ("attention projections", seconds.attention, _limit(both.attention), "gpu"),
        ("kv cache and scores", seconds.cache, _limit(cache), "gpu"),
        ("dense ffn", seconds.dense, _limit(both.dense), "gpu"),
        ("shared experts", seconds.shared, _limit(both.shared), "gpu"),
        ("routed experts", seconds.experts, _limit(both.experts), "gpu"),
        ("output head", seconds.head, _limit(both.head), "gpu"),
        ("drafting", seconds.drafts, MEMORY, "gpu"),
        ("communication", seconds.link, "link bandwidth" if wire > latency else "link latency", "gpu"),
        ("kernel launches", seconds.kernels, "latency", "gpu"),
        ("launches by the host", seconds.launches, HOST, "host"),
        ("scheduler", seconds.host, HOST, "host"),
    )
    return tuple(Term(name, spent * times, limit, device) for name, spent, limit, device in named if spent > 0)


def _limit(side: Side) -> str:
    """The side of a roofline that takes longer."""
    return MEMORY if side[0] >= side[1] else COMPUTE


def heaviest(terms_: Iterable[Term]) -> str:
    """What limits the most time, over all terms."""
    sums: dict[str, float] = {}
    for term in terms_:
        sums[term.limited_by] = sums.get(term.limited_by, 0.0) + term.seconds
    return max(sums, key=lambda limit: sums[limit])
