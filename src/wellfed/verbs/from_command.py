"""A command line that somebody runs: estimated as it is, and what would be better."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wellfed.catalog.name_words import plain
from wellfed.engines.pins import Command, command
from wellfed.engines.versions import has_auto_slots
from wellfed.errors import BadInput
from wellfed.hardware.machine import Machine
from wellfed.message import Listing, Message, message, sentence
from wellfed.models.quantisation import weights
from wellfed.models.weights import Weights
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, EXPERTS_ON_CPU, DraftKind, Engine, Layout, Offload, Speculation
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import memory
from wellfed.perf.memory.devices import gpu_capacity_bytes, gpu_free_bytes
from wellfed.planner.answer import Answer
from wellfed.planner.search import Search
from wellfed.planner.speculate import Draft, completed
from wellfed.units import GIB
from wellfed.verbs import inputs, planning

# What engines do where a flag is not given: their own defaults (the same sources as engines/pins.py; vLLM's by the
# card's size, vllm/engine/arg_utils.py).
_SMALL_GPU, _LARGE_GPU, _LARGE_GPU_BYTES = (256, 2048), (1024, 8192), 70 * GIB
_AUTO_SLOTS = 4  # llama.cpp's server, over one cache
_FIT_MARGIN_BYTES, _FIT_LEAST = GIB, 4096  # llama.cpp's --fit-target and --fit-ctx


@dataclass(frozen=True, slots=True)
class AsItIs:
    """The command as an estimate, the answer without its pins, and what differs between both."""

    command: Command
    plan: Plan
    better: Answer
    changes: tuple[Message, ...]

    @property
    def fits(self) -> bool | None:
        """Whether it fits as it is."""
        return self.plan.estimate.memory.fits


def from_command(text: str, options: planning.PlanOptions) -> AsItIs:
    """Read, estimate and improve a command line on the machine of `options`.

    Raises BadInput for lines without an engine or a model, and as `plan` does.
    """
    read = command(text)
    name = _name(read)
    where = inputs.machine(options.on, options.nodes, options.network)
    context = read.pins.context
    version = next((version for version in options.versions if version.engine is read.engine), None)
    pinned = read.pins.applied(Layout(read.engine, "x", gpus=len(where.gpus)))
    auto = read.engine is Engine.LLAMA_CPP and read.pins.slots is None and has_auto_slots(version)
    auto = auto and not _is_mtp(pinned)  # llama.cpp drafts with prediction layers for one sequence
    pooled = auto or dict(pinned.options).get("kv_unified") == "1"
    if context is not None and read.engine in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP) and not pooled:
        context = max(1, context // (read.pins.slots or 1))  # llama.cpp divides its context over the slots
    if context is None and read.engine is Engine.VLLM:
        context = inputs.model(name).model.context_limit  # vLLM starts with the whole of it, or not at all
    workload = options.workload if context is None else _within(options, context)
    settled = replace(options, engines=(read.engine,), workload=workload)
    search, _ = planning.search(name, settled, where)
    layout = read.pins.applied(_default_layout(read.engine, search.machine, _quantisation(search)))
    if auto:
        layout = replace(layout, max_sequences=_AUTO_SLOTS, options=(*layout.options, ("kv_unified", "1")))
    if version is not None:
        layout = version.applied(layout)
        chunks = dict(layout.options).get("v0")
        if chunks is not None:
            layout = replace(layout, batch_tokens=_v0_batch(search.workload.context, chunks == "chunks"))
    if layout.gpus > len(search.machine.gpus) * search.machine.count:
        text_ = "the command wants {wanted} GPUs, the machine has {there}"
        there = len(search.machine.gpus) * search.machine.count
        raise BadInput(message("command.gpus", text_, wanted=layout.gpus, there=there))
    own = search.file_weights or weights(search.model, search.quantisation(layout.quantisation))
    if layout.speculation is not None:
        layout = replace(layout, speculation=_completed(layout.speculation, search, own))
    request = Request(search.machine, search.model, own, layout, search.workload)
    if auto and context is None:
        request = _as_fitted(request)
        search = replace(search, workload=request.workload)
    estimate = search.estimate(request)
    plan = Plan(search.machine, search.model, own, layout, search.workload, replace(estimate, memory=memory(request)))
    kinds = options.kv_types or tuple(dict.fromkeys(("f16", layout.kv_type)))  # not coarser than it is now
    better = planning.plan(name, replace(settled, engines=options.engines or (read.engine,), kv_types=kinds))
    return AsItIs(read, plan, better, _changes(plan, better, read))


def _v0_batch(context: int, chunks: bool) -> int:
    """Tokens of a pass in vLLM before 0.9: whole prompts, from 0.5.4 on in chunks of 512 for contexts beyond 32k."""
    return 512 if chunks and context > 32_768 else max(2048, context)


def _as_fitted(request: Request) -> Request:
    """Where nobody names a context, llama.cpp takes the model's, or as much of it as leaves 1 GiB free on every GPU
    (`--fit`, `--fit-target`); at least 4096 tokens.
    """
    machine, limit = request.machine, request.model.context_limit
    known = [gpu_free_bytes(gpu, machine) or gpu_capacity_bytes(gpu, machine) for gpu in machine.gpus]
    if not known or any(size is None for size in known):
        return request
    gpus = tuple(
        replace(gpu, memory_free_bytes=round((size or 0) - _FIT_MARGIN_BYTES))
        for gpu, size in zip(machine.gpus, known, strict=True)
    )
    tight = replace(request, machine=replace(machine, gpus=gpus, free_stated=True))
    least = replace(request.workload, context_tokens=max(_FIT_LEAST, request.workload.prompt_tokens
                                                         + request.workload.output_tokens))  # fmt: skip
    longest = memory(replace(tight, workload=least)).max_context
    context = min(limit, max(least.context, longest or 0))
    return replace(request, workload=replace(request.workload, context_tokens=context))


def _is_mtp(layout: Layout) -> bool:
    return layout.speculation is not None and layout.speculation.kind is DraftKind.MTP


def _completed(guess: Speculation, search: Search, own: Weights) -> Speculation:
    """What drafts, with its sizes; a draft model by its name."""
    if guess.kind is DraftKind.EAGLE and not guess.draft and search.model.mtp_layers:
        guess = replace(guess, kind=DraftKind.MTP)
    draft = None
    if guess.kind is DraftKind.DRAFT and guess.draft:
        named = inputs.model(plain(guess.draft))
        held = named.weights or weights(named.model, named.quantisation or search.quantisation("q8_0"))
        draft = Draft(named.model, held)
    return completed(guess, search.model, own, draft, search.goal.acceptance)


def _within(options: planning.PlanOptions, context: int) -> Workload:
    half = max(1, context // 2)
    workload = options.workload
    return replace(
        workload,
        context_tokens=context,
        prompt_tokens=min(workload.prompt_tokens, half),
        output_tokens=min(workload.output_tokens, half),
    )


def _name(read: Command) -> str:
    """The model as the catalogue is asked for it: a file's name where it is not here, owner/name:TYPE as words."""
    return plain(read.model).replace(":", " ") if "/" in read.model and ":" in read.model else read.model


def _quantisation(search: Search) -> str:
    goal = search.goal
    if goal.quantisations:
        return str(goal.quantisations[0])
    native = search.model.native_quantisation
    return "q4_k_m" if goal.engines[0] in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP) else str(native)


def _default_layout(engine: Engine, machine: Machine, quantisation: str) -> Layout:
    count = len(machine.gpus)
    if engine in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP):
        return Layout(engine, quantisation, gpus=count, offload=ALL_GPU if count else CPU_ONLY)
    if engine is Engine.KTRANSFORMERS:
        return Layout(engine, quantisation, gpus=min(1, count), offload=EXPERTS_ON_CPU)
    sizes = [gpu.memory_bytes or (gpu.spec.memory_bytes if gpu.spec else 0) for gpu in machine.gpus]
    sequences, batch = _LARGE_GPU if min(sizes, default=0) >= _LARGE_GPU_BYTES else _SMALL_GPU
    return Layout(engine, quantisation, gpus=min(1, count), max_sequences=sequences, batch_tokens=batch)


def _changes(plan: Plan, better: Answer, read: Command) -> tuple[Message, ...]:
    """What the best plan does otherwise, and what of the command was not understood."""
    said: list[Message] = []
    best = better.ranking.best
    if best is not None:
        fields = ("quantisation", "kv_type", "gpus", "tensor_parallel", "pipeline_parallel", "data_parallel",
                  "offload", "ubatch_tokens", "batch_tokens", "flash_attention", "cuda_graphs")  # fmt: skip
        for name in fields:
            own, other = getattr(plan.layout, name), getattr(best.layout, name)
            if own != other:
                text = "{what}: {own} now, {better} in the best plan"
                said.append(message("command.differs", text, what=name, own=_shown(own), better=_shown(other)))
    if read.pins.ignored:
        text = "not modelled, so without an effect here: {flags}"
        said.append(message("command.ignored", text, flags=Listing(read.pins.ignored)))
    return tuple(said)


def _shown(value: object) -> str:
    if not isinstance(value, Offload):
        return str(value)
    layers, experts = value.gpu_layers, value.cpu_expert_layers
    on_gpu = (
        sentence("from-command.all-layers-gpu", "all layers on GPU")
        if layers is None
        else sentence("from-command.layers-gpu", "{layers} layers on GPU", layers=layers)
    )
    return (
        on_gpu
        if experts == 0
        else sentence(
            "from-command.experts-cpu",
            "{on_gpu}, experts of {experts} on CPU",
            on_gpu=on_gpu,
            experts="all" if experts is None else experts,
        )
    )
