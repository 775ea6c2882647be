"""Prefill and decode on GPUs of their own: two pools, the cache handed over between them."""

from __future__ import annotations

from typing import NamedTuple

from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.shape import Shape
from wellfed.perf.serving.step import forward, larger, smaller

_ROUNDS = 8
_SHARPNESS = 4.0
_MATCHED = 0.6  # of its capacity, what a prefill pool that was made for its load is asked for


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

    Decode passes hold no prefill. The rate is the least of what clients ask for, the prefill pool can take and the
    decode slots hold, with a rounded knee; Little's law gives the wait. The share of the requests that the start brings
    at once waits for half of all prompts. `matched` 1: the prefill pool is as large as its load asks for, whatever its
    number of workers. `prefill_knobs`: of the prefill workers, where their GPUs are of another kind. Numbers or arrays.
    """
    per_pass = smaller(prefill_shape.prompt, prefill_shape.chunk)
    passes = prefill_shape.prompt / per_pass
    # every attention group of a worker takes a prompt of its own
    together = forward(prefill_shape, prefill_knobs or knobs, 0.0 * per_pass, per_pass * prefill_shape.groups).seconds
    prefill = together * passes
    most = prefill_workers * prefill_shape.groups * prefill_shape.stages / prefill
    handed = decode_shape.context_bytes / (decode_shape.link_bandwidth * knobs.kv_transfer_fraction)
    slots = decode_workers * decode_shape.slots
    running = smaller(clients + 0 * slots, slots)
    for _ in range(_ROUNDS):
        batch = running / decode_workers / decode_shape.stages
        tpot = forward(decode_shape, knobs, batch, 0.0 * batch).seconds / decode_shape.gain
        answer = decode_shape.output * tpot
        idle = (knobs.request_s + knobs.handover_s) / decode_shape.pace + prefill + handed + knobs.prefill_wait * tpot
        asked = clients / (answer + idle)
        capacity = larger(most, matched * asked / _MATCHED)
        rate = (asked**-_SHARPNESS + capacity**-_SHARPNESS) ** (-1 / _SHARPNESS)
        running = (running * smaller(rate * answer, slots)) ** 0.5
    rate = running / answer
    first = smaller(clients / decode_shape.requests, 1.0 + 0 * running)
    ttft = clients / rate - answer + first * clients / capacity / 2
    return Split(tpot, ttft, running, rate, batch, prefill, handed, ttft - idle, capacity)
