"""The verbs that start things: prepare a launch, write it down, run it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from wellfed.catalog.published import Published
from wellfed.engines.named import parted
from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.launch.extra_flags import ensure_not_ours
from wellfed.launch.preflight import DoesNotFit, ensure_fits
from wellfed.launch.programs import Program, known_words, nominal, program
from wellfed.message import sentence
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan
from wellfed.nouns.workload import PRESETS
from wellfed.planner.goal import Objective
from wellfed.verbs import inputs, planning
from wellfed.verbs.as_started import as_started
from wellfed.verbs.commands import (
    READS_GGUF,
    command_for,
    launch_spec,
    model_reference,
    near_miss_plan,
)
from wellfed.verbs.machine_state import costly_findings, in_huge_pages
from wellfed.verbs.model_files import demo_or, model_file, with_projector

if TYPE_CHECKING:
    from wellfed.launch.process import EngineFailed
    from wellfed.launch.service import Service
    from wellfed.planner.answer import Answer
    from wellfed.provenance import Assumption

# Serving engines fetch by themselves; from ModelScope when told so (vLLM and SGLang documentation).
_MODELSCOPE: Mapping[Engine, Mapping[str, str]] = {
    Engine.VLLM: {"VLLM_USE_MODELSCOPE": "True"},
    Engine.SGLANG: {"SGLANG_USE_MODELSCOPE": "true"},
    Engine.KTRANSFORMERS: {"SGLANG_USE_MODELSCOPE": "true"},
}
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `run` is asked besides the model."""

    quant: str | None = None
    engine: str | None = None
    program: str | None = None
    repo: str | None = None
    hub: str = "huggingface"
    concurrency: int = 1
    context: int | None = None
    threads: int | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    api_key: str | None = None
    insecure: bool = False
    no_key: bool = False  # none is made for it
    timeout: float = 1800.0
    huge_pages: bool = False
    extra: tuple[str, ...] = ()  # words for the engine as they are
    fetch: bool = True  # False: only written down: no hub is asked, no file and no engine is needed
    elsewhere: bool = False  # it will not be started here and now: what other programs do now does not matter
    on: str | None = None  # another machine than this one: only written down
    nodes: int | None = None
    network: str | None = None
    objective: Objective = Objective.BALANCED
    workload: str = "chat"  # a preset
    prompt: int | None = None
    output: int | None = None
    shared_prefix: int | None = None  # tokens that every prompt begins with
    least_quality_bits: float | None = None
    kv_types: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()  # KEY=VALUE by the engine's own flag names
    speculate: str | None = None  # how tokens are drafted; None: the model's own prediction layers, where they help
    acceptance: float | None = None  # the chance that a drafted token is right
    stream: bool = False  # experts that memory does not hold are read from disk
    lora: str | None = None  # adapters beside the model
    images: str | None = None  # pictures in every prompt
    rate: float | None = None  # requests/s, in place of `concurrency`
    ttft: float | None = None  # wanted, s
    tpot: float | None = None  # wanted, ms
    vram_free: str | None = None
    ram_free: str | None = None
    carve_out: str | None = None
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A launch that is ready to start."""

    plan: Plan
    spec: LaunchSpec
    program: Program
    warnings: tuple[str, ...] = ()
    downloads: Published | None = None  # by the catalogue and its rules, where nothing was asked of a hub
    fits: bool = True


_HOST = re.compile(r"[\w.:%\[\]-]+")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")  # owner/name, as hubs have it


def _ensure_repository(name: str | None) -> None:
    """Raises BadInput for what is no hub's id."""
    if name is not None and not _REPOSITORY.fullmatch(name):
        raise BadInput(
            sentence("running.no-repository", "{name!r} is no repository of a hub", name=name),
            sentence("running.no-repository.hint", "owner/name, as in unsloth/Qwen3-8B-GGUF"),
        )


def _say_readings(assumptions: Iterable[Assumption], say: Told) -> None:
    for assumption in assumptions:
        if assumption.reading:
            say(f"{assumption.text} ({assumption.reason})")


def prepare(model: str, options: RunOptions, say: Told = lambda _: None) -> Prepared:
    """Plan, choose the engine's program, get the files, write the launch. Raises before anything is started."""
    ensure_not_ours(options.extra)
    _ensure_repository(options.repo)
    if options.huge_pages:
        from wellfed.launch.pages import release_left_behind

        release_left_behind()  # what is free now is looked at below
    ensure_key(Endpoint(options.host, options.port, options.api_key), options.insecure)
    endpoint = keyed(options)
    model_name = demo_or(model, say, options.fetch)
    readings = inputs.model(model_name).assumptions  # told before a plan that may refuse
    _say_readings(readings, say)
    answer = planning.plan(model_name, _plan_options(model_name, options))
    _say_readings([assumption for assumption in answer.assumptions if assumption not in readings], say)
    if not options.fetch:
        return _written(model_name, answer, options, endpoint)
    planned, program = _first_runnable(answer, options)
    plan, warnings = as_started(planned, program, options.threads, options.elsewhere)
    ensure_fits(plan)
    file = model_file(model_name, plan, options.repo, options.hub, say)
    spec = launch_spec(with_projector(plan, file), program, file, endpoint)
    if options.hub == "modelscope" and plan.layout.engine not in READS_GGUF:
        spec = replace(spec, environment={**spec.environment, **_MODELSCOPE.get(plan.layout.engine, {})})
    spec = in_huge_pages(plan, spec) if options.huge_pages else spec
    flags = (*spec.argv[len(program.words) :], *closed_to_other_pages(plan, endpoint, options), *options.extra)
    words = known_words(program, flags, plan.layout.engine)
    spec = replace(spec, argv=(*program.words, *words))
    spec = replace(spec, insecure=options.insecure)
    return Prepared(plan, spec, program, (*warnings, *costly_findings(plan)))


def closed_to_other_pages(plan: Plan, endpoint: Endpoint, options: RunOptions) -> tuple[str, ...]:
    """llama.cpp's server lets any page that a browser shows ask it, unless told which may: its own alone."""
    if plan.layout.engine is not Engine.LLAMA_CPP or "--cors-origins" in options.extra:
        return ()
    return ("--cors-origins", endpoint.url)


def keyed(options: RunOptions) -> Endpoint:
    """Where it will listen, with a key: the one given, else one that is made for this engine alone.

    None is made for what is only written down, with `no_key`, and where an open address was asked for.
    """
    endpoint = Endpoint(options.host, options.port, options.api_key)
    open_to_all = options.insecure and not endpoint.is_loopback
    if options.api_key or options.no_key or options.elsewhere or not options.fetch or open_to_all:
        return endpoint
    import secrets

    return replace(endpoint, api_key=secrets.token_urlsafe(32), key_is_made=True)


def ensure_key(endpoint: Endpoint, insecure: bool) -> None:
    """Raises BadInput for what is no address, and for one that others can reach without a key."""
    if not _HOST.fullmatch(endpoint.host):
        raise BadInput(
            sentence("running.no-host", "{host!r} is no address to listen on", host=endpoint.host),
            sentence("running.no-host.hint", "127.0.0.1 is this machine alone, 0.0.0.0 whoever can reach it"),
        )
    if not insecure and not endpoint.api_key and not endpoint.is_loopback:
        hint = sentence(
            "running.give-api-key", "give --api-key (or set WELLFED_API_KEY), or --insecure if the network is trusted"
        )
        raise BadInput(
            sentence(
                "running.reached-others-there",
                "{host} can be reached by others, and there is no API key",
                host=endpoint.host,
            ),
            hint,
        )


def _plan_options(model: str, options: RunOptions) -> planning.PlanOptions:
    workload = replace(PRESETS[options.workload], concurrency=options.concurrency)
    context = options.context or _context_limit(model, workload.context)
    half = max(1, context // 2)
    workload = replace(
        workload,
        context_tokens=context,
        prompt_tokens=options.prompt or min(workload.prompt_tokens, half),
        output_tokens=options.output or min(workload.output_tokens, half),
        shared_prefix_tokens=options.shared_prefix or 0,
        request_rate=options.rate,
        ttft_target_s=options.ttft,
        tpot_target_s=None if options.tpot is None else options.tpot / 1e3,
    )
    engine, version = parted(options.engine) if options.engine else (None, None)
    return planning.PlanOptions(
        on=options.on,
        nodes=options.nodes,
        network=options.network,
        objective=options.objective,
        workload=workload,
        least_quality_bits=options.least_quality_bits,
        engines=() if engine is None else (engine,),
        versions=() if version is None else (version,),
        quantisations=_quantisations(model, options.quant),
        kv_types=options.kv_types,
        pins=options.pins,
        speculate=options.speculate,
        acceptance=options.acceptance,
        streams=options.stream,
        lora=options.lora,
        images=options.images,
        vram_free=options.vram_free,
        ram_free=options.ram_free,
        carve_out=options.carve_out,
        system=options.system,
    )


def _context_limit(model: str, wanted: int) -> int:
    return min(wanted, inputs.model(model).model.context_limit)


def _quantisations(model: str, quant: str | None) -> tuple[str, ...]:
    """What was asked for. Raises BadInput when a file at hand holds something else."""
    if quant is None:
        return ()
    from wellfed.models.quantisation_names import quantisation

    file_weights = inputs.model(model).weights
    requested = quantisation(quant).id
    if file_weights is not None and quantisation(file_weights.quantisation).id != requested:
        raise BadInput(
            sentence(
                "running.holds",
                "{model} holds {quantisation}, not {quant}",
                model=model,
                quantisation=file_weights.quantisation.upper(),
                quant=quant.upper(),
            ),
            sentence("running.leave-quant-out", "leave --quant out"),
        )
    return (requested,)


def _written(model: str, answer: Answer, options: RunOptions, endpoint: Endpoint) -> Prepared:
    """The launch as text alone: where its engine is not installed, by the name it is usually called by. Where nothing
    fits, that of the nearest miss, with a warning.
    """
    try:
        planned, program = _nominal(answer, options) if options.on else _first_runnable(answer, options)
    except DoesNotFit as error:
        nearest = near_miss_plan(answer)
        if nearest is None:
            raise
        spec = command_for(nearest, model_reference(model, nearest, options.repo), endpoint, options.program)
        spec = replace(spec, argv=(*spec.argv, *options.extra), insecure=options.insecure)
        return Prepared(nearest, spec, Program(spec.argv[:1], "named"), (error.message,), fits=False)
    except BadInput:
        if not answer.ranking.plans or options.program:
            raise
        planned, program = _nominal(answer, options)
    elsewhere = options.elsewhere or options.on is not None
    plan, warnings = as_started(planned, program, options.threads, elsewhere)
    reference = model_reference(model, plan, options.repo)
    spec = launch_spec(plan, program, reference.argument, endpoint)
    if options.hub == "modelscope" and plan.layout.engine not in READS_GGUF:
        spec = replace(spec, environment={**spec.environment, **_MODELSCOPE.get(plan.layout.engine, {})})
    spec = in_huge_pages(plan, spec) if options.huge_pages else spec
    spec = replace(spec, argv=(*spec.argv, *options.extra), insecure=options.insecure)
    return Prepared(plan, spec, program, warnings, downloads=reference.downloads)


def _nominal(answer: Answer, options: RunOptions) -> tuple[Plan, Program]:
    """The best plan, and the program it would be started by wherever it will live."""
    best = answer.ranking.best
    if best is None:
        raise _nothing_fits(answer)
    return best, nominal(best.layout.engine, options.program)


def _first_runnable(answer: Answer, options: RunOptions) -> tuple[Plan, Program]:
    """The best plan whose engine is installed. Raises DoesNotFit, or why the best one's engine is not there."""
    ranking = answer.ranking
    if not ranking.plans:
        if ranking.near_miss is None and ranking.refused:
            raise BadInput("; ".join(f"{refusal.subject}: {refusal.reason}" for refusal in ranking.refused[:2]))
        raise _nothing_fits(answer)
    first_error: BadInput | None = None
    tried: set[tuple[Engine, bool]] = set()
    for plan in ranking.plans:
        key = (plan.layout.engine, plan.layout.gpus > 0)
        if key in tried:
            continue
        tried.add(key)
        try:
            return plan, program(plan.layout.engine, plan.layout.gpus > 0, options.program)
        except BadInput as error:
            first_error = first_error or error
    raise first_error or BadInput(sentence("running.no-engine-installed", "no engine is installed"))


def _nothing_fits(answer: Answer) -> DoesNotFit:
    """What is short, and the longest context or coarser weights that would fit, where some would."""
    miss = answer.ranking.near_miss
    hint = sentence("running.wellfed-plan-shows", "`wellfed plan` shows what would be needed")
    if miss is None:
        return DoesNotFit(sentence("running.nothing-fits-machine", "nothing fits this machine now"), hint)
    longest = miss.memory.max_context
    if longest and longest < answer.search.workload.context:
        hint = sentence(
            "running.context-fits-wellfed", "--context {longest} fits; `wellfed plan` shows other ways", longest=longest
        )
    short = sentence(
        "running.gib-short",
        "{device} is {missing_bytes:.2f} GiB short",
        device=miss.device,
        missing_bytes=miss.missing_bytes / 2**30,
    )
    return DoesNotFit(
        sentence("running.nothing-fits-machine-2", "nothing fits this machine now: {short}", short=short), hint
    )


def exported(prepared: Prepared, form: str) -> str:
    """The launch written down as `form`."""
    from wellfed.engines.exports import EXPORTS

    return EXPORTS[form](prepared.spec, prepared.plan.model.id)


def run(
    prepared: Prepared,
    timeout_s: float,
    detach: bool = False,
    restart: bool = False,
    progress: Callable[[float], None] = lambda _: None,
    started: Callable[[Service], None] = lambda _: None,
    say: Told = lambda _: None,
) -> EngineFailed | None:
    """Serve until it ends or is interrupted; with `detach`, return once it answers."""
    from wellfed.launch.pages import reserved
    from wellfed.launch.service import end, serve, supervise

    pages = reserved(prepared.spec.huge_pages) if prepared.spec.huge_pages else nullcontext()
    with pages:
        service = serve(prepared.spec, prepared.plan.model.id, timeout_s, detach, progress)
        if detach:
            started(service)
            return None
        try:
            started(service)
            return supervise(service, prepared.spec, restart, timeout_s, say)
        finally:
            end(service.running)
