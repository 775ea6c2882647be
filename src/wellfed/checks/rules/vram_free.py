"""`vram-free`: is the GPUs' memory free?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, no_gpus, passed, skip, warn
from wellfed.checks.driver import untold
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import cards, name
from wellfed.faults.cards import SEE_HOLDERS, STOP_HOLDERS
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.message import sentence
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.finding import Finding, Verdict
from wellfed.units import GIB, format_bytes

SHARE = 0.05  # of a card's memory (assumed)


def tolerated_bytes(gpu: Gpu) -> float:
    """What a driver and a desktop may hold; Ascend's driver holds 3 to 4 GiB of an idle chip."""
    return max(GIB if gpu.vendor != "ascend" else 4 * GIB, SHARE * (gpu.memory_bytes or 0))


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    if machine.origin is Origin.PARTS:
        return [skip(sentence("check.vram-free.planned-machine", "a planned machine's memory is free"))]
    return [_judge_gpu(machine, gpu) for gpu in cards(machine)] or [no_gpus(machine)]


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    if gpu.memory_bytes is None or gpu.memory_free_bytes is None:
        return untold(machine, gpu, sentence("check.vram-free.free-memory", "free memory"), "memory")
    used = gpu.memory_bytes - gpu.memory_free_bytes
    measured = sentence(
        "check.vram-free.free",
        "{memory_free_bytes} free of {memory_bytes}",
        memory_free_bytes=format_bytes(gpu.memory_free_bytes),
        memory_bytes=format_bytes(gpu.memory_bytes),
    )
    if used > tolerated_bytes(gpu):
        holders = (
            sentence(
                "check.vram-free.processes", " ({foreign_processes} processes)", foreign_processes=gpu.foreign_processes
            )
            if gpu.foreign_processes
            else ""
        )
        why = sentence(
            "check.vram-free.held-others", "{used} are held by others{who}", used=format_bytes(used), who=holders
        )
        return warn(
            name(gpu),
            why,
            measured,
            sentence("check.vram-free.all-but-driver", "all but the driver's share free"),
            [SEE_HOLDERS, STOP_HOLDERS],
        )
    return passed(name(gpu), sentence("check.vram-free.memory-free", "the memory is free"), measured)


def against(machine: Machine, estimate: Estimate) -> Iterable[Finding]:
    """As `judge`, but what the plan needs must fit what is free."""
    if machine.origin is Origin.PARTS:
        return judge(machine)
    needs = {device.device: device.needed_bytes for device in estimate.memory.devices}
    findings = (_against_gpu(machine, gpu, needs.get(name(gpu))) for gpu in cards(machine))
    return list(findings) or [no_gpus(machine)]


def _against_gpu(machine: Machine, gpu: Gpu, needed: float | None) -> Finding:
    free = gpu.memory_free_bytes
    if needed is None or free is None or needed <= free:
        return _judge_gpu(machine, gpu)
    measured, wanted = (
        sentence("check.vram-free.free-now", "{free} free", free=format_bytes(free)),
        sentence("check.vram-free.plan", "{needed} for the plan", needed=format_bytes(needed)),
    )
    return fail(
        name(gpu),
        sentence("check.vram-free.plan-does-fit", "the plan does not fit what is free now"),
        measured,
        wanted,
        [SEE_HOLDERS, STOP_HOLDERS],
    )


def repair(machine: Machine) -> Machine:
    """All memory free but what the driver holds."""
    return with_gpus(
        machine,
        (
            replace(gpu, memory_free_bytes=gpu.memory_bytes, foreign_processes=0)
            for gpu in machine.gpus
            if gpu.memory_bytes is not None and gpu.memory_free_bytes is not None
        ),
    )


CHECK = Check(
    id="vram-free",
    code="GPU-10",
    title=sentence("check.vram-free.title", "GPU memory is free"),
    severity=Verdict.FAIL,
    reads=sentence("check.vram-free.reads", "NVML (or amdgpu): total and free memory, processes"),
    rule=sentence(
        "check.vram-free.rule",
        "More than 1 GiB and {share:.0%} held warns; a plan that does not fit what is free fails.",
        share=SHARE,
    ),
    judge=judge,
    ask=("nvidia-smi",),
    refs=("https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html",),
    repair=repair,
    against=against,
)
