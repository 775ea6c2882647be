"""Passes written out: what takes the time, and what limits it."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.estimate import Term
from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.shape import Shape
from wellfed.perf.serving.step import Pass, touched

_MEMORY, _COMPUTE = "memory bandwidth", "compute"


def terms(shape: Shape, knobs: Knobs, decodes: float, prefill: float, times: float = 1.0) -> tuple[Term, ...]:
    """The terms of `times` passes over `decodes` sequences and `prefill` prompt tokens; they add up to its time."""
    from wellfed.perf.serving.step import forward

    one = forward(shape, knobs, decodes, prefill)
    limits = _limits(shape, knobs, decodes, prefill, one)
    named = (
        ("attention projections", one.attention, limits["attention"]),
        ("kv cache and scores", one.cache, limits["cache"]),
        ("dense ffn", one.dense, limits["dense"]),
        ("shared experts", one.shared, limits["shared"]),
        ("routed experts", one.experts, limits["experts"]),
        ("output head", one.head, limits["head"]),
        ("communication", one.link, limits["link"]),
        ("kernel launches", one.kernels, "latency"),
        ("scheduler", one.host, "host CPU"),
    )
    return tuple(Term(name, seconds * times, limit, "gpu") for name, seconds, limit in named if seconds > 0)


def _limits(shape: Shape, knobs: Knobs, decodes: float, prefill: float, one: Pass) -> dict[str, str]:
    tokens = decodes * shape.drafts + prefill
    share = touched(shape, knobs, tokens)
    wide = shape.expert_width / (shape.expert_width + knobs.expert_half_width)
    ends = decodes * shape.drafts + prefill / shape.prompt

    def bound(read: float, fraction: float, flops: float, rate: float) -> str:
        return _MEMORY if read / (shape.bandwidth * fraction) >= flops / rate else _COMPUTE

    wire = (shape.reduce_bytes + shape.exchange_bytes) * tokens / (shape.link_bandwidth * knobs.link_fraction)
    return {
        "attention": bound(
            shape.attention_bytes,
            knobs.attention_read,
            shape.attention_flops * tokens,
            shape.attention_peak * knobs.attention_rate,
        ),
        "cache": bound(
            shape.cache_bytes * decodes / shape.groups,
            knobs.cache_fraction,
            shape.score_flops * decodes * shape.drafts + shape.prompt_score_flops * prefill / shape.prompt,
            shape.score_peak * knobs.score_rate,
        ),
        "dense": bound(
            shape.dense_bytes, knobs.dense_read, shape.dense_flops * tokens, shape.dense_peak * knobs.dense_rate
        ),
        "shared": bound(
            shape.shared_bytes, knobs.shared_read, shape.shared_flops * tokens, shape.shared_peak * knobs.shared_rate
        ),
        "experts": bound(
            shape.routed_bytes * share,
            knobs.routed_read,
            shape.routed_flops * tokens,
            shape.routed_peak * knobs.routed_rate * knobs.expert_rate * wide,
        ),
        "head": bound(shape.head_bytes, knobs.head_read, shape.head_flops * ends, shape.head_peak * knobs.head_rate),
        "link": "link bandwidth" if wire > one.link / 2 else "link latency",
    }


def heaviest(terms_: Iterable[Term]) -> str:
    """What limits the most time, over all terms."""
    sums: dict[str, float] = {}
    for term in terms_:
        sums[term.limited_by] = sums.get(term.limited_by, 0.0) + term.seconds
    return max(sums, key=lambda limit: sums[limit])
