"""The GPUs a plan can use, in the order in which it uses them."""

from __future__ import annotations

from wellfed.frozen import replace
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.selection import selected
from wellfed.message import sentence
from wellfed.provenance import Assumption


def usable(machine: Machine, vendor: str | None = None) -> Machine:
    """The machine with the GPUs that an estimate can be made for, fastest memory first.

    CUDA numbers devices that way too (CUDA_DEVICE_ORDER=FASTEST_FIRST). Cards of another vendor than `vendor`, or than
    the best one's, need another build of the engine and are left out. A machine of which no GPU is known keeps them
    all, so that the search can say why none is used.
    """
    identified = [gpu for gpu in machine.gpus if gpu.spec is not None and not gpu.display_only]
    if not identified:
        return machine
    best = max((gpu for gpu in identified if vendor in (None, _vendor(gpu))), key=_worth)
    positions = {id(gpu): position for position, gpu in enumerate(machine.gpus)}
    usable_gpus = [
        gpu for gpu in identified if _vendor(gpu) == _vendor(best) and (gpu is best or not _inside_the_cpu(gpu))
    ]
    usable_gpus.sort(key=_worth, reverse=True)  # stable: equal cards stay in their order
    if tuple(usable_gpus) == machine.gpus:
        return machine
    left = [gpu for gpu in machine.gpus if gpu not in usable_gpus]
    machine = selected(machine, [positions[id(gpu)] for gpu in usable_gpus])
    return replace(machine, assumptions=machine.assumptions + tuple(map(_left_out, left)))


def other_vendors(machine: Machine) -> tuple[str, ...]:
    """Vendors of cards that `usable` leaves out for the best one's, and that a plan may be better on."""
    identified = [gpu for gpu in machine.gpus if gpu.spec is not None and not gpu.display_only]
    if not identified:
        return ()
    best = _vendor(max(identified, key=_worth))
    others = dict.fromkeys(_vendor(gpu) for gpu in identified if not _inside_the_cpu(gpu))
    return tuple(vendor for vendor in others if vendor is not None and vendor != best)


def equal_ones(machine: Machine) -> int:
    """How many GPUs of one node, counted from the first, are alike: what a serving engine divides a model over."""
    first = machine.gpus[0].spec if machine.gpus else None
    return next((n for n, gpu in enumerate(machine.gpus) if gpu.spec != first), len(machine.gpus))


def _inside_the_cpu(gpu: Gpu) -> bool:
    """Graphics with the machine's own memory: beside a card they add nothing to divide a model over."""
    return gpu.spec is not None and gpu.spec.memory_of_host


def _worth(gpu: Gpu) -> tuple[float, float]:
    return (gpu.spec.memory_bandwidth_bytes_per_s, gpu.spec.memory_bytes) if gpu.spec else (0.0, 0.0)


def _vendor(gpu: Gpu) -> str | None:
    return gpu.spec.vendor if gpu.spec else None


def _left_out(gpu: Gpu) -> Assumption:
    name = gpu.spec.name if gpu.spec else gpu.name or f"GPU {gpu.index}"
    reason = (
        sentence("usable.another-vendor", "another vendor's engine builds")
        if gpu.spec
        else sentence("usable.no-data-sheet", "no data sheet")
    )
    reason = (
        sentence("usable.graphics-inside-cpu", "graphics inside the CPU, beside a card")
        if _inside_the_cpu(gpu)
        else reason
    )
    return Assumption(sentence("usable.used", "{name} is not used", name=name), reason)
