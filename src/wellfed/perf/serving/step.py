"""The time of one forward pass of a replica. Arithmetic only: holds for numbers and for arrays of replicas alike."""

from __future__ import annotations

from typing import NamedTuple

from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.shape import Shape

TINY = 1e-9  # keeps quotients and powers of nothing defined; too small to be seen in a result


class Pass(NamedTuple):
    """Seconds of one forward pass, by what takes them; the sum is its duration.

    `launches` and `host` are what the GPU waits for: host work behind which it computes is not in them.
    """

    attention: float
    cache: float
    dense: float
    shared: float
    experts: float
    head: float
    tower: float
    drafts: float
    link: float
    kernels: float
    launches: float
    host: float

    @property
    def seconds(self) -> float:
        """Seconds of the whole step: the terms one after the other."""
        return (
            self.attention + self.cache + self.dense + self.shared + self.experts + self.head + self.tower
            + self.drafts + self.link + self.kernels + self.launches + self.host
        )  # fmt: skip


def either(memory_s: float, compute_s: float) -> float:
    """A roofline with a rounded ridge: near it, neither memory nor matrix units run at their best.

    The root of the sum of squares: 1.41 times either side where both are alike (that exponent is assumed).
    """
    norm: float = (memory_s * memory_s + compute_s * compute_s) ** 0.5
    return norm


def beyond(busy_s: float, beside_s: float) -> float:
    """What of `beside_s` shows when it runs beside `busy_s`: the excess, rounded where both are alike.

    Sharper than a roofline's ridge: 0.19 of either where both are alike (that exponent is assumed).
    """
    longest: float = (busy_s**4 + beside_s**4) ** 0.25
    return longest - busy_s


def larger(a: float, b: float) -> float:
    """max(a, b), for arrays too."""
    return (a + b + abs(a - b)) / 2


def smaller(a: float, b: float) -> float:
    """min(a, b), for arrays too."""
    return (a + b - abs(a - b)) / 2


def touched(shape: Shape, knobs: Knobs, tokens: float) -> float:
    """The share of the routed experts that `tokens` tokens reach: 1 - (1 - k/E)^n, n fewer where they choose alike."""
    first = smaller(1.0 + 0 * tokens, tokens)
    missed: float = (1 - shape.expert_share * (1 - TINY)) ** (first + (tokens - first) * knobs.expert_spread)
    return 1 - missed


def skew(shape: Shape, knobs: Knobs) -> float:
    """The busiest rank's load against the mean, where ranks hold different experts."""
    return 1 + knobs.expert_imbalance * (1 - 1 / shape.expert_ranks)


def wire_rate(shape: Shape, knobs: Knobs) -> float:
    """Bytes per second of what joins the ranks, as collective operations get it."""
    share = shape.link_direct * knobs.link_fraction + (1 - shape.link_direct) * knobs.bus_fraction
    return shape.link_bandwidth * share


Side = tuple[float, float]


class Sides(NamedTuple):
    """By part of a pass, the seconds that memory and the matrix units would each take alone; of the link those of bytes
    and of latency, which add up.
    """

    attention: Side
    cache: Side
    prompt_scores: Side
    dense: Side
    shared: Side
    experts: Side
    head: Side
    link: Side


def sides(shape: Shape, knobs: Knobs, decodes: float, prefill: float) -> Sides:
    """Both sides of every part's roofline, for a pass over `decodes` sequences and `prefill` prompt tokens."""
    drafted = decodes * shape.drafts
    tokens, bandwidth = drafted + prefill, shape.bandwidth
    share, uneven = touched(shape, knobs, tokens), skew(shape, knobs)
    # a tile's latency is the chip's: the slower its units, the less a narrow matrix shows
    wide = shape.expert_width / (shape.expert_width + knobs.expert_half_width * shape.routed_peak / 1e15)
    padded = tokens + share / shape.expert_share * knobs.expert_tile
    prompts = prefill / shape.prompt
    score_rate = shape.score_peak * knobs.score_rate
    reached = smaller(1.0 + 0 * share, uneven * share)
    expert_rate = shape.routed_peak * knobs.routed_rate * knobs.expert_rate * wide
    return Sides(
        attention=(
            shape.attention_bytes / (bandwidth * knobs.attention_read),
            shape.attention_flops * tokens / (shape.attention_peak * knobs.attention_rate),
        ),
        cache=(
            shape.cache_bytes * decodes / shape.groups / (bandwidth * knobs.cache_fraction),
            shape.score_flops * drafted / score_rate,
        ),
        prompt_scores=(0.0 * prompts, shape.prompt_score_flops * prompts / score_rate),
        dense=(
            shape.dense_bytes / (bandwidth * knobs.dense_read),
            shape.dense_flops * tokens / (shape.dense_peak * knobs.dense_rate),
        ),
        shared=(
            shape.shared_bytes / (bandwidth * knobs.shared_read),
            shape.shared_flops * tokens / (shape.shared_peak * knobs.shared_rate),
        ),
        experts=(
            shape.routed_bytes * reached / (bandwidth * knobs.routed_read * knobs.expert_read),
            uneven * shape.routed_flops * padded / expert_rate,
        ),
        head=(
            shape.head_bytes / (bandwidth * knobs.head_read),
            shape.head_flops * (drafted + prompts) / (shape.head_peak * knobs.head_rate),
        ),
        link=(
            (shape.reduce_bytes + shape.exchange_bytes) * tokens / wire_rate(shape, knobs),
            shape.link_factor
            * (
                shape.reduces * (knobs.reduce_s + knobs.reduce_hop_s * (shape.hops - 1))
                + shape.exchanges * knobs.exchange_s
            ),
        ),
    )


def forward(shape: Shape, knobs: Knobs, decodes: float, prefill: float) -> Pass:
    """A pass over `decodes` sequences with one new token each and `prefill` prompt tokens.

    Weights are read once for all; experts as far as the tokens reach them, never more than there are; the cache for
    each decoding sequence. Kernels that no graph replays are launched beside the GPU's work; the engine's own work per
    pass stands between passes, or beside them where the engine overlaps. Left out: activations between kernels, which
    caches hold in decode and compute hides in prefill.
    """
    both = sides(shape, knobs, decodes, prefill)
    attention, dense, shared, experts = (
        either(*side) for side in (both.attention, both.dense, both.shared, both.experts)
    )
    cache, head = either(*both.cache) + both.prompt_scores[1], either(*both.head)
    link = both.link[0] + both.link[1]
    kernels = shape.kernels * knobs.kernel_s
    body = attention + dense + shared + experts + head + kernels
    drafts = shape.draft_share * body * decodes / (decodes + TINY)
    tower = shape.tower_flops * prefill / shape.prompt / (shape.score_peak * knobs.tower_rate)
    busy = attention + cache + dense + shared + experts + head + tower + drafts + link + kernels
    prompted = prefill / (prefill + TINY)
    launched = (shape.launches + prompted * (shape.prompt_launches - shape.launches)) * knobs.launch_s / shape.pace
    launches = beyond(busy, launched)
    work = (knobs.step_s * shape.rounds + knobs.sequence_s * decodes / shape.groups) / shape.pace
    hidden = shape.overlapped * knobs.hidden * work
    host = work - hidden + beyond(busy + launches, hidden)
    return Pass(attention, cache, dense, shared, experts, head, tower, drafts, link, kernels, launches, host)
