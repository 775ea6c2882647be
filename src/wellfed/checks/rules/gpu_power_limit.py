"""`gpu-power-limit`: may the card draw what it was built for?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, no_gpus, passed, skip, unknown, unread, warn
from wellfed.checks.driver import untold
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import cards, name
from wellfed.faults.cards import RATED_POWER
from wellfed.faults.steps import at
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.message import message, sentence
from wellfed.nouns.finding import Finding, Verdict

LOW = 0.9  # share of the board's rated power below which the limit costs clocks (assumed)
CHIP = 0.65  # of a Radeon's board power: less is no maker's limit for the chip


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    if machine.origin is Origin.PARTS:
        return [skip(sentence("check.gpu-power-limit.planned-machine", "a planned machine has no limits set"))]
    return [_judge_gpu(machine, gpu) for gpu in cards(machine)] or [no_gpus(machine)]


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    limit, board = gpu.power_limit_w, _by_sheet(machine, gpu)
    if limit is None:
        return untold(machine, gpu, sentence("check.gpu-power-limit.power-limit", "power limit"), "power_limit")
    board = gpu.power_limit_default_w or board
    if board is None:
        return unread(
            machine,
            sentence("check.gpu-power-limit.board-rated-power", "the board's rated power"),
            "gpus",
            subject=name(gpu),
        )
    if machine.os.chassis == "laptop" and gpu.power_limit_default_w is None:
        return skip(message("gpu-power-limit.laptop", "a laptop's maker sets the limit"), name(gpu))
    measured, wanted = f"{limit:.0f} W", f"{board:.0f} W"
    if _of_chip(gpu) and board * CHIP <= limit < board * LOW:
        text = message("gpu-power-limit.chip", "the driver's limit is the chip's, the data sheet's the whole board's")
        return unknown(text, name(gpu), measured)
    if limit < board * LOW:
        why = message(
            "gpu-power-limit.low",
            "less power than the card is built for: lower clocks in prefill and batches, little change in decode",
        )
        return warn(name(gpu), why, measured, wanted, [at(RATED_POWER, gpu=gpu.index, watts=round(board))])
    return passed(
        name(gpu),
        sentence("check.gpu-power-limit.card-may-draw", "the card may draw its rated power"),
        measured,
        wanted,
    )


def _of_chip(gpu: Gpu) -> bool:
    """Radeon cards, whose driver counts what the chip draws, without memory and fans; no limit of the maker is told."""
    return gpu.vendor == "amd" and gpu.power_limit_default_w is None and (gpu.spec is None or gpu.spec.form != "oam")


def _by_sheet(machine: Machine, gpu: Gpu) -> float | None:
    """The rated power; none in a laptop, whose maker chooses it from a range."""
    return gpu.spec.board_power_w if gpu.spec and machine.os.chassis != "laptop" else None


def repair(machine: Machine) -> Machine:
    """The machine with every card's limit at its rated power."""
    return with_gpus(
        machine,
        (
            replace(gpu, power_limit_w=rated)
            for gpu in machine.gpus
            if (rated := gpu.power_limit_default_w or _by_sheet(machine, gpu))
            and gpu.power_limit_w
            and gpu.power_limit_w < rated
        ),
    )


CHECK = Check(
    id="gpu-power-limit",
    code="GPU-07",
    title=sentence("check.gpu-power-limit.title", "The power limit is not below the card's rating"),
    severity=Verdict.WARN,
    reads=sentence("check.gpu-power-limit.reads", "NVML: enforced power limit; the card's data sheet"),
    rule=sentence("check.gpu-power-limit.rule", "Below {low:.0%} of the rated board power warns.", low=LOW),
    judge=judge,
    ask=("nvidia-smi",),
    refs=("https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html",),
    repair=repair,
)
