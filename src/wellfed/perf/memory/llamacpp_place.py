"""Where llama.cpp and ik_llama.cpp put layers, experts and their cache."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date

from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu
from wellfed.message import sentence
from wellfed.models.gguf_types import plain
from wellfed.models.tensor import Part
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.perf.memory.compute import shapes
from wellfed.perf.memory.devices import (
    gpu_capacity_bytes,
)
from wellfed.perf.memory.held import Held, expert_layers
from wellfed.perf.memory.kv import cells, is_pooled, option, pooled_bytes, span_bytes
from wellfed.perf.memory.overrides import Placed, placed
from wellfed.perf.memory.split import Span, layer_split

PIPELINE_COPIES = 4  # GGML_SCHED_MAX_COPIES: inputs of four micro-batches in flight over several GPUs
_IK_FETCHES_INTERLEAVED = date(2025, 6, 1)  # ik_llama.cpp fetches its own row-interleaved types since that month
# Tokens from which a CPU matrix is fetched to the GPU (llama.cpp, ggml-cuda: offload_op's min_batch_size)
_OFFLOAD_FROM = 32


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the layers are: one span per GPU, `cpu_layers` first layers in RAM, experts of `cpu_experts` in RAM."""

    spans: tuple[Span, ...]
    cpu_layers: int
    cpu_experts: Span  # layers on GPUs whose routed experts are in RAM
    rows: bool  # --split-mode row: every matrix over all GPUs, cache and the rest on the first
    placed: Placed | None = None  # where overrides put single tensors

    @property
    def output_on_gpu(self) -> bool:
        """Whether a GPU computes the head."""
        return any(span.output for span in self.spans)

    def expert_layers(self, span: Span) -> tuple[int, int]:
        """First and last + 1 of the layers in `span` whose experts its GPU holds."""
        return max(span.first, min(self.cpu_experts.last, span.last)), span.last


def place(request: Request, gpus: tuple[Gpu, ...]) -> Placement:
    """Layers over `gpus` by the layout's split, or by their memory; the first expert layers stay in RAM.

    Raises Unsupported for a split over another number of GPUs.
    """
    layers, offload = len(request.model.layers), request.layout.offload
    on_gpu = offload.layers_on_gpu(layers) if gpus else 0
    fractions = _fractions(request, gpus)
    rows = request.layout.tensor_parallel > 1 and len(gpus) > 1
    head = bool(gpus) and offload.holds_head(layers)
    spans = layer_split(layers, on_gpu, fractions, head) if (on_gpu or head) and not rows else ()
    if rows:
        spans = (Span(layers - on_gpu, layers, head), *(Span(layers, layers) for _ in gpus[1:]))
    start = layers - on_gpu
    on_cpu = offload.expert_layers_on_cpu(layers) if gpus else 0
    experts = Span(start, _after(expert_layers(request.model), start, on_cpu))
    overrides = request.layout.overrides and spans and not rows
    single = placed(request.model, request.weights, request.layout, spans) if overrides else None
    return Placement(spans, start, experts, rows, single)


def _fractions(request: Request, gpus: tuple[Gpu, ...]) -> Sequence[float]:
    split = request.layout.split
    if not split or not gpus:
        return [gpu_capacity_bytes(gpu, request.machine) or 1.0 for gpu in gpus]
    if len(split) != len(gpus) or not sum(split):
        raise Unsupported(
            sentence(
                "llamacpp.split-one-over",
                "the split {split} is not one over {count} GPUs",
                split=split,
                count=len(gpus),
            ),
            sentence("llamacpp.name-layers-each", "name the layers of each GPU"),
        )
    return split


def _after(experts: tuple[int, ...], start: int, count: int) -> int:
    """The layer after the first `count` of those with experts, from `start` on."""
    here = experts[bisect_left(experts, start) :][:count]
    return here[-1] + 1 if here else start


def used_gpus(request: Request) -> tuple[Gpu, ...]:
    """The GPUs of one node that the layout uses; none for a CPU-only layout."""
    if request.layout.offload.cpu_only:
        return ()
    usable = [gpu for gpu in request.machine.gpus if not gpu.display_only]
    return tuple(usable[: max(0, min(request.layout.gpus, len(usable)))])


def sequences(request: Request) -> int:
    """Slots whose cache is reserved."""
    return request.layout.slots(request.workload.concurrency)


def cache_bytes(request: Request, context: int, count: int, first: int, last: int) -> float:
    """Cache of `count` sequences in the layers first <= layer < last: one for each, or one for all."""
    model, layout = request.model, request.layout
    padded = cells(layout, context)
    if is_pooled(layout):
        return pooled_bytes(model, layout, padded, count, first, last)
    return count * span_bytes(model, layout, padded, first, last)


def offloads_cache(layout: Layout) -> bool:
    """Whether a GPU's layers keep their cache with them; `--no-kv-offload` leaves all of it in RAM."""
    return option(layout, "no_kv_offload") != "1"


def fetches_experts(request: Request) -> bool:
    """Whether experts in RAM are fetched to the GPU for a full ubatch and multiplied there.

    ik_llama.cpp waits for more than 32 tokens per expert, and cannot fetch row-interleaved types: the K-quants' never,
    its own since June 2025.
    """
    layout, shape = request.layout, shapes(request.model)
    tokens = min(layout.ubatch_tokens, layout.batch_tokens)
    if option(layout, "op_offload") == "0":
        return False
    if layout.engine is not Engine.IK_LLAMA_CPP or not shape.active:
        return tokens >= _OFFLOAD_FROM
    kinds = (request.weights.types.get(Part.ROUTED_EXPERTS, ""), request.weights.quantisation.upper())
    interleaved = next((kind for kind in kinds if plain(kind) != kind), "")
    if interleaved and not (interleaved.startswith("IQ") and not layout.is_built_before(_IK_FETCHES_INTERLEAVED)):
        return False
    return tokens > _OFFLOAD_FROM * shape.experts / shape.active


def matrix_bytes(weights: Held, layer: int) -> float:
    """One of a layer's three expert matrices; the down projection is often the largest."""
    return (weights.routed[layer + 1] - weights.routed[layer]) / 3


def copies_of(placement: Placement) -> int:
    on_gpus = not placement.rows and not placement.cpu_layers and not placement.cpu_experts.layers
    return PIPELINE_COPIES if on_gpus and len(placement.spans) > 1 else 1
