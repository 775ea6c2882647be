"""A replica under load: continuous batching, the share of prefill in every token, and the queue before it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.shape import Shape
from wellfed.perf.serving.step import forward, larger, smaller

_ROUNDS = 4
_OVERLOAD_WINDOW_S = 600.0  # the waits of an overloaded server are told for its first minutes
_P99 = math.log(100)


class Served(NamedTuple):
    """What a client sees of a replica, and the replica's own pace. Seconds, and requests per second."""

    tpot: float
    ttft: float
    running: float  # sequences decoding together
    rate: float
    batch: float  # sequences in one pass (running / stages)
    taken: float  # prompt tokens in a pass that takes some
    share: float  # of the passes, those that take some
    extra: float  # seconds such a pass takes longer
    prefill: float  # a prompt's own way through
    wait: float  # for other prompts
    queue: float  # for a slot


def serve(shape: Shape, knobs: Knobs) -> Served:
    """`shape.clients` clients that each ask again as soon as they are answered, as load generators do.

    Of the clients, `slots` at most run; the rest wait (closed loop: wait = (clients - running) / rate). A running
    sequence sees, per token it gets, prompt/output prompt tokens of every other one pass by; they come in chunks, alone
    (SGLang) or in passes shared with decodes (vLLM, TensorRT-LLM). Clients start together and answers are alike in
    length, so prompts arrive in bursts: `burst` of the others' stand before one's own. Pipeline stages work on as many
    batches at a time, each a part of the running sequences; a pass goes through all of them.
    """
    admitted = smaller(shape.clients, shape.slots)
    per_pass = smaller(shape.prompt, shape.chunk)
    decoding = admitted
    for _ in range(_ROUNDS):
        batch = decoding / shape.stages
        alone = forward(shape, knobs, batch, 0.0).seconds
        arriving = batch * shape.gain * shape.prompt / shape.output
        taken = larger(per_pass, arriving)
        together = forward(shape, knobs, batch * shape.mixed, taken).seconds
        extra = together - alone * shape.mixed
        share = arriving / taken
        tpot = (alone + share * extra) / shape.gain
        prefill = shape.prompt / per_pass * together + knobs.prefill_wait * alone
        answer = shape.output * tpot
        decoding = admitted * answer / (answer + prefill)
    others = larger(admitted - 1, 0.0 * admitted)
    wait = knobs.burst * others * shape.prompt * extra / taken
    wait = wait + knobs.group_wait * tpot * (1 - 1 / shape.groups)
    rate = admitted / (answer + prefill + wait)
    queue = (shape.clients - admitted) / rate
    ttft = knobs.request_s + prefill + wait + queue
    return Served(tpot, ttft, decoding, rate, batch, taken, share, extra, prefill, wait, queue)


class Arrived(NamedTuple):
    """A replica under random arrivals: means, 99th percentile of the time to first token, share of its capacity."""

    served: Served
    ttft_p99: float
    utilisation: float


def arrivals(shape: Shape, knobs: Knobs, rate: float) -> Arrived:
    """Requests that come at random, `rate` a second (Poisson), instead of clients that wait for their answers.

    The running sequences follow from Little's law. Prompts queue for the prefill (M/D/1) and for slots (M/M/m by
    Sakasegawa's approximation, halved: answers vary less than exponentially). Beyond capacity the queue grows without
    end: waits are means over the first ten minutes. Scalars only.
    """
    most = serve(replace(shape, clients=shape.slots), knobs)
    capacity = shape.slots / (shape.output * most.tpot + most.prefill)
    load = rate / capacity
    if load >= 1:
        grown = _OVERLOAD_WINDOW_S / 2 * (1 - 1 / load)
        late = 2 * grown + most.prefill
        served = most._replace(queue=grown, wait=0.0, rate=capacity, ttft=knobs.request_s + most.prefill + grown)
        return Arrived(served, knobs.request_s + late, load)
    found = _steady(shape, knobs, rate)
    held = shape.output * found.tpot + found.prefill
    busy = min(0.99, found.share * found.extra / (found.tpot * shape.gain))
    prompts = found.taken / shape.prompt
    wait = busy / (2 * (1 - busy)) * found.extra / max(1.0, prompts) + knobs.group_wait * found.tpot * (
        1 - 1 / shape.groups
    )
    crowd = min(0.999, rate * held / shape.slots)
    queue = 0.5 * crowd ** (math.sqrt(2 * (shape.slots + 1)) - 1) / (shape.slots * (1 - crowd)) * held
    ttft = knobs.request_s + found.prefill + wait + queue
    late = knobs.request_s + found.prefill + (wait + queue) * _P99
    return Arrived(found._replace(wait=wait, queue=queue, ttft=ttft, rate=rate), late, load)


def _steady(shape: Shape, knobs: Knobs, rate: float) -> Served:
    """The state in which as many requests finish as arrive: bisection over the sequences in the replica."""
    low, high = 0.0, shape.slots
    for _ in range(18):
        middle = (low + high) / 2
        found = serve(replace(shape, clients=middle), knobs)
        if middle / (shape.output * found.tpot + found.prefill) < rate:
            low = middle
        else:
            high = middle
    return serve(replace(shape, clients=high), knobs)
