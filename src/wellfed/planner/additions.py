"""What a goal adds to layouts: experts read from disk, adapters, drafts, settings that are pinned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wellfed.engines.capabilities import CAPABILITIES
from wellfed.engines.servers import as_served
from wellfed.frozen import replace
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.models.model import Model
from wellfed.nouns.layout import CPU_ONLY, EXPERTS_ON_CPU, Engine, Layout, NumaPolicy, Speculation
from wellfed.nouns.workload import Workload
from wellfed.perf.memory.overrides import settled
from wellfed.perf.memory.remote import away, is_whole
from wellfed.perf.memory.streamed import STREAMED
from wellfed.planner import speculate
from wellfed.planner.degrees import divides
from wellfed.planner.goal import Goal
from wellfed.planner.groups import with_stages
from wellfed.planner.pinned import impossible
from wellfed.planner.refusal import Refusal


def streamed(layouts: Iterable[Layout], model: Model, refused: list[Refusal]) -> Iterator[Layout]:
    """llama.cpp's layouts with experts in RAM, of which the disk holds what RAM does not; none of dense models: every
    token reads all of them. Engines that read none are told once.
    """
    engines_told = set()
    for layout in layouts:
        of_whole_model = layout.offload in (EXPERTS_ON_CPU, CPU_ONLY)
        if layout.engine is not Engine.LLAMA_CPP or not model.is_moe:
            if layout.engine not in engines_told:
                engines_told.add(layout.engine)
                refused.append(Refusal(CAPABILITIES[layout.engine].label, _not_streamed(model)))
        elif of_whole_model and layout.numa is NumaPolicy.ONE_SOCKET:
            yield replace(layout, options=(*layout.options, STREAMED))


def _not_streamed(model: Model) -> str:
    if not model.is_moe:
        return sentence("additions.dense", "every token reads all of a model without experts: none is read from disk")
    return sentence("additions.no-stream", "reads no experts from disk (--stream: llama.cpp alone does)")


def with_adapters(layouts: Iterable[Layout], adapters: tuple[int, int], refused: list[Refusal]) -> Iterator[Layout]:
    """The layouts with room for adapters; engines that serve none are told once."""
    engines_told = set()
    count, rank = adapters
    options = (("lora", "1"), ("loras", str(count)), ("lora_rank", str(rank)))
    for layout in layouts:
        capabilities = CAPABILITIES[layout.engine]
        if capabilities.adapters:
            yield replace(layout, options=(*layout.options, *options))
        elif layout.engine not in engines_told:
            engines_told.add(layout.engine)
            refused.append(Refusal(capabilities.label, sentence("candidates.no-adapters", "serves no adapters")))


def with_drafts(
    layouts: Iterable[Layout], guess: Speculation, workload: Workload, refused: list[Refusal]
) -> Iterator[Layout]:
    """The layouts with what drafts tokens; engines that do not draft so are told once."""
    engines_told = set()
    for layout in layouts:
        reason = speculate.why_not(layout, guess, workload)
        if reason is None:
            yield replace(layout, speculation=guess)
        elif layout.engine not in engines_told:
            engines_told.add(layout.engine)
            refused.append(Refusal(CAPABILITIES[layout.engine].label, str(reason)))


def pinned(
    layouts: Iterable[Layout], machine: Machine, model: Model, goal: Goal, refused: list[Refusal]
) -> Iterator[Layout]:
    """The layouts with the goal's settings, those that can be; where none can, why is told in `refused`."""
    from wellfed.engines.pins import variants
    from wellfed.engines.versions import with_head

    total = len(machine.gpus) * machine.count
    impossible_ones: list[Refusal] = []
    found_any = False
    for layout_of_pins in variants(layouts, dict(goal.pins)):
        layout = as_served(settled(with_head(layout_of_pins), model), machine, model)
        layout = with_stages(layout, machine, len(model.layers))
        if not layout.gpus and not layout.offload.cpu_only:  # layers pinned onto GPUs
            if machine.gpus:
                continue
            layout = replace(layout, offload=CPU_ONLY)  # engines pass over it where there is none
        if not is_whole(layout, machine):
            continue
        out = impossible(layout, model, total + away(layout), lambda degree: divides(model, degree))
        if out is not None:
            impossible_ones.append(Refusal(CAPABILITIES[layout.engine].label, out.reason, out.hint))
            continue
        found_any = True
        yield layout
    refused.extend(() if found_any else impossible_ones)
