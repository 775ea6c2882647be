"""The estimate of a serving layout: from a request to terms, rates, waits and intervals."""

from __future__ import annotations

from math import hypot
from typing import TYPE_CHECKING

from wellfed.frozen import dataclass, replace
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Quantity, Speeds, Term, heaviest_limit, speeds_of
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.perf.host import host_speed
from wellfed.perf.memory import memory
from wellfed.perf.serving.doubt import evidence, sigma
from wellfed.perf.serving.formats import formats, gpu_of, kinds
from wellfed.perf.serving.knobs import Knobs, knobs
from wellfed.perf.serving.load import Arrived, Served, arrivals, others, serve, waited
from wellfed.perf.serving.replica import shape_of
from wellfed.perf.serving.room import Room, room
from wellfed.perf.serving.shape import Shape
from wellfed.perf.serving.step import forward, smaller
from wellfed.perf.serving.terms import HOST, terms
from wellfed.perf.tower import TOWER_SIGMA, tower_share
from wellfed.perf.tower import assumptions as tower_assumptions
from wellfed.provenance import Assumption

if TYPE_CHECKING:
    from wellfed.perf.serving.disaggregation import Split

_NOTHING_S = 1e-9  # seconds: a term of less is none
DISAGGREGATED, THROUGHPUT = "serving disaggregated", "serving throughput"


def estimate_serving(request: Request, calibration: Calibration) -> Estimate:
    """What vLLM, SGLang or TensorRT-LLM would do: continuous batching on equal GPUs, closed loop or random arrivals.

    Times are means over a long run; `running` and `total_tok_s` are of all replicas. Left out: start-up and prefix
    caching. Raises Unsupported for machines without GPUs of a known kind and layouts that do not divide.
    """
    if request.layout.prefill_gpus:
        return _estimate_split(request, calibration)
    space = room(request)
    shape, parameters = replica(request, calibration, space)
    arrived = _under_load(request, shape, parameters)
    if not isinstance(arrived, Arrived):
        return _estimate(request, calibration, space, shape, parameters, arrived)
    estimate = _estimate(request, calibration, space, shape, parameters, arrived.served)
    return replace(estimate, ttft_p99_s=arrived.ttft_p99, assumptions=(*estimate.assumptions, *_overload(arrived)))


def serving_speeds(request: Request, calibration: Calibration) -> Speeds:
    """The middle values of `estimate_serving`, without what explains them. Raises Unsupported as that."""
    if request.layout.prefill_gpus:
        return speeds_of(_estimate_split(request, calibration))
    shape, parameters = replica(request, calibration, room(request))
    arrived = _under_load(request, shape, parameters)
    return _speeds(request, shape, arrived.served if isinstance(arrived, Arrived) else arrived)


def _under_load(request: Request, shape: Shape, parameters: Knobs) -> Served | Arrived:
    """A replica under its part of the load: clients that come again, or random arrivals."""
    rate = request.workload.request_rate
    if rate is None:
        return serve(shape, parameters)
    return arrivals(shape, parameters, rate / max(1, request.layout.data_parallel))


def _speeds(request: Request, shape: Shape, served: Served) -> Speeds:
    return Speeds(served.ttft, served.tpot, served.rate * shape.output * max(1, request.layout.data_parallel))


def shape_for(request: Request, space: Room) -> Shape:
    """The shape of one replica with its part of the load."""
    layout, load = request.layout, request.workload
    return shape_of(
        request.machine,
        request.model,
        request.weights,
        layout,
        load,
        clients=max(1.0, load.concurrency / max(1, layout.data_parallel)),
        slots=space.slots,
        start_slots=space.start_slots,
        mixed=layout.engine is not Engine.SGLANG,
    )


def knobs_for(request: Request, calibration: Calibration) -> Knobs:
    """The calibration's parameters for the request's engine, device and formats."""
    gpu = gpu_of(request.machine)
    return knobs(calibration, request.layout.engine, formats(request.weights, gpu), kinds(gpu, request.layout))


def replica(request: Request, calibration: Calibration, space: Room) -> tuple[Shape, Knobs]:
    """One replica's shape and the parameters for it."""
    return shape_for(request, space), knobs_for(request, calibration)


@dataclass(frozen=True, slots=True)
class Pools:
    """A disaggregated deployment: the shapes of one worker of each kind, and how many there are."""

    prefill: Shape
    decode: Shape
    prefill_workers: int
    decode_workers: int
    matched: float = 0.0  # 1: as many prefill workers as the load asks for


def pools(request: Request, space: Room) -> Pools:
    """The pools of a request whose layout has `prefill_gpus`; `data_parallel` counts the decode workers."""
    first, workers = prefill_layout(request.layout)
    prompt = shape_for(replace(request, layout=first), space)
    matched = float(dict(request.layout.options).get("prefill_matched", 0))
    return Pools(prompt, shape_for(request, space), workers, max(1, request.layout.data_parallel), matched)


def _estimate(
    request: Request, calibration: Calibration, space: Room, shape: Shape, parameters: Knobs, served: Served
) -> Estimate:
    replicas = max(1, request.layout.data_parallel)
    decode = _decode_terms(shape, parameters, served)
    prefill = _prefill_terms(shape, parameters, served)
    doubt = sigma(calibration, request, "tpot", others(served, shape.gain) / served.tpot)
    late = sigma(calibration, request, "ttft", waited(served))
    late = hypot(late, TOWER_SIGMA * tower_share(prefill))
    speeds = _speeds(request, shape, served)
    return Estimate(
        memory=memory(request),
        decode=decode,
        prefill=prefill,
        ttft_s=Quantity.lognormal(speeds.ttft_s, late),
        tpot_s=Quantity.lognormal(speeds.tpot_s, doubt),
        prefill_tok_s=Quantity.lognormal(prompt_rate(shape, parameters) * replicas, late),
        total_tok_s=Quantity.lognormal(speeds.total_tok_s, doubt),
        limited_by=_limited_by(served, space, decode),
        running=served.running * replicas,
        assumptions=(*_assumptions(request, space), evidence(calibration, request)),
        calibration=calibration.id,
    )


def prompt_rate(shape: Shape, parameters: Knobs) -> float:
    """Prompt tokens per second of a replica that does nothing else."""
    pass_tokens = smaller(shape.prompt, shape.chunk) * shape.groups
    return pass_tokens * shape.stages / forward(shape, parameters, 0.0, pass_tokens).seconds


def _decode_terms(shape: Shape, parameters: Knobs, served: Served) -> tuple[Term, ...]:
    """Of one token: its passes, and the prompts of others among them."""
    decode = terms(shape, parameters, served.batch, 0.0, 1 / shape.gain)
    prompts = others(served, shape.gain)
    return (*decode, Term("prompts of others", prompts, "prefill", "gpu")) if prompts > 0 else decode


def _prefill_terms(shape: Shape, parameters: Knobs, served: Served) -> tuple[Term, ...]:
    """Of one prompt, from its arrival to its first token."""
    passes = shape.prompt / smaller(shape.prompt, shape.chunk)
    prefill = terms(shape, parameters, served.batch * shape.mixed, served.taken, passes)
    steps = max(0.0, served.prefill - sum(term.seconds for term in prefill))
    waits = (
        Term("wait for a pass", steps, "batching", "gpu"),
        Term("other prompts", served.wait, "prefill", "gpu"),
        Term("queue for a slot", served.queue, "running sequences", "gpu"),
        Term("request handling", served.handling, HOST, "host"),
    )
    return (*prefill, *(term for term in waits if term.seconds > _NOTHING_S))


def _limited_by(served: Served, space: Room, decode: tuple[Term, ...]) -> str:
    if served.queue > served.prefill:
        full = space.cached is not None and space.slots >= space.cached
        return "memory for the KV cache" if full else "the engine's limit of running sequences"
    return heaviest_limit(decode)


def _assumptions(request: Request, space: Room) -> tuple[Assumption, ...]:
    assumptions = [
        Assumption(
            sentence("perf.estimate.clients-start", "clients start together and ask again when answered"),
            sentence("perf.estimate.load-generators-do", "as load generators do"),
        )
    ]
    if request.workload.request_rate is not None:
        assumptions = [Assumption(sentence("perf.estimate.requests-come-random", "requests come at random (Poisson)"))]
    if space.cached is None:
        assumptions.append(
            Assumption(
                sentence("perf.estimate.cache-room-every", "the cache has room for every sequence"),
                sentence("perf.estimate.gpu-memory-unknown", "a GPU's memory is unknown"),
            )
        )
    return (*assumptions, *tower_assumptions(request.workload.pictures), *host_speed(request.machine).assumptions)


def _overload(arrived: Arrived) -> tuple[Assumption, ...]:
    if arrived.utilisation < 1:
        return (
            Assumption(
                sentence(
                    "perf.estimate.requests-could-take",
                    "{utilisation:.0%} of the requests it could take",
                    utilisation=arrived.utilisation,
                )
            ),
        )
    text = sentence(
        "perf.estimate.overloaded-times",
        "overloaded: {utilisation:.1f} times the requests it can take",
        utilisation=arrived.utilisation,
    )
    return (
        Assumption(
            text,
            sentence(
                "perf.estimate.queue-grows-without",
                "the queue grows without end; waits are those of the first ten minutes",
            ),
        ),
    )


def prefill_layout(layout: Layout) -> tuple[Layout, int]:
    """One prefill worker's layout, and how many there are; options `prefill_*` tell where it is not like decode."""
    options = dict(layout.options)

    def degree(name: str, default: int) -> int:
        return max(1, int(options.get(f"prefill_{name}", default)))

    tensor = degree("tensor_parallel", min(layout.tensor_parallel, layout.prefill_gpus))
    worker = replace(
        layout,
        gpus=tensor,
        tensor_parallel=tensor,
        pipeline_parallel=1,
        data_parallel=1,
        expert_parallel=degree("expert_parallel", min(tensor, layout.expert_parallel)),
        attention_data_parallel=degree("attention_data_parallel", 1),
        prefill_gpus=0,
        speculation=None,
    )
    return worker, max(1, layout.prefill_gpus // tensor)


def _estimate_split(request: Request, calibration: Calibration) -> Estimate:
    """Prefill and decode on pools of their own."""
    from wellfed.perf.serving.disaggregation import split

    together = replace(request, layout=replace(request.layout, prefill_gpus=0))
    space = room(together)
    two, parameters = pools(request, space), knobs_for(request, calibration)
    shape, prompt_shape = two.decode, two.prefill
    clients = request.workload.concurrency
    split_load = split(prompt_shape, shape, parameters, two.prefill_workers, two.decode_workers, clients, two.matched)
    decode = terms(shape, parameters, split_load.batch, 0.0, 1 / shape.gain)
    return Estimate(
        memory=memory(together),
        decode=decode,
        prefill=_split_terms(prompt_shape, parameters, split_load),
        ttft_s=Quantity.lognormal(split_load.ttft, calibration.sigma(f"{DISAGGREGATED} ttft")),
        tpot_s=Quantity.lognormal(split_load.tpot, calibration.sigma(f"{DISAGGREGATED} tpot")),
        prefill_tok_s=Quantity.lognormal(
            split_load.prefill_rate * shape.prompt, calibration.sigma(f"{DISAGGREGATED} ttft")
        ),
        total_tok_s=Quantity.lognormal(split_load.rate * shape.output, calibration.sigma(f"{DISAGGREGATED} tpot")),
        limited_by="prefill workers" if split_load.rate > 0.8 * split_load.prefill_rate else heaviest_limit(decode),
        running=split_load.running,
        assumptions=_assumptions(request, space),
        calibration=calibration.id,
    )


def _split_terms(shape: Shape, parameters: Knobs, split_load: Split) -> tuple[Term, ...]:
    pass_tokens = smaller(shape.prompt, shape.chunk)
    prefill = terms(shape, parameters, 0.0, pass_tokens * shape.groups, shape.prompt / pass_tokens)
    rest = max(0.0, split_load.ttft - split_load.prefill - split_load.transfer)
    queue = max(0.0, split_load.queue)
    waits = (
        Term("cache handed over", split_load.transfer, "link bandwidth", "link"),
        Term("queue for a worker", queue, "prefill workers", "gpu"),
        Term("request handling", rest - queue, HOST, "host"),
    )
    return (*prefill, *(term for term in waits if term.seconds > 0))
