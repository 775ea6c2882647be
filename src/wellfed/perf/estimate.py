"""The one estimate: every verb asks here."""

from __future__ import annotations

from wellfed.frozen import replace
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Source, Speeds, speeds_of
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request
from wellfed.perf.acceptance import with_acceptance
from wellfed.perf.caveats import caveats
from wellfed.perf.doubt import with_doubt
from wellfed.perf.load import start
from wellfed.perf.memory.chosen import narrowed
from wellfed.perf.memory.devices import unified, vendor
from wellfed.perf.memory.remote import servers
from wellfed.perf.memory.streamed import is_streamed
from wellfed.perf.prefix import as_computed
from wellfed.perf.remote import with_network
from wellfed.perf.streamed import with_disk
from wellfed.provenance import Assumption
from wellfed.units import GIB


def estimate(request: Request, calibration: Calibration) -> Estimate:
    """What `request`'s layout would do.

    llama.cpp and its kin are modelled device by device, serving engines as continuous batches (vLLM on CPUs as a local
    engine). Raises Unsupported for a
    layout its engine cannot run.
    """
    request = as_computed(narrowed(request))
    estimated = with_doubt(_estimate(request, calibration), request, calibration)
    estimated = with_acceptance(estimated, request.layout.speculation)
    estimated = with_network(with_disk(estimated, request), request)
    taken = (*caveats(request), *_mapped(request, estimated))
    estimated = replace(estimated, assumptions=(*estimated.assumptions, *taken)) if taken else estimated
    first = start(request.machine, request.model, request.layout, estimated.memory, Source.PAGE_CACHE)
    return estimated if first is None else replace(estimated, load_s=first.ready_s.value)


def _estimate(request: Request, calibration: Calibration) -> Estimate:
    if request.layout.engine.is_local:
        from wellfed.perf.local import estimate_local

        return estimate_local(request, calibration)
    if request.layout.engine is Engine.VLLM and request.layout.gpus == 0:
        from wellfed.perf.served_cpu import estimate_served_cpu

        return estimate_served_cpu(request, calibration)
    from wellfed.perf.serving import estimate_serving

    return estimate_serving(request, calibration)


def speeds(request: Request, calibration: Calibration) -> Speeds:
    """The middle values of `estimate`, which order plans, without the ledgers, terms, intervals and assumptions that
    explain them: a third of its time. Raises Unsupported as that.
    """
    computed = as_computed(narrowed(request))
    if is_streamed(computed.layout) or servers(computed.layout):
        return speeds_of(estimate(request, calibration))
    if computed.layout.engine.is_local:
        from wellfed.perf.local import local_speeds

        return local_speeds(computed, calibration)
    if computed.layout.engine is Engine.VLLM and computed.layout.gpus == 0:
        from wellfed.perf.served_cpu import served_cpu_speeds

        return served_cpu_speeds(computed, calibration)
    from wellfed.perf.serving import serving_speeds

    return serving_speeds(computed, calibration)


_PAGE_BYTES = 4096  # of the kernel's ttm, whose limits count pages


def _mapped(request: Request, estimate: Estimate) -> tuple[Assumption, ...]:
    """A word where AMD graphics inside a CPU are to hold more of RAM than Linux lets them by itself: half."""
    needed = {device.device: device.needed_bytes for device in estimate.memory.devices}
    for position, gpu in enumerate(request.machine.gpus):
        size, memory_bytes = needed.get(f"gpu{position}", 0.0), request.machine.memory_bytes or 0
        is_told = gpu.gtt_bytes is not None or request.machine.os.family not in (None, "linux")
        if unified(gpu) and vendor(gpu) == "amd" and not is_told and size > memory_bytes / 2:
            text = sentence("estimate.mapped", "the graphics may map {size:.0f} GiB of RAM", size=size / GIB)
            pages = round(size / _PAGE_BYTES)
            why = sentence("estimate.mapped-2", "Linux lets them have half: ttm.pages_limit={pages}", pages=pages)
            return (Assumption(text, why),)
    return ()
