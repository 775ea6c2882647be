"""A machine with what its user says of it: memory that is free, the operating system."""

from __future__ import annotations

from collections.abc import Sequence

from wellfed.errors import BadInput
from wellfed.frozen import replace
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import Amount, Message, message
from wellfed.units import parse_bytes

SYSTEMS = ("linux", "windows", "wsl2", "macos")


def with_stated(
    machine: Machine,
    vram_free: str | None = None,
    ram_free: str | None = None,
    system: str | None = None,
    carve_out: str | None = None,
) -> Machine:
    """The machine with `vram_free` (one size for every GPU, or one for each, by commas), `ram_free` and the system.

    Raises BadInput for sizes that cannot be read, counts that do not match, and more than there is.
    """
    changed = machine
    if system is not None:
        changed = _with_system(changed, system)
    if carve_out is not None:
        changed = _carved(changed, carve_out)
    if vram_free is not None:
        sizes = [_size(part) for part in vram_free.split(",")]
        changed = replace(changed, gpus=_gpus(changed.gpus, sizes), free_stated=True)
    if ram_free is not None:
        size = _size(ram_free)
        _ensure_at_most(size, machine.memory_bytes, message("stated.ram", "RAM"))
        changed = replace(changed, os=replace(changed.os, memory_free_bytes=size), free_stated=True)
    return changed


def _runs(system: str, vendor: str) -> bool:
    """Whether the system has drivers for such GPUs: macOS for Apple's, and in older machines AMD's and Intel's."""
    return vendor in ("apple", "amd", "intel") if system == "macos" else vendor != "apple" or system == "linux"


def _with_system(machine: Machine, system: str) -> Machine:
    if system not in SYSTEMS:
        problem = message("stated.system", "no such operating system: {name}", name=system)
        raise BadInput(problem, message("stated.system.hint", "linux, windows, wsl2 or macos"))
    alien = next((gpu for gpu in machine.gpus if gpu.spec is not None and not _runs(system, gpu.spec.vendor)), None)
    if alien is not None:
        problem = message("stated.system.hardware", "{name} does not run {system}", name=alien.name, system=system)
        raise BadInput(problem, message("stated.system.hardware.hint", "macos goes with Apple's machines"))
    family = {"wsl2": "linux"}.get(system, system)
    return replace(machine, os=replace(machine.os, family=family, wsl=system == "wsl2"))


def _gpus(gpus: tuple[Gpu, ...], sizes: Sequence[int]) -> tuple[Gpu, ...]:
    if not gpus:
        raise BadInput(message("stated.no-gpu", "--vram-free is for machines with a GPU"))
    if len(sizes) not in (1, len(gpus)):
        text = "--vram-free gives {given} sizes for {gpus} GPUs"
        hint = message("stated.count.hint", "one size for all, or one for each, by commas")
        raise BadInput(message("stated.count", text, given=len(sizes), gpus=len(gpus)), hint)
    each_size = list(sizes) * len(gpus) if len(sizes) == 1 else list(sizes)
    for gpu, size in zip(gpus, each_size, strict=True):
        most = gpu.memory_bytes or (gpu.spec.memory_bytes if gpu.spec else None)
        _ensure_at_most(size, most, message("stated.gpu", "GPU {number}", number=gpu.index))
    return tuple(replace(gpu, memory_free_bytes=size) for gpu, size in zip(gpus, each_size, strict=True))


def _size(text: str) -> int:
    try:
        return parse_bytes(text if not text.strip().replace(".", "", 1).isdecimal() else f"{text}GiB")
    except ValueError:
        problem = message("stated.size", "{text} is no size", text=text)
        raise BadInput(problem, message("stated.size.hint", "for example 20GB, 22.5GiB or 20480MiB")) from None


def _ensure_at_most(size: float, most: float | None, part_name: Message) -> None:
    if most is not None and size > most * 1.001:
        text = "{where} cannot have {said} free: it has {most}"
        raise BadInput(
            message("stated.too-much", text, where=part_name, said=Amount(size, "B"), most=Amount(most, "B"))
        )


def _carved(machine: Machine, text: str) -> Machine:
    """Graphics inside the CPU with memory of its own, set aside by the BIOS, and what it may map of the rest: half, as
    Linux and Windows have it by themselves, or as said behind a comma.
    """
    sizes = [_size(part) for part in text.split(",")]
    gpu = next((gpu for gpu in machine.gpus if gpu.spec and gpu.spec.unified_memory and gpu.spec.vendor == "amd"), None)
    if gpu is None or len(sizes) > 2 or machine.memory_bytes is None:
        problem = message(
            "stated.carve-out", "--carve-out is for AMD graphics that share a CPU's memory: SIZE or SIZE,SIZE"
        )
        raise BadInput(problem, message("stated.carve-out.hint", "for example 96GiB, or 512MiB,108GiB"))
    _ensure_at_most(sizes[0], machine.memory_bytes, message("stated.graphics", "graphics"))
    rest = machine.memory_bytes - sizes[0]
    mapped = sizes[1] if len(sizes) == 2 else rest // 2
    _ensure_at_most(mapped, rest, message("stated.rest", "what is left of RAM"))
    carved = replace(gpu, memory_bytes=sizes[0], gtt_bytes=mapped)
    gpus = tuple(carved if each_gpu is gpu else each_gpu for each_gpu in machine.gpus)
    return replace(machine, gpus=gpus, memory_bytes=rest)
