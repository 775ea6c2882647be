"""A replica under load: continuous batching, the share of prefill in every token, and the queue before it."""

from __future__ import annotations

import math
from typing import NamedTuple

from wellfed.frozen import replace
from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.shape import Shape
from wellfed.perf.serving.step import TINY, Costs, costs, larger, smaller

_ROUNDS = 4  # of the fixed point of waits and rates: more change nothing that is shown (assumed)
_SYNCHRONOUS = 0.2  # of the wait for a first token's way out, where no pass is prepared ahead: assumed
_OVERLOAD_WINDOW_S = 600.0  # the waits of an overloaded server are told for its first minutes: assumed
_P99 = math.log(100)
_RUN_OUT = 0.25  # of the sequences, by which those of the start are fewer on average while answers run out: assumed
_TWO_MOMENTS = 0.5  # of M/M/m's wait: what answers of one length have (Kingman); lengths that vary little (assumed)
_MOST_CROWDED = 0.999  # of the slots: beyond it the queue's formula has no meaning
_BISECTIONS = 18  # halvings of the sequences in a replica: to a quarter of a millionth
_MOST_BUSY = 0.99  # of the passes' time with prompts: beyond it the queue's formula has no meaning (assumed)


class Served(NamedTuple):
    """What a client sees of a replica, and the replica's own pace. Seconds, and requests per second."""

    tpot: float
    ttft: float
    running: float  # sequences decoding together
    rate: float
    batch: float  # sequences in one pass (running / stages)
    taken: float  # prompt tokens in a pass that takes some
    share: float  # passes that take others' prompts, per pass of a decoding sequence
    extra: float  # seconds such a pass takes longer
    start: float  # seconds per token that the start's prompts cost
    prefill: float  # a prompt's own way through
    wait: float  # for other prompts
    queue: float  # for a slot
    handling: float  # the host's work on the way to the first token


def others(served: Served, gain: float) -> float:
    """Seconds of a token that prompts of others take, those of the start included."""
    return served.share * served.extra / gain + served.start


def waited(served: Served) -> float:
    """The share of a first token's time that goes by with prompts of others and for a slot."""
    return (served.wait + served.queue) / served.ttft


def serve(shape: Shape, knobs: Knobs) -> Served:
    """`shape.clients` clients that each ask again as soon as they are answered, `shape.requests` times in all.

    Of the clients, `slots` at most run; the rest wait. A running sequence sees, per token it gets, prompt/output prompt
    tokens of every *other* one pass by; they come in chunks, alone (SGLang) or in passes shared with decodes (vLLM,
    TensorRT-LLM), whose chunk bounds how many sequences can be kept running. The share of the requests that the start
    brings at once finds all other prompts of the start before or after it. Pipeline stages work on as many batches at a
    time, each a part of the running sequences; a pass goes through all of them.
    """
    let_in = smaller(shape.clients, shape.slots)
    ahead = _SYNCHRONOUS + (1 - _SYNCHRONOUS) * shape.overlapped  # passes prepared ahead take no new prompts
    first = smaller(let_in / shape.requests, 1.0 + 0 * let_in)
    per_pass = smaller(shape.prompt, shape.chunk)
    busy = 1.0 + 0 * let_in  # share of its stay that a sequence decodes
    passes, is_alone = costs(shape, knobs), isinstance(let_in, float) and let_in <= 1
    for _ in range(1 if is_alone else _ROUNDS):  # of one sequence every round is like the first
        admitted = smaller(let_in, fed(shape) / busy)
        rest = larger(admitted - 1, 0.0 * admitted)
        company = rest / (rest + 1)  # 0 for a single user: nothing runs that its prompt waits for
        decoding = 1 + rest * busy * (1 - _RUN_OUT * first * shape.spread)  # at the end answers run out one by one
        batch = larger(decoding / shape.stages, 1.0 + 0 * decoding)  # of fewer sequences than stages each is a batch
        alone = passes.forward(batch, 0.0).seconds
        arriving = rest * busy / shape.stages * shape.gain * shape.prompt / shape.output
        gathered = arriving * larger(shape.interval, shape.collected)
        pass_tokens = larger(per_pass, smaller(gathered, shape.chunk + 0 * arriving))
        together = passes.forward(batch * shape.mixed, pass_tokens).seconds
        extra = larger(together - alone * shape.mixed, 0.0 * alone)
        share = arriving / pass_tokens * (1 - first)
        first_round, start = _start(passes, first, rest, batch, alone)
        tpot = (alone + share * extra) / shape.gain + start
        passes_waited = knobs.prefill_wait * ahead + shape.collected
        prefill = shape.prompt / per_pass * together + passes_waited * alone * company
        decoding_s = shape.output * tpot
        prompt_s = shape.prompt * extra / pass_tokens
        queued = knobs.clumping * closed_wait(prompt_s, decoding_s, admitted)
        queued = queued + shape.in_step * prompt_s * smaller(knobs.in_step, rest / 2)
        looked = (alone + share * extra) / 2 * company * shape.interval
        wait = (queued + looked) * (1 - first) + first * first_round / 2
        wait = wait + knobs.group_wait * tpot * (1 - 1 / shape.groups)
        busy = decoding_s / (decoding_s + prefill + wait)
    stay_s = decoding_s + prefill + wait
    handling = (knobs.request_s + knobs.frontend_s * first * shape.clients / 2) / shape.pace
    rate = smaller(admitted / stay_s, shape.clients / (stay_s + handling))
    read = shape.stages / (prompt_s + TINY)  # prompts a second that the stages take, one after the other
    rate = smaller(_no_faster(rate, shape.pace / knobs.frontend_s), read)
    full = larger(shape.clients / rate - stay_s - handling, 0.0 * admitted)  # Little's law
    queue, amid = _slot_waits(shape, let_in, admitted, full, first_round, decoding_s)
    start, tpot = start + amid / shape.output, tpot + amid / shape.output
    ttft = handling + prefill + wait + queue
    running = smaller(admitted * busy, fed(shape))
    return Served(tpot, ttft, running, rate, batch, pass_tokens, share, extra, start, prefill, wait, queue, handling)


def _slot_waits(
    shape: Shape, let_in: float, admitted: float, full: float, first_round: float, decoding_s: float
) -> tuple[float, float]:
    """Seconds that a request waits for a slot before its first token, and amid its answer.

    Clients that come again wait the `full` queue each time; of those that come once, the last waits longest. At the
    start prompts are let in that will not have room to grow: their wait comes amid their answers.
    """
    late = larger(shape.clients - admitted, 0.0 * admitted)
    again = larger(1 - shape.clients / shape.requests, 0.0 * admitted)
    offset = (
        (1 - again)
        * late
        / shape.clients
        * (shape.spread * first_round + (1 - shape.spread) * (decoding_s + first_round) / 2)
    )
    queue = full * (again + (1 - again) * late / shape.clients / 2) + offset
    grown = larger(smaller(shape.clients, shape.start_slots) - let_in, 0.0 * admitted)
    amid = (1 - again) * queue * grown / (late + TINY)
    return queue - amid, amid


def _start(passes: Costs, first: float, others: float, batch: float, alone: float) -> tuple[float, float]:
    """Seconds of all others' prompts that the start brings at once, and what they add to a mean token.

    An answer begun amid them waits for half of them: all the more a token, the shorter it is. Where prompts share
    passes with decodes no token waits for more than one full pass.
    """
    if isinstance(first, float) and not first:
        return 0.0, 0.0
    shape = passes.shape
    full = smaller((others + 1) * shape.prompt, shape.chunk + 0 * others)
    together = passes.forward(batch * shape.mixed, full).seconds
    extra = larger(together - alone * shape.mixed, 0.0 * alone)
    chunk_wait = others * shape.prompt * extra / full
    each_wait = chunk_wait / 2 * shape.inverse
    return chunk_wait, first * (shape.mixed * smaller(each_wait, extra) + (1 - shape.mixed) * each_wait)


def closed_wait(service_s: float, away_s: float, clients: float) -> float:
    """The queue before a server that takes `service_s` for each of `clients` that then stay away for `away_s`.

    Schweitzer's approximation of mean value analysis: a client finds (clients - 1) x its share of time at the server.
    """
    excess = service_s * clients - away_s
    response: float = (excess + (excess * excess + 4 * service_s * away_s) ** 0.5) / 2
    return response - service_s


def fed(shape: Shape) -> float:
    """The most sequences that shared passes keep running: each needs prompt/output prompt tokens a pass for the next.

    Beyond it all that a pass's chunk leaves beside decodes is taken, and further sequences wait for their prompts.
    """
    needed = shape.prompt * shape.gain / shape.output + shape.drafts
    most = larger(shape.chunk * shape.stages / needed, 1.0 + 0 * needed)
    unbounded = shape.slots + shape.clients
    return smaller(most + (1 - shape.mixed) * unbounded, unbounded)


def _no_faster(rate: float, most: float) -> float:
    """The smaller of two rates, rounded where they are alike."""
    bounded_rate: float = (rate**-4 + most**-4) ** -0.25
    return bounded_rate


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
    shape, knobs = replace(shape, requests=math.inf), replace(knobs, clumping=0.0)
    most = serve(replace(shape, clients=shape.slots), knobs)
    slots = min(shape.slots, fed(shape))
    capacity = slots / (shape.output * most.tpot + most.prefill)
    load = rate / capacity
    if load >= 1:
        grown = _OVERLOAD_WINDOW_S / 2 * (1 - 1 / load)
        late = 2 * grown + most.prefill
        served = most._replace(queue=grown, wait=0.0, rate=capacity, ttft=most.handling + most.prefill + grown)
        return Arrived(served, most.handling + late, load)
    steady = _steady(shape, knobs, rate, slots)
    stay_s = shape.output * steady.tpot + steady.prefill
    pass_s = steady.tpot * shape.gain
    busy = min(_MOST_BUSY, steady.share * steady.extra / pass_s)
    queued = busy / (2 * (1 - busy)) * steady.extra / max(1.0, steady.taken / shape.prompt)
    crowd = min(_MOST_CROWDED, rate * stay_s / slots)
    queue = _TWO_MOMENTS * crowd ** (math.sqrt(2 * (slots + 1)) - 1) / (slots * (1 - crowd)) * stay_s
    wait = steady.wait + queued
    ttft = steady.handling + steady.prefill + wait + queue
    late = steady.handling + steady.prefill + (wait + queue) * _P99
    return Arrived(steady._replace(wait=wait, queue=queue, ttft=ttft, rate=rate), late, load)


def _steady(shape: Shape, knobs: Knobs, rate: float, slots: float) -> Served:
    """The state in which as many requests finish as arrive: bisection over the sequences in the replica."""
    low, high = 0.0, slots
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        served = serve(replace(shape, clients=middle), knobs)
        if middle / (shape.output * served.tpot + served.prefill) < rate:
            low = middle
        else:
            high = middle
    return serve(replace(shape, clients=high), knobs)
