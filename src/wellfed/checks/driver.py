"""What a GPU's driver was asked, and what it had no answer to."""

from __future__ import annotations

from collections.abc import Callable

from wellfed.checks.base import missing, no_gpus, reason, skip, unread
from wellfed.checks.places import cards, name
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.message import message, sentence
from wellfed.nouns.finding import Finding


def per_nvidia_gpu(machine: Machine, judge: Callable[[Machine, Gpu], Finding]) -> list[Finding]:
    """One finding per NVIDIA GPU, and per GPU whose vendor is not told; why there is none of them."""
    gpus = [gpu for gpu in cards(machine) if gpu.vendor in ("nvidia", None)]
    if gpus:
        return [judge(machine, gpu) for gpu in gpus]
    return [skip(message("check.no-nvidia", "no NVIDIA GPU")) if machine.gpus else no_gpus(machine)]


def queried(gpu: Gpu) -> bool:
    """Whether the source is a driver (NVML, nvidia-smi, amdgpu) and not only the PCI bus."""
    answers = (gpu.performance_state, gpu.persistence, gpu.clock_hz, gpu.driver, gpu.memory_free_bytes)
    return any(value is not None for value in answers)


def untold(machine: Machine, gpu: Gpu, setting: str, *keys: str) -> Finding:
    """The verdict where a GPU has no value: not applicable where its driver was asked, else unknown."""
    keys_of_gpu = tuple(f"{name(gpu)}.{key}" for key in keys)
    if reason(machine, *keys_of_gpu):
        return missing(machine, setting, *keys_of_gpu, subject=name(gpu))
    if any(key in machine.unsupported for key in keys_of_gpu):
        return missing(machine, setting, *keys_of_gpu, subject=name(gpu))
    if queried(gpu) and (machine.origin is not Origin.DUMP or gpu.driver_told_all):
        return skip(
            sentence("driver.driver-value-gpu", "{what}: the driver has no value for this GPU", what=setting), name(gpu)
        )
    return unread(machine, setting, name(gpu), "nvml", "gpus", subject=name(gpu))
