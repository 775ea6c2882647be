"""A command line that somebody runs: estimated as it is, and what would be better."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wellfed.catalog.name_words import plain
from wellfed.engines.pins import Command, command
from wellfed.errors import BadInput
from wellfed.hardware.machine import Machine
from wellfed.message import Listing, Message, message
from wellfed.models.quantisation import weights
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, Engine, Layout, Offload
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import memory
from wellfed.planner.answer import Answer
from wellfed.planner.search import Search
from wellfed.verbs import inputs, planning

# What engines do where a flag is not given: their own defaults (the same sources as engines/pins.py).
_SERVED_SEQUENCES, _SERVED_BATCH = 256, 8192


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
    if context is not None and read.engine in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP):
        context = max(1, context // (read.pins.slots or 1))  # llama.cpp divides its context over the slots
    workload = options.workload if context is None else _within(options, context)
    settled = replace(options, engines=(read.engine,), workload=workload)
    search, _ = planning.search(name, settled, where)
    layout = read.pins.applied(_default_layout(read.engine, search.machine, _quantisation(search)))
    if layout.gpus > len(search.machine.gpus) * search.machine.count:
        text_ = "the command wants {wanted} GPUs, the machine has {there}"
        there = len(search.machine.gpus) * search.machine.count
        raise BadInput(message("command.gpus", text_, wanted=layout.gpus, there=there))
    own = search.file_weights or weights(search.model, search.quantisation(layout.quantisation))
    request = Request(search.machine, search.model, own, layout, search.workload)
    estimate = search.estimate(request)
    plan = Plan(search.machine, search.model, own, layout, search.workload, replace(estimate, memory=memory(request)))
    kinds = options.kv_types or tuple(dict.fromkeys(("f16", layout.kv_type)))  # not coarser than it is now
    better = planning.plan(name, replace(settled, engines=options.engines or (read.engine,), kv_types=kinds))
    return AsItIs(read, plan, better, _changes(plan, better, read))


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
    return Layout(engine, quantisation, gpus=min(1, count), max_sequences=_SERVED_SEQUENCES, batch_tokens=_SERVED_BATCH)


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
    on_gpu = "all layers on GPU" if layers is None else f"{layers} layers on GPU"
    return on_gpu if experts == 0 else f"{on_gpu}, experts of {'all' if experts is None else experts} on CPU"
