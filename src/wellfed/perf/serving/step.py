"""The time of one forward pass of a replica. Arithmetic only: holds for numbers and for arrays of replicas alike."""

from __future__ import annotations

from typing import NamedTuple

from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.shape import Shape


class Pass(NamedTuple):
    """Seconds of one forward pass, by what takes them; the sum is its duration."""

    attention: float
    cache: float
    dense: float
    shared: float
    experts: float
    head: float
    link: float
    kernels: float
    host: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return (
            self.attention + self.cache + self.dense + self.shared + self.experts + self.head
            + self.link + self.kernels + self.host
        )  # fmt: skip


def either(memory_s: float, compute_s: float) -> float:
    """A roofline with a rounded ridge: near it, neither memory nor matrix units run at their best."""
    norm: float = (memory_s * memory_s + compute_s * compute_s) ** 0.5
    return norm


def larger(a: float, b: float) -> float:
    """max(a, b), for arrays too."""
    return (a + b + abs(a - b)) / 2


def smaller(a: float, b: float) -> float:
    """min(a, b), for arrays too."""
    return (a + b - abs(a - b)) / 2


def touched(shape: Shape, knobs: Knobs, tokens: float) -> float:
    """The share of the routed experts that `tokens` tokens reach: 1 - (1 - k/E)^n, n fewer where they choose alike."""
    first = smaller(1.0 + 0 * tokens, tokens)
    missed: float = (1 - shape.expert_share * (1 - 1e-9)) ** (first + (tokens - first) * knobs.expert_spread)
    return 1 - missed


def forward(shape: Shape, knobs: Knobs, decodes: float, prefill: float) -> Pass:
    """A pass over `decodes` sequences with one new token each and `prefill` prompt tokens.

    Weights are read once for all; experts as far as the tokens reach them; the cache for each decoding sequence.
    Left out: activations between kernels, which caches hold in decode and compute hides in prefill.
    """
    drafted = decodes * shape.drafts
    tokens = drafted + prefill
    bandwidth = shape.bandwidth
    share = touched(shape, knobs, tokens)
    skew = 1 + knobs.expert_imbalance * (1 - 1 / shape.expert_ranks)
    wide = shape.expert_width / (shape.expert_width + knobs.expert_half_width)
    padded = tokens + share / shape.expert_share * knobs.expert_tile
    prompts = prefill / shape.prompt
    ends = drafted + prompts
    score_rate = shape.score_peak * knobs.score_rate
    return Pass(
        attention=either(
            shape.attention_bytes / (bandwidth * knobs.attention_read),
            shape.attention_flops * tokens / (shape.attention_peak * knobs.attention_rate),
        ),
        cache=either(
            shape.cache_bytes * decodes / shape.groups / (shape.bandwidth * knobs.cache_fraction),
            shape.score_flops * drafted / score_rate,
        )
        + shape.prompt_score_flops * prompts / score_rate,
        dense=either(
            shape.dense_bytes / (bandwidth * knobs.dense_read),
            shape.dense_flops * tokens / (shape.dense_peak * knobs.dense_rate),
        ),
        shared=either(
            shape.shared_bytes / (bandwidth * knobs.shared_read),
            shape.shared_flops * tokens / (shape.shared_peak * knobs.shared_rate),
        ),
        experts=skew
        * either(
            shape.routed_bytes * share / (bandwidth * knobs.routed_read),
            shape.routed_flops * padded / (shape.routed_peak * knobs.routed_rate * knobs.expert_rate * wide),
        ),
        head=either(
            shape.head_bytes / (bandwidth * knobs.head_read),
            shape.head_flops * ends / (shape.head_peak * knobs.head_rate),
        ),
        link=shape.link_factor
        * (
            shape.reduces * (knobs.reduce_s + knobs.reduce_hop_s * (shape.hops - 1))
            + shape.exchanges * knobs.exchange_s
        )
        + (shape.reduce_bytes + shape.exchange_bytes) * tokens / (shape.link_bandwidth * knobs.link_fraction),
        kernels=shape.kernels * knobs.kernel_s,
        host=knobs.step_s + knobs.sequence_s * decodes / shape.groups,
    )
