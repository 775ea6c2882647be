"""The memory of llama.cpp and ik_llama.cpp: layers split over GPUs, the rest in RAM.

The token embedding always stays in RAM; the head follows the last layer. Tied embeddings are loaded twice, once for
each. Experts of layers on a GPU may stay in RAM (`-ot exps=CPU`, `--n-cpu-moe`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu
from wellfed.message import sentence
from wellfed.models.ffn import MoeFfn
from wellfed.models.gguf_types import TYPES, plain
from wellfed.models.model import Model
from wellfed.models.tensor import Part
from wellfed.nouns.estimate import MemoryTerm
from wellfed.nouns.layout import Engine, Layout, NumaPolicy
from wellfed.nouns.plan import Request
from wellfed.perf.kernels import REPACKED
from wellfed.perf.memory.beside import draft_growth, extras, tower_terms
from wellfed.perf.memory.buffers import too_large
from wellfed.perf.memory.compute import Duties, compute_bytes, host_bytes, shapes
from wellfed.perf.memory.devices import (
    context_bytes,
    context_note,
    gpu_capacity_bytes,
    gpu_free_bytes,
    ram_capacity_bytes,
    ram_free_bytes,
    system_bytes,
    unified,
)
from wellfed.perf.memory.draft import draft_weight_bytes
from wellfed.perf.memory.held import Held, held
from wellfed.perf.memory.identity import per_object
from wellfed.perf.memory.kv import cells, is_pooled, option, pooled_bytes, span_bytes
from wellfed.perf.memory.lora import lora_bytes, lora_note
from wellfed.perf.memory.overrides import RAM, Placed, placed
from wellfed.perf.memory.share import Growth, Named, Share
from wellfed.perf.memory.split import Span, layer_split
from wellfed.units import MIB

PIPELINE_COPIES = 4  # GGML_SCHED_MAX_COPIES: inputs of four micro-batches in flight over several GPUs
_LOGIT_BYTES = 4
_OFFLOAD_FROM = 32  # tokens from which a CPU matrix is fetched to the GPU for a multiplication
# The server's own: code and libraries, then what it keeps of each token of the vocabulary. Measured on the embedded
# build with vocabularies of 512 to 151,936 tokens.
_PROGRAM_BYTES, _TOKEN_BYTES = 34 * MIB, 430


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
    spans = layer_split(layers, on_gpu, fractions) if on_gpu and not rows else ()
    if rows:
        spans = (Span(layers - on_gpu, layers, on_gpu >= layers), *(Span(layers, layers) for _ in gpus[1:]))
    start = layers - on_gpu
    kept = offload.expert_layers_on_cpu(layers) if gpus else 0
    experts = Span(start, _after(expert_layers(request.model), start, kept))
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


def _after(experts: tuple[int, ...], start: int, kept: int) -> int:
    """The layer after the first `kept` of those with experts, from `start` on."""
    here = experts[bisect_left(experts, start) :][:kept]
    return here[-1] + 1 if here else start


@per_object
def expert_layers(model: Model) -> tuple[int, ...]:
    """Indices of the layers that route to experts."""
    return tuple(index for index, layer in enumerate(model.layers) if isinstance(layer.ffn, MoeFfn))


def used_gpus(request: Request) -> tuple[Gpu, ...]:
    """The GPUs of one node that the layout uses; none for a CPU-only layout."""
    if request.layout.offload.cpu_only:
        return ()
    usable = [gpu for gpu in request.machine.gpus if not gpu.display_only]
    return tuple(usable[: max(0, min(request.layout.gpus, len(usable)))])


def sequences(request: Request) -> int:
    """Slots whose cache is reserved."""
    return request.layout.slots(request.workload.concurrency)


def shares(request: Request) -> tuple[Share, ...]:
    """One share per GPU, then RAM."""
    gpus = used_gpus(request)
    placement = place(request, gpus)
    weights = held(request.weights)
    found = [_gpu_share(request, placement, weights, index, gpu) for index, gpu in enumerate(gpus)]
    return (*found, _ram_share(request, placement, weights, gpus, found))


def _gpu_share(request: Request, placement: Placement, weights: Held, index: int, gpu: Gpu) -> Share:
    device = f"gpu{index}"
    fixed = (
        MemoryTerm(device, "weights", *_gpu_weights(request, placement, weights, index)),
        MemoryTerm(device, "engine context", context_bytes(gpu), context_note(gpu)),
        *extras(request, placement.spans[index], index),
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


def _cache(request: Request, context: int, count: int, first: int, last: int) -> float:
    """Cache of `count` sequences in the layers first <= layer < last: one for each, or one for all."""
    model, layout = request.model, request.layout
    padded = cells(layout, context)
    if is_pooled(layout):
        return pooled_bytes(model, layout, padded, count, first, last)
    return count * span_bytes(model, layout, padded, first, last)


def _gpu_growth(request: Request, placement: Placement, weights: Held, index: int, gpu: Gpu) -> Growth:
    model, layout = request.model, request.layout
    span = placement.spans[index]
    duties = _duties(request, placement, weights, index)

    drafts = span.output  # they follow the head

    def growth(context: int, count: int) -> tuple[Named, ...]:
        cache = _cache(request, context, count, span.first, span.last) if _offloads_cache(layout) else 0.0
        compute = compute_bytes(model, layout, context, duties) if span.layers or span.output else 0.0
        return (
            *too_large(request, gpu, span, duties.experts, context, count),
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


def _offloads_cache(layout: Layout) -> bool:
    """Whether a GPU's layers keep their cache with them; `--no-kv-offload` leaves all of it in RAM."""
    return option(layout, "no_kv_offload") != "1"


def _duties(request: Request, placement: Placement, weights: Held, index: int) -> Duties:
    """Matrices fetched from RAM go to the first GPU."""
    span = placement.spans[index]
    first, last = placement.expert_layers(span)
    staged, single = 0.0, placement.placed
    if single is not None:
        staged = single.staged if index == 0 and fetches_experts(request) else 0.0
        return Duties(span.output, single.routed.get(f"gpu{index}", 0.0) > 0, staged, _copies(placement))
    if placement.cpu_experts.layers and span.layers and index == 0 and fetches_experts(request):
        staged = max(matrix_bytes(weights, i) for i in range(placement.cpu_experts.first, placement.cpu_experts.last))
    holds = weights.routed[last] > weights.routed[first]
    return Duties(span.output, holds, staged, _copies(placement))


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
    if interleaved and not (interleaved.startswith("IQ") and option(layout, "built", "9999") >= "2025-06"):
        return False
    return tokens > _OFFLOAD_FROM * shape.experts / shape.active


def matrix_bytes(weights: Held, layer: int) -> float:
    """One of a layer's three expert matrices; the down projection is often the largest."""
    return (weights.routed[layer + 1] - weights.routed[layer]) / 3


def _copies(placement: Placement) -> int:
    whole = not placement.rows and not placement.cpu_layers and not placement.cpu_experts.layers
    return PIPELINE_COPIES if whole and len(placement.spans) > 1 else 1


def _ram_share(
    request: Request, placement: Placement, weights: Held, gpus: tuple[Gpu, ...], gpu_shares: list[Share]
) -> Share:
    machine = request.machine
    free, capacity = ram_free_bytes(machine), ram_capacity_bytes(machine)
    fixed = [*_ram_weights(request, placement, weights)]
    if free is None and capacity is not None:
        fixed.append(
            MemoryTerm(
                "ram",
                "system",
                system_bytes(capacity),
                sentence("llamacpp.operating-system", "operating system and page tables"),
            )
        )
    shared = [share for share, gpu in zip(gpu_shares, gpus, strict=True) if unified(gpu)]
    fixed += [term for share in shared for term in _as_ram(share.fixed)]
    growth = _ram_growth(request, placement, bool(gpus), tuple((share.device, share.growth) for share in shared))
    caches = placement.cpu_layers > 0 or not gpus or not _offloads_cache(request.layout)
    return Share("ram", tuple(fixed), growth, capacity, free, caches)


def _as_ram(terms: tuple[MemoryTerm, ...]) -> tuple[MemoryTerm, ...]:
    """What a GPU without memory of its own takes from RAM."""
    return tuple(MemoryTerm("ram", f"{t.device} {t.name}", t.bytes, "unified memory") for t in terms)


def _ram_weights(request: Request, placement: Placement, weights: Held) -> tuple[MemoryTerm, ...]:
    cpu = placement.cpu_layers
    total = request.weights.embedding + request.weights.lookup + weights.resident(0, cpu) + weights.routed[cpu]
    experts, single = placement.cpu_experts, placement.placed
    total += weights.routed[experts.last] - weights.routed[experts.first]
    if single is not None:
        total = request.weights.embedding + request.weights.lookup + single.total.get(RAM, 0.0)
    if not placement.output_on_gpu:
        total += request.weights.output + request.weights.other
    terms = [
        MemoryTerm(
            "ram",
            "weights",
            total,
            sentence("llamacpp.layers-experts-ram", "layers and experts in RAM, token embedding; mapped from the file"),
        )
    ]
    sockets = len(request.machine.sockets)
    if request.layout.numa is NumaPolicy.DUPLICATE and sockets > 1:
        copies = (sockets - 1) * total
        terms.append(
            MemoryTerm(
                "ram",
                "weight copies",
                copies,
                sentence("llamacpp.one-copy-each", "one copy for each of {sockets} sockets", sockets=sockets),
            )
        )
    repacked = _repacked_bytes(request, placement, weights)
    if repacked:
        note = sentence(
            "llamacpp.gib-mapped-file",
            "{repacked:.1f} GiB of the mapped file stays cached beside the repacked copy until the "
            "system needs the room",
            repacked=repacked / 2**30,
        )
        terms.append(MemoryTerm("ram", "page cache", 0.0, note, repacked))
    program = _PROGRAM_BYTES + _TOKEN_BYTES * request.model.vocabulary
    terms.append(
        MemoryTerm("ram", "engine", program, sentence("llamacpp.program-libraries", "program, libraries, vocabulary"))
    )
    draft = 0.0 if placement.output_on_gpu else draft_weight_bytes(request.weights, request.layout)
    if draft:
        terms.append(
            MemoryTerm(
                "ram",
                "draft weights",
                draft,
                sentence("llamacpp.what-drafts-tokens", "what drafts tokens, beside the head"),
            )
        )
    lora = lora_bytes(request.model, request.layout, Span(0, cpu))
    if lora:
        terms.append(MemoryTerm("ram", "adapters", lora, lora_note(request.layout)))
    if option(request.layout, "mmproj") == "ram" or (option(request.layout, "mmproj") and not placement.spans):
        terms += [MemoryTerm("ram", *named) for named in tower_terms(request.model)]
    kept = request.layout.prompt_cache_bytes
    if kept:
        note = sentence(
            "llamacpp.prompts-server-keeps",
            "prompts that the server keeps for whoever comes back (--cache-ram), at most; fills with use",
        )
        terms.append(MemoryTerm("ram", "prompt cache (at most)", kept, note, late_bytes=kept))
    return tuple(terms)


def _repacked_bytes(request: Request, placement: Placement, weights: Held) -> float:
    """Weights that the CPU backend keeps in a second, interleaved copy; none where a GPU is in use."""
    if placement.spans or request.layout.engine is not Engine.LLAMA_CPP or option(request.layout, "repack") == "0":
        return 0.0
    last = len(request.model.layers)
    parts = (
        (Part.ATTENTION, weights.attention[last]),
        (Part.DENSE_FFN, sum(layer.dense_ffn for layer in request.weights.layers)),
        (Part.SHARED_EXPERTS, sum(layer.shared_experts for layer in request.weights.layers)),
        (Part.ROUTED_EXPERTS, weights.routed[last]),
        (Part.OUTPUT, request.weights.output),
    )
    return sum(size * _repacked_share(request, part) for part, size in parts)


def _repacked_share(request: Request, part: Part) -> float:
    """The share of a part's bytes that are of types the CPU backend interleaves."""
    mix = request.weights.mixes.get(part) or ((request.weights.types.get(part, ""), 1.0),)
    sizes = {kind: share * TYPES[plain(kind)].bits for kind, share in mix if plain(kind) in TYPES}
    whole = sum(sizes.values())
    return sum(size for kind, size in sizes.items() if plain(kind) in REPACKED) / whole if whole else 0.0


def _ram_growth(
    request: Request, placement: Placement, has_gpu: bool, shared: tuple[tuple[str, Growth], ...]
) -> Growth:
    model, layout, cpu = request.model, request.layout, placement.cpu_layers
    copies = _copies(placement)
    on_cpu = Duties(not placement.output_on_gpu, experts=True, on_cpu=not has_gpu)
    experts_here = placement.cpu_experts.layers > 0 and not fetches_experts(request)

    def growth(context: int, count: int) -> tuple[Named, ...]:
        here = cpu if _offloads_cache(layout) else len(model.layers)
        cache = _cache(request, context, count, 0, here)
        compute = host_bytes(model, layout, context, copies, experts_here) if has_gpu else 0.0
        if cpu or not has_gpu:
            compute = max(compute, compute_bytes(model, layout, context, on_cpu))
        output = model.vocabulary * _LOGIT_BYTES * count
        terms: list[Named] = [
            (
                "kv",
                cache,
                sentence(
                    "llamacpp.x-tokens-layers-2",
                    "{kv_type}, {count} x {context} tokens, {cpu} layers",
                    kv_type=layout.kv_type,
                    count=count,
                    context=context,
                    cpu=cpu,
                ),
            ),
            ("compute", compute, sentence("llamacpp.pinned-inputs-cpu", "pinned inputs and the CPU's activations")),
            ("output", output, sentence("llamacpp.logits-each-sequence", "logits of each sequence")),
            *(() if placement.output_on_gpu else draft_growth(request, context, count)),
        ]
        for device, other in shared:
            terms += [(f"{device} {name}", size, "unified memory") for name, size, _ in other(context, count)]
        return tuple(terms)

    return growth
