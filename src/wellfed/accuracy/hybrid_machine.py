"""A machine from the hardware columns of a row: `2x Xeon Gold 6454S (32c each)`, `8x64GB DDR4-2933`, `5090+2x4090`."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from wellfed.accuracy.case import Row
from wellfed.accuracy.hybrid_notes import bound_nodes, certain, cores_bound, nodes_told, note, threads
from wellfed.catalog.generations import cpu_of_generation
from wellfed.catalog.hardware import cpu as cpu_spec
from wellfed.catalog.hardware import gpu_list
from wellfed.errors import UnknownName
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine, Origin, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.message import sentence
from wellfed.provenance import Assumption

_UNSTATED_MODULES = 4  # of a desktop or workstation whose memory is not told: four modules are the most common kit
_FIRST_DDR5 = 4800.0
_DESKTOP_KIT = (
    6000.0  # MT/s, assumed: rows that tell it of two modules have 5600 to 6800; AMD names 6000 for Ryzen 7000
)
_WORDS = {"single": 1, "dual": 2, "quad": 4, "hexa": 6, "octa": 8}


@dataclass(frozen=True, slots=True)
class Ram:
    """What a row says of memory, per machine unless it says per socket. Unknown is None."""

    bytes: int | None = None
    modules: int | None = None
    channels: int | None = None
    channels_per_socket: bool = False
    mt_s: float | None = None
    measured_bytes_per_s: float | None = None


def machine_of(row: Row, use_gpus: bool, use_cpu: bool) -> Machine:
    """The machine of a row. Raises UnknownName for hardware that no catalogue knows."""
    cpu_text = row.text("cpu")
    ram = parse_ram(f"{row.text('ram')} ")
    sockets = _within(row, _sockets(cpu_text, ram, _cores_in_use(row))) if use_cpu and cpu_text else ()
    gpus = parse_gpus(certain(row.text("gpu")) or row.text("gpu"), row.number("gpu_count")) if use_gpus else ()
    measured = ram.measured_bytes_per_s
    return Machine(
        name="row",
        origin=Origin.PARTS,
        sockets=sockets,
        gpus=gpus,
        memory_bytes=ram.bytes,
        measured_memory_bandwidth_bytes_per_s=measured * len(sockets) if measured and sockets else None,
        assumptions=_assumptions(ram, sockets),
    )


def socket_count(cpu_text: str) -> int:
    """Sockets installed: `2x Xeon`, `1x Xeon 6980P (of 2)`, `dual Xeon`."""
    of = re.search(r"\(of (\d)\)", cpu_text)
    times = re.match(r"\s*(\d)\s*x\s", cpu_text)
    if of:
        return int(of[1])
    return int(times[1]) if times else 2 if cpu_text.lower().startswith("dual") else 1


def cpu_name(cpu_text: str) -> str:
    """The CPU's own name, without counts, threads and remarks."""
    text = re.sub(r"\(from other posts[^)]*\)", "", cpu_text)
    text = re.sub(r"^\s*(?:\d\s*x|dual)\s+", "", text.replace("(R)", "").replace("(TM)", ""), flags=re.IGNORECASE)
    text = re.split(r",|\bnumactl\b|\bNPS\d|\bSNC\b|\bVM\b", text)[0]
    text = re.sub(r"\((?:of \d|\d+ ?c(?:ores?)?\b[^)]*|\d+ NUMA)\)", "", text)
    text = re.sub(r"\b\d+\s*threads?\b|(?<=\s)\d+c\b.*$|\bTurin\b", "", text)
    return " ".join(text.split())


@lru_cache(maxsize=256)
def find_cpu(cpu_text: str, least_cores: int = 0) -> CpuSpec:
    """The catalogue's CPU of that name, as written or without its remarks, or of the generation it tells.

    `least_cores`: what ran on a socket needs so many, which bounds what part of a generation it can be. Raises
    UnknownName.
    """
    try:
        return cpu_spec(cpu_text)
    except UnknownName:
        generation = cpu_of_generation(cpu_text, least_cores)
        if generation is not None:
            return generation
        return cpu_spec(cpu_name(cpu_text))


def parse_ram(text: str) -> Ram:
    """Modules, channels, speed, size and measured bandwidth, where told."""
    modules = re.search(r"(\d+)\s*x\s*(\d+)\s*GB", text, re.IGNORECASE)
    size = re.search(r"(\d+(?:\.\d+)?)\s*(TB|GB)\b(?!/s)", text, re.IGNORECASE)
    speed = re.search(r"DDR\d[X]?[-\s]*(\d{4,5})", text, re.IGNORECASE)
    count = int(modules[1]) if modules else None
    total = count * int(modules[2]) * 10**9 if modules and count else None
    if total is None and size:
        total = round(float(size[1]) * (10**12 if size[2].upper() == "TB" else 10**9))
    return Ram(
        bytes=total,
        modules=count or _module_count(text),
        channels=_channels(text),
        channels_per_socket="/socket" in text,
        mt_s=float(speed[1]) if speed else None,
        measured_bytes_per_s=_measured(text),
    )


def _module_count(text: str) -> int | None:
    match = re.search(r"(\d+)\s*x\s*DDR", text, re.IGNORECASE)
    return int(match[1]) if match else None


def _channels(text: str) -> int | None:
    match = re.search(r"(\d+)[\s-]*(?:ch\b|channel)", text, re.IGNORECASE)
    if match:
        return int(match[1])
    worded = re.search(r"\b(single|dual|quad|hexa|octa)[\s-]*channel", text, re.IGNORECASE)
    return _WORDS[worded[1].lower()] if worded else None


def _measured(text: str) -> float | None:
    """`~225-256 GB/s` is taken at its middle. Figures that repeat the theoretical bandwidth do no harm."""
    match = re.search(r"~?(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?\s*GB/s", text)
    if not match:
        return None
    return (float(match[1]) + float(match[2] or match[1])) / 2 * 1e9


def _sockets(cpu_text: str, ram: Ram, least_cores: int = 0) -> tuple[Socket, ...]:
    spec = find_cpu(cpu_text, least_cores)
    count = max(socket_count(cpu_text), _sockets_for(cpu_text, spec))
    channels = _channels_of(spec, ram, count)
    modules = -(-ram.modules // count) if ram.modules else None
    usual = _usual_mt_s(spec, modules)
    match = re.search(r"\b(\d+)\s*c\b", cpu_text)
    return tuple(
        Socket(
            index=index,
            cpu=spec,
            cores=int(match[1]) if match and "VM" in cpu_text else spec.cores,
            channels=channels,
            mt_s=ram.mt_s or usual,
            memory_bytes=ram.bytes // count if ram.bytes else None,
            isa=spec.isa,
        )
        for index in range(count)
    )


def _cores_in_use(row: Row) -> int:
    """Cores that a socket has at least, by the threads that ran on some of its NUMA nodes; 0 where that is not told."""
    nodes, bound, busy = nodes_told(row), bound_nodes(row), threads(row)
    if not (nodes and bound and busy and cores_bound(row)):
        return 0
    return busy * nodes // (bound * socket_count(row.text("cpu")))


def _sockets_for(cpu_text: str, spec: CpuSpec) -> int:
    """As many as the told logical CPUs need: `Xeon Platinum 8358 (128 logical)` is two of 64 threads."""
    match = re.search(r"(\d+) (?:logical|hardware threads)", cpu_text)
    return min(spec.sockets_max, -(-int(match[1]) // spec.threads)) if match else 1


def _usual_mt_s(spec: CpuSpec, modules: int | None) -> float:
    """The official speed; of a desktop's two DDR5 modules that of the kits that who measures such a machine puts in."""
    crowded = bool(modules and modules > spec.memory_channels)
    official = spec.memory_mt_s[min(int(crowded), len(spec.memory_mt_s) - 1)]
    desktop = spec.memory_channels == 2 and len(spec.memory_mt_s) > 1 and official >= _FIRST_DDR5
    return max(official, _DESKTOP_KIT) if desktop and not crowded else official


def _within(row: Row, sockets: tuple[Socket, ...]) -> tuple[Socket, ...]:
    """The sockets with what a binding to some of their NUMA nodes leaves: their channels, and their cores if bound."""
    bound, nodes = bound_nodes(row), nodes_told(row)
    if not bound or nodes <= len(sockets):
        return sockets
    share = min(1.0, bound * len(sockets) / nodes)
    busy = share if cores_bound(row) else 1.0
    return tuple(
        replace(
            socket,
            cores=_at_least(max(1, round((socket.cores or 1) * busy)), socket.cpu, threads(row)),
            channels=max(1, round((socket.channels or 1) * share)),
        )
        for socket in sockets
    )


def _at_least(cores: int, spec: CpuSpec | None, busy: int | None) -> int:
    """Of a part that stands for one of its generation: as many cores as threads were given to them."""
    guessed = spec is not None and spec.stands_for_unknown
    return max(cores, busy or 0) if guessed else cores


def _channels_of(spec: CpuSpec, ram: Ram, sockets: int) -> int:
    if ram.channels:
        per_socket = (
            ram.channels if ram.channels_per_socket or ram.channels <= spec.memory_channels else ram.channels // sockets
        )
        return max(1, min(spec.memory_channels, per_socket))
    if ram.modules:
        return max(1, min(spec.memory_channels, ram.modules // sockets))
    if ram.bytes is None and ram.mt_s is None and not _server(spec):
        return min(spec.memory_channels, _UNSTATED_MODULES)
    return spec.memory_channels


def _server(spec: CpuSpec) -> bool:
    """Server sockets are sold filled; a workstation's eight channels often hold four modules."""
    return spec.sockets_max > 1 or spec.vendor not in ("amd", "intel")


def _assumptions(ram: Ram, sockets: tuple[Socket, ...]) -> tuple[Assumption, ...]:
    if not sockets or ram.channels or ram.modules:
        return ()
    text = sentence(
        "hybrid-machine.memory-channels-mt",
        "{channels} memory channels at {mt:.0f} MT/s a socket",
        channels=sockets[0].channels,
        mt=sockets[0].mt_s,
    )
    return (Assumption(text, sentence("hybrid-machine.row-does-tell", "the row does not tell its modules")),)


def parse_gpus(text: str, count: float | None) -> tuple[Gpu, ...]:
    """Every GPU of `5090+2x4090+A6000`, `2x 3090`, `RTX 3090; RTX 4090` or `RTX 3090 24GB` (count from its column)."""
    specs = [spec for times, spec in gpu_list(text) for _ in range(times)]
    wanted = int(count or 0)
    specs += [specs[-1]] * max(0, wanted - len(specs))
    return tuple(Gpu(index, spec, spec.name) for index, spec in enumerate(specs))


def unused_gpus(row: Row) -> bool:
    """Whether a row's GPU plays no part: not named, or named only elsewhere in its thread."""
    text = row.text("gpu").lower()
    return not text or text in ("none", "cpu only") or (not certain(text) and not note(row, "ot"))
