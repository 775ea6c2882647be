"""A request reduced to one replica's Shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.hardware.parts import GpuSpec
from wellfed.message import sentence
from wellfed.models.attention import Attention, FullAttention, LatentAttention
from wellfed.models.model import Model, runs
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights
from wellfed.nouns.layout import Engine, Layout, Speculation
from wellfed.nouns.workload import Workload
from wellfed.perf.host import host_speed
from wellfed.perf.identity import per_object_and_values, per_pair
from wellfed.perf.memory.context_ranks import context_ranks, prefill_ranks
from wellfed.perf.memory.kv import kv_element_bytes
from wellfed.perf.memory.lora import Adapted, adapted, adapters, is_adapted
from wellfed.perf.serving.formats import TILED, formats, gpu_of, peak_rate
from wellfed.perf.serving.links import Link, link
from wellfed.perf.serving.shape import Shape
from wellfed.perf.serving.totals import Totals, totals
from wellfed.perf.tower import prompt_flops

# Kernels of a layer that graphs leave out where they are captured piece by piece (vLLM up to 0.10): attention's.
_PIECEWISE = 3
_COMPILED = 0.35  # of the kernels are left to launch where the model is compiled but not captured
_PLAIN_DECODE = 0.4  # of the launch work of SGLang's prompt passes: a decode pass plans no attention for ragged prompts
_PER_DOUBLING = 0.15  # more host work of a pass for every doubling of the ranks that are handed it: assumed
_EULER = 0.5772  # Euler's constant: the sum of 1/n up to m is ln m more than it
_MOST_DRAFTS = 4  # drafting passes of trees: wide ones are no deeper
_FRONT_THREADS = 3  # beside the ranks': engine core, API server, detokeniser


@dataclass(frozen=True, slots=True)
class HostShape:
    """What a layout asks of the host: see the fields of `Shape` with these names."""

    rounds: float
    pace: float
    overlapped: float
    launches: float
    prompt_launches: float


def host_shape(machine: Machine, layout: Layout, kernels: float, blocks: int) -> HostShape:
    """The host's part. vLLM and TensorRT-LLM compile their models, SGLang launches prompts' kernels one by one."""
    ranks = layout.tensor_parallel * layout.pipeline_parallel * max(1, layout.data_parallel) / max(1, machine.count)
    speed = host_speed(machine)
    pace = speed.ratio / speed.stretch(ranks + _FRONT_THREADS)
    piecewise = dict(layout.options).get("graphs") == "piecewise"
    compiled = 1.0 if layout.engine is Engine.SGLANG or not layout.cuda_graphs else _COMPILED
    launches = 0.0 if not piecewise else _PIECEWISE * float(blocks)
    plain = _PLAIN_DECODE if layout.engine is Engine.SGLANG else 1.0
    guess = layout.speculation
    drafts = min(guess.tokens, _MOST_DRAFTS) if guess and guess.draft_share else 0
    together = layout.tensor_parallel * layout.pipeline_parallel
    return HostShape(
        rounds=(1 + _PER_DOUBLING * math.log2(max(1, together))) * (1 + drafts),
        pace=pace,
        overlapped=0.0 if layout.async_scheduling is False else 1.0,
        launches=launches if layout.cuda_graphs else kernels * plain,
        prompt_launches=kernels * compiled,
    )


def mean_inverse(length: float, spread: float) -> float:
    """Mean of 1/n over lengths from 1 to twice `length`, evenly drawn, or of that one length; in between by `spread`.

    Means of times per token are means over answers: an answer of few tokens that waits once weighs most in them.
    """
    drawn = (math.log(2 * length) + _EULER) / (2 * length)
    return (1 - spread) / length + spread * max(1 / length, drawn)


class _Divided(NamedTuple):
    """What context parallelism exchanges in a pass: collectives, and bytes for each token that a rank sends."""

    exchanges: float = 0.0
    link_bytes: float = 0.0


def _divided(model: Model, layout: Layout, blocks: int) -> _Divided:
    """Decode: queries are gathered from the ranks that hold the other tokens, results and their sums of exponents come
    back (a gather and a scatter for every layer). Prefill: the prompt's keys and values are gathered, once a layer.
    """
    parts, prompts = context_ranks(layout), prefill_ranks(layout)
    if parts == 1 and prompts == 1:
        return _Divided()
    sent = 0.0
    if parts > 1:
        heads = sum(n * _head_widths(layer.attention) for layer, n in runs(model))
        sent = 2 * heads / layout.tensor_parallel * (parts - 1)
    return _Divided((2 * blocks if parts > 1 else 0) + (blocks if prompts > 1 else 0), sent)


def _head_widths(attention: Attention) -> float:
    """Elements of all heads' queries and results."""
    if isinstance(attention, LatentAttention):
        return attention.heads * (2 * attention.kv_rank + attention.rope_dim)
    if isinstance(attention, FullAttention):
        return attention.heads * (attention.head_dim + (attention.value_dim or attention.head_dim))
    return 0.0


@dataclass(frozen=True, slots=True)
class _Beside:
    """What adapters add to a pass on one rank: each sequence has one, so that as many are read as there are sequences,
    at most all; every token passes one. Each matrix, of which those with the same input are one, is two kernels more
    (vllm/lora/punica_wrapper: shrink and expand).
    """

    adapted: Adapted | None = None
    active: float = 0.0
    kernels: float = 0.0

    def read(self, part: Part) -> float:
        """Bytes of the adapters' matrices beside this part that a pass reads, in 16 bits."""
        return 0.0 if self.adapted is None else 2 * self.active * self.adapted.elements.get(part, 0.0)

    def flops(self, part: Part) -> float:
        """FLOP of them for each token."""
        return 0.0 if self.adapted is None else 2 * self.adapted.elements.get(part, 0.0)


_ADAPTED_INPUTS = 4  # of a layer: queries with keys and values, their output, gate with up, down
_ADAPTER_KERNELS = 2  # shrink and expand (vllm/lora/punica_wrapper)


def _beside(model: Model, layout: Layout, clients: float) -> _Beside:
    if not is_adapted(layout):
        return _Beside()
    blocks = len(model.layers)
    return _Beside(
        adapted(model, layout, range(blocks)), min(adapters(layout), clients),
        float(_ADAPTER_KERNELS * _ADAPTED_INPUTS * blocks),
    )  # fmt: skip


@per_pair
def _conversions(sums: Totals, kinds: Mapping[str, str]) -> float:
    """Kernels that bring activations into FP4, or into FP8 tile by tile, before a multiplication: two a block. With one
    scale a tensor or row, engines do it in the kernel before.
    """
    blocks = (
        ("attention_rate", sums.blocks),
        ("dense_rate", sums.blocks - sums.moe_blocks),
        ("routed_rate", sums.moe_blocks),
    )
    return sum(2.0 * count for name, count in blocks if kinds[name] in {TILED, "fp4"})


@dataclass(frozen=True, slots=True)
class _Sequence:
    """What attention asks for one sequence, over all layers: elements of cache, FLOP of scores."""

    read_elements: float  # that one decode step reads on a rank
    score_flops: float  # of one decoded token
    prompt_score_flops: float
    prompt_elements: float  # cached when the prompt ends
    token_elements: float  # that its last token adds


@per_object_and_values
def _sequence(sums: Totals, load: Workload, inner: int) -> _Sequence:
    """`inner`: ranks over which an attention group divides its cache."""
    context, end = max(1, round(load.mean_decode_context)), max(1, load.depth_tokens + load.prompt_tokens)
    kinds = [(layer.attention, count) for layer, count in sums.layers]
    return _Sequence(
        sum(count * kind.cache_read_elements(context) / kind.cache_shards(inner) for kind, count in kinds),
        sum(count * kind.score_flops(1, context) for kind, count in kinds),
        sum(count * kind.score_flops(max(1, load.prompt_tokens), end) for kind, count in kinds),
        sum(count * kind.cache_elements(end) for kind, count in kinds),
        sum(count * (kind.cache_elements(end) - kind.cache_elements(max(1, end - 1))) for kind, count in kinds),
    )


def _reduces(sums: Totals, ranks: int, inner: int, spread: bool) -> int:
    """All-reduces of a step: two a block, but for attention that is not divided and experts that are exchanged."""
    if ranks == 1:
        return 0
    return 2 * sums.blocks - (sums.moe_blocks if spread else 0) - (sums.blocks if inner == 1 else 0)


class _Division(NamedTuple):
    """How a replica's work is divided among its GPUs."""

    ranks: int  # GPUs of a pipeline stage
    groups: int  # with attention of their own
    inner: int  # tensor-parallel ranks of such a group
    parts: int  # ranks that hold different tokens of one sequence
    prompts: int  # ranks that each take a part of a prompt
    spread: bool  # experts are exchanged between the groups


def _division(layout: Layout, sums: Totals) -> _Division:
    """Raises Unsupported where the groups do not divide the ranks."""
    ranks, groups = layout.tensor_parallel, max(1, layout.attention_data_parallel)
    if ranks % groups:
        raise Unsupported(
            sentence(
                "perf.shape.attention-data",
                "attention data parallelism {groups} does not divide tensor parallelism {ranks}",
                groups=groups,
                ranks=ranks,
            )
        )
    spread = groups > 1 and sums.moe_blocks > 0
    return _Division(ranks, groups, ranks // groups, context_ranks(layout), prefill_ranks(layout), spread)


def shape_of(
    machine: Machine,
    model: Model,
    weights: Weights,
    layout: Layout,
    load: Workload,
    clients: float,
    slots: float,
    start_slots: float,
    mixed: bool,
) -> Shape:
    """The shape of one replica that serves `clients` at a time, of which `slots` may run."""
    gpu, sums = gpu_of(machine), totals(model, weights)
    division = _division(layout, sums)
    sequence = _sequence(sums, load, division.inner)
    kinds = formats(weights, gpu)
    beside = _beside(model, layout, clients)
    kernels = sums.kernels + _conversions(sums, kinds) + beside.kernels
    host = host_shape(machine, layout, kernels, sums.blocks)
    return Shape(
        ranks=division.ranks,
        stages=layout.pipeline_parallel,
        groups=division.groups,
        **_weight_bytes(sums, weights, division, beside),
        **_token_flops(sums, division, beside),
        **_peaks(gpu, kinds),
        bandwidth=gpu.memory_bandwidth_bytes_per_s,
        expert_share=sums.expert_share,
        expert_ranks=max(1, layout.expert_parallel),
        expert_width=sums.expert_width * max(1, layout.expert_parallel) / division.ranks,
        **_cache_and_scores(sequence, layout, division),
        kernels=kernels,
        **_communication(machine, model, layout, sums, sequence, division),
        clients=clients,
        slots=slots,
        start_slots=start_slots,
        mixed=1.0 if mixed else 0.0,
        **_requests(load, layout, clients),
        rounds=host.rounds,
        pace=host.pace,
        overlapped=host.overlapped,
        launches=host.launches,
        prompt_launches=host.prompt_launches,
        tower_flops=prompt_flops(load.pictures) / division.ranks / division.prompts,
    )


Fields = dict[str, float]  # of a Shape, by their names


def _weight_bytes(sums: Totals, weights: Weights, division: _Division, beside: _Beside) -> Fields:
    """Bytes of weights that a rank reads per pass, adapters included; of routed experts all that it holds."""
    ranks, inner = division.ranks, division.inner
    return {
        "attention_bytes": (sums.attention - sums.replicated) / inner
        + sums.replicated
        + sums.small
        + beside.read(Part.ATTENTION),
        "dense_bytes": sums.dense / ranks + beside.read(Part.DENSE_FFN),
        "shared_bytes": sums.shared / inner + beside.read(Part.SHARED_EXPERTS),
        "routed_bytes": sums.routed / ranks / division.prompts + beside.read(Part.ROUTED_EXPERTS),
        "head_bytes": weights.head / inner,
    }


def _token_flops(sums: Totals, division: _Division, beside: _Beside) -> Fields:
    """FLOP of a rank for each token of the replica, adapters included."""
    ranks, prompts = division.ranks, division.prompts
    return {
        "attention_flops": sums.attention_flops / ranks / prompts + beside.flops(Part.ATTENTION),
        "dense_flops": sums.dense_flops / ranks / prompts + beside.flops(Part.DENSE_FFN),
        "shared_flops": sums.shared_flops / ranks / prompts + beside.flops(Part.SHARED_EXPERTS),
        "routed_flops": sums.routed_flops / ranks / prompts + beside.flops(Part.ROUTED_EXPERTS) * sums.expert_share,
        "head_flops": sums.head_flops / ranks / prompts,
    }


@per_pair
def _peaks(gpu: GpuSpec, kinds: Mapping[str, str]) -> Fields:
    """Peak rates in the format that each part is multiplied in, FLOP/s; scores are BF16."""
    parts = ("attention", "dense", "shared", "routed", "head")
    rates = {f"{part}_peak": peak_rate(kinds[f"{part}_rate"], gpu) for part in parts}
    return rates | {"score_peak": peak_rate("fp16", gpu)}


def _cache_and_scores(sequence: _Sequence, layout: Layout, division: _Division) -> Fields:
    """Cache that a decode step reads on a rank for each sequence, and FLOP of scores."""
    element, ranks, prompts = kv_element_bytes(layout.kv_type), division.ranks, division.prompts
    return {
        "cache_bytes": sequence.read_elements * element / max(division.parts, prompts),
        "score_flops": sequence.score_flops / ranks / prompts,
        "prompt_score_flops": sequence.prompt_score_flops / ranks / prompts,
        "context_bytes": sequence.prompt_elements * element,
    }


@per_object_and_values
def _joined(machine: Machine, ranks: int) -> Link:
    return link(machine, gpu_of(machine), ranks)


def _communication(
    machine: Machine, model: Model, layout: Layout, sums: Totals, sequence: _Sequence, division: _Division
) -> Fields:
    """Collectives of a pass, the bytes that a rank sends for each token (BF16 activations), and what they go over.

    A ring of n ranks sends 2 (n - 1) / n of what it reduces. Experts: one byte out (FP8), two back, for each rank that
    a token's experts are on.
    """
    ranks, prompts = division.ranks, division.prompts
    joint = _joined(machine, ranks * prompts)
    reduces = _reduces(sums, ranks, division.inner, division.spread)
    divided = _divided(model, layout, sums.blocks)
    width = 2 * model.hidden  # bytes of a token's activation, BF16
    ring = 2 * (ranks - 1) / ranks
    reached = min(sums.active, ranks)
    exchanged = sums.moe_blocks * reached * model.hidden * 3 / ranks * (ranks - 1) / ranks
    token_bytes = sequence.token_elements * kv_element_bytes(layout.kv_type) * (prompts - 1) / prompts
    return {
        "reduces": reduces + (sums.wide_norms if division.inner > 1 else 0) + divided.exchanges,
        "exchanges": 2 * sums.moe_blocks if division.spread else 0,
        "reduce_bytes": reduces * width * ring / prompts + divided.link_bytes + token_bytes,
        "exchange_bytes": exchanged if division.spread else 0,
        "link_bandwidth": joint.bytes_per_s,
        "link_factor": joint.latency,
        "link_direct": joint.direct,
        "hops": math.log2(ranks) if ranks > 1 else 0.0,
    }


def _requests(load: Workload, layout: Layout, clients: float) -> Fields:
    """What is asked, in tokens; how it is taken in, and what drafting adds and takes away."""
    guess = layout.speculation or Speculation(0, 1.0)
    answer = max(1, load.output_tokens)
    return {
        "prompt": load.prompt_tokens,
        "output": answer,
        "chunk": layout.batch_tokens,
        "interval": float(dict(layout.options).get("recv_interval", 1)),
        "collected": float(dict(layout.options).get("batch_wait_iters", 0)),
        "in_step": 1.0 if load.equal_lengths and not load.request_rate else 0.0,
        "drafts": 1 + guess.tokens,
        "gain": guess.acceptance_length,
        "draft_share": guess.draft_share * guess.tokens,
        "requests": load.requests * clients / max(1, load.concurrency) if load.requests else math.inf,
        "inverse": mean_inverse(answer, load.length_spread),
        "spread": load.length_spread,
    }
