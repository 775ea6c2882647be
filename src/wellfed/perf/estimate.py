"""The one estimate: every verb asks here."""

from __future__ import annotations

from dataclasses import replace

from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Source
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request
from wellfed.perf.acceptance import with_acceptance
from wellfed.perf.doubt import with_doubt
from wellfed.perf.load import start
from wellfed.perf.memory.chosen import narrowed
from wellfed.perf.memory.lora import is_adapted
from wellfed.perf.prefix import as_computed
from wellfed.provenance import Assumption


def estimate(request: Request, calibration: Calibration) -> Estimate:
    """What `request`'s layout would do.

    llama.cpp and its kin are modelled device by device, serving engines as continuous batches (vLLM on CPUs as a local
    engine). Raises Unsupported for a
    layout its engine cannot run.
    """
    request = as_computed(narrowed(request))
    found = with_doubt(_estimate(request, calibration), request, calibration)
    found = with_acceptance(found, request.layout.speculation)
    if is_adapted(request.layout):
        said = Assumption(
            "adapters take memory here; what they cost in time is not in the speed", "no measurement is known"
        )
        found = replace(found, assumptions=(*found.assumptions, said))
    first = start(request.machine, request.model, request.layout, found.memory, Source.PAGE_CACHE)
    return found if first is None else replace(found, load_s=first.ready_s.value)


def _estimate(request: Request, calibration: Calibration) -> Estimate:
    if request.layout.engine.is_local:
        from wellfed.perf.local import estimate_local

        return estimate_local(request, calibration)
    if request.layout.engine is Engine.VLLM and request.layout.gpus == 0:
        from wellfed.perf.served_cpu import estimate_served_cpu

        return estimate_served_cpu(request, calibration)
    from wellfed.perf.serving import estimate_serving

    return estimate_serving(request, calibration)
