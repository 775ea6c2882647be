"""The memory of vLLM, SGLang and TensorRT-LLM: weights by rank, then as much cache as the engine's budget leaves.

vLLM: cache = utilisation x total - weights - peak of the profile run - non-torch (- CUDA graphs, from 0.12 on).
SGLang: weights and cache together fill `mem_fraction_static`; activations and graphs live in the rest.
TensorRT-LLM: cache = 0.9 of what is free after weights and a profile run.

The cache term of the ledger is what the workload's sequences need, at most what the budget leaves for whole sequences:
requests beyond that wait. Sources: the engines' documentation and source (worker, server_args, kv_cache_config; read
2025), and memory reports of vLLM 0.11 on H100 for the sampler's share of the peak.
"""

from __future__ import annotations

from math import ceil

from wellfed.frozen import replace
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import sentence
from wellfed.nouns.estimate import MemoryTerm
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.perf.identity import per_object, per_object_and_values
from wellfed.perf.memory.budget import Budget, Card, activation_bytes, budget
from wellfed.perf.memory.chosen import narrowed
from wellfed.perf.memory.context_ranks import prefill_ranks
from wellfed.perf.memory.devices import (
    context_bytes,
    gpu_capacity_bytes,
    gpu_free_bytes,
    ram_capacity_bytes,
    ram_free_bytes,
    reduces,
    system_terms,
    unified,
    vendor,
    visible_bytes,
)
from wellfed.perf.memory.draft import draft_cache_bytes, draft_weight_bytes
from wellfed.perf.memory.in_flight import in_flight_bytes
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.lora import lora_bytes, lora_note
from wellfed.perf.memory.offload import offload_terms
from wellfed.perf.memory.pools import are_grouped, cached_token_bytes, logged_token_bytes, state_pool_bytes
from wellfed.perf.memory.shards import attention_ranks, pool_parts, rank_weights, stages, widened_scale_bytes
from wellfed.perf.memory.share import Growth, Named, Share, Sized
from wellfed.perf.memory.split import Span
from wellfed.perf.memory.static_share import share_that_sees
from wellfed.perf.memory.towers import served_tower, sglang_share
from wellfed.perf.prefix import SHARES
from wellfed.units import GIB

_BLOCK = 16  # tokens of a cache page: vLLM's default (--block-size)
BY_GROUPS = "by_groups"  # the option: tokens of the log are the pool's by groups of layers (vLLM before 0.20)
# the notes of terms that every layout has
_PEAK = sentence("serving.peak-profile-run", "peak of the profile run: tokens, logits, sampling")
_CONTEXT = sentence("serving.cuda-context-nccl", "CUDA context, NCCL and all-reduce buffers")
_GRAPHS = sentence("serving.captured-decode", "captured decode steps")
_BUFFERS = sentence("serving.runtime-pinned", "runtime and pinned buffers of each rank")
_PROCESS_BYTES = 3 * GIB  # host memory of one rank, runtime, CUDA libraries and pinned buffers: assumed


def shares(request: Request) -> tuple[Share, ...]:
    """One share per GPU of a node, then RAM."""
    request = narrowed(request)
    layout, machine = request.layout, request.machine
    gpus = _gpus(request)
    spans = stages(len(request.model.layers), max(1, layout.pipeline_parallel), layout.split)
    growths = [_growth(request, span) for span in spans]
    fixed_by_duty: dict[tuple[float | None, float | None, int], tuple[MemoryTerm, ...]] = {}
    gpu_shares = []
    ranks = max(1, layout.tensor_parallel * prefill_ranks(layout))
    for index, (gpu, (capacity, free)) in enumerate(zip(gpus, _sizes(machine), strict=False)):
        stage = index // ranks % len(spans)
        key = (capacity, free, stage)
        device = f"gpu{index}"
        if key not in fixed_by_duty:
            host = _PROCESS_BYTES if unified(gpu) else 0.0
            card = Card(
                capacity, free, visible_bytes(gpu, machine), host, context_bytes(gpu), reduces(gpu), _widens(gpu)
            )
            fixed_by_duty[key] = tuple([MemoryTerm(device, *term) for term in _fixed(request, spans[stage], card)])
        gpu_shares.append(Share(device, fixed_by_duty[key], growths[stage], capacity, free))
    ram, more = _ram(request, len(gpus)), offload_terms(layout, gpu_shares)
    return (*gpu_shares, replace(ram, fixed=(*ram.fixed, *more)) if more else ram)


def _widens(gpu: Gpu) -> bool:
    """Whether FP8 weights are widened to 16 bits on their way."""
    return gpu.spec is not None and vendor(gpu) == "nvidia" and not gpu.spec.peak.fp8


@per_object
def _usable(machine: Machine) -> tuple[Gpu, ...]:
    return tuple(gpu for gpu in machine.gpus if not gpu.display_only)


@per_object
def _sizes(machine: Machine) -> tuple[tuple[float | None, float | None], ...]:
    """What each usable GPU has to give, and what of it is free."""
    return tuple((gpu_capacity_bytes(gpu, machine), gpu_free_bytes(gpu, machine)) for gpu in _usable(machine))


def _gpus(request: Request) -> tuple[Gpu, ...]:
    layout = request.layout
    ranks = layout.tensor_parallel * layout.pipeline_parallel * layout.data_parallel * prefill_ranks(layout)
    ranks = max(1, ranks)
    return _usable(request.machine)[:ranks]


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
    return float(text) * GIB if text else 0.0


def _fixed(request: Request, span: Span, card: Card) -> tuple[Named, ...]:
    layout, weights = request.layout, _weights(request, span)
    if card.widens:
        weights += widened_scale_bytes(request.model, request.weights, layout, span)
    draft = draft_weight_bytes(request.weights, layout) / max(1, layout.tensor_parallel) if span.output else 0.0
    lora = lora_bytes(request.model, layout, span)
    passed = activation_bytes(request.model, layout, card.capacity, output=span.output)
    tower = served_tower(request, passed) if span.first == 0 else 0.0
    resident = weights + draft + lora + tower
    sees = share_that_sees(layout, sglang_share(request.workload.pictures))
    unbudgeted = budget(request.model, layout, card, span, resident, passed, sees)
    ways = sentence(
        "serving.tp-ep-layers",
        "TP {tensor_parallel}, EP {expert_parallel}, {layers} layers",
        tensor_parallel=layout.tensor_parallel,
        expert_parallel=layout.expert_parallel,
        layers=span.layers,
    )
    return (
        ("weights", weights, ways),
        *((("draft weights", draft, sentence("serving.what-drafts-tokens", "what drafts tokens")),) if draft else ()),
        *((("adapters", lora, lora_note(layout)),) if lora else ()),
        *(
            (("pictures", tower, sentence("serving.pictures", "a pass of the tower, and what it hands on")),)
            if tower
            else ()
        ),
        ("activations", unbudgeted.activations, _PEAK),
        ("engine context", unbudgeted.non_torch, _CONTEXT),
        ("cuda graphs", unbudgeted.graphs, _GRAPHS),
        ("kept free", unbudgeted.kept_free, unbudgeted.note),
        *(
            (
                (
                    sentence("serving.wanted-free-start", "wanted free at the start"),
                    unbudgeted.short + _missing(unbudgeted, resident, card),
                    unbudgeted.note,
                ),
            )
            if unbudgeted.short
            else ()
        ),
    )


def _missing(budget: Budget, weights: float, card: Card) -> float:
    """What is free beside what the engine would use: with the shortage it makes the ledger overflow by just that."""
    free = card.free if card.free is not None else card.capacity
    return max(0.0, (free or 0.0) - weights - budget.total)


def _growth(request: Request, span: Span) -> Growth:
    model, layout = request.model, request.layout
    shared = request.workload.shared_prefix_tokens if layout.engine in SHARES else 0

    drafts = span.output and layout.speculation is not None
    by_tokens: dict[int, tuple[float, float]] = {}

    def sequence_bytes(tokens: int) -> float:
        cached, states = pool_parts(model, layout, tokens, span)
        return cached + states + state_pool_bytes(layout, cached, states)

    def sizes(context: int, count: int) -> tuple[float, ...]:
        tokens = -(-context // _BLOCK) * _BLOCK
        if tokens not in by_tokens:
            by_tokens[tokens] = sequence_bytes(tokens), in_flight_bytes(model, layout, tokens, span)
        each, in_flight = by_tokens[tokens]
        cached = count * each + in_flight
        if shared:
            once = min(context, shared) // _BLOCK * _BLOCK  # whole pages of the common prefix
            cached -= (count - 1) * sequence_bytes(once)
        if not drafts:
            return (cached,)
        return cached, count * draft_cache_bytes(model, layout, tokens, attention_ranks(layout))

    def named(context: int, count: int, sizes: tuple[float, ...]) -> tuple[Named, ...]:
        text = "{kv_type}, {count} x {context} tokens"
        note = sentence("serving.x-tokens-2", text, kv_type=layout.kv_type, count=count, context=context)
        kv = ("kv", sizes[0], note)
        if not any(sizes[1:]):
            return (kv,)
        note = sentence("serving.x-tokens", "{count} x {context} tokens", count=count, context=context)
        return kv, ("draft kv", sizes[1], note)

    return Sized(sizes, named)


def cache_tokens(request: Request, pool: float | None = None) -> float | None:
    """Tokens that one replica's cache holds in whole pages: in `pool` bytes a GPU, else in what the budget leaves.

    None when a GPU's size is unknown.
    """
    fewest: float | None = None
    for share in shares(request):
        room = share.room_bytes if pool is None else pool
        if share.device == "ram":
            continue
        if room is None:
            return None
        token_bytes = _token_bytes(request, share)
        if not token_bytes:  # a stage whose layers keep states alone: others' caches are what runs out
            continue
        pages = max(0.0, room / (token_bytes * _BLOCK))
        fewest = pages if fewest is None else min(fewest, pages)
    return None if fewest is None else int(fewest) * float(_BLOCK)


def _token_bytes(request: Request, share: Share) -> float:
    """Bytes of a rank's pool for a token, as the engine's log counts them."""
    model, layout, context = request.model, request.layout, request.workload.context
    spans = stages(len(model.layers), max(1, layout.pipeline_parallel), layout.split)
    stage = int(share.device.removeprefix("gpu")) // max(1, layout.tensor_parallel * prefill_ranks(layout))
    span, ranks = spans[stage % len(spans)], attention_ranks(layout)
    if option(layout, BY_GROUPS) == "1" and are_grouped(model, layout):
        return logged_token_bytes(model, layout, span, ranks)
    if layout.engine is Engine.SGLANG:
        draft = draft_cache_bytes(model, layout, _BLOCK, ranks) if span.output else 0.0
        cached, states = pool_parts(model, layout, _BLOCK, span)
        return cached_token_bytes(layout, cached + draft, states) / _BLOCK
    return share.grown_bytes(context, 1) / (ceil(context / _BLOCK) * _BLOCK)


def cache_bytes(request: Request) -> float | None:
    """Bytes of cache that the budget leaves on the tightest GPU; None when the capacity is unknown."""
    rooms = [share.room_bytes for share in shares(request) if share.device != "ram"]
    known_rooms = [room for room in rooms if room is not None]
    return min(known_rooms) if known_rooms and len(known_rooms) == len(rooms) else None


def _ram(request: Request, ranks: int) -> Share:
    if ranks:
        return _ram_beside_gpus(request.machine, ranks, _offloaded(request.layout))
    note = sentence("serving.no-gpu-all", "no GPU: all weights in RAM")
    weights = MemoryTerm("ram", "weights", request.weights.total, note)
    growth = _growth(request, Span(0, len(request.model.layers), True))
    return _ram_share(request.machine, 0.0, (weights,), growth)


@per_object_and_values
def _ram_beside_gpus(machine: Machine, ranks: int, offloaded: float) -> Share:
    """RAM where GPUs hold the model but for `offloaded` bytes of each rank."""
    apart = [gpu for gpu in _usable(machine)[:ranks] if not unified(gpu)]  # others' processes stand in their own ledger
    note = sentence("serving.cpu-offload-gb", "cpu_offload_gb of each rank")
    weights = (MemoryTerm("ram", "weights", ranks * offloaded, note),) if offloaded else ()
    return _ram_share(machine, len(apart) * _PROCESS_BYTES, weights, _nothing)


def _ram_share(machine: Machine, processes: float, weights: tuple[MemoryTerm, ...], growth: Growth) -> Share:
    capacity, free = ram_capacity_bytes(machine), ram_free_bytes(machine)
    system = system_terms(free, capacity, sentence("serving.operating-system", "operating system and page tables"))
    fixed = (MemoryTerm("ram", "engine processes", processes, _BUFFERS), *weights, *system)
    return Share("ram", fixed, growth, capacity, free, caches=growth is not _nothing)


def _nothing(context: int, count: int) -> tuple[Named, ...]:
    return ()
