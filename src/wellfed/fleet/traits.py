"""What a machine is made of and set to, subject by subject: what two equal machines share. Nothing that moves by itself
(free memory, temperatures, clocks of the moment) is a trait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine, Socket
from wellfed.topology.snapshot import Snapshot, Tree
from wellfed.units import format_bytes

UNKNOWN = "?"
_BIOS = "/sys/class/dmi/id"


@dataclass(frozen=True, slots=True, order=True)
class Trait:
    """What is compared: of a subject (gpu3, socket0, system), one property."""

    subject: str
    name: str


def traits(machine: Machine, firmware: str | None = None) -> Mapping[Trait, str]:
    """Every trait with its value as words; `?` where the source does not tell."""
    value_of: dict[Trait, str] = {}
    for subject, name, value in _trait_values(machine):
        value_of[Trait(subject, name)] = UNKNOWN if value is None else str(value)
    value_of[Trait("system", "firmware")] = firmware or UNKNOWN
    return value_of


def firmware(snapshot: Snapshot) -> str | None:
    """The firmware's version and date, as the system tells them."""
    tree = Tree(snapshot)
    words = (tree.text(f"{_BIOS}/bios_version"), tree.text(f"{_BIOS}/bios_date"))
    return " ".join(filter(None, words)) or None


def product(machine: Machine, snapshot: Snapshot) -> str:
    """The maker's name of the machine; empty where its firmware tells none: then it is called as its snapshot is."""
    return "" if machine.name == snapshot.name else machine.name


def family(machine: Machine, product: str) -> tuple[str, str, str]:
    """The build that a machine is of: product, CPUs, and the GPU that most of its cards are (`-` for none)."""
    cpus = sorted({socket.cpu.name if socket.cpu else socket.name or UNKNOWN for socket in machine.sockets})
    names = Counter(_gpu_name(gpu) for gpu in machine.gpus)
    most = names.most_common(1)
    return product, " + ".join(cpus) or machine.cpu_name or UNKNOWN, most[0][0] if most else "-"


def _gpu_name(gpu: Gpu) -> str:
    return gpu.spec.name if gpu.spec else gpu.name or UNKNOWN


def _trait_values(machine: Machine) -> Iterator[tuple[str, str, object]]:
    yield "system", "gpus", len(machine.gpus)
    yield "system", "sockets", len(machine.sockets) or None
    yield "system", "memory", _size(machine.memory_bytes)
    yield "system", "numa nodes", len(machine.numa_nodes) or None
    for socket in machine.sockets:
        yield from _socket(socket)
    for gpu in machine.gpus:
        yield from _gpu(gpu)
    yield from _links(machine)
    yield from _nics(machine)
    yield from _system(machine)


def _socket(socket: Socket) -> Iterator[tuple[str, str, object]]:
    subject = f"socket{socket.index}"
    yield subject, "cpu", socket.cpu.name if socket.cpu else socket.name
    yield subject, "cores", socket.cores
    yield subject, "threads", socket.threads
    yield subject, "memory channels", socket.channels
    yield subject, "memory speed", None if socket.mt_s is None else f"{socket.mt_s:.0f} MT/s"
    yield subject, "memory", _size(socket.memory_bytes)


def _gpu(gpu: Gpu) -> Iterator[tuple[str, str, object]]:
    subject = f"gpu{gpu.index}"
    yield subject, "gpu", _gpu_name(gpu)
    yield subject, "memory", _size(gpu.memory_bytes)
    yield subject, "link", gpu.link
    yield subject, "numa node", gpu.numa_node
    yield subject, "power limit", None if gpu.power_limit_w is None else f"{gpu.power_limit_w:.0f} W"
    yield subject, "ECC", _on_or_off(gpu.ecc_enabled)
    yield subject, "MIG", _on_or_off(gpu.mig)
    yield subject, "driver", gpu.driver
    yield subject, "NVLinks", gpu.nvlinks_active


def _links(machine: Machine) -> Iterator[tuple[str, str, object]]:
    kinds = Counter(link.kind for link in machine.gpu_links if link.active)
    yield "system", "gpu links", ", ".join(f"{count}x {kind}" for kind, count in sorted(kinds.items())) or "none"


def _nics(machine: Machine) -> Iterator[tuple[str, str, object]]:
    for number, nic in enumerate(
        sorted((n for n in machine.nics if n.physical), key=lambda n: n.pci_address or n.name)
    ):
        subject = f"nic{number}"
        yield subject, "kind", nic.kind
        yield subject, "rate", None if nic.bytes_per_s is None else f"{nic.bytes_per_s * 8 / 1e9:.0f} Gb/s"
        yield subject, "numa node", nic.numa_node
        yield subject, "up", _on_or_off(nic.up)


def _system(machine: Machine) -> Iterator[tuple[str, str, object]]:
    system = machine.os
    yield "system", "kernel", system.kernel
    yield "system", "NVIDIA driver", system.nvidia_driver
    yield "system", "governor", ", ".join(sorted(system.governors)) or system.governor
    yield "system", "boost", _on_or_off(system.boost)
    yield "system", "SMT", _on_or_off(system.smt)
    yield "system", "NUMA balancing", _on_or_off(system.numa_balancing)
    yield "system", "transparent huge pages", system.transparent_huge_pages
    yield "system", "huge pages", _huge_pages(machine)
    yield "system", "IOMMU", system.iommu
    yield "system", "offline CPUs", _cpus(system.cpus_offline)
    yield "system", "isolated CPUs", _cpus(system.cpus_isolated)
    yield "system", "zone reclaim", system.zone_reclaim_mode
    yield "system", "swappiness", system.swappiness
    yield "system", "/dev/shm", _size(system.shared_memory_bytes)


def _huge_pages(machine: Machine) -> str | None:
    pages = machine.os.huge_pages
    if not pages:
        return None
    total = sum(size * count for sizes in pages.values() for size, count in sizes.items())
    return _size(total) if total else "none"


def _size(value: int | None) -> str | None:
    """To the nearest GiB from one up: what firmware keeps for itself differs by megabytes between equal machines."""
    if value is None:
        return None
    return format_bytes(round(value / 2**30) * 2**30 if value >= 2**30 else value)


def _on_or_off(value: bool | None) -> str | None:
    return None if value is None else "on" if value else "off"


def _cpus(value: tuple[int, ...] | None) -> str | None:
    if value is None:
        return None
    return str(len(value)) if value else "none"
