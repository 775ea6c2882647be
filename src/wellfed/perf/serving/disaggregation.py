"""Prefill and decode on GPUs of their own: two pools, the cache handed over between them."""

from __future__ import annotations

from typing import NamedTuple

from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.load import closed_wait
from wellfed.perf.serving.shape import Shape
from wellfed.perf.serving.step import forward, larger, smaller

_ROUNDS = 8  # of the fixed point of rates and waits: more change nothing that is shown (assumed)
# A prefill pool that was made for its load is asked for this share of its capacity, and bursts of answers that end
# together keep prompts waiting for this share of a client's cycle (assumed, from the campaign's rows).
_MATCHED, _WAITED = 0.6, 0.06


class Split(NamedTuple):
    """What clients see of both pools together. Seconds, requests per second, sequences."""

    tpot: float
    ttft: float
    running: float  # over all decode workers
    rate: float
    batch: float  # per decode worker and pass
    prefill: float  # a prompt through an idle prefill worker
    transfer: float  # of its cache
    queue: float  # for prefill workers, decode slots and bursts
    prefill_rate: float  # requests per second that the prefill pool can take


def split(
    prefill_shape: Shape,
    decode_shape: Shape,
    knobs: Knobs,
    prefill_workers: float,
    decode_workers: float,
    clients: float,
    matched: float = 0.0,
    prefill_knobs: Knobs | None = None,
) -> Split:
    """Closed loop over two pools: a client prefills, hands its cache over, decodes, and asks again.

    Decode passes hold no prefill. A prefill pass takes as many prompts as its chunk holds: one prompt's way through is
    that of its own tokens, the pool's capacity that of full chunks. Prompts queue for it as in `load.serve`; where
    decode slots are fewer than clients, Little's law gives the wait for one. The share of the requests that the start
    brings at once waits for half of all prompts. `matched` 1: the prefill pool is as large as its load asks for,
    whatever its number of workers. `prefill_knobs`: of the prefill workers, where their GPUs are of another kind.
    Numbers or arrays.
    """
    per_pass = smaller(prefill_shape.prompt, prefill_shape.chunk)
    passes = prefill_shape.prompt / per_pass
    # every attention group of a worker takes prompts of its own
    groups, stages = prefill_shape.groups, prefill_shape.stages
    of_prefill = prefill_knobs or knobs
    prefill = forward(prefill_shape, of_prefill, 0.0 * per_pass, per_pass * groups).seconds * passes
    full = forward(prefill_shape, of_prefill, 0.0 * per_pass, prefill_shape.chunk * groups + 0.0 * per_pass).seconds
    most = prefill_workers * groups * stages * prefill_shape.chunk / prefill_shape.prompt / full
    handed = decode_shape.context_bytes / (decode_shape.link_bandwidth * knobs.kv_transfer_fraction)
    slots = decode_workers * decode_shape.slots
    running = smaller(clients + 0 * slots, slots)
    for _ in range(_ROUNDS):
        batch = running / decode_workers / decode_shape.stages
        tpot = forward(decode_shape, knobs, batch, 0.0 * batch).seconds / decode_shape.gain
        answer = decode_shape.output * tpot
        idle = (knobs.request_s + knobs.handover_s) / decode_shape.pace + prefill + handed + knobs.prefill_wait * tpot
        capacity = larger(most, matched * clients / (answer + idle) / _MATCHED)
        queued = _wait(1 / capacity, answer + idle, clients, knobs.clumping)
        queued = larger(queued, matched * _WAITED * (answer + idle))
        rate = smaller(clients / (answer + idle + queued), slots / answer)
        running = (running * rate * answer) ** 0.5
    first = smaller(clients / (decode_shape.requests * decode_workers), 1.0 + 0 * running)
    ttft = clients / rate - answer + first * clients / capacity / 2
    return Split(tpot, ttft, running, rate, batch, prefill, handed, ttft - idle, capacity)


def _wait(service_s: float, away_s: float, clients: float, clumping: float) -> float:
    """The queue before the prefill pool: that of a closed loop, and at least what keeps its rate below capacity."""
    return larger(clumping * closed_wait(service_s, away_s, clients), clients * service_s - away_s)
