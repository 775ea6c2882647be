"""`gpu-memory-clock`: does the GPU's memory run at its full clock?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, missing, passed, skip, unknown, warn
from wellfed.checks.driver import per_nvidia_gpu
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import name
from wellfed.checks.tools import UNDER_LOAD
from wellfed.faults.cards import RELEASE_MEMORY_CLOCK
from wellfed.faults.steps import at
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.message import message, sentence
from wellfed.nouns.finding import Finding, Verdict

LOW = 0.97  # share of the full memory clock: drivers report steps beside the exact value (assumed)
RESTING = 0.3  # of the maximum core clock: a card below it does no work now (assumed)


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    if machine.origin is Origin.PARTS:
        return [skip(message("gpu-memory-clock.planned", "a planned machine has no clocks set"))]
    return per_nvidia_gpu(machine, _judge_gpu)


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    clock, most = gpu.memory_clock_hz, gpu.memory_clock_max_hz
    if clock is None or most is None:
        return missing(
            machine,
            sentence("check.gpu-memory-clock.memory-clock", "memory clock"),
            f"{name(gpu)}.memory_clock",
            subject=name(gpu),
        )
    measured, wanted = f"{clock / 1e6:.0f} MHz", f"{most / 1e6:.0f} MHz"
    if clock >= most * LOW:
        return passed(
            name(gpu), message("gpu-memory-clock.full", "the memory runs at its full clock"), measured, wanted
        )
    if gpu.performance_state is None or gpu.performance_state > 2 or _resting(gpu):
        text = message("gpu-memory-clock.idle", "an idle GPU clocks its memory down; look under load")
        return unknown(text, name(gpu), measured)
    why = message(
        "gpu-memory-clock.low", "the memory is clocked below what the card can: decode reads all weights through it"
    )
    return warn(name(gpu), why, measured, wanted, [at(RELEASE_MEMORY_CLOCK, gpu=gpu.index)])


def _resting(gpu: Gpu) -> bool:
    """Cores far below their clock have no work, whatever state the driver calls it."""
    return gpu.clock_hz is not None and bool(gpu.clock_max_hz) and gpu.clock_hz < RESTING * (gpu.clock_max_hz or 0)


def effect(machine: Machine) -> Machine:
    """memory bandwidth in proportion to the memory clock, where that is low."""
    return with_gpus(machine, (_as_clocked(gpu) for gpu in machine.gpus if _is_low(machine, gpu)))


def _is_low(machine: Machine, gpu: Gpu) -> bool:
    return machine.origin is not Origin.PARTS and _judge_gpu(machine, gpu).verdict is Verdict.WARN


def _as_clocked(gpu: Gpu) -> Gpu:
    if gpu.spec is None or not gpu.memory_clock_hz or not gpu.memory_clock_max_hz:
        return gpu
    share = gpu.memory_clock_hz / gpu.memory_clock_max_hz
    spec = replace(gpu.spec, memory_bandwidth_bytes_per_s=gpu.spec.memory_bandwidth_bytes_per_s * share)
    return replace(gpu, spec=spec)


def repair(machine: Machine) -> Machine:
    """The machine with every card's memory at its full clock."""
    low = (gpu for gpu in machine.gpus if _is_low(machine, gpu))
    return with_gpus(machine, (replace(gpu, memory_clock_hz=gpu.memory_clock_max_hz) for gpu in low))


CHECK = Check(
    id="gpu-memory-clock",
    code="GPU-11",
    title=sentence("check.gpu-memory-clock.title", "The GPU's memory runs at its full clock"),
    severity=Verdict.WARN,
    reads=sentence("check.gpu-memory-clock.reads", "NVML: memory clock and its maximum, performance state"),
    rule=sentence(
        "check.gpu-memory-clock.rule",
        "Awake (P0 to P2), at least {low:.0%} of the maximum; less warns. In a deeper state: unknown.",
        low=LOW,
    ),
    judge=judge,
    traps=(
        sentence(
            "check.gpu-memory-clock.trap-idle-cards-clock",
            "Idle cards clock their memory down: nothing can be said of them.",
        ),
    ),
    ask=(UNDER_LOAD,),
    refs=("https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html",),
    repair=repair,
    effect=effect,
)
