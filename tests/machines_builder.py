"""A short description of a machine, turned into a tree of /sys and /proc for tests.

box = Box(sockets=2, cores=8, pci=(root_port("0000:16:01.0", numa=0, below=(gpu("0000:17:00.0"),)),))
machine = read(build(box, tmp_path))
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wellfed.hardware.machine import Machine
from wellfed.topology.collect import collect
from wellfed.topology.machine import parse

GIB = 1 << 30
Link = tuple[int, int]  # generation, lanes
_SPEED = {1: "2.5", 2: "5.0", 3: "8.0", 4: "16.0", 5: "32.0", 6: "64.0"}
_PORT = {"endpoint": 0, "root": 4, "upstream": 5, "downstream": 6}
_ABSENT = None


@dataclass(frozen=True)
class Pci:
    """One PCI function and what hangs below it. `now`/`best`: current and maximum link."""

    address: str
    ids: tuple[int, int]
    class_code: int = 0x030200
    now: Link | None = (4, 16)
    best: Link | None = (4, 16)
    port: str | None = "endpoint"
    numa: int | None = None  # None = as above, -1 = firmware does not say
    below: tuple[Pci, ...] = ()
    acs: bool | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Slot:
    """One memory slot; `gib` 0 is empty."""

    locator: str
    bank: str
    gib: int = 32
    mt_s: int = 4800
    rated: int = 4800


@dataclass(frozen=True)
class Box:
    """A machine. `cores` and `nodes` are per socket, `threads` per core, `memory_gib` per NUMA node."""

    sockets: int = 1
    cores: int = 4
    threads: int = 2
    nodes: int = 1
    memory_gib: int = 64
    model: str = "Test CPU 9000"
    flags: str = "fpu avx avx2 avx512f"
    pci: tuple[Pci, ...] = ()
    slots: tuple[Slot, ...] = ()
    offline: frozenset[int] = frozenset()
    governor: str | None = "performance"
    files: Mapping[str, str | None] = field(default_factory=dict)  # path -> text; None removes a file
    links: Mapping[str, str] = field(default_factory=dict)


DEFAULTS: Mapping[str, str] = {
    "/proc/sys/vm/swappiness": "60\n",
    "/proc/sys/vm/zone_reclaim_mode": "0\n",
    "/proc/sys/kernel/numa_balancing": "0\n",
    "/proc/sys/kernel/osrelease": "6.8.0-test\n",
    "/proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet iommu=pt\n",
    "/proc/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
    "/proc/self/cgroup": "0::/user.slice/session-1.scope\n",
    "/proc/self/limits": "Limit                     Soft Limit  Hard Limit  Units\n"
    "Max locked memory         unlimited   unlimited   bytes\n",
    "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu memory\n",
    "/sys/fs/cgroup/user.slice/cpu.max": "max 100000\n",
    "/sys/fs/cgroup/user.slice/session-1.scope/cpu.max": "max 100000\n",
    "/sys/fs/cgroup/user.slice/session-1.scope/memory.max": "max\n",
    "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "/sys/kernel/mm/transparent_hugepage/defrag": "always defer defer+madvise [madvise] never\n",
    "/sys/class/dmi/id/sys_vendor": "Testmaker\n",
    "/sys/class/dmi/id/product_name": "Box\n",
    "/sys/class/iommu/dmar0/uevent": "\n",
    "/sys/devices/system/cpu/smt/active": "1\n",
}


def gpu(address: str, ids: tuple[int, int] = (0x10DE, 0x20B5), **facts: object) -> Pci:
    """An A100 PCIe by default."""
    return replace(Pci(address, ids), **facts)  # type: ignore[arg-type]


def root_port(address: str, **facts: object) -> Pci:
    """A root port with a Gen4 x16 link."""
    return replace(Pci(address, (0x8086, 0x347A), 0x060400, port="root"), **facts)  # type: ignore[arg-type]


def switch(address: str, ports: tuple[Pci, ...], ids: tuple[int, int] = (0x1000, 0xC030)) -> Pci:
    """A PCIe switch: the upstream port with its downstream ports."""
    return Pci(address, ids, 0x060400, port="upstream", below=ports)


def downstream(address: str, *below: Pci, ids: tuple[int, int] = (0x1000, 0xC030), **facts: object) -> Pci:
    """A switch's downstream port."""
    made = Pci(address, ids, 0x060400, port="downstream", below=below)
    return replace(made, **facts)  # type: ignore[arg-type]


def isa_bridge() -> Pci:
    """Intel's LPC bridge, the mark of a PCH."""
    return Pci("0000:00:1f.0", (0x8086, 0x7A04), 0x060100, None, None, None)


def host_bridge(address: str = "0000:00:00.0") -> Pci:
    """Class 0600."""
    return Pci(address, (0x8086, 0x09A2), 0x060000, None, None, None)


def channel_slots(sockets: int, channels: str, per_channel: int = 1, **facts: int) -> tuple[Slot, ...]:
    """Slots named as EPYC boards do: `P0 CHANNEL A` / `CPU1_DIMM_A1`."""
    return tuple(
        Slot(f"CPU{socket + 1}_DIMM_{channel}{number + 1}", f"P{socket} CHANNEL {channel}", **facts)
        for socket in range(sockets)
        for channel in channels
        for number in range(per_channel)
    )


def two_socket_box(**facts: object) -> Box:
    """Healthy: two sockets, two nodes, a GPU and a NIC on each, all channels filled."""
    ports = tuple(
        root_port(
            f"0000:{16 + 64 * n:02x}:01.0",
            numa=n,
            below=(gpu(f"0000:{17 + 64 * n:02x}:00.0", files={"local_cpulist": ""}),),
        )
        for n in range(2)
    )
    made = Box(2, 8, 2, pci=(host_bridge(), *ports), slots=channel_slots(2, "ABCDEFGH"))
    return replace(made, **facts)  # type: ignore[arg-type]


def build(box: Box, root: Path) -> Path:
    """Write the tree below `root`."""
    for path, text in {**DEFAULTS, **dict(_cpus(box)), **dict(_nodes(box))}.items():
        _write(root, path, text)
    for device in box.pci:
        _device(box, root, device, f"/sys/devices/pci{device.address[:7]}", 0)
    if box.slots:
        _write(root, "/sys/firmware/dmi/tables/DMI", dmi_table(box.slots))
    for path, text in box.files.items():
        if text is None:
            _at(root, path).unlink(missing_ok=True)
        else:
            _write(root, path, text)
    for path, target in box.links.items():
        _link(root, path, target)
    return root


def read(root: Path) -> Machine:
    """The Machine below `root`."""
    return parse(collect(root, redacted=False))


def _at(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _write(root: Path, path: str, content: str | bytes) -> None:
    place = f"{root}/{path.lstrip('/')}"
    data = content if isinstance(content, bytes) else content.encode()
    try:
        _write_bytes(place, data)
    except FileNotFoundError:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        _write_bytes(place, data)


def _write_bytes(place: str, data: bytes) -> None:
    """A tree has a thousand small files: pathlib and file objects would take most of the time."""
    file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(file, data)
    finally:
        os.close(file)


def _link(root: Path, path: str, target: str) -> None:
    place = _at(root, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def threads_of(box: Box, socket: int, core: int) -> list[int]:
    """CPU numbers of one core, as Linux numbers them on x86: all first threads, then all second ones."""
    total = box.sockets * box.cores
    return [thread * total + socket * box.cores + core for thread in range(box.threads)]


def _mask(cpus: list[int]) -> str:
    value = sum(1 << cpu for cpu in cpus)
    words = max(1, (value.bit_length() + 31) // 32)
    return ",".join(f"{value >> (32 * (words - 1 - n)) & 0xFFFFFFFF:08x}" for n in range(words)) + "\n"


def _ranges(cpus: list[int]) -> str:
    return ",".join(str(cpu) for cpu in sorted(cpus)) + "\n"


def _cpus(box: Box) -> Iterator[tuple[str, str]]:
    base = "/sys/devices/system/cpu"
    everyone = range(box.sockets * box.cores * box.threads)
    online = [cpu for cpu in everyone if cpu not in box.offline]
    yield f"{base}/present", _ranges(list(everyone))
    yield f"{base}/possible", _ranges(list(everyone))
    yield f"{base}/online", _ranges(online)
    info = []
    for socket in range(box.sockets):
        package = [c for core in range(box.cores) for c in threads_of(box, socket, core) if c in online]
        for core in range(box.cores):
            mates = [cpu for cpu in threads_of(box, socket, core) if cpu in online]
            for cpu in threads_of(box, socket, core):
                yield f"{base}/cpu{cpu}/online", "0\n" if cpu in box.offline else "1\n"
                if cpu in box.offline:
                    continue
                yield f"{base}/cpu{cpu}/topology/physical_package_id", f"{socket}\n"
                yield f"{base}/cpu{cpu}/topology/core_id", f"{core}\n"
                yield f"{base}/cpu{cpu}/topology/thread_siblings", _mask(mates)
                yield f"{base}/cpu{cpu}/topology/core_siblings", _mask(package)
                yield f"{base}/cpu{cpu}/cache/index3/level", "3\n"
                yield f"{base}/cpu{cpu}/cache/index3/size", "32768K\n"
                yield f"{base}/cpu{cpu}/cache/index3/shared_cpu_map", _mask(package)
                if box.governor:
                    yield f"{base}/cpu{cpu}/cpufreq/scaling_governor", f"{box.governor}\n"
                info.append(f"processor\t: {cpu}\nmodel name\t: {box.model}\nflags\t\t: {box.flags}\n")
    yield "/proc/cpuinfo", "\n".join(info)


def _nodes(box: Box) -> Iterator[tuple[str, str]]:
    base = "/sys/devices/system/node"
    count = box.sockets * box.nodes
    share = box.cores // box.nodes
    kib = box.memory_gib << 20
    for socket in range(box.sockets):
        for part in range(box.nodes):
            node = socket * box.nodes + part
            cores = range(part * share, (part + 1) * share)
            cpus = [c for core in cores for c in threads_of(box, socket, core) if c not in box.offline]
            yield f"{base}/node{node}/cpumap", _mask(cpus)
            yield f"{base}/node{node}/meminfo", f"Node {node} MemTotal: {kib} kB\nNode {node} MemFree: {kib // 2} kB\n"
            near = ("10" if n == node else "12" if n // box.nodes == socket else "32" for n in range(count))
            yield f"{base}/node{node}/distance", " ".join(near) + "\n"
            for size, pages in ((2048, 0), (1048576, 0)):
                folder = f"{base}/node{node}/hugepages/hugepages-{size}kB"
                yield f"{folder}/nr_hugepages", f"{pages}\n"
                yield f"{folder}/free_hugepages", f"{pages}\n"
    yield f"{base}/online", _ranges(list(range(count)))
    total = kib * count
    swap = "SwapTotal: 0 kB\nSwapFree: 0 kB\n"
    yield "/proc/meminfo", f"MemTotal: {total} kB\nMemFree: {total // 2} kB\nMemAvailable: {total // 2} kB\n{swap}"


def _device(box: Box, root: Path, device: Pci, above: str, numa: int) -> None:
    path = f"{above}/{device.address}"
    numa = device.numa if device.numa is not None else numa
    facts = {
        "vendor": f"0x{device.ids[0]:04x}\n",
        "device": f"0x{device.ids[1]:04x}\n",
        "class": f"0x{device.class_code:06x}\n",
        "numa_node": f"{numa}\n",
        **_link_files("current", device.now),
        **_link_files("max", device.best),
        **device.files,
    }
    for name, text in facts.items():
        _write(root, f"{path}/{name}", text)
    _write(root, f"{path}/config", config_space(device))
    depth = "../" * 4
    _link(root, f"/sys/bus/pci/devices/{device.address}", f"{depth}{path.removeprefix('/sys/')}"[3:])
    for child in device.below:
        _device(box, root, child, path, numa)


def _link_files(which: str, link: Link | None) -> dict[str, str]:
    if link is None:
        return {}
    return {f"{which}_link_speed": f"{_SPEED[link[0]]} GT/s PCIe\n", f"{which}_link_width": f"{link[1]}\n"}


def config_space(device: Pci) -> bytes:
    """4 KiB of configuration space: header type, bus numbers, PCIe capability, ACS."""
    space = bytearray(4096)
    bridge = device.class_code >> 8 == 0x0604
    space[0x0E] = 1 if bridge else 0
    if bridge and device.below:
        buses = [int(child.address[5:7], 16) for child in device.below]
        space[0x19], space[0x1A] = min(buses), max(_buses(device))
    if device.port is not None:
        space[0x34], space[0x40], space[0x42] = 0x40, 0x10, _PORT[device.port] << 4
    if device.acs is not None:
        space[0x100:0x108] = struct.pack("<IHH", 0x0001000D, 0x1F, 0x1D if device.acs else 0x00)
    return bytes(space)


def _buses(device: Pci) -> Iterator[int]:
    for child in device.below:
        yield int(child.address[5:7], 16)
        yield from _buses(child)


def dmi_table(slots: tuple[Slot, ...]) -> bytes:
    """An SMBIOS table: one memory array (type 16) and its devices (type 17, DSP0134 3.7 layout)."""
    array = struct.pack("<BBHBBBIHHQ", 16, 23, 0x1000, 3, 3, 6, 0x80000000, 0xFFFE, len(slots), 0)
    parts = [array + b"\0\0"]
    for number, slot in enumerate(slots):
        size = 0x7FFF if slot.gib >= 32 else slot.gib * 1024
        body = struct.pack(
            "<BBHHHHHHBBBBBHHBBBBBIHHHH",
            17, 40, 0x1100 + number, 0x1000, 0xFFFE, 72, 64, size, 9, 0, 1, 2, 0x22 if slot.gib else 2, 0x80,
            slot.rated if slot.gib else 0, 3, 4, 5, 6, 2, slot.gib * 1024 if size == 0x7FFF else 0,
            slot.mt_s if slot.gib else 0, 0, 0, 0,
        )  # fmt: skip
        strings = (slot.locator, slot.bank, "Maker", "SERIAL-123", "ASSET-9", "PART-1")
        parts.append(body + b"".join(text.encode() + b"\0" for text in strings) + b"\0")
    parts.append(struct.pack("<BBH", 127, 4, 0xFEFF) + b"\0\0")
    return b"".join(parts)
