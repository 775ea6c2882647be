"""The memory of vLLM, SGLang and TensorRT-LLM: weights by rank, then as much cache as the engine's budget leaves.

vLLM: cache = utilisation x total - weights - peak of the profile run - non-torch (- CUDA graphs, from 0.12 on).
SGLang: weights and cache together fill `mem_fraction_static`; activations and graphs live in the rest.
TensorRT-LLM: cache = 0.9 of what is free after weights and a profile run.

The cache term of the ledger is what the workload's sequences need, at most what the budget leaves for whole sequences:
requests beyond that wait. Sources: the engines' documentation and source (worker, server_args, kv_cache_config; read
2025), and memory reports of vLLM 0.11 on H100 for the sampler's share of the peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from wellfed.estimate import MemoryTerm
from wellfed.hardware.machine import Gpu, Machine
from wellfed.layout import Engine, Layout
from wellfed.models.model import Model
from wellfed.perf.memory.compute import shapes
from wellfed.perf.memory.devices import (
    gpu_capacity_bytes,
    gpu_free_bytes,
    ram_capacity_bytes,
    ram_free_bytes,
    system_bytes,
)
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.shards import rank_cache_bytes, rank_weights, stages
from wellfed.perf.memory.share import Growth, Named, Share
from wellfed.perf.memory.split import Span
from wellfed.plan import Request
from wellfed.units import GB, GIB, MIB

_BLOCK = 16  # tokens of a cache page
_LARGE_GPU_BYTES = 70 * GIB  # from here on vLLM's defaults are 1024 sequences and 8192 tokens, else 256 and 2048
# The profile run samples for every sequence: logits, probabilities, sorted values and indices of the vocabulary.
_SAMPLER_BYTES = 38.3
_NON_TORCH_BYTES, _NON_TORCH_PARALLEL_GIB = 0.13 * GIB, 0.42
_GRAPH_BYTES_PER_LAYER = 25 * MIB
_PROCESS_BYTES = 3 * GIB  # host memory of one rank: runtime, CUDA libraries, pinned buffers


@dataclass(frozen=True, slots=True)
class Budget:
    """One GPU's bytes outside weights and cache, each with its note; `kept` is what the engine leaves unused."""

    activations: float
    non_torch: float
    graphs: float
    kept: float
    note: str


def shares(request: Request) -> tuple[Share, ...]:
    """One share per GPU of a node, then RAM."""
    layout, machine = request.layout, request.machine
    gpus = _gpus(request)
    spans = stages(len(request.model.layers), max(1, layout.pipeline_parallel))
    growths = [_growth(request, span) for span in spans]
    known: dict[tuple[float | None, float | None, int], tuple[Named, ...]] = {}
    found = []
    for index, gpu in enumerate(gpus):
        stage = index // max(1, layout.tensor_parallel) % len(spans)
        capacity, free = gpu_capacity_bytes(gpu, machine), gpu_free_bytes(gpu, machine)
        key = (capacity, free, stage)
        if key not in known:
            known[key] = _fixed(request, spans[stage], capacity, free)
        device = f"gpu{index}"
        fixed = tuple([MemoryTerm(device, *named) for named in known[key]])
        found.append(Share(device, fixed, growths[stage], capacity, free))
    return (*found, _ram(request, len(gpus)))


def _gpus(request: Request) -> tuple[Gpu, ...]:
    layout = request.layout
    ranks = max(1, layout.tensor_parallel * layout.pipeline_parallel * layout.data_parallel)
    usable = [gpu for gpu in request.machine.gpus if not gpu.display_only]
    return tuple(usable[:ranks])


def replicas(layout: Layout) -> int:
    """Groups of ranks that serve sequences of their own."""
    return max(1, layout.data_parallel) * max(1, layout.attention_data_parallel)


def sequences(request: Request, most: int | None) -> int:
    """Sequences that one replica runs at once: its part of the load, at most the `most` that fit, at least one."""
    wanted = ceil(request.workload.concurrency / replicas(request.layout))
    return max(1, wanted if most is None else min(wanted, most))


def _weights(request: Request, span: Span) -> float:
    total = rank_weights(request.model, request.weights, request.layout, span).total
    return max(0.0, total - _offloaded(request.layout))


def _offloaded(layout: Layout) -> float:
    """vLLM's `--cpu-offload-gb`: weights of each rank that stay in RAM."""
    text = option(layout, "cpu_offload_gb")
    return float(text) * GB if text else 0.0


def _fixed(request: Request, span: Span, capacity: float | None, free: float | None) -> tuple[Named, ...]:
    layout, weights = request.layout, _weights(request, span)
    found = budget(request.model, layout, capacity, free, weights)
    ways = f"TP {layout.tensor_parallel}, EP {layout.expert_parallel}, {span.layers} layers"
    return (
        ("weights", weights, ways),
        ("activations", found.activations, "peak of the profile run: tokens, logits, sampling"),
        ("engine context", found.non_torch, "CUDA context, NCCL and all-reduce buffers"),
        ("cuda graphs", found.graphs, "captured decode steps"),
        ("kept free", found.kept, found.note),
    )


def _growth(request: Request, span: Span) -> Growth:
    model, layout = request.model, request.layout

    def growth(context: int, count: int) -> tuple[Named, ...]:
        tokens = ceil(context / _BLOCK) * _BLOCK
        cache = count * rank_cache_bytes(model, layout, tokens, span)
        return (("kv", cache, f"{layout.kv_type}, {count} x {context} tokens"),)

    return growth


def budget(model: Model, layout: Layout, capacity: float | None, free: float | None, weights: float) -> Budget:
    """What an engine uses and keeps beside weights and cache on a GPU of `capacity` bytes."""
    total = capacity or 0.0
    peak = activation_bytes(model, layout, capacity)
    parallel = float(option(layout, "nccl_gib") or _NON_TORCH_PARALLEL_GIB) * GIB
    context = _NON_TORCH_BYTES + (parallel if layout.tensor_parallel > 1 else 0.0)
    graphs = _GRAPH_BYTES_PER_LAYER * len(model.layers) if layout.cuda_graphs else 0.0
    others = 0.0 if free is None else max(0.0, total - free)
    if layout.engine is Engine.SGLANG:
        share = float(option(layout, "mem_fraction_static") or _static_fraction(layout, total))
        kept = max(0.0, (1 - share) * total - peak - graphs - others)
        return Budget(peak, context, graphs, kept, f"mem_fraction_static {share:.3f}")
    if layout.engine is Engine.TENSORRT_LLM:
        share = float(option(layout, "free_gpu_memory_fraction") or 0.9)
        kept = (1 - share) * max(0.0, total - others - weights - peak - context - graphs)
        return Budget(peak, context, graphs, kept, f"free_gpu_memory_fraction {share:g}")
    share = float(option(layout, "gpu_memory_utilization") or 0.92)
    kept = max(0.0, (1 - share) * total - others)
    if option(layout, "graphs_in_budget", "1") == "0":  # before 0.12 graphs were captured into what was kept free
        kept, graphs = max(0.0, kept - graphs), min(graphs, kept)
    return Budget(peak, context, graphs, kept, f"gpu_memory_utilization {share:g}")


def _static_fraction(layout: Layout, total: float) -> float:
    """SGLang's default: room for chunked prefill, graphs and metadata, at least 10 GiB on large cards."""
    if not total:
        return 0.88
    mib = total / MIB
    chunk, batch = _sglang_defaults(layout, mib)
    reserved = 512 + 1.5 * max(2048, chunk) + 2 * batch + layout.tensor_parallel * layout.pipeline_parallel * 128
    if layout.attention_data_parallel > 1:
        reserved += 3 * batch
    if mib > 60 * 1024:
        reserved = max(reserved, 10 * 1024)
    return max(0.3, round((mib - reserved) / mib, 3))


def _sglang_defaults(layout: Layout, mib: float) -> tuple[int, int]:
    """Chunked-prefill tokens and the largest graph's batch by GPU memory."""
    wide = layout.tensor_parallel >= 4
    table = ((20, 2048, 8), (35, 2048, 80 if wide else 24), (60, 4096, 160 if wide else 32))
    for gib, chunk, batch in table:
        if mib < gib * 1024:
            return chunk, batch
    return (8192 if mib < 160 * 1024 else 16384), 512 if wide else 256


def activation_bytes(model: Model, layout: Layout, capacity: float | None) -> float:
    """Peak of the profile run: the larger of one full batch through a layer and sampling for all sequences.

    Sampling: sequences x vocabulary x 38 bytes (17 up to vLLM 0.11.0). A layer: tokens x (residual, feed-forward or
    experts' in- and outputs) in 16 bits.
    """
    large = capacity is None or capacity >= _LARGE_GPU_BYTES
    tokens = int(option(layout, "batch_tokens") or (8192 if large else 2048))
    rows = int(option(layout, "max_num_seqs") or (1024 if large else 256))
    shape, ranks = shapes(model), max(1, layout.tensor_parallel)
    per_logit = _SAMPLER_BYTES if layout.engine is Engine.VLLM else 8.0
    per_logit = float(option(layout, "sampler_bytes") or per_logit)
    experts = shape.active * (3 * shape.expert_width / ranks + shape.hidden)
    layer = tokens * 2 * max(3 * shape.dense / ranks, experts)
    return max(layer, rows * shape.vocabulary * per_logit) + tokens * shape.hidden * 2


def cache_tokens(request: Request, pool: float | None = None) -> float | None:
    """Tokens that one replica's cache holds in whole pages: in `pool` bytes a GPU, else in what the budget leaves.

    None when a GPU's size is unknown.
    """
    context = request.workload.context
    padded = ceil(context / _BLOCK) * _BLOCK
    fewest: float | None = None
    for share in shares(request):
        room = share.room_bytes if pool is None else pool
        if share.device == "ram":
            continue
        if room is None:
            return None
        pages = max(0.0, room / (share.grown_bytes(context, 1) / padded * _BLOCK))
        fewest = pages if fewest is None else min(fewest, pages)
    return None if fewest is None else int(fewest) * float(_BLOCK)


def cache_bytes(request: Request) -> float | None:
    """Bytes of cache that the budget leaves on the tightest GPU; None when the capacity is unknown."""
    rooms = [share.room_bytes for share in shares(request) if share.device != "ram"]
    known = [room for room in rooms if room is not None]
    return min(known) if known and len(known) == len(rooms) else None


def _ram(request: Request, ranks: int) -> Share:
    machine: Machine = request.machine
    capacity, free = ram_capacity_bytes(machine), ram_free_bytes(machine)
    fixed = [MemoryTerm("ram", "engine processes", ranks * _PROCESS_BYTES, "runtime and pinned buffers of each rank")]
    if _offloaded(request.layout):
        fixed.append(MemoryTerm("ram", "weights", ranks * _offloaded(request.layout), "cpu_offload_gb of each rank"))
    if not ranks:
        fixed.append(MemoryTerm("ram", "weights", request.weights.total, "no GPU: all weights in RAM"))
    if free is None and capacity is not None:
        fixed.append(MemoryTerm("ram", "system", system_bytes(capacity), "operating system and page tables"))
    span = Span(0, len(request.model.layers), True)
    growth = _growth(request, span) if not ranks else _nothing
    return Share("ram", tuple(fixed), growth, capacity, free)


def _nothing(context: int, count: int) -> tuple[Named, ...]:
    return ()
