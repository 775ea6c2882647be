"""Where the modules of a planned machine go, and how fast they then run.

A channel with more modules runs slower: `CpuSpec.memory_mt_s[n - 1]` is the official speed with n of them. The machine
runs at the lesser of that and what the modules are rated for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wellfed.catalog.machine_line import Modules
from wellfed.errors import BadInput
from wellfed.hardware.machine import Dimm, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.provenance import Assumption
from wellfed.units import GIB

# Sizes sold (GiB) and rated speeds (MT/s) from the slowest standard grade to the fastest kits. JEDEC JESD79-3, -4, -5.
_SIZES = {
    "DDR3": (1, 2, 4, 8, 16, 32),
    "DDR4": (4, 8, 16, 32, 64, 128, 256),
    "DDR5": (8, 16, 24, 32, 48, 64, 96, 128, 256, 512),
    "MRDIMM": (32, 64, 96, 128, 256),
}
_SPEEDS = {"DDR3": (800, 3200), "DDR4": (1600, 5400), "DDR5": (3200, 10000), "MRDIMM": (8000, 12800)}
_USUAL_GIB = {("DDR5", True): 64, ("DDR5", False): 32, ("DDR4", True): 32, ("DDR4", False): 16, ("DDR3", False): 8}


@dataclass(frozen=True, slots=True)
class _Kit:
    count: int
    module_gib: int
    kind: str
    rated_mt_s: float | None
    overclocked: bool


def sockets_with_memory(
    cpu: CpuSpec, count: int, stated: Modules | None, soldered_bytes: int | None
) -> tuple[tuple[Socket, ...], tuple[Assumption, ...]]:
    """`count` sockets with their modules. `soldered_bytes`: memory of a part that comes with it, per socket.

    Raises BadInput for modules that do not exist or do not fit.
    """
    if cpu.memory_type.startswith(("LPDDR", "HBM")):
        return _soldered(cpu, count, stated, soldered_bytes)
    kit, notes = _kit(cpu, count, stated)
    _exists(cpu, kit)
    per_socket = [kit.count // count + (index < kit.count % count) for index in range(count)]
    if max(per_socket) > cpu.memory_channels * _deepest(cpu, kit.kind):
        most = cpu.memory_channels * _deepest(cpu, kit.kind) * count
        raise BadInput(
            f"{kit.count} modules on {count} {cpu.name}",
            f"{cpu.memory_channels} channels per socket take at most {most} modules in all",
        )
    speed, more = _speed(cpu, kit, -(-max(per_socket) // cpu.memory_channels))
    notes = (*notes, *more, *_uneven(cpu, per_socket))
    return tuple(_socket(cpu, index, kit, modules, speed) for index, modules in enumerate(per_socket)), notes


def _kit(cpu: CpuSpec, count: int, stated: Modules | None) -> tuple[_Kit, tuple[Assumption, ...]]:
    given = stated or Modules()
    kind = given.kind or cpu.memory_type
    server = cpu.sockets_max > 1 or cpu.memory_channels > 2
    notes: list[Assumption] = []
    if given.count is not None and given.module_gib is not None:
        modules, size = given.count * (count if given.per_socket else 1), given.module_gib
    elif given.total_gib is not None:
        modules, size = _split(cpu, count, given.total_gib * (count if given.per_socket else 1), kind)
        notes.append(Assumption(f"{modules}x{size} GiB modules", "how the memory is divided was not said"))
    else:
        modules, size = cpu.memory_channels * count, _USUAL_GIB.get((kind, server), 64)
        notes.append(Assumption(f"{modules}x{size} GiB {kind}", "no memory was named: one module per channel"))
    return _Kit(modules, size, kind, given.rated_mt_s, given.overclocked), tuple(notes)


def _split(cpu: CpuSpec, count: int, total_gib: float, kind: str) -> tuple[int, int]:
    """Modules that make up a total: one per channel if they exist, then two, then fewer channels."""
    channels = cpu.memory_channels * count
    tries = [channels, *(channels * depth for depth in range(2, _deepest(cpu, kind) + 1)), *range(channels - 1, 0, -1)]
    for modules in tries:
        size = total_gib / modules
        if size in _SIZES.get(kind, ()):
            return modules, int(size)
    raise BadInput(f"no set of {kind} modules makes {total_gib:g} GiB", "write it as modules, for example 8x64GB")


def _exists(cpu: CpuSpec, kit: _Kit) -> None:
    kinds = (cpu.memory_type, *(kind for kind, _ in cpu.other_memory_mt_s))
    if kit.kind not in kinds:
        raise BadInput(f"{cpu.name} takes {' or '.join(kinds)}, not {kit.kind}", "another CPU, or other modules")
    sizes, (slowest, fastest) = _SIZES[kit.kind], _SPEEDS[kit.kind]
    if kit.count < 1:
        raise BadInput("no memory modules", "at least one is needed")
    if kit.module_gib not in sizes:
        raise BadInput(
            f"there is no {kit.module_gib} GiB {kit.kind} module", f"sizes: {', '.join(map(str, sizes))} GiB"
        )
    if kit.rated_mt_s is not None and not slowest <= kit.rated_mt_s <= fastest:
        raise BadInput(f"there is no {kit.kind}-{kit.rated_mt_s:g}", f"{kit.kind} runs at {slowest} to {fastest} MT/s")


def _official(cpu: CpuSpec, kind: str) -> tuple[float, ...]:
    return cpu.memory_mt_s if kind == cpu.memory_type else dict(cpu.other_memory_mt_s)[kind]


def _deepest(cpu: CpuSpec, kind: str) -> int:
    """Modules a channel takes."""
    return len(cpu.memory_mt_s if kind == cpu.memory_type else dict(cpu.other_memory_mt_s).get(kind, (0.0,)))


def _speed(cpu: CpuSpec, kit: _Kit, depth: int) -> tuple[float, tuple[Assumption, ...]]:
    """MT/s with `depth` modules on the fullest channel, and what to say about it."""
    official = _official(cpu, kit.kind)[depth - 1]
    if kit.overclocked and kit.rated_mt_s:
        return kit.rated_mt_s, (Assumption(f"memory at {kit.rated_mt_s:g} MT/s", "overclocked, as stated"),)
    if depth == 1 and kit.rated_mt_s and cpu.memory_validated_mt_s and kit.kind == cpu.memory_type:
        fast = min(kit.rated_mt_s, cpu.memory_validated_mt_s)
        if fast > official:
            return fast, (
                Assumption(f"memory at {fast:g} MT/s", f"on boards validated for it; officially {official:g}"),
            )
    if kit.rated_mt_s is None or kit.rated_mt_s <= official:
        return kit.rated_mt_s or official, ()
    why = f"official speed of {cpu.name} with {depth} per channel" if depth > 1 else f"official speed of {cpu.name}"
    return official, (
        Assumption(f"{kit.kind}-{kit.rated_mt_s:g} at {official:g} MT/s", f"{why}; 'oc' takes the kit's"),
    )


def _uneven(cpu: CpuSpec, per_socket: list[int]) -> tuple[Assumption, ...]:
    if any(modules == 0 for modules in per_socket):
        return (Assumption("a socket without memory of its own", "fewer modules than sockets"),)
    if any(modules > cpu.memory_channels and modules % cpu.memory_channels for modules in per_socket):
        return (Assumption("channels hold unequal amounts", "the last part of memory is on fewer channels"),)
    return ()


def _socket(cpu: CpuSpec, index: int, kit: _Kit, modules: int, speed: float) -> Socket:
    dimms = tuple(
        Dimm(
            slot=f"S{index}-{chr(65 + at % cpu.memory_channels)}{at // cpu.memory_channels + 1}",
            bytes=kit.module_gib * GIB,
            channel=chr(65 + at % cpu.memory_channels),
            socket=index,
            mt_s=speed,
            rated_mt_s=kit.rated_mt_s or speed,
            type=kit.kind,
        )
        for at in range(modules)
    )
    return replace(
        bare_socket(cpu, index),
        channels=min(modules, cpu.memory_channels),
        mt_s=speed,
        memory_bytes=modules * kit.module_gib * GIB,
        dimms=dimms,
    )


def bare_socket(cpu: CpuSpec, index: int) -> Socket:
    """A socket with its CPU and no memory."""
    return Socket(
        index=index,
        cpu=cpu,
        name=cpu.name,
        cores=cpu.cores,
        threads=cpu.threads,
        channels_named=cpu.memory_channels,
        l3_bytes=cpu.l3_bytes // max(1, cpu.dies or 1) if cpu.l3_bytes else None,
        clock_max_hz=cpu.boost_clock_hz,
    )


def _soldered(
    cpu: CpuSpec, count: int, stated: Modules | None, soldered_bytes: int | None
) -> tuple[tuple[Socket, ...], tuple[Assumption, ...]]:
    if stated is not None and stated.count is not None:
        raise BadInput(f"the memory of {cpu.name} is soldered", "say how much it has in all, for example 128GB ram")
    size = round(stated.total_gib * GIB / count) if stated and stated.total_gib else soldered_bytes
    told = (
        () if size else (Assumption("memory size unknown", f"{cpu.name} comes with several; say for example 16GB ram"),)
    )
    socket = bare_socket(cpu, 0)
    filled = replace(socket, channels=cpu.memory_channels, mt_s=cpu.memory_mt_s[0], memory_bytes=size)
    return tuple(replace(filled, index=index) for index in range(count)), told
