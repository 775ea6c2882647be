"""What a device has to give: memory that programs see, less what the driver and the system keep."""

from __future__ import annotations

from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.message import sentence
from wellfed.nouns.estimate import MemoryTerm
from wellfed.units import GIB, MIB

# The driver's share of a card: CUDA reports 23.65 GiB where nvidia-smi lists 23.99 (4090), 15.70 of 15.99 (4080),
# 79.18 of 79.65 (H100), 139.8 of 140.4 (H200).
_DRIVER_BYTES, _DRIVER_SHARE = 240 * MIB, 0.003
# Blackwell's cards for desks and workstations keep more: 31.36 GiB of 31.84 (5090), 15.47 of 15.92 (5080, 5070 Ti),
# 94.97 of 95.59 (RTX PRO 6000), as programs are told.
_DRIVER_BLACKWELL_BYTES, _DESK_BLACKWELL = 400 * MIB, 12.0
# Metal lets a process wire two thirds of RAM up to 32 GiB, three quarters above (recommendedMaxWorkingSetSize).
_WIRED_SMALL, _WIRED_LARGE, _WIRED_LIMIT = 2 / 3, 3 / 4, 33 * GIB
# A process's context on a GPU, and the kernels it loads for each multiprocessor; how many where nobody tells: assumed.
_CONTEXT_BYTES, _CONTEXT_PER_UNIT_BYTES = 100 * MIB, 3 * MIB
_CONTEXT_UNKNOWN_UNITS = 100


def gpu_nominal_bytes(gpu: Gpu) -> float | None:
    """The card's memory as read or as sold."""
    if gpu.memory_bytes is not None:
        return gpu.memory_bytes
    return gpu.spec.memory_bytes if gpu.spec else None


def unified(gpu: Gpu) -> bool:
    """Whether the GPU's memory is the machine's RAM."""
    return bool(gpu.spec and gpu.spec.unified_memory)


def vendor(gpu: Gpu) -> str:
    """nvidia, amd, intel, apple; nvidia when nothing is known."""
    return gpu.vendor or (gpu.spec.vendor if gpu.spec else "nvidia")


def gpu_capacity_bytes(gpu: Gpu, machine: Machine) -> float | None:
    """Memory that an engine can allocate on an otherwise idle GPU; None when unknown."""
    if unified(gpu) and gpu.gtt_bytes is not None:
        return carve_out_bytes(gpu) + gpu.gtt_bytes
    if unified(gpu):
        shared = machine.memory_usable_bytes or gpu_nominal_bytes(gpu)
        return None if shared is None else unified_limit_bytes(gpu, shared, machine)
    nominal = gpu_nominal_bytes(gpu)
    if nominal is None:
        return None
    return max(0.0, nominal * (1 - _DRIVER_SHARE) - _driver_bytes(gpu) - desktop_bytes(gpu, machine))


def _driver_bytes(gpu: Gpu) -> float:
    capability = gpu.spec.compute_capability if gpu.spec else None
    newer = vendor(gpu) == "nvidia" and float(capability or 0) >= _DESK_BLACKWELL
    return _DRIVER_BLACKWELL_BYTES if newer else _DRIVER_BYTES


# What Windows' own driver model and a desktop keep of a card: 0.65 to 1.5 GiB were told; WSL2 sits on the same driver.
_WINDOWS_FIRST_BYTES, _WINDOWS_OTHER_BYTES = 1.2 * GIB, 0.65 * GIB


def desktop_bytes(gpu: Gpu, machine: Machine) -> float:
    """What the operating system takes of a card before any engine starts, where nothing told what is free."""
    windows = machine.os.family == "windows" or machine.os.wsl
    if not windows or machine.origin is Origin.LIVE or machine.free_stated:
        return 0.0
    return _WINDOWS_FIRST_BYTES if gpu.index == 0 else _WINDOWS_OTHER_BYTES


def carve_out_bytes(gpu: Gpu) -> float:
    """What the BIOS gives to graphics inside the CPU: no RAM for anything else. 0 where nothing tells of it."""
    return float(gpu.memory_bytes or 0) if unified(gpu) and gpu.gtt_bytes is not None else 0.0


# AMD's graphics inside a CPU under Windows: at most three quarters carved out, and half of the rest shared:
# Windows' own limit of shared GPU memory (Microsoft, "GPUs in the task manager").
_WINDOWS_SHARE = 0.75 + 0.25 / 2


def unified_limit_bytes(gpu: Gpu, shared: float, machine: Machine | None = None) -> float:
    """How much of shared RAM the GPU may hold: Apple's wired limit; what Windows gives to AMD's; elsewhere all but the
    system's own (Linux: with a raised `ttm.pages_limit`, the kernel's own is half).
    """
    if machine is not None and machine.os.family == "windows" and vendor(gpu) == "amd":
        return shared * _WINDOWS_SHARE
    if vendor(gpu) == "apple":
        return shared * (_WIRED_SMALL if shared < _WIRED_LIMIT else _WIRED_LARGE)
    return shared - system_bytes(shared)


def system_bytes(total: float) -> float:
    """RAM that an idle system and its page tables keep: 1 GiB and 1 %."""
    return min(total, GIB + 0.01 * total)


def system_terms(free_bytes: float | None, capacity_bytes: float | None, note: str) -> tuple[MemoryTerm, ...]:
    """The system's own part of RAM, where nobody told what is free; else that is counted already."""
    if free_bytes is not None or capacity_bytes is None:
        return ()
    return (MemoryTerm("ram", "system", system_bytes(capacity_bytes), note),)


def context_bytes(gpu: Gpu) -> float:
    """A process's CUDA (HIP, SYCL) context with its loaded kernels: grows with the number of SMs; Metal's is small."""
    if vendor(gpu) == "apple":
        return 50 * MIB
    units = gpu.compute_units or (gpu.spec.compute_units if gpu.spec else None) or _CONTEXT_UNKNOWN_UNITS
    return _CONTEXT_BYTES + _CONTEXT_PER_UNIT_BYTES * min(units, 200)


_FIRST_REDUCING = 9.0  # compute capability: NVLink SHARP came with Hopper's switches
# NVIDIA's modules behind NVSwitches, by the first capability: GH200s of a node are linked one to one.
_ON_BASEBOARDS = {"sxm": _FIRST_REDUCING, "superchip": 10.0}


def reduces(gpu: Gpu) -> bool:
    """Whether the switch between such GPUs adds up what they send (NVLink SHARP)."""
    spec = gpu.spec
    if spec is None or vendor(gpu) != "nvidia" or spec.form not in _ON_BASEBOARDS:
        return False
    first = _ON_BASEBOARDS[spec.form]
    return spec.link_bytes_per_s is not None and float(spec.compute_capability or 0) >= first


_CONTEXT_NAMES = {
    "nvidia": sentence("devices.cuda-context-kernels", "CUDA context and kernels, by SMs"),
    "amd": sentence("devices.hip-context-kernels", "HIP context and kernels, by compute units"),
    "intel": sentence("devices.level-zero-context", "Level Zero context and kernels, by Xe cores"),
    "apple": sentence("devices.metal-command-queues", "Metal's command queues and kernels"),
}


def context_note(gpu: Gpu) -> str:
    """What a process keeps on a card before any weight, by the name its runtime has."""
    return _CONTEXT_NAMES.get(vendor(gpu), sentence("devices.driver-context", "the driver's context and kernels"))


def visible_bytes(gpu: Gpu, machine: Machine) -> float | None:
    """What the runtime calls the card's whole memory, of which vLLM takes its share: under Windows' own driver model
    (WSL2 too) all of it, elsewhere less what the driver keeps.
    """
    nominal = gpu_nominal_bytes(gpu)
    if nominal is None or unified(gpu):
        return gpu_capacity_bytes(gpu, machine)
    if machine.os.family == "windows" or machine.os.wsl:
        return float(nominal)
    return max(0.0, nominal * (1 - _DRIVER_SHARE) - _driver_bytes(gpu))


def ram_capacity_bytes(machine: Machine) -> float | None:
    """RAM of one node that this process may use.

    Where it is not told and a GPU shares it, the memory that this GPU is taken to have: both are one pool.
    """
    if machine.memory_usable_bytes is not None:
        return machine.memory_usable_bytes + sum(carve_out_bytes(gpu) for gpu in machine.gpus)
    return max((gpu_nominal_bytes(gpu) or 0.0 for gpu in machine.gpus if unified(gpu)), default=0.0) or None


def ram_free_bytes(machine: Machine) -> float | None:
    """RAM available now, on live machines or as said, within the cgroup's limit."""
    if not _free_is_known(machine):
        return None
    free = machine.os.memory_free_bytes
    limit, used = machine.os.memory_limit_bytes, machine.os.memory_used_by_cgroup_bytes
    if limit is not None and used is not None:
        left = limit - used
        free = left if free is None else min(free, left)
    return free


def gpu_free_bytes(gpu: Gpu, machine: Machine) -> float | None:
    """Free GPU memory now, on live machines or as said."""
    is_measured = machine.free_stated or (machine.origin is Origin.LIVE and not unified(gpu))
    return gpu.memory_free_bytes if is_measured else None


def _free_is_known(machine: Machine) -> bool:
    """Read now, or said by whoever asks; what a dump shows as free was so when it was made."""
    return machine.origin is Origin.LIVE or machine.free_stated
