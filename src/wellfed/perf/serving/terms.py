"""Passes written out: what takes the time, and what limits it."""

from __future__ import annotations

from wellfed.nouns.estimate import COMPUTE, MEMORY, Term, slower_side
from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.shape import Shape
from wellfed.perf.serving.step import forward, sides
from wellfed.perf.tower import TOWER

HOST = "host CPU"


def terms(shape: Shape, knobs: Knobs, decodes: float, prefill: float, times: float = 1.0) -> tuple[Term, ...]:
    """The terms of `times` passes over `decodes` sequences and `prefill` prompt tokens; they add up to its time."""
    seconds, both = forward(shape, knobs, decodes, prefill), sides(shape, knobs, decodes, prefill)
    cache = (both.cache[0], both.cache[1] + both.prompt_scores[1])
    wire, latency = both.link
    parts = (
        ("attention projections", seconds.attention, slower_side(*both.attention), "gpu"),
        ("kv cache and scores", seconds.cache, slower_side(*cache), "gpu"),
        ("dense ffn", seconds.dense, slower_side(*both.dense), "gpu"),
        ("shared experts", seconds.shared, slower_side(*both.shared), "gpu"),
        ("routed experts", seconds.experts, slower_side(*both.experts), "gpu"),
        ("output head", seconds.head, slower_side(*both.head), "gpu"),
        (TOWER, seconds.tower, COMPUTE, "gpu"),
        ("drafting", seconds.drafts, MEMORY, "gpu"),
        ("communication", seconds.link, "link bandwidth" if wire > latency else "link latency", "gpu"),
        ("kernel launches", seconds.kernels, "latency", "gpu"),
        ("launches by the host", seconds.launches, HOST, "host"),
        ("scheduler", seconds.host, HOST, "host"),
    )
    return tuple(Term(name, spent * times, limit, device) for name, spent, limit, device in parts if spent > 0)
