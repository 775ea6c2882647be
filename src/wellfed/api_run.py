"""The verbs that start things: prepare a launch, run it, bring it up with a measured request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wellfed import api
from wellfed.engines.exports import EXPORTS
from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.errors import BadInput
from wellfed.launch.preflight import DoesNotFit, ensure_fits
from wellfed.launch.programs import Program, check_flags, program
from wellfed.layout import Engine
from wellfed.plan import Plan
from wellfed.workload import PRESETS

if TYPE_CHECKING:
    from wellfed.launch.process import EngineFailed
    from wellfed.launch.service import Service
    from wellfed.planner.search import Ranking

_LOCAL = (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `run` is asked besides the model."""

    quant: str | None = None
    engine: str | None = None
    program: str | None = None
    repo: str | None = None
    concurrency: int = 1
    context: int | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    api_key: str | None = None
    insecure: bool = False
    timeout: float = 1800.0
    huge_pages: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A launch that is ready to start."""

    plan: Plan
    spec: LaunchSpec
    program: Program
    warnings: tuple[str, ...] = ()


def prepare(model: str, options: RunOptions, told: Callable[[str], None] = lambda _: None) -> Prepared:
    """Plan, choose the engine's program, get the files, write the launch. Raises before anything is started."""
    if not options.insecure and not options.api_key and not Endpoint(options.host).is_loopback:
        hint = "give --api-key (or set WELLFED_API_KEY), or --insecure if the network is trusted"
        raise BadInput(f"{options.host} can be reached by others, and there is no API key", hint)
    named = _demo_or(model)
    answer = api.plan(named, _plan_options(options))
    plan, found = _first_runnable(answer.ranking, options)
    ensure_fits(plan)
    endpoint = Endpoint(options.host, options.port, options.api_key)
    files = _files(named, plan, options, told)
    spec = launch_spec(plan, found, files, endpoint)
    check_flags(found, spec.argv[len(found.words) :], plan.layout.engine)
    if options.insecure:
        spec = replace(spec, notes=(*spec.notes, "insecure"))
    if options.huge_pages:
        spec = replace(spec, huge_pages=_huge_pages(plan, spec))
    return Prepared(plan, spec, found, tuple(_costly_findings(plan)))


def _plan_options(options: RunOptions) -> api.PlanOptions:
    workload = replace(PRESETS["chat"], concurrency=options.concurrency)
    if options.context is not None:
        half = max(1, options.context // 2)
        workload = replace(
            workload,
            context_tokens=options.context,
            prompt_tokens=min(workload.prompt_tokens, half),
            output_tokens=min(workload.output_tokens, half),
        )
    return api.PlanOptions(
        workload=workload,
        engines=(Engine(options.engine),) if options.engine else (),
        quantisations=(options.quant,) if options.quant else (),
    )


def _first_runnable(ranking: Ranking, options: RunOptions) -> tuple[Plan, Program]:
    """The best plan whose engine is installed. Raises DoesNotFit, or why the best one's engine is not there."""
    if not ranking.plans:
        miss = ranking.near_miss
        hint = "`wellfed plan` shows what would be needed"
        short = f": {miss.device} is {miss.missing_bytes / 2**30:.1f} GiB short" if miss else ""
        raise DoesNotFit(f"nothing fits this machine now{short}", hint)
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
    raise first_error or BadInput("no engine is installed")


def launch_spec(plan: Plan, found: Program, model_file: str, endpoint: Endpoint) -> LaunchSpec:
    """The engine's own adapter applied."""
    from wellfed.engines import llamacpp, sglang, vllm

    match plan.layout.engine:
        case Engine.LLAMA_CPP | Engine.IK_LLAMA_CPP:
            return llamacpp.launch_spec(plan, found.words, model_file, endpoint)
        case Engine.VLLM:
            return vllm.launch_spec(plan, found.words, model_file, endpoint)
        case Engine.SGLANG | Engine.KTRANSFORMERS:
            return sglang.launch_spec(plan, found.words, model_file, endpoint)
        case Engine.TENSORRT_LLM:
            raise BadInput("wellfed does not start TensorRT-LLM", "use --engine vllm or --engine sglang")


def _demo_or(model: str) -> str:
    from wellfed.launch.models import DEMO, demo_file

    return str(demo_file()) if model in {"demo", DEMO} else model


def _files(model: str, plan: Plan, options: RunOptions, told: Callable[[str], None]) -> str:
    """The model's file, or the repository that a serving engine loads by itself."""
    from wellfed.launch.models import fetch, gguf_download
    from wellfed.units import format_bytes

    if Path(model).exists():
        return model
    repository = options.repo or hub_repository(plan)
    if plan.layout.engine not in _LOCAL:
        return repository
    download = gguf_download(repository, plan.layout.quantisation)
    told(f"fetching {format_bytes(download.size_bytes)} from {repository}")
    return str(fetch(download))


def hub_repository(plan: Plan) -> str:
    """Where the model's files are published; for GGUF, the naming that most quantisers follow."""
    own = next((alias for alias in plan.model.aliases if "/" in alias), None)
    if own is None:
        raise BadInput(f"no repository is known for {plan.model.name}", "name it with --repo, or give a local file")
    return f"unsloth/{own.rpartition('/')[2]}-GGUF" if plan.layout.engine in _LOCAL else own


def _huge_pages(plan: Plan, spec: LaunchSpec) -> dict[int, int]:
    from wellfed.launch.pages import pages_for

    nodes = spec.binding.nodes or (plan.machine.numa_nodes[0].os_index if plan.machine.numa_nodes else 0,)
    return {node: pages_for((spec.memory_bytes or 0) / len(nodes)) for node in nodes}


def _costly_findings(plan: Plan) -> list[str]:
    """Faults of this machine that cost this plan more than a few percent."""
    return []


def exported(prepared: Prepared, form: str) -> str:
    """The launch written down as `form`."""
    return EXPORTS[form](prepared.spec, prepared.plan.model.id)


def run(
    prepared: Prepared,
    timeout_s: float,
    detach: bool = False,
    restart: bool = False,
    progress: Callable[[float], None] = lambda _: None,
    started: Callable[[Service], None] = lambda _: None,
    told: Callable[[str], None] = lambda _: None,
) -> EngineFailed | None:
    """Serve until it ends or is interrupted; with `detach`, return once it answers."""
    from wellfed.launch.pages import reserved
    from wellfed.launch.service import end, serve, supervise

    pages = reserved(prepared.spec.huge_pages) if prepared.spec.huge_pages else nullcontext()
    with pages:
        service = serve(prepared.spec, prepared.plan.model.id, timeout_s, detach, progress)
        started(service)
        if detach:
            return None
        try:
            return supervise(service, prepared.spec, restart, timeout_s, told)
        finally:
            end(service.running)
