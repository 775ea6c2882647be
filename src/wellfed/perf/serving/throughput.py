"""The most that a whole system yields when only output tokens per second count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wellfed.errors import Unsupported
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Quantity
from wellfed.nouns.layout import Layout
from wellfed.nouns.plan import Request
from wellfed.perf.memory import ledgers
from wellfed.perf.serving.estimate import THROUGHPUT, estimate_serving, replica
from wellfed.perf.serving.load import Served, serve
from wellfed.perf.serving.room import room

_NOTHING = 1e-9  # requests a second: less is none
# Sequences in flight that are tried for the best throughput: steps of half an octave.
_BATCHES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)


def best_throughput(
    request: Request, calibration: Calibration, tpot_limit_s: float | None = None, streamed: bool = True
) -> Estimate:
    """The layout and batch that give the most output tokens per second on all GPUs of the request's layout.

    Searched: tensor parallelism in powers of two with data-parallel replicas, and the running batch, as far as memory
    and `tpot_limit_s` allow. Not `streamed`: whole answers count, so no host work goes into single tokens. Raises
    Unsupported when the model fits in no such layout.
    """
    best: Estimate | None = None
    for layout in _layouts(request):
        best_batch = _best_batch(replace(request, layout=layout), calibration, tpot_limit_s, streamed)
        if best_batch is not None and (best is None or best_batch.total_tok_s.value > best.total_tok_s.value):
            best = best_batch
    if best is None:
        raise Unsupported(
            sentence(
                "throughput.does-fit-gpus",
                "{request} does not fit in {gpus} GPUs of this machine",
                request=request.model.name,
                gpus=request.layout.gpus,
            )
        )
    return replace(best, total_tok_s=_likely(best.total_tok_s.value, calibration))


def _layouts(request: Request) -> list[Layout]:
    gpus = max(1, request.layout.gpus)
    node = max(1, len(request.machine.gpus))
    degrees = [2**power for power in range(5) if gpus % 2**power == 0 and 2**power <= node]
    return [
        replace(
            request.layout,
            tensor_parallel=degree,
            pipeline_parallel=1,
            data_parallel=gpus // degree,
            expert_parallel=1,
            attention_data_parallel=1,
            max_sequences=_BATCHES[-1],
        )
        for degree in degrees
    ]


def best_load(request: Request, calibration: Calibration, tpot_limit_s: float | None = None) -> Estimate:
    """As `best_throughput`, for the request's own layout: only the running batch is searched."""
    layout = replace(request.layout, max_sequences=_BATCHES[-1])
    best_batch = _best_batch(replace(request, layout=layout), calibration, tpot_limit_s, True)
    if best_batch is None:
        raise Unsupported(
            sentence("throughput.does-fit-layout", "{request} does not fit in this layout", request=request.model.name)
        )
    return replace(best_batch, total_tok_s=_likely(best_batch.total_tok_s.value, calibration))


def _likely(rate: float, calibration: Calibration) -> Quantity:
    return Quantity.lognormal(rate, calibration.sigma(THROUGHPUT))


def _fullest(at: Callable[[float], Served], slots: float, tpot_limit_s: float | None) -> tuple[float, float]:
    """The batch of most requests per second within the limit, and that rate; both 0 where no batch is within it."""
    chosen, most, beyond = 0.0, 0.0, None
    for batch in (*(size for size in _BATCHES if size < slots), slots):
        served = at(batch)
        if tpot_limit_s is not None and served.tpot > tpot_limit_s:
            beyond = batch
            break
        if served.rate > most:
            chosen, most = batch, served.rate
    if beyond is None or not most or tpot_limit_s is None:
        return chosen, most
    low, high = chosen, beyond
    while high - low > 1:
        middle = round((low + high) / 2)
        served = at(middle)
        if served.tpot > tpot_limit_s:
            high = middle
        else:
            low, most = middle, max(most, served.rate)
    return low, most


def _best_batch(
    request: Request, calibration: Calibration, tpot_limit_s: float | None, streamed: bool
) -> Estimate | None:
    space = room(request)
    if ledgers(request).fits is False or not space.cached:
        return None
    shape, parameters = replica(request, calibration, space)
    # a full queue keeps every pass full, waits count for nothing, and requests are handed over ready
    steady = replace(parameters, clumping=0.0, group_wait=0.0, prefill_wait=0.0, frontend_s=_NOTHING)
    if not streamed:
        steady = replace(steady, sequence_s=0.0)

    def at(batch: float) -> Served:
        return serve(replace(shape, clients=batch, slots=batch, start_slots=batch), steady)

    chosen, most = _fullest(at, space.slots, tpot_limit_s)
    if not most:
        return None
    replicas = request.layout.data_parallel
    load = replace(request.workload, concurrency=round(chosen * replicas), request_rate=None)
    layout = replace(request.layout, max_sequences=round(chosen))
    estimate = estimate_serving(replace(request, workload=load, layout=layout), calibration)
    return replace(estimate, total_tok_s=Quantity.exact(most * shape.output * replicas))
