"""`gpu-mixed`: are the GPUs alike?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, no_gpus, passed, unread, warn
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import cards
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import listed, sentence
from wellfed.nouns.finding import Finding, Verdict
from wellfed.units import GIB


def kind(gpu: Gpu) -> str | None:
    """What it is: name and memory to the GiB."""
    product = gpu.spec.name if gpu.spec else gpu.name
    memory = f" {round(gpu.memory_bytes / GIB)} GiB" if gpu.memory_bytes else ""
    return f"{product}{memory}" if product else None


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    gpus = cards(machine)
    if len(gpus) < 2:
        return [no_gpus(machine, 2)]
    kinds = Counter(kind(gpu) for gpu in gpus)
    if None in kinds or not _comparable(gpus):
        return [unread(machine, sentence("check.gpu-mixed.gpus-names", "the GPUs' names"), "gpus", "nvml")]
    measured = listed(f"{count} x {product}" for product, count in kinds.items())
    if len(kinds) > 1:
        why = sentence(
            "check.gpu-mixed.tensor-parallelism",
            "tensor parallelism gives each GPU the same share: the smallest sets the memory, the slowest the pace",
        )
        return [warn(SYSTEM, why, measured, sentence("check.gpu-mixed.equal", "equal GPUs"))]
    return [passed(SYSTEM, sentence("check.gpu-mixed.all-gpus-alike", "all GPUs are alike"), measured)]


def _comparable(gpus: tuple[Gpu, ...]) -> bool:
    """Whether their names can be told apart: one by its product and one by its chip may be the same card."""
    by_sheet = {gpu.spec is not None for gpu in gpus}
    sizes = {round(gpu.memory_bytes / GIB) if gpu.memory_bytes else None for gpu in gpus}
    return len(by_sheet) == 1 or len(sizes - {None}) > 1


def repair(machine: Machine) -> Machine:
    """Every GPU like the largest."""
    gpus = cards(machine)
    if len({kind(gpu) for gpu in gpus}) < 2:
        return machine
    best = max(gpus, key=lambda gpu: (gpu.memory_bytes or 0, gpu.spec.memory_bandwidth_bytes_per_s if gpu.spec else 0))
    return with_gpus(machine, (_like(gpu, best) for gpu in gpus))


def _like(gpu: Gpu, best: Gpu) -> Gpu:
    if kind(gpu) == kind(best):
        return gpu
    return replace(
        gpu,
        spec=best.spec,
        name=best.name,
        memory_bytes=best.memory_bytes,
        memory_free_bytes=best.memory_free_bytes,
        compute_units=best.compute_units,
        power_limit_w=best.power_limit_w,
        clock_max_hz=best.clock_max_hz,
    )


CHECK = Check(
    id="gpu-mixed",
    code="GPU-09",
    title=sentence("check.gpu-mixed.title", "The GPUs are alike"),
    severity=Verdict.WARN,
    reads=sentence("check.gpu-mixed.reads", "names and memory of the GPUs"),
    rule=sentence("check.gpu-mixed.rule", "Names and memory (to the GiB) of all GPUs must be equal; otherwise warn."),
    judge=judge,
    traps=(sentence("check.gpu-mixed.trap-display-adapter", "A display adapter that cannot compute does not count."),),
    ask=("nvidia-smi",),
    refs=("https://docs.vllm.ai/en/latest/serving/parallelism_scaling.html",),
    repair=repair,
)
