"""The time of one forward pass of a replica. Arithmetic only: holds for numbers and for arrays of replicas alike."""

from __future__ import annotations

from typing import NamedTuple

from wellfed.frozen import dataclass
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
        return sum(self)


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


@dataclass(frozen=True, slots=True)
class Costs:
    """What the passes of a replica have in common: seconds of weights and latencies, which a pass takes once, and of
    every token, sequence or prompt that it takes in. Numbers, or arrays of many replicas.
    """

    shape: Shape
    knobs: Knobs
    attention_read_s: float  # for its weights, once a pass
    attention_token_s: float
    cache_s: float  # for a decoding sequence
    score_s: float  # for a drafted token
    prompt_score_s: float  # for a whole prompt
    dense_read_s: float
    dense_token_s: float
    shared_read_s: float
    shared_token_s: float
    expert_read_s: float  # where every expert is reached
    expert_token_s: float
    skew: float  # of the busiest rank
    tile_tokens: float  # by which every expert that is touched pads its own, in tokens of the replica
    missed: float  # the share of the experts that one token does not reach
    head_read_s: float
    head_token_s: float
    link_token_s: float
    link_pass_s: float
    kernels_s: float
    tower_s: float  # for a whole prompt
    launched_s: float  # of kernels that a decode pass launches one by one
    prompt_launched_s: float  # the same of a pass with prompts
    step_s: float  # host work of a pass
    sequence_s: float  # host work for each running sequence
    hidden: float  # share of the host's work that can hide behind the GPU

    def touched(self, tokens: float) -> float:
        """The share of the routed experts that `tokens` reach: 1 - (1 - k/E)^n, n fewer where they choose alike."""
        first = smaller(1.0 + 0 * tokens, tokens)
        not_reached: float = self.missed ** (first + (tokens - first) * self.knobs.expert_spread)
        return 1 - not_reached

    def sides(self, decodes: float, prefill: float) -> Sides:
        """Both sides of every part's roofline, for a pass over `decodes` sequences and `prefill` prompt tokens."""
        drafted, prompts = decodes * self.shape.drafts, prefill / self.shape.prompt
        tokens = drafted + prefill
        share = self.touched(tokens)
        reached = smaller(1.0 + 0 * share, self.skew * share)
        return Sides(
            (self.attention_read_s, self.attention_token_s * tokens),
            (self.cache_s * decodes, self.score_s * drafted),
            (0.0 * prompts, self.prompt_score_s * prompts),
            (self.dense_read_s, self.dense_token_s * tokens),
            (self.shared_read_s, self.shared_token_s * tokens),
            (self.expert_read_s * reached, self.expert_token_s * (tokens + share * self.tile_tokens)),
            (self.head_read_s, self.head_token_s * (drafted + prompts)),
            (self.link_token_s * tokens, self.link_pass_s),
        )

    def forward(self, decodes: float, prefill: float) -> Pass:
        """A pass over `decodes` sequences with one new token each and `prefill` prompt tokens.

        Weights are read once for all; experts as far as the tokens reach them, never more than there are; the cache
        for each decoding sequence. Kernels that no graph replays are launched beside the GPU's work; the engine's own
        work per pass stands between passes, or beside them where the engine overlaps. Left out: activations between
        kernels, which caches hold in decode and compute hides in prefill.
        """
        both = self.sides(decodes, prefill)
        attention, dense, shared = either(*both.attention), either(*both.dense), either(*both.shared)
        experts, cache = either(*both.experts), either(*both.cache) + both.prompt_scores[1]
        head, link, kernels = either(*both.head), both.link[0] + both.link[1], self.kernels_s
        body = attention + dense + shared + experts + head + kernels
        drafts = self.shape.draft_share * body * decodes / (decodes + TINY)
        tower = self.tower_s * prefill / self.shape.prompt
        busy = attention + cache + dense + shared + experts + head + tower + drafts + link + kernels
        prompted = prefill / (prefill + TINY)
        launches = beyond(busy, self.launched_s + prompted * (self.prompt_launched_s - self.launched_s))
        work = self.step_s + self.sequence_s * decodes
        hidden = self.hidden * work
        host = work - hidden + beyond(busy + launches, hidden)
        return Pass(attention, cache, dense, shared, experts, head, tower, drafts, link, kernels, launches, host)


def costs(shape: Shape, knobs: Knobs) -> Costs:
    """What passes of the replica cost: bytes over what bandwidth is achieved, FLOP over what rate is."""
    bandwidth, score_rate, uneven = shape.bandwidth, shape.score_peak * knobs.score_rate, skew(shape, knobs)
    # a tile's latency is the chip's: the slower its units, the less a narrow matrix shows
    wide = shape.expert_width / (shape.expert_width + knobs.expert_half_width * shape.routed_peak / 1e15)
    expert_rate = shape.routed_peak * knobs.routed_rate * knobs.expert_rate * wide
    reduce_s = knobs.reduce_s + knobs.reduce_hop_s * (shape.hops - 1)
    return Costs(
        shape,
        knobs,
        attention_read_s=shape.attention_bytes / (bandwidth * knobs.attention_read),
        attention_token_s=shape.attention_flops / (shape.attention_peak * knobs.attention_rate),
        cache_s=shape.cache_bytes / shape.groups / (bandwidth * knobs.cache_fraction),
        score_s=shape.score_flops / score_rate,
        prompt_score_s=shape.prompt_score_flops / score_rate,
        dense_read_s=shape.dense_bytes / (bandwidth * knobs.dense_read),
        dense_token_s=shape.dense_flops / (shape.dense_peak * knobs.dense_rate),
        shared_read_s=shape.shared_bytes / (bandwidth * knobs.shared_read),
        shared_token_s=shape.shared_flops / (shape.shared_peak * knobs.shared_rate),
        expert_read_s=shape.routed_bytes / (bandwidth * knobs.routed_read * knobs.expert_read),
        expert_token_s=uneven * shape.routed_flops / expert_rate,
        skew=uneven,
        tile_tokens=knobs.expert_tile / shape.expert_share,
        missed=1 - shape.expert_share * (1 - TINY),
        head_read_s=shape.head_bytes / (bandwidth * knobs.head_read),
        head_token_s=shape.head_flops / (shape.head_peak * knobs.head_rate),
        link_token_s=(shape.reduce_bytes + shape.exchange_bytes) / wire_rate(shape, knobs),
        link_pass_s=shape.link_factor * (shape.reduces * reduce_s + shape.exchanges * knobs.exchange_s),
        kernels_s=shape.kernels * knobs.kernel_s,
        tower_s=shape.tower_flops / (shape.score_peak * knobs.tower_rate),
        launched_s=shape.launches * knobs.launch_s / shape.pace,
        prompt_launched_s=shape.prompt_launches * knobs.launch_s / shape.pace,
        step_s=knobs.step_s * shape.rounds / shape.pace,
        sequence_s=knobs.sequence_s / shape.groups / shape.pace,
        hidden=shape.overlapped * knobs.hidden,
    )


def sides(shape: Shape, knobs: Knobs, decodes: float, prefill: float) -> Sides:
    """As `Costs.sides`, of one pass."""
    return costs(shape, knobs).sides(decodes, prefill)


def forward(shape: Shape, knobs: Knobs, decodes: float, prefill: float) -> Pass:
    """As `Costs.forward`, of one pass."""
    return costs(shape, knobs).forward(decodes, prefill)
