"""Where the modules of a planned machine go, and how fast they then run.

A channel with more modules runs slower: `CpuSpec.memory_mt_s[n - 1]` is the official speed with n of them. The machine
runs at the lesser of that and what the modules are rated for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wellfed.catalog.tables import table
from wellfed.errors import BadInput
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Dimm, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.message import listed, sentence
from wellfed.provenance import Assumption
from wellfed.units import GIB
from wellfed.written.parts_list import Modules

SERVER_CHANNELS = 3  # a part with as many is a workstation's or a server's


@dataclass(frozen=True, slots=True)
class _Kit:
    """Modules to plug in: their sizes in slot order (channel after channel), type and rated speed."""

    sizes_gib: tuple[int, ...]
    kind: str
    rated_mt_s: float | None
    overclocked: bool
    guest: bool = False  # a guest's share of its host's modules: any size

    @property
    def count(self) -> int:
        return len(self.sizes_gib)


def sockets_with_memory(
    cpu: CpuSpec, count: int, stated: Modules | None, soldered_bytes: int | None
) -> tuple[tuple[Socket, ...], tuple[Assumption, ...]]:
    """`count` sockets with their modules. `soldered_bytes`: memory of a part that comes with it, per socket.

    Raises BadInput for modules that do not exist or do not fit.
    """
    if ((stated and stated.kind) or cpu.memory_type).startswith(("LPDDR", "HBM")):
        return _soldered(cpu, count, stated, soldered_bytes)
    kit, notes = _kit(cpu, count, stated)
    _exists(cpu, kit)
    per_socket = [kit.count // count + (index < kit.count % count) for index in range(count)]
    if max(per_socket) > cpu.memory_channels * _deepest(cpu, kit.kind):
        most = cpu.memory_channels * _deepest(cpu, kit.kind) * count
        raise BadInput(
            sentence(
                "written.memory.modules",
                "{count} modules on {count2} {cpu}",
                count=kit.count,
                count2=count,
                cpu=cpu.name,
            ),
            sentence(
                "written.memory.channels-per-socket",
                "{memory_channels} channels per socket take at most {most} modules in all",
                memory_channels=cpu.memory_channels,
                most=most,
            ),
        )
    speed, more = _speed(cpu, kit, -(-max(per_socket) // cpu.memory_channels))
    notes = (*notes, *more, *(() if kit.guest else _uneven(cpu, per_socket)))
    starts = [sum(per_socket[:index]) for index in range(count)]
    sizes = [kit.sizes_gib[at : at + modules] for at, modules in zip(starts, per_socket, strict=True)]
    return tuple(_socket(cpu, index, kit, mine, speed) for index, mine in enumerate(sizes)), notes


def _kit(cpu: CpuSpec, count: int, stated: Modules | None) -> tuple[_Kit, tuple[Assumption, ...]]:
    modules = stated or Modules()
    kind = modules.kind or cpu.memory_type
    notes: list[Assumption] = []
    guest = False
    sizes: tuple[int, ...]
    if modules.count is not None and modules.module_gib is not None:
        sizes = (modules.module_gib,) * (modules.count * (count if modules.per_socket else 1))
    elif modules.total_gib is not None:
        total = modules.total_gib * (count if modules.per_socket else 1)
        split = _split(cpu, count, total, kind, modules.channels)
        sizes, guest = split or _shares(cpu, count, total, kind, modules.channels), split is None
        notes.append(_as_guest(total, kind) if guest else _divided(sizes))
    else:
        channels = min(modules.channels or cpu.memory_channels, cpu.memory_channels)
        sizes = (_usual_gib(cpu, kind),) * (channels * count)
        notes.append(
            Assumption(
                f"{_modules(sizes)} GiB {kind}",
                sentence("written.memory.no-memory-named", "no memory was named: one module per channel"),
            )
        )
    if modules.channels and modules.channels > cpu.memory_channels:
        raise BadInput(
            sentence(
                "written.memory.memory-channels",
                "{cpu} has {memory_channels} memory channels, not {channels}",
                cpu=cpu.name,
                memory_channels=cpu.memory_channels,
                channels=modules.channels,
            ),
            sentence(
                "written.memory.channels-cpu",
                "write {memory_channels} channels, or a CPU that has {channels}",
                memory_channels=cpu.memory_channels,
                channels=modules.channels,
            ),
        )
    return _Kit(sizes, kind, modules.rated_mt_s, modules.overclocked, guest), tuple(notes)


def _divided(sizes: tuple[int, ...]) -> Assumption:
    return Assumption(
        sentence("written.memory.gib-modules", "{sizes} GiB modules", sizes=_modules(sizes)),
        sentence("written.memory.how-memory-divided", "how the memory is divided was not said"),
    )


def _as_guest(total_gib: float, kind: str) -> Assumption:
    return Assumption(
        sentence(
            "written.memory.guest", "{total_gib:g} GiB over all channels, as a guest has them", total_gib=total_gib
        ),
        sentence(
            "written.memory.guest-why", "no set of {kind} modules makes as much: a virtual machine's share", kind=kind
        ),
    )


def _modules(sizes: tuple[int, ...]) -> str:
    """ "2x32" or "2x16 + 2x8"."""
    return " + ".join(f"{sizes.count(size)}x{size}" for size in dict.fromkeys(sizes))


def _usual_gib(cpu: CpuSpec, kind: str) -> int:
    usual = _sold(kind).get("usual_gib", {})
    server = cpu.sockets_max > 1 or cpu.memory_channels >= SERVER_CHANNELS
    return int(usual.get("server" if server else "desktop", 64))


def _sold(kind: str) -> Mapping[str, Any]:
    """The catalogue's row of a module type; empty for soldered memory."""
    kinds: Mapping[str, Mapping[str, Any]] = table("memory.toml")["modules"]
    return kinds.get(kind, {})


def _split(cpu: CpuSpec, count: int, total_gib: float, kind: str, channels: int | None) -> tuple[int, ...] | None:
    """Modules that make up a total: one per channel if they exist, then two, then fewer channels, then unequal ones."""
    sizes: tuple[int, ...] = tuple(_sold(kind).get("sizes_gib", ()))
    slots = min(channels or cpu.memory_channels, cpu.memory_channels) * count
    deepest = _deepest(cpu, kind)
    tries = [slots, *(slots * depth for depth in range(2, deepest + 1)), *range(slots - 1, 0, -1)]
    for modules in tries:
        size = total_gib / modules
        if size in sizes:
            return tuple(int(size) for _ in range(modules))
    for depth in range(1, deepest + 1):
        for large in sizes:
            for small in (size for size in sizes if size < large):
                pair = slots * depth // 2
                if pair and (large + small) * pair == total_gib:
                    return (int(large),) * pair + (int(small),) * pair
    return None


def _shares(cpu: CpuSpec, count: int, total_gib: float, kind: str, channels: int | None) -> tuple[int, ...]:
    """A guest's memory over all channels of its server. Raises BadInput for a desktop, where the total is a slip."""
    slots = min(channels or cpu.memory_channels, cpu.memory_channels) * count
    server = cpu.sockets_max > 1 or cpu.memory_channels >= SERVER_CHANNELS
    most = max(_sold(kind).get("sizes_gib", (0,))) * slots * _deepest(cpu, kind)
    if server and total_gib == int(total_gib) and slots <= total_gib <= most:
        per_slot, more = divmod(int(total_gib), slots)
        return (per_slot + 1,) * more + (per_slot,) * (slots - more)
    raise BadInput(
        sentence(
            "written.memory.no-set-modules",
            "no set of {kind} modules makes {total_gib:g} GiB",
            kind=kind,
            total_gib=total_gib,
        ),
        sentence("written.memory.write-modules", "write it as modules, for example 8x64GB"),
    )


def _exists(cpu: CpuSpec, kit: _Kit) -> None:
    kinds = (cpu.memory_type, *(kind for kind, _ in cpu.other_memory_mt_s))
    if kit.kind not in kinds:
        raise BadInput(
            sentence(
                "written.memory.takes",
                "{cpu} takes {kinds}, not {kind}",
                cpu=cpu.name,
                kinds=" or ".join(kinds),
                kind=kit.kind,
            ),
            sentence("written.memory.another-cpu-other", "another CPU, or other modules"),
        )
    sold = _sold(kit.kind)
    sizes, (slowest, fastest) = sold.get("sizes_gib", ()), sold.get("speeds_mt_s", (0, 1e9))
    if kit.count < 1:
        raise BadInput(
            sentence("written.memory.no-memory-modules", "no memory modules"),
            sentence("written.memory.least-one-needed", "at least one is needed"),
        )
    for size in () if kit.guest else dict.fromkeys(kit.sizes_gib):
        if size not in sizes:
            raise BadInput(
                sentence(
                    "written.memory.there-gib-module", "there is no {size} GiB {kind} module", size=size, kind=kit.kind
                ),
                sentence("written.memory.sizes-gib", "sizes: {sizes} GiB", sizes=listed(sizes)),
            )
    if kit.rated_mt_s is not None and not slowest <= kit.rated_mt_s <= fastest:
        raise BadInput(
            sentence("written.memory.there", "there is no {kind}-{rated_mt:g}", kind=kit.kind, rated_mt=kit.rated_mt_s),
            sentence(
                "written.memory.runs-mt-s",
                "{kind} runs at {slowest} to {fastest} MT/s",
                kind=kit.kind,
                slowest=slowest,
                fastest=fastest,
            ),
        )


def _official(cpu: CpuSpec, kind: str) -> tuple[float, ...]:
    return cpu.memory_mt_s if kind == cpu.memory_type else dict(cpu.other_memory_mt_s)[kind]


def _deepest(cpu: CpuSpec, kind: str) -> int:
    """Modules a channel takes."""
    return len(cpu.memory_mt_s if kind == cpu.memory_type else dict(cpu.other_memory_mt_s).get(kind, (0.0,)))


def _speed(cpu: CpuSpec, kit: _Kit, depth: int) -> tuple[float, tuple[Assumption, ...]]:
    """MT/s with `depth` modules on the fullest channel, and what to say about it."""
    official = _official(cpu, kit.kind)[depth - 1]
    if kit.overclocked and kit.rated_mt_s:
        return kit.rated_mt_s, (
            Assumption(
                sentence("written.memory.memory-mt-s", "memory at {rated_mt:g} MT/s", rated_mt=kit.rated_mt_s),
                sentence("written.memory.overclocked-stated", "overclocked, as stated"),
            ),
        )
    if depth == 1 and kit.rated_mt_s and cpu.memory_validated_mt_s and kit.kind == cpu.memory_type:
        fast = min(kit.rated_mt_s, cpu.memory_validated_mt_s)
        if fast > official:
            return fast, (
                Assumption(
                    sentence("written.memory.memory-mt-s-2", "memory at {fast:g} MT/s", fast=fast),
                    sentence(
                        "written.memory.boards-validated",
                        "on boards validated for it; officially {official:g}",
                        official=official,
                    ),
                ),
            )
    if kit.rated_mt_s is None or kit.rated_mt_s <= official:
        return kit.rated_mt_s or official, ()
    why = (
        sentence(
            "written.memory.official-speed-per",
            "official speed of {cpu} with {depth} per channel",
            cpu=cpu.name,
            depth=depth,
        )
        if depth > 1
        else sentence("written.memory.official-speed", "official speed of {cpu}", cpu=cpu.name)
    )
    return official, (
        Assumption(
            f"{kit.kind}-{kit.rated_mt_s:g} at {official:g} MT/s",
            sentence("written.memory.oc-takes-kit", "{why}; 'oc' takes the kit's", why=why),
        ),
    )


def _uneven(cpu: CpuSpec, per_socket: list[int]) -> tuple[Assumption, ...]:
    if any(modules == 0 for modules in per_socket):
        return (
            Assumption(
                sentence("written.memory.socket-without", "a socket without memory of its own"),
                sentence("written.memory.fewer-modules", "fewer modules than sockets"),
            ),
        )
    if any(modules > cpu.memory_channels and modules % cpu.memory_channels for modules in per_socket):
        return (
            Assumption(
                sentence("written.memory.channels-hold", "channels hold unequal amounts"),
                sentence("written.memory.last-part-memory", "the last part of memory is on fewer channels"),
            ),
        )
    return ()


def _socket(cpu: CpuSpec, index: int, kit: _Kit, sizes_gib: tuple[int, ...], speed: float) -> Socket:
    dimms = tuple(
        Dimm(
            slot=f"S{index}-{chr(65 + at % cpu.memory_channels)}{at // cpu.memory_channels + 1}",
            bytes=size * GIB,
            channel=chr(65 + at % cpu.memory_channels),
            socket=index,
            mt_s=speed,
            rated_mt_s=kit.rated_mt_s or speed,
            type=kit.kind,
        )
        for at, size in enumerate(sizes_gib)
    )
    return replace(
        bare_socket(cpu, index),
        channels=min(len(sizes_gib), cpu.memory_channels),
        mt_s=speed,
        memory_bytes=sum(sizes_gib) * GIB,
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
        raise BadInput(
            sentence("written.memory.memory-soldered", "the memory of {cpu} is soldered", cpu=cpu.name),
            sentence("written.memory.say-how-much", "say how much it has in all, for example 128GB ram"),
        )
    kind = (stated.kind if stated else None) or cpu.memory_type
    kinds = (cpu.memory_type, *(other_kind for other_kind, _ in cpu.other_memory_mt_s))
    if kind not in kinds:
        raise BadInput(
            sentence(
                "written.memory.takes",
                "{cpu} takes {kinds}, not {kind}",
                cpu=cpu.name,
                kinds=" or ".join(kinds),
                kind=kind,
            ),
            sentence("written.memory.another-cpu-other-2", "another CPU, or other memory"),
        )
    size = round(stated.total_gib * GIB / count) if stated and stated.total_gib else soldered_bytes
    notes = (
        ()
        if size
        else (
            Assumption(
                sentence("written.memory.memory-size-unknown", "memory size unknown"),
                sentence(
                    "written.memory.comes-several-say",
                    "{cpu} comes with several; say for example 16GB ram",
                    cpu=cpu.name,
                ),
            ),
        )
    )
    official = _official(cpu, kind)[0]
    speed = min(official, stated.rated_mt_s) if stated and stated.rated_mt_s else official
    filled = replace(bare_socket(cpu, 0), channels=cpu.memory_channels, mt_s=speed, memory_bytes=size)
    return tuple(replace(filled, index=index) for index in range(count)), notes
