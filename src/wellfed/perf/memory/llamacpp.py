"""The memory of llama.cpp and ik_llama.cpp: layers split over GPUs, the rest in RAM.

The token embedding always stays in RAM; the head follows the last layer. Tied embeddings are loaded twice, once for
each. Experts of layers on a GPU may stay in RAM (`-ot exps=CPU`, `--n-cpu-moe`).
"""

from __future__ import annotations

from wellfed.hardware.machine import Gpu
from wellfed.message import sentence
from wellfed.nouns.estimate import MemoryTerm
from wellfed.nouns.plan import Request
from wellfed.perf.memory.beside import draft_growth, extras
from wellfed.perf.memory.buffers import is_one_buffer, too_large
from wellfed.perf.memory.compute import Duties, compute_bytes
from wellfed.perf.memory.devices import (
    context_bytes,
    context_note,
    gpu_capacity_bytes,
    gpu_free_bytes,
)
from wellfed.perf.memory.held import Held, weight_sums, widest
from wellfed.perf.memory.llamacpp_place import (
    Placement,
    cache_bytes,
    copies_of,
    fetches_experts,
    matrix_bytes,
    offloads_cache,
    place,
    used_gpus,
)
from wellfed.perf.memory.llamacpp_ram import ram_share
from wellfed.perf.memory.remote import name
from wellfed.perf.memory.share import Growth, Named, Share


def shares(request: Request) -> tuple[Share, ...]:
    """One share per GPU, then RAM."""
    gpus = used_gpus(request)
    placement = place(request, gpus)
    weights = weight_sums(request.weights)
    gpu_shares = [
        _gpu_share(request, placement, weights, index, gpu, name(gpus, index)) for index, gpu in enumerate(gpus)
    ]
    return (*gpu_shares, ram_share(request, placement, weights, gpus, gpu_shares))


def _gpu_share(request: Request, placement: Placement, weights: Held, index: int, gpu: Gpu, device: str) -> Share:
    fixed = (
        MemoryTerm(device, "weights", *_gpu_weights(request, placement, weights, index)),
        MemoryTerm(device, "engine context", context_bytes(gpu), context_note(gpu)),
        *extras(request, placement.spans[index], device),
    )
    growth = _gpu_growth(request, placement, weights, index, gpu)
    machine = request.machine
    return Share(device, fixed, growth, gpu_capacity_bytes(gpu, machine), gpu_free_bytes(gpu, machine))


def _gpu_weights(request: Request, placement: Placement, weights: Held, index: int) -> tuple[float, str]:
    head = request.weights.head + request.weights.other
    if placement.rows:
        span = placement.spans[0]
        first, last = placement.expert_layers(span)
        total = weights.resident(span.first, span.last) + weights.routed[last] - weights.routed[first]
        return (total + head) / len(placement.spans), sentence("llamacpp.split-rows", "split by rows")
    span = placement.spans[index]
    if placement.placed is not None:
        size = placement.placed.total.get(f"gpu{index}", 0.0)
        return size + (head if span.output else 0.0), _overridden(span.layers)
    first, last = placement.expert_layers(span)
    total = weights.resident(span.first, span.last) + weights.routed[last] - weights.routed[first]
    note = (
        sentence("llamacpp.layers-experts", "{layers} layers, experts of {last}", layers=span.layers, last=last - first)
        if first > span.first
        else sentence("llamacpp.layers", "{layers} layers", layers=span.layers)
    )
    return total + (head if span.output else 0.0), note + (
        sentence("llamacpp.head", " and the head") if span.output else ""
    )


def _gpu_growth(request: Request, placement: Placement, weights: Held, index: int, gpu: Gpu) -> Growth:
    model, layout = request.model, request.layout
    span = placement.spans[index]
    duties = _duties(request, placement, weights, index)

    drafts, in_one = span.output, is_one_buffer(layout)  # drafts follow the head

    def growth(context: int, count: int) -> tuple[Named, ...]:
        cache = cache_bytes(request, context, count, span.first, span.last) if offloads_cache(layout) else 0.0
        compute = compute_bytes(model, layout, context, duties, count) if span.layers or span.output else 0.0
        return (
            *too_large(request, gpu, span, duties.experts, context, count, compute if in_one else 0.0),
            *(draft_growth(request, context, count) if drafts else ()),
            (
                "kv",
                cache,
                sentence(
                    "llamacpp.x-tokens-layers",
                    "{kv_type}, {count} x {context} tokens, {layers} layers",
                    kv_type=layout.kv_type,
                    count=count,
                    context=context,
                    layers=span.layers,
                ),
            ),
            ("compute", compute, sentence("llamacpp.activations-one", "activations of one ubatch, largest phase")),
        )

    return growth


def _overridden(layers: int) -> str:
    return sentence("llamacpp.by-override", "{layers} layers, by --override-tensor", layers=layers)


def _duties(request: Request, placement: Placement, weights: Held, index: int) -> Duties:
    """Matrices fetched from RAM go to the first GPU."""
    span = placement.spans[index]
    first, last = placement.expert_layers(span)
    staged, single = 0.0, placement.placed
    if single is not None:
        staged = single.staged if index == 0 and fetches_experts(request) else 0.0
        routed = single.routed.get(f"gpu{index}", 0.0) > 0
        return Duties(span.output, routed, staged, copies_of(placement), first=index == 0)
    if placement.cpu_experts.layers and span.layers and index == 0 and fetches_experts(request):
        staged = max(matrix_bytes(weights, i) for i in range(placement.cpu_experts.first, placement.cpu_experts.last))
        staged *= widest(request.weights)
    holds = weights.routed[last] > weights.routed[first]
    return Duties(span.output, holds, staged, copies_of(placement), first=index == 0)
