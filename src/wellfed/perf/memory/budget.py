"""What a serving engine uses on a GPU beside weights and cache, and what its budget leaves unused."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache

from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.models.compressed_attention import CompressedAttention
from wellfed.models.model import Model
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.compute import Shapes, shapes
from wellfed.perf.memory.held import expert_layers
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.shards import rank_cache_bytes
from wellfed.perf.memory.split import Span
from wellfed.perf.memory.static_share import AS_GIVEN, static_fraction
from wellfed.units import GIB, MIB

_LARGE_GPU_BYTES = 70 * GIB  # from here on vLLM's defaults are 1024 sequences and 8192 tokens, else 256 and 2048
# The profile run samples for every sequence: logits in 16 and in 32 bits, probabilities and the noise they are drawn
# with. Nothing is sorted since vLLM 0.17 (pull request 33538): its kernel has a row of 32 bits for each program, one on
# each processor of an H100 ("around 80 MiB" for 151,936 tokens).
_SAMPLER_BYTES, _SAMPLER_BYTES_ELSEWHERE = 2.0 + 4.0 + 4.0 + 4.0, 8.0
_SAMPLER_PROGRAM_BYTES = 132 * 4.0
# Beside torch: vLLM 0.18 and 0.19 on an H100 0.25 GiB, 2.07 with two ranks and 2.13 with four, 0.13 before 0.18
# (llm-d-incubation/llm-d-planner, pull request 205). Where a switch reduces, NCCL has buffers for it (NVLS: Hopper and
# newer behind an NVSwitch); SGLang's ranks take as much: 2.0 GiB of a H200 with the context (sgl-project/sglang, pull
# request 11716; SemiAnalysisAI/InferenceX, issue 2128) and of a H100 (vllm-project/vllm, issue 21348).
_NON_TORCH_GIB = 0.25
_NON_TORCH_PARALLEL_GIB = 0.42
_NON_TORCH_SWITCHED_GIB = {Engine.VLLM: 1.85, Engine.SGLANG: 1.5}
# Captured decode steps by layer: they share the activations' pool, and experts' workspaces come on top (logs of vLLM
# 0.11 on H100, 51 batch sizes up to 512: 0.1 GiB for 28 dense layers, 0.39 and 1.03 GiB for 24 and 36 with experts).
_GRAPH_BYTES_PER_LAYER, _GRAPH_BYTES_PER_EXPERT_LAYER = 4 * MIB, 22 * MIB
_LARGEST_GRAPH = 512  # sequences
# What vLLM's estimate has at least, however few are captured: 0.13 GiB for two sequences on 5090s (half as much again
# as they took), 0.2 and 0.17 for two and four on 3090s (noonghunna/club-3090, issues 1087 and 127, pull request 1139).
_FIRST_GRAPHS_BYTES = 0.13 * GIB
# Copies in 16 bits of each of hyper-connections' streams: DeepSeek-V4-Flash takes 3.91 GiB for 6176 tokens more
# (MiaAI-Lab/DeepSeek-v4-Flash-One-DGX-Spark, issue 4), of which experts are 0.13 MB a token.
_MIXED = 18.5
MOE_CHUNK = "moe_chunk"  # the option: tokens that experts take at a time; without it all
_OF_WHAT_IS_LEFT = frozenset({Engine.TENSORRT_LLM, Engine.LMDEPLOY})
_LMDEPLOY_SHARE = 0.8  # --cache-max-entry-count
_LEAST_CACHE_BYTES, _LEAST_KEPT_BYTES = 4 * GIB, GIB


@dataclass(frozen=True, slots=True)
class Budget:
    """One GPU's bytes outside weights and cache, each with its note; `kept_free` is what the engine leaves unused."""

    activations: float
    non_torch: float
    graphs: float
    kept_free: float
    note: str
    short: float = 0.0  # less is free than the engine wants to find: it does not start

    @property
    def total(self) -> float:
        """Bytes outside weights and cache."""
        return self.activations + self.non_torch + self.graphs + self.kept_free


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU as an engine's budget sees it: `capacity` bytes, `free` of them (None: all), `visible` of which it takes
    its share; `host` bytes of the engine's processes lie in the same pool (unified memory). `context`: a process's
    own before it allocates; `switched`: ranks talk over a switch that reduces by itself (NVLink SHARP); `widens`: it
    knows no FP8.
    """

    capacity: float | None
    free: float | None = None
    visible: float | None = None
    host: float = 0.0
    context: float = 0.0
    switched: bool = False
    widens: bool = False


def budget(
    model: Model, layout: Layout, card: Card, span: Span, weights: float, activations: float, part: float = 1.0
) -> Budget:
    """What an engine uses and keeps beside `weights` and cache on a card that holds the layers `span`.

    `activations`: see `activation_bytes`. `part`: what SGLang multiplies its default share of the card by, where a
    model sees pictures.
    """
    total = card.visible or card.capacity or 0.0
    free = card.capacity if card.free is None else card.free
    others = 0.0 if free is None else max(0.0, total - free)
    parallel = float(option(layout, "nccl_gib") or _parallel_gib(layout, card)) * GIB
    context = _alone(layout, card) + (parallel if _reduces(layout) else _handing_on_bytes(layout)) + card.host
    graphs = graph_bytes(model, layout, span) if layout.cuda_graphs else 0.0
    used = Budget(activations, context, graphs, 0.0, "")
    left = total - others - weights
    if layout.engine in _OF_WHAT_IS_LEFT:
        return _of_what_is_left(used, layout, left)
    kept_free = (
        _sglang(used, layout, total - others, part * static_fraction(model, layout, total))
        if layout.engine is Engine.SGLANG
        else _vllm(used, layout, total, others)
    )
    return _capped(_raised(kept_free, layout, left), model, layout, left, span)


def _alone(layout: Layout, card: Card) -> float:
    """Bytes beside torch's of a single rank; of engines that take their share of what is free it is all of a process's
    context.
    """
    if layout.engine is not Engine.VLLM:
        return card.context
    return float(option(layout, "non_torch_gib") or _NON_TORCH_GIB) * GIB


def _reduces(layout: Layout) -> bool:
    """Whether ranks add up or gather what they compute."""
    return layout.tensor_parallel > 1 or (layout.data_parallel > 1 and layout.expert_parallel > 1)


def _handing_on_bytes(layout: Layout) -> float:
    """Of NCCL between stages, which only send: as much as without a reducing switch (assumed)."""
    return _NON_TORCH_PARALLEL_GIB * GIB if layout.pipeline_parallel > 1 else 0.0


def _parallel_gib(layout: Layout, card: Card) -> float:
    return (
        _NON_TORCH_SWITCHED_GIB.get(layout.engine, _NON_TORCH_PARALLEL_GIB)
        if card.switched
        else _NON_TORCH_PARALLEL_GIB
    )


def _capped(unbounded: Budget, model: Model, layout: Layout, left: float, span: Span) -> Budget:
    """A cache of stated size (vLLM's `--kv-cache-memory-bytes`, which stands instead of a share of the card) or of at
    most so many tokens (`--num-gpu-blocks-override`, SGLang's `--max-total-tokens`): what is beyond it stays unused.
    """
    size, tokens = option(layout, "kv_cache_bytes"), option(layout, "cache_tokens")
    used = unbounded.total - unbounded.kept_free
    if size:
        note = sentence("budget.stated", "the cache is {size:.2f} GiB, as stated", size=float(size) / GIB)
        beside = left - used - float(size)
        return Budget(
            unbounded.activations,
            unbounded.non_torch,
            unbounded.graphs,
            max(0.0, beside),
            note,
            short=max(0.0, -beside),
        )
    if tokens:
        most = rank_cache_bytes(model, layout, int(tokens), span)
        kept_free = max(unbounded.kept_free, left - used - most)
        return Budget(
            unbounded.activations,
            unbounded.non_torch,
            unbounded.graphs,
            kept_free,
            sentence("budget.tokens", "at most {tokens} tokens of cache", tokens=tokens),
        )
    return unbounded


def graph_bytes(model: Model, layout: Layout, span: Span) -> float:
    """Of the captured decode steps of one rank's layers, in proportion to the batch sizes that are captured."""
    with_experts = expert_layers(model)
    experts = bisect_left(with_experts, span.last) - bisect_left(with_experts, span.first)
    dense = span.layers - experts
    uncaptured = float(dense * _GRAPH_BYTES_PER_LAYER + experts * _GRAPH_BYTES_PER_EXPERT_LAYER)
    return uncaptured * _captured(layout) / captured_sizes(_LARGEST_GRAPH)


def _captured(layout: Layout) -> int:
    return captured_sizes(min(_LARGEST_GRAPH, 2 * layout.max_sequences) if is_decided(layout) else _LARGEST_GRAPH)


@cache
def captured_sizes(largest: int) -> int:
    """How many batch sizes up to `largest` are captured: 1, 2, 4, then every 8th, from 256 on every 16th."""
    small = sum(size <= largest for size in (1, 2, 4))
    return small + max(0, min(largest, 255) // 8) + max(0, (largest - 256) // 16 + 1)


def is_decided(layout: Layout) -> bool:
    """Whether the layout says how many sequences and tokens a pass takes; a single one is chosen in a command only."""
    return layout.max_sequences > 1 or (layout.engine is Engine.VLLM and option(layout, AS_GIVEN) == "1")


def _vllm(used: Budget, layout: Layout, total: float, others: float) -> Budget:
    """`gpu_memory_utilization` of all memory is the engine's, other programs' share included."""
    share = float(option(layout, "gpu_memory_utilization") or 0.92)
    kept_free, graphs = (1 - share) * total - others, used.graphs
    if kept_free < 0:  # vLLM does not start: less is free than the share it is to take
        note = sentence(
            "budget.gpu-memory",
            "gpu_memory_utilization {share:g}: {share2:.2f} GiB must be free",
            share=share,
            share2=share * total / GIB,
        )
        stated = option(layout, "gpu_memory_utilization") or option(layout, AS_GIVEN)
        if stated and not option(layout, "v0"):
            return Budget(used.activations, used.non_torch, graphs, 0.0, note, short=-kept_free)
        kept_free = 0.0
    if option(layout, "graphs_in_budget", "1") == "0":  # before 0.21 graphs were captured into what was kept free
        kept_free, graphs = max(0.0, kept_free - graphs), min(graphs, kept_free)
    elif layout.cuda_graphs:
        graphs += _FIRST_GRAPHS_BYTES
    return Budget(used.activations, used.non_torch, graphs, kept_free, f"gpu_memory_utilization {share:g}")


def _sglang(used: Budget, layout: Layout, free: float, usual: float) -> Budget:
    """`mem_fraction_static` of what is free once the ranks know each other is for weights and cache; activations and
    graphs live in the rest (`_profile_available_bytes` of srt/mem_cache/kv_cache_configurator.py, 0.5.23).
    """
    share = float(option(layout, "mem_fraction_static") or usual)
    kept_free = max(0.0, (1 - share) * (free - used.non_torch) - used.activations - used.graphs)
    return Budget(used.activations, used.non_torch, used.graphs, kept_free, f"mem_fraction_static {share:.3f}")


def _of_what_is_left(used: Budget, layout: Layout, left: float) -> Budget:
    """TensorRT-LLM's cache takes a fraction of what weights and a profile run leave."""
    if layout.engine is Engine.LMDEPLOY:  # of all that weights and context leave; activations take of the rest
        share = float(option(layout, "free_gpu_memory_fraction") or _LMDEPLOY_SHARE)
        beside = used.total - used.non_torch
        kept_free = max(0.0, (1 - share) * max(0.0, left - used.non_torch) - beside)
        note = sentence("budget.cache-max-entry-count", "cache_max_entry_count {share:g}", share=share)
        return Budget(used.activations, used.non_torch, used.graphs, kept_free, note)
    share = float(option(layout, "free_gpu_memory_fraction") or 0.9)
    kept_free = (1 - share) * max(0.0, left - used.total)
    return Budget(used.activations, used.non_torch, used.graphs, kept_free, f"free_gpu_memory_fraction {share:g}")


def _raised(computed: Budget, layout: Layout, left: float) -> Budget:
    """A default fraction that leaves no cache is raised by whoever starts the engine; a stated one stands."""
    stated = option(layout, "gpu_memory_utilization") or option(layout, "mem_fraction_static")
    stated = stated or option(layout, AS_GIVEN)
    if computed.short or stated or left - computed.total >= _LEAST_CACHE_BYTES:
        return computed
    used = computed.total - computed.kept_free
    kept_free = min(computed.kept_free, max(_LEAST_KEPT_BYTES, left - used - _LEAST_CACHE_BYTES))
    return Budget(
        computed.activations,
        computed.non_torch,
        computed.graphs,
        kept_free,
        sentence("budget.raised-leave-cache", "{note}, raised to leave a cache", note=computed.note),
    )


def activation_bytes(model: Model, layout: Layout, capacity: float | None, output: bool = True) -> float:
    """Peak of the profile run: the larger of one full batch through a layer and, on ranks with the `output` head,
    sampling for all sequences.

    Sampling: sequences x vocabulary x 14 bytes (vLLM before 0.17: 38, since it sorts; 0.11.0: 17). A layer: tokens x
    (residual, feed-forward or experts' in- and outputs) in 16 bits. vLLM's first engine compiled nothing: a layer's
    input and what its norm made of it stand beside the residual (issue 10517: 110 KB a token of Llama-3.1-8B), not
    beside sampling (1.26 GiB of Llama-3-8B for 8192 tokens: pull request 10511).
    """
    large = capacity is None or capacity >= _LARGE_GPU_BYTES
    decided = is_decided(layout)
    tokens = int(option(layout, "batch_tokens") or (layout.batch_tokens if decided else 8192 if large else 2048))
    rows = layout.max_sequences if decided else int(option(layout, "max_num_seqs") or (1024 if large else 256))
    shape, ranks = shapes(model), max(1, layout.tensor_parallel)
    layer = max(tokens * 2 * 3 * shape.dense / ranks, _experts_bytes(shape, layout, tokens))
    layer += _streams(shape, layout) * tokens * shape.hidden * 2
    sampled = _sampler_bytes(model, layout, rows, tokens) if output else 0.0
    return max(layer, sampled + tokens * shape.hidden * 2)


def _streams(shape: Shapes, layout: Layout) -> float:
    """Copies of a layer's input beside what it computes: the residual stream's one, or hyper-connections' several."""
    several = max((kind.streams for kind in shape.attentions if isinstance(kind, CompressedAttention)), default=0)
    if several:
        return several * _MIXED
    return 3 if option(layout, "v0") else 1


def _experts_bytes(shape: Shapes, layout: Layout, tokens: int) -> float:
    """What the routed experts of a layer hold: for each expert of a token the wider of both products, in one buffer,
    and what lies between them; both products' inputs again in 8 bits where weights have 8 (`fused_experts_impl` of
    vllm/model_executor/layers/fused_moe/fused_moe.py, 0.10).

    Ranks that share experts compute the tokens of all copies of attention, gathered before and added up after. Within
    one group whole experts are counted as parts of all, which is less where they are wider than half the model.
    """
    ranks = max(1, layout.tensor_parallel)
    copies = max(layout.attention_data_parallel, layout.data_parallel if layout.expert_parallel > ranks else 1)
    width = shape.expert_width if copies > 1 else shape.expert_width / ranks
    gathered = tokens * copies
    rows = shape.active * min(gathered, int(option(layout, MOE_CHUNK) or gathered))
    beside = 2 * gathered * shape.hidden if copies > 1 else 0
    narrow = (rows * width + rows / max(1, shape.active) * shape.hidden) if layout.quantisation == "fp8" else 0.0
    return 2.0 * (rows * (max(2 * width, shape.hidden) + width) + beside) + narrow


def _sampler_bytes(model: Model, layout: Layout, rows: int, tokens: int) -> float:
    """What sampling for `rows` sequences takes.

    Where vLLM samples without sorting, the workspace of the experts stays beside it: two buffers of a batch's tokens
    for each expert that is active (vllm/v1/worker/workspace.py; 0.47 GiB more of Qwen3-30B-A3B than of Qwen3-8B in the
    logs of llm-d-incubation/llm-d-planner, pull request 205).
    """
    shape, stated = shapes(model), option(layout, "sampler_bytes")
    if stated or layout.engine is not Engine.VLLM:
        return rows * shape.vocabulary * float(stated or _SAMPLER_BYTES_ELSEWHERE)
    workspace = 2 * tokens * shape.active * shape.hidden * 2 if shape.experts else 0
    return shape.vocabulary * (rows * _SAMPLER_BYTES + _SAMPLER_PROGRAM_BYTES) + workspace
