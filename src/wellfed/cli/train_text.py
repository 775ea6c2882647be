"""A training answer for a terminal and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from wellfed.cli.console import colon, console, shown
from wellfed.cli.plan_ledgers import memory_table
from wellfed.cli.plan_text import model_line, print_notes
from wellfed.documents.answers import device_json, quantity_json
from wellfed.documents.machine_line import machine_line
from wellfed.message import Amount, Message, counted, joined, message, sentence
from wellfed.messages.terms import limit_words, term_words
from wellfed.messages.words import phrase, tell, words
from wellfed.nouns.estimate import DeviceMemory
from wellfed.nouns.training import Recipe, TrainingLayout, TrainingPlan
from wellfed.planner.training import TrainingAnswer
from wellfed.units import format_bytes, format_seconds

SCHEMA = "wellfed.train/1"


def train_json(answer: TrainingAnswer, top: int) -> dict[str, Any]:
    """The answer with its best `top` plans."""
    return {
        "schema": SCHEMA,
        "machine": {"name": answer.machine.name, "origin": answer.machine.origin.value},
        "model": {"id": answer.model.id, "parameters": answer.model.parameters},
        "task": asdict(answer.task),
        "considered": answer.considered,
        "plans": [_plan_json(plan) for plan in _distinct(answer)[:top]],
        "nearest": None if answer.nearest is None else _plan_json(answer.nearest),
    }


def _plan_json(plan: TrainingPlan) -> dict[str, Any]:
    estimate = plan.estimate
    return {
        "layout": asdict(plan.request.layout),
        "description": describe(plan.request.layout),
        "fits": estimate.memory.fits,
        "memory": [device_json(device) for device in estimate.memory.devices],
        "samples_per_s": quantity_json(estimate.samples_per_s),
        "tokens_per_s": quantity_json(estimate.tokens_per_s),
        "basis": estimate.basis,
        "limited_by": estimate.limited_by,
        "step": [asdict(part) for part in estimate.step],
        "assumptions": [asdict(assumption) for assumption in estimate.assumptions],
    }


def describe(layout: TrainingLayout) -> str:
    """The layout in a few words: `8 GPUs, zero3; 2 at a time; checkpointing`."""
    gpus = counted("train-text.gpus", "{count} GPU", "{count} GPUs", layout.gpus)
    settings = [
        sentence("train-text.gpus-alone", "{gpus}", gpus=gpus)
        if layout.shard == "none"
        else sentence("train-text.gpus-shard", "{gpus}, {shard}", gpus=gpus, shard=str(layout.shard)),
        sentence("train-text.time", "{micro_batch} at a time", micro_batch=layout.micro_batch),
    ]
    settings += [sentence("train-text.checkpointing", "checkpointing")] if layout.checkpointing else []
    settings += [sentence("train-text.optimizer-cpu", "optimizer on the CPU")] if layout.offload else []
    settings += [sentence("train-text.inputs-ram", "layers' inputs in RAM")] if layout.activation_offload else []
    settings += [sentence("train-text.in-backward", "updates on the way back")] if layout.update_in_backward else []
    degrees = {"TP": layout.tensor, "PP": layout.pipeline, "CP": layout.context, "EP": layout.expert}
    ranks = " ".join(f"{kind}{count}" for kind, count in degrees.items() if count > 1)
    settings += [sentence("train-text.ranks", "{ranks}", ranks=ranks)] if ranks else []
    return joined("; ", settings)


def _distinct(answer: TrainingAnswer) -> list[TrainingPlan]:
    """The quickest of each division, checkpointing and place of the optimizer."""
    seen: dict[object, TrainingPlan] = {}
    for plan in answer.plans:
        layout = plan.request.layout
        seen.setdefault((layout.gpus, layout.shard, layout.checkpointing, layout.offload), plan)
    return list(seen.values())


def print_train(answer: TrainingAnswer, top: int, explain: bool) -> None:
    """What fits, how quick it would be, what is slowest; where nothing fits, what is short."""
    out = console()
    out.print(f"[bold]{escape(model_line(answer.model))}[/]")
    out.print(escape(phrase("plan.on", "on {machine}", machine=words(machine_line(answer.machine)))))
    print_notes(answer.machine.assumptions)
    out.print(f"[dim]{escape(words(task_line(answer)))}[/]\n")
    best = answer.best
    if best is None:
        _print_miss(answer)
        return
    out.print(_table(_distinct(answer)[:top]))
    text = "slowest: {what}; samples a second are a prior, no measurement stands behind them"
    limited = message("train.slowest", text, what=limit_words(best.estimate.limited_by))
    out.print(f"\n{escape(words(limited))}")
    out.print(_steps(best))
    if explain:
        for device in (best.estimate.memory.devices[0], best.estimate.memory.devices[-1]):
            out.print(memory_table(device))
        for assumption in best.estimate.assumptions:
            out.print(f"  [dim]{shown(assumption.text)}{colon()}{shown(assumption.reason)}[/]")


def task_line(answer: TrainingAnswer) -> Message:
    """What is trained, in one sentence."""
    task = answer.task
    text = "{method}: {tokens} tokens a sequence, {batch} sequences a step, {optimizer}, {precision}, by {trainer}"
    method = str(task.method) if task.recipe is Recipe.SFT else f"{task.method} {task.recipe}"
    return message("train.task", text, method=method, tokens=task.sequence_tokens, batch=task.batch,
                   optimizer=str(task.optimizer), precision=str(task.precision),
                   trainer=str(task.trainer))  # fmt: skip


def _print_miss(answer: TrainingAnswer) -> None:
    out, plan = console(), answer.nearest
    device = None if plan is None else plan.estimate.memory.tightest
    out.print(f"[bold red]{phrase('plan.no-fit', 'does not fit')}[/]{colon() + _shortage(device) if device else ''}")
    if plan is None or device is None:
        return
    out.print(escape(phrase("train.nearest", "nearest: {layout}", layout=describe(plan.request.layout))))
    out.print(memory_table(device))
    hint = message(
        "train.hint", "shorter sequences, adapters (--train lora or qlora), 8-bit moments or more GPUs need less"
    )
    out.print(escape(words(hint)))


def _shortage(device: DeviceMemory) -> str:
    if device.spare_bytes is None:
        return phrase("train.unknown-spare", "the memory of {device} is not known", device=device.device)
    missing = Amount(-device.spare_bytes, "B")
    return escape(phrase("train.short", "{missing} short on {device}", missing=missing, device=device.device))


def _table(plans: list[TrainingPlan]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    heads = (
        phrase("table.layout", "layout"),
        tell("head.peak", "peak"),
        phrase("table.spare", "spare"),
        tell("head.samples", "samples/s"),
        tell("head.tokens", "tokens/s"),
        tell("head.slowest", "slowest"),
    )
    for head in heads:
        table.add_column(head)
    for plan in plans:
        estimate, gpu = plan.estimate, plan.estimate.memory.devices[0]
        rate, tokens = estimate.samples_per_s, estimate.tokens_per_s
        table.add_row(
            words(describe(plan.request.layout)), format_bytes(gpu.needed_bytes), format_bytes(gpu.spare_bytes),
            f"{rate.value:.3g} ({rate.low:.2g}-{rate.high:.2g})", f"{tokens.value:,.0f}",
            escape(limit_words(estimate.limited_by)),
        )  # fmt: skip
    return table


def _steps(plan: TrainingPlan) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for part in plan.estimate.step:
        beside = phrase("train.beside", "beside the others") if part.beside else ""
        table.add_row(
            f"  {escape(term_words(part.name))}",
            format_seconds(part.seconds),
            f"[dim]{escape(limit_words(part.limited_by))} {beside}[/]",
        )
    return table
