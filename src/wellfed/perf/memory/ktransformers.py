"""The memory of KTransformers: attention, shared experts and cache on GPUs, routed experts in RAM."""

from __future__ import annotations

from wellfed.message import sentence
from wellfed.nouns.estimate import MemoryTerm
from wellfed.nouns.layout import Layout, NumaPolicy
from wellfed.nouns.plan import Request
from wellfed.perf.memory.compute import shapes
from wellfed.perf.memory.devices import (
    context_bytes,
    gpu_capacity_bytes,
    gpu_free_bytes,
    ram_capacity_bytes,
    ram_free_bytes,
    system_terms,
)
from wellfed.perf.memory.held import weight_sums
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.llamacpp_place import used_gpus
from wellfed.perf.memory.shards import rank_cache_bytes, rank_weights
from wellfed.perf.memory.share import Growth, Named, Share
from wellfed.perf.memory.split import Span, layer_split
from wellfed.units import GIB

_PREFILL_TOKENS = 8192  # tokens of a prefill chunk at most: assumed
EMBEDDING = "embedding"  # the option: where the token embedding lies; without it on the GPU
_RUNTIME_BYTES = 4 * GIB  # host memory of the server, its workers and pinned transfer buffers: assumed


def shares(request: Request) -> tuple[Share, ...]:
    """One share per GPU, then RAM with the routed experts."""
    gpus = used_gpus(request)
    layers, layout, machine = len(request.model.layers), request.layout, request.machine
    if layout.tensor_parallel > 1:
        spans: tuple[Span, ...] = tuple(Span(0, layers, True) for _ in gpus)
    else:
        spans = layer_split(layers, layers, [gpu_capacity_bytes(gpu, machine) or 1.0 for gpu in gpus]) if gpus else ()
    growths = [_growth(request, span) for span in spans]
    gpu_shares = []
    for index, gpu in enumerate(gpus):
        device = f"gpu{index}"
        fixed = (
            MemoryTerm(
                device,
                "weights",
                _gpu_weights(request, spans[index]),
                sentence("ktransformers.all-but-experts", "all but the experts in RAM"),
            ),
            MemoryTerm(
                device,
                "activations",
                _activations(request),
                sentence("ktransformers.one-prefill-chunk", "one prefill chunk"),
            ),
            MemoryTerm(
                device,
                "engine context",
                context_bytes(gpu),
                sentence("ktransformers.cuda-context-kernels", "CUDA context and kernels, by SMs"),
            ),
        )
        capacity, free = gpu_capacity_bytes(gpu, machine), gpu_free_bytes(gpu, machine)
        gpu_shares.append(Share(device, fixed, growths[index], capacity, free))
    return (*gpu_shares, _ram(request, bool(gpus)))


def gpu_expert_share(request: Request) -> float:
    """The share of routed experts that GPUs hold: whole layers, and `kt_num_gpu_experts` of each."""
    layers = max(1, request.model.expert_layers)
    in_ram = min(layers, request.layout.offload.expert_layers_on_cpu(len(request.model.layers)))
    experts = shapes(request.model).experts
    chosen = int(option(request.layout, "kt_num_gpu_experts") or 0)
    return 1 - in_ram / layers * (1 - (min(chosen, experts) / experts if experts else 0.0))


def _gpu_weights(request: Request, span: Span) -> float:
    rank = rank_weights(request.model, request.weights, request.layout, span)
    in_ram = rank.embedding if _embeds_in_ram(request.layout) else 0.0
    return rank.total - in_ram - rank.routed * (1 - gpu_expert_share(request))


def _embeds_in_ram(layout: Layout) -> bool:
    return option(layout, EMBEDDING) == "ram"


def _activations(request: Request) -> float:
    """Residual, queries and shared experts of a chunk in 16 bits, and one layer's experts' outputs."""
    shape = shapes(request.model)
    tokens = min(_PREFILL_TOKENS, max(1, request.workload.context))
    return tokens * 2.0 * (6 * shape.hidden + 3 * shape.dense + shape.active * shape.hidden)


def _growth(request: Request, span: Span) -> Growth:
    model, layout = request.model, request.layout

    def growth(context: int, count: int) -> tuple[Named, ...]:
        cache = count * rank_cache_bytes(model, layout, context, span)
        return (
            (
                "kv",
                cache,
                sentence(
                    "ktransformers.x-tokens",
                    "{kv_type}, {count} x {context} tokens",
                    kv_type=layout.kv_type,
                    count=count,
                    context=context,
                ),
            ),
        )

    return growth


def _ram(request: Request, has_gpu: bool) -> Share:
    machine, sockets = request.machine, max(1, len(request.machine.sockets))
    capacity, free = ram_capacity_bytes(machine), ram_free_bytes(machine)
    weights = weight_sums(request.weights)
    experts = weights.routed[-1] * (1 - gpu_expert_share(request)) if has_gpu else request.weights.total
    embedding = request.weights.embedding if has_gpu and _embeds_in_ram(request.layout) else 0.0
    fixed = [
        MemoryTerm(
            "ram",
            "weights",
            experts + embedding,
            sentence("ktransformers.routed-experts-token", "routed experts and the token embedding")
            if embedding
            else sentence("ktransformers.routed-experts", "routed experts"),
        ),
        MemoryTerm(
            "ram",
            "engine processes",
            _RUNTIME_BYTES,
            sentence("ktransformers.server-workers", "server, workers, pinned transfer buffers"),
        ),
    ]
    if request.layout.numa is NumaPolicy.DUPLICATE and sockets > 1:
        fixed.append(
            MemoryTerm(
                "ram",
                "weight copies",
                (sockets - 1) * experts,
                sentence("ktransformers.one-copy-per", "one copy per socket ({sockets})", sockets=sockets),
            )
        )
    fixed += system_terms(
        free, capacity, sentence("ktransformers.operating-system", "operating system and page tables")
    )
    span = Span(0, len(request.model.layers), True)
    growth = _nothing if has_gpu else _growth(request, span)
    return Share("ram", tuple(fixed), growth, capacity, free, caches=not has_gpu)


def _nothing(context: int, count: int) -> tuple[Named, ...]:
    return ()
