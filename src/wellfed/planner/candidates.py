"""The sensible layouts of a model on a machine, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wellfed.engines.capabilities import (
    CAPABILITIES,
    Capabilities,
    reads_kv_type,
    reads_on_request,
    usable_quantisations,
    why_not,
)
from wellfed.engines.models_run import cache_type, why_not_listed
from wellfed.frozen import replace
from wellfed.hardware.machine import Machine, Origin
from wellfed.hardware.parts import GpuSpec
from wellfed.message import sentence
from wellfed.models.attention import LatentAttention
from wellfed.models.checkpoint_formats import why_not_loaded
from wellfed.models.model import Model
from wellfed.models.quantisation_names import quantisation as quantisation_named
from wellfed.nouns.layout import (
    ALL_GPU,
    CPU_ONLY,
    EXPERTS_ON_CPU,
    SOME_EXPERTS,
    SOME_LAYERS,
    Engine,
    Layout,
    NumaPolicy,
)
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.planner.additions import pinned, streamed, with_adapters, with_drafts
from wellfed.planner.copies import copy_counts
from wellfed.planner.degrees import MICRO_BATCHES, counts, divides, every_count, group_sizes
from wellfed.planner.divided_contexts import with_divided_contexts
from wellfed.planner.goal import Goal
from wellfed.planner.groups import Group, groups, stage_split
from wellfed.planner.pinned import no_format, own_files, with_older_version
from wellfed.planner.refusal import Refusal

_LIBRARY = frozenset({"q4_k_m", "q8_0", "bf16", "gguf-mxfp4"})  # what Ollama's library has of most models
_AS_GGUF = {"mxfp4": "gguf-mxfp4", "mxfp4-experts": "gguf-mxfp4", "fp16": "f16", "fp32": "gguf-f32"}


def candidates(
    machine: Machine,
    model: Model,
    goal: Goal,
    refused: list[Refusal],
    workload: Workload = PRESETS["chat"],
    slots: Callable[[Capabilities], tuple[int, ...]] | None = None,
) -> Iterator[Layout]:
    """Every layout worth estimating; engines that cannot run are told in `refused`.

    `slots`: how many sequences to try an engine with; None: all that it has.
    """
    layouts: Iterator[Layout] = (
        layout if kv_type == layout.kv_type else replace(layout, kv_type=kv_type)
        for layout in _placements(machine, model, goal, refused, slots)
        for kv_type in kv_types(CAPABILITIES[layout.engine], goal, model)
    )
    layouts = with_divided_contexts(layouts, model, workload)
    if goal.streams:
        layouts = streamed(layouts, model, refused)
    if workload.pictures is not None:
        from wellfed.planner.pictured import with_pictures

        layouts = with_pictures(layouts, refused)
    if goal.adapters is not None:
        layouts = with_adapters(layouts, goal.adapters, refused)
    if goal.versions:
        versions = {version.engine: version for version in goal.versions}
        layouts = (versions[x.engine].applied(x, model) if x.engine in versions else x for x in layouts)
    if workload.pictures is None:
        from wellfed.planner.pictured import text_only

        layouts = text_only(layouts, model)
    if goal.pins:
        layouts = pinned(layouts, machine, model, goal, refused)
    yield from layouts if goal.speculation is None else with_drafts(layouts, goal.speculation, workload, refused)


def _placements(
    machine: Machine,
    model: Model,
    goal: Goal,
    refused: list[Refusal],
    slots: Callable[[Capabilities], tuple[int, ...]] | None,
) -> Iterator[Layout]:
    """Every engine, format, degree of parallelism and division between GPU and CPU."""
    gpu = machine.gpus[0].spec if machine.gpus else None
    if machine.gpus and gpu is None:
        name = machine.gpus[0].name or "this GPU"
        reason = sentence("candidates.catalogue-speed", "{name} is in no catalogue: its speed is unknown", name=name)
        refused.append(Refusal("GPU", reason))
    for engine, capabilities in CAPABILITIES.items():
        if not _is_tried(engine, capabilities, goal) or not _is_loaded(engine, capabilities, model, goal, refused):
            continue
        refusal = _refusal(machine, capabilities, model, gpu, goal)
        if slots is not None:
            capabilities = replace(capabilities, max_sequences=slots(capabilities))
        if refusal is None and gpu is not None:
            yield from _on_gpu(machine, model, goal, capabilities, gpu)
        elif refusal is not None:
            refused.append(refusal)
        elif capabilities.cpu_on_request:
            yield from _served_on_cpu(machine, model, goal, capabilities)
        if capabilities.cpu_only and (machine.sockets or machine.origin is Origin.LIVE):  # a live one has a CPU
            yield from _on_cpu(machine, model, goal, capabilities)


def _is_tried(engine: Engine, capabilities: Capabilities, goal: Goal) -> bool:
    """Whether the goal names the engine, or names none and takes it unasked; pins must be settings that it has."""
    if engine not in goal.engines and (goal.engines or capabilities.on_request):
        return False
    return not goal.pins or goal.pinned(engine) is not None


def _is_loaded(engine: Engine, capabilities: Capabilities, model: Model, goal: Goal, refused: list[Refusal]) -> bool:
    """Whether the engine reads the model's files and lists its architecture; why not is told in `refused`, unless
    nobody named an engine that has a format of its own.
    """
    is_named = engine in goal.engines
    unread = why_not_loaded(model, engine.value)
    if unread is not None:  # on the CPU no more than on a GPU
        if is_named or not engine.has_own_files:
            refused.append(Refusal(capabilities.label, unread, own_files(engine, model)))
        return False
    unlisted = why_not_listed(engine, model) if model.is_moe or not capabilities.moe_only else None
    if unlisted is not None and not is_named:
        refused.append(Refusal(capabilities.label, unlisted))
        return False
    return True


def _refusal(
    machine: Machine, capabilities: Capabilities, model: Model, gpu: GpuSpec | None, goal: Goal
) -> Refusal | None:
    """Why the engine is out here: the model, the GPU, formats of weights, types of cache."""
    is_requested = capabilities.engine in goal.engines and not machine.gpus
    reason = _why_not(machine, capabilities, model, gpu, is_requested, goal)
    if reason is not None:
        reason = with_older_version(reason, capabilities, gpu, goal.version(capabilities.engine))
        return Refusal(capabilities.label, reason)
    if not _any_format(machine, capabilities, model, gpu, goal):
        return Refusal(capabilities.label, *no_format(capabilities, model, gpu, goal))
    if not kv_types(capabilities, goal, model):
        reason = sentence("candidates.kv-cache", "has no KV cache in {kv_types}", kv_types=" or ".join(goal.kv_types))
        kv_names = ", ".join((*capabilities.kv_types, *capabilities.kv_on_request))
        hint = sentence("candidates.kv-cache.hint", "{engine} has {types}", engine=capabilities.label, types=kv_names)
        return Refusal(capabilities.label, reason, hint)
    return None


def _why_not(
    machine: Machine, capabilities: Capabilities, model: Model, gpu: GpuSpec | None, is_requested: bool, goal: Goal
) -> str | None:
    """Why the engine is out: of serving engines, why on every group of GPUs."""
    version = goal.version(capabilities.engine)
    if gpu is None or not capabilities.tensor_parallel:
        return why_not(capabilities, model, gpu, is_requested, version)
    reasons = [
        why_not(capabilities, model, group.weakest, is_requested, version)
        for group in groups(machine, capabilities.engine)
    ]
    if not reasons:
        return why_not(capabilities, model, gpu, is_requested, version)
    return None if None in reasons else reasons[0]


def _any_format(machine: Machine, capabilities: Capabilities, model: Model, gpu: GpuSpec | None, goal: Goal) -> bool:
    specs: list[GpuSpec | None] = [gpu]
    if capabilities.tensor_parallel:
        specs = [group.weakest for group in groups(machine, capabilities.engine)] or specs
    return any(_formats(capabilities, model, spec, goal) for spec in specs)


def kv_types(capabilities: Capabilities, goal: Goal, model: Model) -> tuple[str, ...]:
    """The KV caches to try with an engine: its default, those named that it has, or all that are worth a trial."""
    if goal.kv_types:
        return tuple(name for name in goal.kv_types if reads_kv_type(capabilities, name))
    only = cache_type(capabilities.engine, model)
    if only is not None:
        return (only,)
    return capabilities.kv_types if goal.any_kv else capabilities.kv_types[:1]


def _formats(capabilities: Capabilities, model: Model, gpu: GpuSpec | None, goal: Goal) -> tuple[str, ...]:
    """What to try: the engine's own formats, or those asked for that it reads (of GGUF, any type)."""
    version = goal.version(capabilities.engine)
    usable = usable_quantisations(capabilities, model, gpu, version)
    if not goal.quantisations and _in_front(goal, capabilities):
        return tuple(name for name in usable if name in _LIBRARY)
    if not goal.quantisations:
        return usable
    on_request = reads_on_request(capabilities, model, usable, gpu, version)
    listed = {quantisation_named(name).id for name in (*usable, *on_request)}
    reads_gguf = not capabilities.tensor_parallel
    wanted = [_AS_GGUF.get(name, name) if reads_gguf else name for name in goal.quantisations]
    return tuple(
        name for name in wanted if name in listed or (reads_gguf and quantisation_named(name).family == "gguf")
    )


def _in_front(goal: Goal, capabilities: Capabilities) -> bool:
    """Whether a program around the engine is asked for, such as Ollama."""
    version = goal.version(capabilities.engine)
    return version is not None and version.is_front


def _on_cpu(machine: Machine, model: Model, goal: Goal, capabilities: Capabilities) -> Iterator[Layout]:
    policies = [NumaPolicy.ONE_SOCKET]
    if len(machine.sockets) > 1:
        policies.append(NumaPolicy.INTERLEAVE)
    for quantisation in _formats(capabilities, model, None, goal):
        for policy in policies:
            yield Layout(capabilities.engine, quantisation, gpus=0, offload=CPU_ONLY, numa=policy)


def _served_on_cpu(machine: Machine, model: Model, goal: Goal, capabilities: Capabilities) -> Iterator[Layout]:
    """One rank per NUMA node, which is how such engines bind their threads and memory; or one node alone."""
    nodes = max(1, sum(bool(node.cpus) for node in machine.numa_nodes) or len(machine.sockets))
    for quantisation in _formats(capabilities, model, None, goal):
        for ranks in sorted({1, nodes}):
            if not divides(model, ranks) or (ranks == 1 and nodes > max(1, len(machine.sockets))):
                continue  # a rank keeps to one node: one of several in a socket wastes the others
            for sequences in capabilities.max_sequences:
                yield Layout(
                    capabilities.engine,
                    quantisation,
                    gpus=0,
                    offload=CPU_ONLY,
                    tensor_parallel=ranks,
                    max_sequences=sequences,
                )


def _on_gpu(machine: Machine, model: Model, goal: Goal, capabilities: Capabilities, gpu: GpuSpec) -> Iterator[Layout]:
    if not capabilities.tensor_parallel:
        for quantisation in _formats(capabilities, model, gpu, goal):
            yield from _local(machine, model, capabilities, quantisation, _in_front(goal, capabilities))
        return
    for group in groups(machine, capabilities.engine):
        if why_not(capabilities, model, group.weakest, version=goal.version(capabilities.engine)) is None:
            for quantisation in _formats(capabilities, model, group.weakest, goal):
                yield from _served(machine, model, capabilities, quantisation, group)


def _local(
    machine: Machine, model: Model, capabilities: Capabilities, quantisation: str, whole_layers: bool
) -> Iterator[Layout]:
    """On GPUs alone, and with a CPU beside them. `whole_layers`: experts are never left there alone, as Ollama does."""
    policies = [NumaPolicy.ONE_SOCKET]
    if len(machine.sockets) > 1:
        policies.append(NumaPolicy.DUPLICATE if capabilities.engine is Engine.KTRANSFORMERS else NumaPolicy.INTERLEAVE)
    if capabilities.layer_split or not capabilities.cpu_experts:
        for gpus in every_count(len(machine.gpus)):
            yield Layout(capabilities.engine, quantisation, gpus=gpus, offload=ALL_GPU, numa=policies[0])
    for gpus in counts(len(machine.gpus)) if machine.sockets else ():
        by_experts = model.is_moe and capabilities.cpu_experts and not whole_layers
        offloads = [EXPERTS_ON_CPU, SOME_EXPERTS] if by_experts else []
        if capabilities.cpu_layers and not by_experts:
            offloads.append(SOME_LAYERS)
        for offload in offloads:
            for policy in policies:
                for ubatch in MICRO_BATCHES:
                    yield Layout(
                        capabilities.engine,
                        quantisation,
                        gpus=gpus,
                        offload=offload,
                        numa=policy,
                        batch_tokens=max(2048, ubatch),
                        ubatch_tokens=ubatch,
                    )


def _served(
    machine: Machine, model: Model, capabilities: Capabilities, quantisation: str, group: Group
) -> Iterator[Layout]:
    per_node = len(group.gpus)
    total = per_node * machine.count
    shared_experts = model.is_moe and capabilities.copies_share_experts
    in_groups = shared_experts or isinstance(model.layers[-1].attention, LatentAttention)
    degrees = [degree for degree in _tensor_degrees(machine, per_node) if divides(model, degree)]
    for tensor in degrees:
        for pipeline in group_sizes(total // tensor):
            if pipeline > 1 and _wider(degrees, tensor, pipeline, _joined(group)):
                continue  # between GPUs with links of their own, pipelines never beat wider groups of as many or more
            split = stage_split(group, len(model.layers), tensor, pipeline) if group.mixed and pipeline > 1 else ()
            copy = tensor * pipeline
            for data in copy_counts(per_node, machine.count, copy, shared_experts=shared_experts):
                gpu_numbers = group.numbers(min(per_node, tensor * pipeline * data))
                for layout in _served_variants(
                    model, capabilities, quantisation, (tensor, pipeline, data), in_groups and tensor > 1
                ):
                    yield replace(layout, devices=gpu_numbers, split=split) if gpu_numbers or split else layout


def _wider(degrees: list[int], tensor: int, pipeline: int, joined: int) -> bool:
    """Whether a wider tensor group takes the place of a pipeline among `joined` GPUs: on the same GPUs with a shorter
    pipeline, or on more GPUs with none (TP8 of PP7).
    """
    gpus = tensor * pipeline
    if gpus > joined:
        return False
    return any(tensor < degree and (gpus % degree == 0 or gpus < degree <= joined) for degree in degrees)


def _joined(group: Group) -> int:
    """How many of the GPUs links of their own join to one another (a baseboard, a switch); 1 where PCIe does."""
    spec = group.weakest
    return (
        1 if group.mixed or spec.form == "pcie" or not spec.link_bytes_per_s else min(spec.link_peers, len(group.gpus))
    )


def _tensor_degrees(machine: Machine, per_node: int) -> list[int]:
    """Inside a machine, and over whole machines where their network is told: measured, that is worth its network."""
    inside = [*group_sizes(per_node)]
    if machine.count == 1 or not machine.network_bytes_per_s:
        return inside
    return sorted({*inside, *(per_node * count for count in group_sizes(machine.count))})


def _served_variants(
    model: Model, capabilities: Capabilities, quantisation: str, degrees: tuple[int, int, int], in_groups: bool
) -> Iterator[Layout]:
    tensor, pipeline, data = degrees
    experts = [1, tensor] if model.is_moe and tensor > 1 and capabilities.expert_parallel else [1]
    attention = [1, tensor] if in_groups and capabilities.attention_data_parallel else [1]
    for expert_parallel in experts:
        for attention_data_parallel in attention:
            for sequences in capabilities.max_sequences:
                for batch_tokens in capabilities.batch_tokens:
                    yield Layout(
                        capabilities.engine,
                        quantisation,
                        gpus=tensor * pipeline * data,
                        tensor_parallel=tensor,
                        pipeline_parallel=pipeline,
                        data_parallel=data,
                        expert_parallel=expert_parallel,
                        attention_data_parallel=attention_data_parallel,
                        max_sequences=sequences,
                        batch_tokens=batch_tokens,
                    )
