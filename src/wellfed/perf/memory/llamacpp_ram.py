"""What llama.cpp and ik_llama.cpp hold in RAM: layers and experts there, copies of weights, buffers, prompts kept."""

from __future__ import annotations

from collections.abc import Iterator

from wellfed.hardware.machine import Gpu
from wellfed.message import sentence
from wellfed.models.gguf_types import TYPES, plain
from wellfed.models.tensor import Part
from wellfed.nouns.estimate import MemoryTerm
from wellfed.nouns.layout import Engine, NumaPolicy
from wellfed.nouns.plan import Request
from wellfed.perf.kernels import REPACKED
from wellfed.perf.memory.beside import draft_growth
from wellfed.perf.memory.compute import Duties, compute_bytes, host_bytes
from wellfed.perf.memory.devices import (
    ram_capacity_bytes,
    ram_free_bytes,
    system_terms,
    unified,
)
from wellfed.perf.memory.draft import draft_weight_bytes
from wellfed.perf.memory.held import Held
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.llamacpp_place import Placement, cache_bytes, copies_of, fetches_experts, offloads_cache
from wellfed.perf.memory.lora import lora_bytes, lora_note
from wellfed.perf.memory.overrides import RAM
from wellfed.perf.memory.share import Growth, Named, Share
from wellfed.perf.memory.split import Span
from wellfed.perf.memory.towers import ON_CPU, PLACE, local_tower
from wellfed.units import MIB

_LOGIT_BYTES = 4  # llama.cpp keeps logits in FP32
# The server's own: code and libraries, then what it keeps of each token of the vocabulary. Measured on the embedded
# build with vocabularies of 512 to 151,936 tokens.
_PROGRAM_BYTES, _TOKEN_BYTES = 34 * MIB, 430


def ram_share(
    request: Request, placement: Placement, weights: Held, gpus: tuple[Gpu, ...], gpu_shares: list[Share]
) -> Share:
    machine = request.machine
    free, capacity = ram_free_bytes(machine), ram_capacity_bytes(machine)
    fixed = [*_ram_weights(request, placement, weights)]
    fixed += system_terms(free, capacity, sentence("llamacpp.operating-system", "operating system and page tables"))
    shared = [share for share, gpu in zip(gpu_shares, gpus, strict=True) if unified(gpu) and not gpu.server]
    fixed += [term for share in shared for term in _as_ram(share.fixed)]
    growth = _ram_growth(request, placement, bool(gpus), tuple((share.device, share.growth) for share in shared))
    caches = placement.cpu_layers > 0 or not gpus or not offloads_cache(request.layout)
    return Share("ram", tuple(fixed), growth, capacity, free, caches)


def _as_ram(terms: tuple[MemoryTerm, ...]) -> tuple[MemoryTerm, ...]:
    """What a GPU without memory of its own takes from RAM."""
    return tuple(MemoryTerm("ram", f"{t.device} {t.name}", t.bytes, "unified memory") for t in terms)


def _ram_weights(request: Request, placement: Placement, weights: Held) -> tuple[MemoryTerm, ...]:
    """What stays in RAM whatever the context: weights of the file, the program, what goes along with the model."""
    return (*_file_terms(request, placement, weights), _program(request), *_companions(request, placement))


def _file_terms(request: Request, placement: Placement, weights: Held) -> Iterator[MemoryTerm]:
    total = _weight_bytes(request, placement, weights)
    text = "layers and experts in RAM, token embedding; mapped from the file"
    yield MemoryTerm("ram", "weights", total, sentence("llamacpp.layers-experts-ram", text))
    sockets = len(request.machine.sockets)
    if request.layout.numa is NumaPolicy.DUPLICATE and sockets > 1:
        note = sentence("llamacpp.one-copy-each", "one copy for each of {sockets} sockets", sockets=sockets)
        yield MemoryTerm("ram", "weight copies", (sockets - 1) * total, note)
    repacked = _repacked_bytes(request, placement, weights)
    if repacked:
        note = sentence(
            "llamacpp.gib-mapped-file",
            "{repacked:.1f} GiB of the mapped file stays cached beside the repacked copy until the "
            "system needs the room",
            repacked=repacked / 2**30,
        )
        yield MemoryTerm("ram", "page cache", 0.0, note, repacked)


def _weight_bytes(request: Request, placement: Placement, weights: Held) -> float:
    """Layers before the GPUs' first, experts left on the CPU, embeddings; the head where no GPU has it."""
    cpu, experts, single = placement.cpu_layers, placement.cpu_experts, placement.placed
    total = request.weights.embedding + request.weights.lookup + weights.resident(0, cpu) + weights.routed[cpu]
    total += weights.routed[experts.last] - weights.routed[experts.first]
    if single is not None:
        total = request.weights.embedding + request.weights.lookup + single.total.get(RAM, 0.0)
    if not placement.output_on_gpu:
        total += request.weights.output + request.weights.other
    return total


def _program(request: Request) -> MemoryTerm:
    size = _PROGRAM_BYTES + _TOKEN_BYTES * request.model.vocabulary
    return MemoryTerm("ram", "engine", size, sentence("llamacpp.program-libraries", "program, libraries, vocabulary"))


def _companions(request: Request, placement: Placement) -> Iterator[MemoryTerm]:
    """A draft model, adapters, a tower for pictures, the server's cache of prompts."""
    draft = 0.0 if placement.output_on_gpu else draft_weight_bytes(request.weights, request.layout)
    if draft:
        note = sentence("llamacpp.what-drafts-tokens", "what drafts tokens, beside the head")
        yield MemoryTerm("ram", "draft weights", draft, note)
    lora = lora_bytes(request.model, request.layout, Span(0, placement.cpu_layers))
    if lora:
        yield MemoryTerm("ram", "adapters", lora, lora_note(request.layout))
    tower = option(request.layout, PLACE)
    if tower == ON_CPU or (tower and not placement.spans):
        yield from (MemoryTerm("ram", *term) for term in local_tower(request))
    cache_bytes = request.layout.prompt_cache_bytes
    if cache_bytes:
        note = sentence(
            "llamacpp.prompts-server-keeps",
            "prompts that the server keeps for whoever comes back (--cache-ram), at most; fills with use",
        )
        yield MemoryTerm("ram", "prompt cache (at most)", cache_bytes, note, late_bytes=cache_bytes)


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
    total = sum(sizes.values())
    return sum(size for kind, size in sizes.items() if plain(kind) in REPACKED) / total if total else 0.0


def _ram_growth(
    request: Request, placement: Placement, has_gpu: bool, shared: tuple[tuple[str, Growth], ...]
) -> Growth:
    model, layout, cpu = request.model, request.layout, placement.cpu_layers
    copies = copies_of(placement)
    on_cpu = Duties(not placement.output_on_gpu, experts=True, on_cpu=not has_gpu)
    experts_here = placement.cpu_experts.layers > 0 and not fetches_experts(request)

    def growth(context: int, count: int) -> tuple[Named, ...]:
        here = cpu if offloads_cache(layout) else len(model.layers)
        cache = cache_bytes(request, context, count, 0, here)
        compute = host_bytes(model, layout, context, copies, experts_here) if has_gpu else 0.0
        if cpu or not has_gpu:
            compute = max(compute, compute_bytes(model, layout, context, on_cpu, count))
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
        for device, other_growth in shared:
            terms += [(f"{device} {name}", size, "unified memory") for name, size, _ in other_growth(context, count)]
        return tuple(terms)

    return growth
