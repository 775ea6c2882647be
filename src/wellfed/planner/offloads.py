"""Divisions between GPU and CPU, settled: "as much as fits" becomes a number of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from wellfed.engines.versions import with_head
from wellfed.frozen import replace
from wellfed.nouns.layout import SOME_EXPERTS, SOME_LAYERS, NumaPolicy, Offload
from wellfed.nouns.plan import Request
from wellfed.perf.memory import spare_bytes
from wellfed.planner.degrees import counts

if TYPE_CHECKING:
    from wellfed.perf.memory.fill import Packing


def as_many_as_fit(request: Request) -> Iterator[Request]:
    """The request, with "as much as fits" replaced by a number; nothing when nothing or everything would fit."""
    offload = request.layout.offload
    layers = len(request.model.layers)
    if offload == SOME_EXPERTS:
        yield from _some_experts(request)
    elif offload == SOME_LAYERS:
        whole = layers + _counted(request, layers).layout.offload.head_first
        count = _least(lambda n: _fits_counted(request, whole - n), whole)
        if count is not None and 0 < count < layers:
            yield _counted(request, whole - count)
    else:
        yield request


def _some_experts(request: Request) -> Iterator[Request]:
    from wellfed.perf.memory.fill import can_fill

    if can_fill(request):
        yield from _filled(request)
        return
    experts = request.model.expert_layers
    count = _least(lambda n: _fits(request, Offload(cpu_expert_layers=n)), experts)
    if count is not None and 0 < count < experts:
        yield _with_offload(request, Offload(cpu_expert_layers=count))


def _filled(request: Request) -> Iterator[Request]:
    """As few layers as possible with their experts in RAM, split over the GPUs to that end where the engine's own
    division, by memory alone, would need more. Where all fit: on no more GPUs than they need.
    """
    from wellfed.perf.memory.fill import packed

    packing, alone = packed(request), request.layout.numa is NumaPolicy.ONE_SOCKET
    in_ram = None if packing is None else packing.fewest()
    if packing is None or in_ram is None or (not in_ram and not alone):  # on GPUs alone, host memory does not matter
        return
    gpus_before = request.layout.gpus
    if not in_ram:
        request, packing = _on_fewest(request, packing)
    offload = Offload(cpu_expert_layers=in_ram)
    if not _fits(request, offload):
        yield replace(request, layout=replace(request.layout, offload=offload, split=packing.evened(in_ram)))
    elif in_ram < request.model.expert_layers and (in_ram or request.layout.gpus < gpus_before):
        yield _with_offload(request, offload)


def _on_fewest(request: Request, packing: Packing) -> tuple[Request, Packing]:
    """The request on as few GPUs as hold all layers, but for counts that are candidates of their own."""
    from wellfed.perf.memory.fill import packed

    gpus_before = request.layout.gpus
    fewest = max(count for count in counts(len(request.machine.gpus)) if count < gpus_before)
    for gpus in range(fewest, gpus_before):
        fewer = replace(request, layout=replace(request.layout, gpus=gpus))
        packing_of_fewer = packed(fewer)
        if packing_of_fewer is not None and packing_of_fewer.split(0) is not None:
            return (request, packing) if gpus == fewest else (fewer, packing_of_fewer)
    return request, packing


def _with_offload(request: Request, offload: Offload) -> Request:
    return replace(request, layout=replace(request.layout, offload=offload))


def _counted(request: Request, layers: int) -> Request:
    """The request with so many layers on the GPU, as the engine counts them: the head among them or not."""
    on_gpu = _with_offload(request, Offload(gpu_layers=layers))
    return replace(on_gpu, layout=with_head(on_gpu.layout))


def _fits_counted(request: Request, layers: int) -> bool:
    return (spare_bytes(_counted(request, layers), gpus_alone=True) or 0.0) >= 0


def _fits(request: Request, offload: Offload) -> bool:
    return (spare_bytes(_with_offload(request, offload), gpus_alone=True) or 0.0) >= 0


def _least(holds: Callable[[int], bool], most: int) -> int | None:
    """The least n in 0..most for which `holds`, which stays true once it is; None when it never is."""
    if holds(0):  # on large machines the usual case, and the only question then
        return 0
    if not holds(most):
        return None
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
