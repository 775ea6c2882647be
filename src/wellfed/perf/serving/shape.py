"""A request reduced to the numbers its speed depends on: bytes, FLOPs and counts per GPU. No calibration here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.models.attention import Attention, FullAttention, LatentAttention
from wellfed.models.model import Model, runs
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights
from wellfed.nouns.layout import Engine, Layout, Speculation
from wellfed.nouns.workload import Workload
from wellfed.perf.host import host_speed
from wellfed.perf.memory.context_ranks import context_ranks, prefill_ranks
from wellfed.perf.memory.kv import kv_element_bytes
from wellfed.perf.memory.lora import Adapted, adapted, adapters, is_adapted
from wellfed.perf.serving.formats import formats, gpu_of, peak_rate
from wellfed.perf.serving.links import link
from wellfed.perf.serving.totals import Totals, totals
from wellfed.perf.tower import prompt_flops


@dataclass(frozen=True, slots=True)
class Shape:
    """One replica: `ranks` GPUs per pipeline stage, `groups` of them with attention of their own.

    Bytes and FLOPs are those of one rank for all layers of the model; FLOPs are per token of the whole replica. The
    fields may also be arrays of many replicas: `step` and `load` are arithmetic that holds for both.
    """

    ranks: float
    stages: float
    groups: float
    # weights a rank reads per pass; routed experts: all it holds
    attention_bytes: float
    dense_bytes: float
    shared_bytes: float
    routed_bytes: float
    head_bytes: float
    # per token
    attention_flops: float
    dense_flops: float
    shared_flops: float
    routed_flops: float
    head_flops: float
    # peak rates for each part's format, FLOP/s, and memory bandwidth, bytes/s
    attention_peak: float
    dense_peak: float
    shared_peak: float
    routed_peak: float
    head_peak: float
    score_peak: float
    bandwidth: float
    # routed experts
    expert_share: float  # of the experts that one token chooses
    expert_ranks: float  # ranks that hold different experts
    expert_width: float  # columns of one expert that a rank multiplies by
    # attention over the cache
    cache_bytes: float  # read by one rank of the group per decode step and sequence
    score_flops: float  # by one rank, averaged over groups, per decode step and sequence of the replica
    prompt_score_flops: float  # the same for a whole prompt
    # fixed costs and communication of a pass
    kernels: float
    reduces: float  # all-reduces per pass
    exchanges: float  # expert dispatches and combines per pass
    reduce_bytes: float  # sent by a rank per token of the replica, all-reduces
    exchange_bytes: float  # the same, dispatch and combine
    link_bandwidth: float  # one direction, bytes/s
    link_factor: float  # latency of this kind of link, NVLink = 1
    link_direct: float  # 1: NVLink and its kin, 0: over PCIe or a network
    hops: float  # log2 of the ranks
    # load of one replica
    clients: float
    prompt: float
    output: float
    chunk: float  # prompt tokens that a pass takes at most
    slots: float  # sequences that may run, by memory and by the engine's limit
    start_slots: float  # the same while they hold no more than their prompts, where the engine lets them in on that
    interval: float  # passes between two looks for new requests
    mixed: float  # 1: prompts share passes with decodes, 0: they get their own
    drafts: float  # tokens a sequence brings to a decode pass: 1, or more with speculative decoding
    gain: float  # tokens it takes away from one, on average
    context_bytes: float  # KV cache of one prompt, all ranks of a group: what disaggregation moves
    draft_share: float  # what drafting costs, as a share of a pass over the active weights
    requests: float  # sent in all; infinity: the start does not count
    inverse: float  # mean of 1 / length of the answers
    spread: float  # of the lengths: 0 alike, 1 evenly between nothing and twice the mean
    # the host
    rounds: float  # host work of a pass against that of one rank's without drafts
    pace: float  # of its cores against the reference core, threads that wait for a core included
    overlapped: float  # 1: the next step is prepared while the GPU works
    launches: float  # kernels of a decode pass that no graph replays
    prompt_launches: float  # the same of a pass with prompts
    tower_flops: float = 0.0  # by one rank, for a prompt's pictures


# Kernels of a layer that graphs leave out where they are captured piece by piece (vLLM up to 0.10): attention's.
_PIECEWISE = 3
_COMPILED = 0.35  # of the kernels are left to launch where the model is compiled but not captured
_PLAIN_DECODE = 0.4  # of the launch work of SGLang's prompt passes: a decode pass plans no attention for ragged prompts
_PER_DOUBLING = 0.15  # more host work of a pass for every doubling of the ranks that are handed it
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
    drawn = (math.log(2 * length) + 0.5772) / (2 * length)
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
        """Bytes in 16 bits."""
        return 0.0 if self.adapted is None else 2 * self.active * self.adapted.elements.get(part, 0.0)

    def flops(self, part: Part) -> float:
        """For each token."""
        return 0.0 if self.adapted is None else 2 * self.adapted.elements.get(part, 0.0)


_ADAPTED_INPUTS = 4  # of a layer: queries with keys and values, their output, gate with up, down
_ADAPTER_KERNELS = 2


def _beside(model: Model, layout: Layout, clients: float) -> _Beside:
    if not is_adapted(layout):
        return _Beside()
    blocks = len(model.layers)
    return _Beside(
        adapted(model, layout, range(blocks)), min(adapters(layout), clients),
        float(_ADAPTER_KERNELS * _ADAPTED_INPUTS * blocks),
    )  # fmt: skip


def _conversions(sums: Totals, kinds: Mapping[str, str]) -> float:
    """Kernels that bring activations into FP8 or FP4 before a multiplication in that format: two a block."""
    blocks = (
        ("attention_rate", sums.blocks),
        ("dense_rate", sums.blocks - sums.moe_blocks),
        ("routed_rate", sums.moe_blocks),
    )
    return sum(2.0 * count for name, count in blocks if kinds[name] in {"fp8", "fp4"})


@dataclass(frozen=True, slots=True)
class _Sequence:
    """What attention asks for one sequence, over all layers: elements of cache, FLOP of scores."""

    read_elements: float  # that one decode step reads on a rank
    score_flops: float  # of one decoded token
    prompt_score_flops: float
    prompt_elements: float  # cached when the prompt ends
    token_elements: float  # that its last token adds


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
    inner = ranks // groups  # tensor-parallel ranks of an attention group
    element = kv_element_bytes(layout.kv_type)
    sequence = _sequence(sums, load, inner)
    kinds = formats(weights, gpu)
    joint = link(machine, gpu, ranks * prefill_ranks(layout))
    spread = groups > 1 and sums.moe_blocks > 0
    reduces = _reduces(sums, ranks, inner, spread)
    width = 2 * model.hidden  # bytes of a token's activation, BF16
    ring = 2 * (ranks - 1) / ranks
    reached = min(sums.active, ranks)
    guess = layout.speculation or Speculation(0, 1.0)
    parts, prompts = context_ranks(layout), prefill_ranks(layout)
    divided = _divided(model, layout, sums.blocks)
    beside = _beside(model, layout, clients)
    kernels = sums.kernels + _conversions(sums, kinds) + beside.kernels
    host = host_shape(machine, layout, kernels, sums.blocks)
    answer = max(1, load.output_tokens)
    return Shape(
        ranks=ranks,
        stages=layout.pipeline_parallel,
        groups=groups,
        attention_bytes=(sums.attention - sums.replicated) / inner
        + sums.replicated
        + sums.small
        + beside.read(Part.ATTENTION),
        dense_bytes=sums.dense / ranks + beside.read(Part.DENSE_FFN),
        shared_bytes=sums.shared / inner + beside.read(Part.SHARED_EXPERTS),
        routed_bytes=sums.routed / ranks / prompts + beside.read(Part.ROUTED_EXPERTS),
        head_bytes=weights.head / inner,
        attention_flops=sums.attention_flops / ranks / prompts + beside.flops(Part.ATTENTION),
        dense_flops=sums.dense_flops / ranks / prompts + beside.flops(Part.DENSE_FFN),
        shared_flops=sums.shared_flops / ranks / prompts + beside.flops(Part.SHARED_EXPERTS),
        routed_flops=sums.routed_flops / ranks / prompts + beside.flops(Part.ROUTED_EXPERTS) * sums.expert_share,
        head_flops=sums.head_flops / ranks / prompts,
        attention_peak=peak_rate(kinds["attention_rate"], gpu),
        dense_peak=peak_rate(kinds["dense_rate"], gpu),
        shared_peak=peak_rate(kinds["shared_rate"], gpu),
        routed_peak=peak_rate(kinds["routed_rate"], gpu),
        head_peak=peak_rate(kinds["head_rate"], gpu),
        score_peak=peak_rate("fp16", gpu),
        bandwidth=gpu.memory_bandwidth_bytes_per_s,
        expert_share=sums.expert_share,
        expert_ranks=max(1, layout.expert_parallel),
        expert_width=sums.expert_width * max(1, layout.expert_parallel) / ranks,
        cache_bytes=sequence.read_elements * element / max(parts, prompts),
        score_flops=sequence.score_flops / ranks / prompts,
        prompt_score_flops=sequence.prompt_score_flops / ranks / prompts,
        kernels=kernels,
        reduces=reduces + (sums.wide_norms if inner > 1 else 0) + divided.exchanges,
        exchanges=2 * sums.moe_blocks if spread else 0,
        reduce_bytes=reduces * width * ring / prompts
        + divided.link_bytes
        + sequence.token_elements * element * (prompts - 1) / prompts,
        exchange_bytes=(sums.moe_blocks * reached * model.hidden * 3 / ranks * (ranks - 1) / ranks) if spread else 0,
        link_bandwidth=joint.bytes_per_s,
        link_factor=joint.latency,
        link_direct=joint.direct,
        hops=math.log2(ranks) if ranks > 1 else 0.0,
        clients=clients,
        prompt=load.prompt_tokens,
        output=answer,
        chunk=layout.batch_tokens,
        slots=slots,
        start_slots=start_slots,
        interval=float(dict(layout.options).get("recv_interval", 1)),
        mixed=1.0 if mixed else 0.0,
        drafts=1 + guess.tokens,
        gain=guess.acceptance_length,
        context_bytes=sequence.prompt_elements * element,
        draft_share=guess.draft_share * guess.tokens,
        requests=load.requests * clients / max(1, load.concurrency) if load.requests else math.inf,
        inverse=mean_inverse(answer, load.length_spread),
        spread=load.length_spread,
        rounds=host.rounds,
        pace=host.pace,
        overlapped=host.overlapped,
        launches=host.launches,
        prompt_launches=host.prompt_launches,
        tower_flops=prompt_flops(load.pictures) / ranks / prompts,
    )
