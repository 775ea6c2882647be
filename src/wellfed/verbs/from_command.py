"""A command line that somebody runs: estimated as it is, and what would be better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wellfed.catalog.name_words import plain
from wellfed.catalog.ollama_files import default_of, expands_latents, tag_of
from wellfed.engines.command_line import Command, command
from wellfed.engines.ollama import caches_expanded, default_slots, with_cache
from wellfed.engines.ollama_place import on_fewest_gpus, runs_llama_server, with_layers
from wellfed.engines.versions import Version, is_flash_by_itself, with_head
from wellfed.errors import BadInput, UnknownName, WellfedError
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.hardware.selection import selected
from wellfed.message import Amount, Listing, Message, message, sentence
from wellfed.models.model import Model
from wellfed.models.quantisation import weights
from wellfed.models.weights import Weights
from wellfed.nouns.layout import DraftKind, Engine, Layout, Offload, Speculation
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import memory
from wellfed.perf.memory.overrides import settled
from wellfed.perf.memory.remote import away, count, servers
from wellfed.perf.memory.static_share import AS_GIVEN
from wellfed.plain_file import is_there
from wellfed.planner.answer import Answer
from wellfed.planner.kinds import Kind, drafting_words, kind_of
from wellfed.planner.search import Search
from wellfed.planner.speculate import Draft, completed
from wellfed.verbs import inputs, planning
from wellfed.verbs.command_sources import line_of
from wellfed.verbs.commands import READS_GGUF as GGUF
from wellfed.verbs.engine_defaults import (
    AUTO_SLOTS,
    as_first_engine,
    default_layout,
    fits_by_itself,
    fits_context,
    has_slots_of_its_own,
    ollama_context,
    unnamed_context,
    with_fitted_context,
    with_fitted_layers,
    with_fitted_slots,
    with_room_for_pictures,
)


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
    read = command(line_of(text))
    machine = _visible(inputs.machine(options.on, options.nodes, options.network), read)
    version = next((version for version in options.versions if version.engine is read.engine), read.version)
    auto = has_slots_of_its_own(read, version)
    name, context = _name(read), _context(read, version, machine, auto)
    workload = options.workload if context is None else _within(options, context)
    versions = options.versions or ((version,) if version is not None and version.is_front else ())
    settled_options = replace(options, engines=(read.engine,), workload=workload, versions=versions, in_command=True)
    if options.acceptance is not None and not read.pins.speculates:
        raise planning.nothing_drafted()
    search, _ = planning.search(name, settled_options, machine)
    asked_for = search.workload.context if context is None else context
    if read.engine in GGUF and not read.is_ollama:  # reserves what it is told to, whatever the model was trained on
        search = replace(search, workload=replace(search.workload, context_tokens=asked_for))
    request = _as_it_is(read, replace(search, machine=_as_written(search.machine)), version, auto)
    request = with_room_for_pictures(request)
    if context is None and fits_context(read, version):
        request = with_fitted_context(request)
        search = replace(search, workload=request.workload)
    if read.is_ollama:
        request = _as_ollama_places_it(read, request)
    elif fits_by_itself(read, version):
        request = with_fitted_layers(request)
    estimate = search.estimate(request)
    plan = Plan(*_parts(request), replace(estimate, memory=memory(request)))
    drafted = read.pins.applied(Layout(read.engine, "x")).speculation
    undrafted = _drafting(drafted, search, request.weights)[1]
    better = planning.plan_on(machine, name, _improvable(settled_options, plan.layout, options))
    beyond = _beyond(read, context, search.model)
    return AsItIs(read, plan, better, (*beyond, *undrafted, *_changes(plan, better, read)))


def _as_ollama_places_it(read: Command, request: Request) -> Request:
    """The request with Ollama's slots, GPUs, batch and layers, where the command names none."""
    request = on_fewest_gpus(request if read.pins.slots else with_fitted_slots(request))
    if read.pins.places:
        return request
    return with_fitted_layers(request) if runs_llama_server(request.layout) else with_layers(request)


_LONGER = frozenset({"hf-overrides", "rope-scaling", "json-model-override-args", "rope-theta"})


def _beyond(read: Command, context: int | None, model: Model) -> tuple[Message, ...]:
    """A word of more tokens than the model can attend to, where nothing in the command stretches them."""
    within = read.is_ollama or context is None or context <= model.context_limit
    if within or any(word.lstrip("-") in _LONGER for word in read.words):
        return ()
    limit, name = model.context_limit, model.name
    if read.engine in GGUF:
        text = "room for {context} tokens is reserved, of which {model} attends to {limit} in one sequence"
        return (message("command.beyond-reserved", text, context=context, model=name, limit=limit),)
    text = "the engine refuses {context} tokens: {model} attends to {limit}"
    return (message("command.beyond-refused", text, context=context, model=name, limit=limit),)


def _parts(request: Request) -> tuple[Machine, Model, Weights, Layout, Workload]:
    return request.machine, request.model, request.weights, request.layout, request.workload


def _improvable(options: planning.PlanOptions, layout: Layout, requested: planning.PlanOptions) -> planning.PlanOptions:
    """What may be changed: everything but the engine, and the cache no coarser than it is now."""
    kinds = requested.kv_types or tuple(dict.fromkeys(("f16", layout.kv_type)))
    return replace(options, engines=requested.engines or (layout.engine,), kv_types=kinds)


def _as_written(machine: Machine) -> Machine:
    """The machine with its GPUs by their numbers, as `--tensor-split` and pipeline stages count them."""
    order = sorted(range(len(machine.gpus)), key=lambda position: machine.gpus[position].index)
    return machine if order == list(range(len(order))) else selected(machine, order)


def _visible(machine: Machine, read: Command) -> Machine:
    """The machine with the GPUs that the command's environment leaves to be seen."""
    if read.gpus is None or not machine.gpus:
        return machine
    visible = tuple(gpu for gpu in machine.gpus if gpu.index in read.gpus)
    return replace(machine, gpus=visible if visible or not read.gpus else machine.gpus[: len(read.gpus)])


def _context(read: Command, version: Version | None, machine: Machine, auto: bool) -> int | None:
    """Tokens of one sequence: as the command says, else the engine's default; None where that is what fits."""
    context, engine = read.pins.context, read.engine
    if version is not None and version.is_front:
        return context or ollama_context(version, machine)
    pinned = dict(read.pins.applied(Layout(engine, "x")).options)
    if context is None and engine in (Engine.VLLM, Engine.EXLLAMAV3):
        return inputs.model(_name(read)).model.context_limit  # starts with the whole of it, or not at all
    if context is None and engine in GGUF:
        return unnamed_context(read, version, inputs.model(_name(read)).model.context_limit)
    if context is not None and engine in GGUF and not (auto or pinned.get("kv_unified") == "1"):
        return max(1, context // (read.pins.slots or 1))  # llama.cpp divides its context over the slots
    return context


def _as_it_is(read: Command, search: Search, version: Version | None, auto: bool) -> Request:
    """The question an estimate of the command answers. Raises BadInput where the machine has too few GPUs."""
    start = default_layout(read.engine, search.machine, _quantisation(search, read), version)
    set_options = dict(search.goal.pins).get(read.engine)  # by --set
    pinned = read.pins.applied(start)
    layout = settled(pinned if set_options is None else set_options.applied(pinned), search.model)
    if version is not None and version.is_front:
        layout = replace(layout, max_sequences=read.pins.slots or default_slots(version))
    if auto:
        layout = replace(layout, max_sequences=AUTO_SLOTS, options=(*layout.options, ("kv_unified", "1")))
    if version is not None:
        layout = version.applied(layout, search.model)
        if read.pins.flash:
            layout = replace(layout, flash_attention=pinned.flash_attention)
        elif not is_flash_by_itself(version):
            layout = replace(layout, flash_attention=False)
        layout = with_cache(layout) if read.is_ollama else layout
        if read.is_ollama and (expands_latents(_name(read)) or caches_expanded(version, _name(read))):
            layout = replace(layout, latent_cache=False)
        chunks = dict(layout.options).get("v0")
        if chunks is not None:
            layout = as_first_engine(layout, start, search.workload.context, chunks == "chunks")
    layout = with_head(replace(layout, options=(*layout.options, (AS_GIVEN, "1"))))
    _ensure_there(layout, search.machine)
    model_weights = search.file_weights or weights(search.model, search.quantisation(layout.quantisation))
    layout = replace(layout, speculation=_drafting(layout.speculation, search, model_weights)[0])
    return Request(search.machine, search.model, model_weights, layout, search.workload)


def _ensure_there(layout: Layout, machine: Machine) -> None:
    """Raises BadInput where the machine has too few GPUs."""
    available = len(machine.gpus) * machine.count + away(layout)
    if layout.gpus <= available:
        return
    if servers(layout):
        text = "{servers} RPC servers are other machines: {gpus} GPUs in all, there are {total}"
        problem = message("pinned.rpc", text, servers=count(layout), gpus=layout.gpus, total=available)
        hint = "--nodes {machines} for machines like this one, or the memory of each: --set rpc=24GiB,12GiB"
        raise BadInput(problem, message("pinned.rpc.hint", hint, machines=count(layout) + 1))
    text = "the command wants {wanted} GPUs, the machine has {there}"
    raise BadInput(message("command.gpus", text, wanted=layout.gpus, there=available))


def _drafting(
    guess: Speculation | None, search: Search, model_weights: Weights
) -> tuple[Speculation | None, tuple[Message, ...]]:
    """What drafts, with its sizes; nothing, and why, where the drafter is not known here."""
    if guess is None:
        return None, ()
    try:
        return _completed(guess, search, model_weights), ()
    except WellfedError as error:
        if guess.kind is DraftKind.DRAFT and isinstance(error, BadInput) and not isinstance(error, UnknownName):
            raise  # another vocabulary
        text = "what drafts tokens is left out: {reason}"
        return None, (message("command.undrafted", text, reason=str(error)),)


def _completed(guess: Speculation, search: Search, model_weights: Weights) -> Speculation:
    """What drafts, with its sizes; a draft model by its name."""
    if guess.kind is DraftKind.EAGLE and not guess.draft and search.model.mtp_layers:
        guess = replace(guess, kind=DraftKind.MTP)
    draft = None
    if guess.kind is DraftKind.DRAFT and guess.draft:
        draft_model = inputs.model(plain(guess.draft))
        draft_weights = draft_model.weights or weights(
            draft_model.model, draft_model.quantisation or search.quantisation("q8_0")
        )
        draft = Draft(draft_model.model, draft_weights)
    return completed(guess, search.model, model_weights, draft, search.goal.acceptance)


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
    """The model as the catalogue is asked for it: a file's name where it is not here, owner/name:TYPE as words; a path
    that tells nothing, `/model`, by the name that it is served by.
    """
    if read.is_ollama:
        return tag_of(read.model)
    text = plain(read.model).replace(":", " ") if "/" in read.model and ":" in read.model else read.model
    if not read.called or is_there(read.model):
        return text
    try:
        inputs.model(text)
    except UnknownName:
        return read.called
    except WellfedError:
        return text
    return text


def _quantisation(search: Search, read: Command) -> str:
    """The weights as said; else as the library's tag has them, or the files are that everybody publishes."""
    goal, native = search.goal, str(search.model.native_quantisation)
    if goal.quantisations:
        return str(goal.quantisations[0])
    if goal.engines[0] not in GGUF:
        return native
    usual = "gguf-mxfp4" if native.startswith("mxfp4") else "q4_k_m"
    return default_of(_name(read)) or usual if read.is_ollama else usual


def _changes(plan: Plan, better: Answer, read: Command) -> tuple[Message, ...]:
    """What it wastes, what the best plan does otherwise, and what of the command was not understood."""
    best = better.ranking.best
    remarks = [*_wasted(plan)]
    if best is not None:
        gained = tuple(_gained(plan, best))
        remarks += [*gained, *_differences(plan, best, bool(gained) or plan.estimate.memory.fits is False)]
    if read.pins.ignored:
        text = "not modelled, so without an effect here: {flags}"
        remarks.append(message("command.ignored", text, flags=Listing(read.pins.ignored)))
    return tuple(remarks)


_PLACES = ("quantisation", "kv_type", "gpus", "tensor_parallel", "pipeline_parallel", "data_parallel",
           "expert_parallel", "attention_data_parallel", "offload", "speculation")  # fmt: skip
_STEP = ("ubatch_tokens", "batch_tokens", "flash_attention", "cuda_graphs")  # told where something is gained by it all


def _differences(plan: Plan, best: Plan, is_better: bool) -> Iterator[Message]:
    """What the best plan does otherwise; settings of a step alone are none where it is no better."""
    for name in (*_PLACES, *_STEP) if is_better else _PLACES:
        current, improved = getattr(plan.layout, name), getattr(best.layout, name)
        if current != improved and _shown(current) != _shown(improved):
            text = "{what}: {own} now, {better} in the best plan"
            yield message("command.differs", text, what=name, own=_shown(current), better=_shown(improved))


_SPARE = 0.15  # of a GPU's memory, from which on it is told as unused while the CPU works


def _wasted(plan: Plan) -> Iterator[Message]:
    """GPUs that do nothing, and memory of GPUs that stays unused while the CPU computes."""
    idle = len(plan.machine.gpus) * plan.machine.count - plan.layout.gpus
    if idle > 0:
        yield message("command.idle", "{count} of {there} GPUs do nothing", count=idle, there=idle + plan.layout.gpus)
    if kind_of(plan.layout) is Kind.GPU:
        return
    for device in plan.estimate.memory.devices:
        spare, capacity = device.spare_bytes, device.capacity_bytes
        if device.device != "ram" and spare and capacity and spare > _SPARE * capacity:
            text = "{device}: {spare} of {whole} stay unused while the CPU computes"
            yield message(
                "command.unused", text, device=device.device, spare=Amount(spare, "B"), whole=Amount(capacity, "B")
            )


_WORTH = 1.03  # times the speed, from which on it is told


def _gained(plan: Plan, best: Plan) -> Iterator[Message]:
    """What the best plan's speed is against this one's."""
    if plan.estimate.memory.fits is False:
        return
    decode = best.estimate.decode_tok_s.value / plan.estimate.decode_tok_s.value
    prefill = best.estimate.prefill_tok_s.value / plan.estimate.prefill_tok_s.value
    if max(decode, prefill) >= _WORTH:
        text = "the best plan answers {decode} times as fast and reads prompts {prefill} times as fast"
        yield message("command.gain", text, decode=f"{decode:.2f}", prefill=f"{prefill:.2f}")


def _shown(value: object) -> str:
    if value is None:
        return sentence("from-command.none", "none")
    if isinstance(value, Speculation):
        return drafting_words(value)
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
