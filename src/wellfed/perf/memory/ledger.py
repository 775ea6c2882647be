"""The memory ledger of a layout: what each device holds, whether it fits, how much more would."""

from __future__ import annotations

from wellfed.nouns.estimate import DeviceMemory, Memory
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request
from wellfed.perf.identity import per_object
from wellfed.perf.memory import llamacpp, llamacpp_place, serving, vllm_cpu
from wellfed.perf.memory.chosen import narrowed
from wellfed.perf.memory.kv import is_pooled
from wellfed.perf.memory.pool import one_pool
from wellfed.perf.memory.share import Named, Share, distinct, longest_context, most_sequences
from wellfed.perf.memory.streamed import from_disk

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
    device_shares, context = shares(request), request.workload.context
    local = request.layout.engine in _LOCAL and request.layout.engine is not Engine.KTRANSFORMERS
    count = _sequences(request, None if local else most_sequences(device_shares, context))
    asked_devices = device_shares if not gpus_alone else tuple(share for share in device_shares if share.device != RAM)
    rooms = [(share, room) for share in distinct(asked_devices) if (room := share.room_bytes) is not None]
    least = min((room - share.grown_bytes(context, count) for share, room in rooms), default=None)
    if least is None or abs(least) > _CLOSE_BYTES:
        return least
    ledger = [device.spare_bytes for device in ledgers(request).devices if not gpus_alone or device.device != RAM]
    return min((spare for spare in ledger if spare is not None), default=None)


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
