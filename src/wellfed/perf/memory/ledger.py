"""The memory ledger of a layout: what each device holds, whether it fits, how much more would."""

from __future__ import annotations

from wellfed.frozen import replace
from wellfed.hardware.machine import Machine
from wellfed.nouns.estimate import DeviceMemory, Memory
from wellfed.nouns.layout import ALL_GPU, Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.perf.identity import per_object
from wellfed.perf.memory import llamacpp, llamacpp_place, serving, vllm_cpu
from wellfed.perf.memory.chosen import narrowed
from wellfed.perf.memory.context_ranks import prefill_ranks
from wellfed.perf.memory.devices import gpu_capacity_bytes, gpu_free_bytes
from wellfed.perf.memory.held import residents, weight_sums
from wellfed.perf.memory.kv import is_pooled, option
from wellfed.perf.memory.pool import one_pool
from wellfed.perf.memory.remote import servers
from wellfed.perf.memory.shards import expert_ranks
from wellfed.perf.memory.share import Named, Share, least_left, longest_context, most_sequences
from wellfed.perf.memory.streamed import from_disk
from wellfed.perf.memory.twins import as_held

RAM = "ram"  # what its share is called
_LOCAL = frozenset(engine for engine in Engine if engine.is_local)


def memory(request: Request) -> Memory:
    """The ledger of every device of one node (nodes are alike), and how many sequences and tokens still fit.

    `max_sequences`: of the workload's context, over all replicas; `max_context`: for the sequences in the ledger, at
    most the model's limit. Both are None where a capacity is unknown. Left out: memory of other programs, unless the
    machine is live and tells what is free.
    """
    device_shares, context = shares(request), request.workload.context
    most = most_sequences(device_shares, context)
    count = _sequences(request, most)
    if is_pooled(request.layout) and most is not None:
        most = min(most, count)  # as many as it is started with: the cache is one for all
    devices = _devices(device_shares, context, count)
    limit = max(context, request.model.context_limit)
    return Memory(devices, _over_replicas(request, most), longest_context(device_shares, count, limit))


def ledgers(request: Request) -> Memory:
    """The ledgers alone, without asking how much more would fit: what searches ask first of every layout."""
    device_shares, context = shares(request), request.workload.context
    local = request.layout.engine in _LOCAL and request.layout.engine is not Engine.KTRANSFORMERS
    count = _sequences(request, None if local else most_sequences(device_shares, context))
    return Memory(_devices(device_shares, context, count))


def spare_bytes(request: Request, gpus_alone: bool = False) -> float | None:
    """What the tightest device of `ledgers(request)` (or its GPUs) has left, without a ledger: negative where it does
    not fit, None where no capacity is known. Devices that hold alike are looked at once; close calls are left to the
    ledgers.
    """
    device_shares, context = sizes(request), request.workload.context
    local = request.layout.engine in _LOCAL and request.layout.engine is not Engine.KTRANSFORMERS
    count = _sequences(request, None if local else most_sequences(device_shares, context))
    asked_devices = device_shares if not gpus_alone else tuple(share for share in device_shares if share.device != RAM)
    least = least_left(asked_devices, context, count)
    if least is None or abs(least) > _CLOSE_BYTES:
        return least
    ledger = [device.spare_bytes for device in ledgers(request).devices if not gpus_alone or device.device != RAM]
    return min((spare for spare in ledger if spare is not None), default=None)


def least_missing_bytes(request: Request) -> float:
    """What the tightest GPU lacks at least by the layers' weights alone, for the price of a few sums; 0 where these
    tell nothing. Some rank holds no less than the mean of its pipeline's stages, or of the GPUs that share the layers.
    """
    layout, room = request.layout, _largest_room_bytes(request.machine)
    beside = layout.overrides or servers(layout) or option(layout, "cpu_offload_gb")
    if room is None or not layout.gpus or layout.offload != ALL_GPU or beside:
        return 0.0
    sums = weight_sums(request.weights)
    resident, routed = residents(request.weights)[-1], sums.routed[-1]
    if layout.engine in _LOCAL:
        rank_bytes = (resident + routed) / layout.gpus
    else:
        experts = routed / (expert_ranks(layout) * prefill_ranks(layout))
        rank_bytes = (resident / max(1, layout.tensor_parallel) + experts) / max(1, layout.pipeline_parallel)
    return rank_bytes - room if rank_bytes - room > _CLOSE_BYTES else 0.0


@per_object
def _largest_room_bytes(machine: Machine) -> float | None:
    """What the roomiest GPU has; None without GPUs, or where one does not tell."""
    rooms = []
    for gpu in machine.gpus:
        free = gpu_free_bytes(gpu, machine)
        rooms.append(gpu_capacity_bytes(gpu, machine) if free is None else free)
    known_rooms = [room for room in rooms if room is not None]
    return max(known_rooms) if known_rooms and len(known_rooms) == len(rooms) else None


_CLOSE_BYTES = 4096.0  # sums in another order differ by less: assumed


def _devices(device_shares: tuple[Share, ...], context: int, count: int) -> tuple[DeviceMemory, ...]:
    """Every device's ledger; ranks that grow alike are computed once."""
    grown: dict[int, tuple[Named, ...]] = {}
    for share in device_shares:
        if id(share.growth) not in grown:
            grown[id(share.growth)] = share.growth(context, count)
    return tuple(share.ledger_of(grown[id(share.growth)]) for share in device_shares)


def running_capacity(request: Request) -> int | None:
    """Sequences of the workload's mean decode context that the cache admits at once, over all replicas.

    None when a capacity is unknown; 0 when not even one fits.
    """
    return _over_replicas(request, most_sequences(shares(request), max(1, round(request.workload.mean_decode_context))))


_sized: dict[Layout, tuple[Request, tuple[Share, ...]]] = {}
_MOST_SIZED = 64  # layouts whose shares are kept, assumed enough for twins to meet


def sizes(request: Request) -> tuple[Share, ...]:
    """`shares` for whoever reads no notes: made once for layouts that memory sees no difference between."""
    layout = as_held(request.layout)
    cached = _sized.get(layout)
    if cached is not None and _asks_alike(cached[0], request):
        return cached[1]
    if len(_sized) >= _MOST_SIZED:
        _sized.clear()
    device_shares = shares(request if layout is request.layout else replace(request, layout=layout))
    _sized[layout] = (request, device_shares)
    return device_shares


def _asks_alike(first: Request, second: Request) -> bool:
    return (
        first.machine is second.machine
        and first.model is second.model
        and first.weights is second.weights
        and first.workload is second.workload
    )


@per_object
def shares(request: Request) -> tuple[Share, ...]:
    """Every device's share, GPUs first; what shares RAM with its CPU stands in the pool's ledger, too."""
    request = narrowed(request)
    return from_disk(one_pool(_by_engine(request), request), request)


def _by_engine(request: Request) -> tuple[Share, ...]:
    engine = request.layout.engine
    if engine is Engine.KTRANSFORMERS:
        from wellfed.perf.memory import ktransformers

        return ktransformers.shares(request)
    if vllm_cpu.on_cpu(request.layout):
        return vllm_cpu.shares(request)
    return llamacpp.shares(request) if engine in _LOCAL else serving.shares(request)


def _sequences(request: Request, most: int | None) -> int:
    if request.layout.engine is Engine.KTRANSFORMERS:  # a pool, as SGLang's, of which it is a part now
        return serving.sequences(request, most)
    if request.layout.engine in _LOCAL:
        return llamacpp_place.sequences(request)
    if vllm_cpu.on_cpu(request.layout):
        return vllm_cpu.planned_sequences(request)
    return serving.sequences(request, most)


def _over_replicas(request: Request, most: int | None) -> int | None:
    if most is None or request.layout.engine in _LOCAL:
        return most
    return most * serving.replicas(request.layout)
