"""What hangs where in a machine, as a tree ready to be drawn: sockets, memory, bridges, GPUs, network cards. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine, Nic, Socket
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.nouns.finding import Finding, Verdict
from wellfed.topology.forest import bridge_kind, devices_with_sockets, forest
from wellfed.units import format_bytes


@dataclass(frozen=True, slots=True)
class Branch:
    """A device of the tree. `link` is the one above it as it runs, `most` what it could be; `faults` number findings."""

    kind: str  # port | switch | bridge | gpu | nic
    name: str
    detail: str = ""
    link: PcieLink | None = None
    most: PcieLink | None = None
    faults: tuple[int, ...] = ()
    below: tuple[Branch, ...] = ()
    gpu: int | None = None  # its index

    @property
    def leaves(self) -> int:
        """How many columns of the drawing the branch takes."""
        return sum(branch.leaves for branch in self.below) or 1

    @property
    def depth(self) -> int:
        """How many rows of bridges are above its deepest device."""
        return 1 + max((branch.depth for branch in self.below), default=0)


@dataclass(frozen=True, slots=True)
class Package:
    """A socket with its memory channels, nodes and devices. `socket` None: devices whose socket is not known."""

    socket: Socket | None
    branches: tuple[Branch, ...]
    nodes: tuple[str, ...] = ()
    faults: tuple[int, ...] = ()
    memory_faults: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Wiring:
    """The whole machine; `elsewhere`: numbers of findings that belong to no drawn part."""

    packages: tuple[Package, ...]
    elsewhere: tuple[int, ...] = ()


def wiring(machine: Machine, findings: Sequence[tuple[int, Finding]]) -> Wiring:
    """The machine's tree. `findings` each with its number; several may share one."""
    marks = _Marks(findings)
    homes = devices_with_sockets(machine)
    packages = tuple(_package(machine, socket, homes, marks) for socket in machine.sockets)
    known_sockets = {socket.index for socket in machine.sockets}
    loose = [device for device, home in homes if home not in known_sockets]
    if loose:
        packages = (*packages, Package(None, _branches(machine, loose, marks)))
    return Wiring(packages, marks.unused())


class _Marks:
    """Which numbered findings speak of a subject or an address."""

    def __init__(self, findings: Iterable[tuple[int, Finding]]) -> None:
        self._by_name: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self._all: dict[int, bool] = {}
        for number, finding in findings:
            if finding.verdict in (Verdict.WARN, Verdict.FAIL):
                self._all.setdefault(number, False)
                for name in (finding.subject, *finding.places):
                    self._by_name[name].append((number, finding.id))

    def at(self, *names: str, memory: bool | None = None) -> tuple[int, ...]:
        """The numbers; `memory`: only those of memory checks, or only others."""
        rows = [row for name in names for row in self._by_name.get(name, ())]
        numbers = [n for n, check in rows if memory is None or check.startswith("mem-") is memory]
        for number in numbers:
            self._all[number] = True
        return tuple(dict.fromkeys(numbers))

    def unused(self) -> tuple[int, ...]:
        return tuple(number for number, used in self._all.items() if not used)


def _package(machine: Machine, socket: Socket, homes: Sequence[tuple[Gpu | Nic, int | None]], marks: _Marks) -> Package:
    nodes = [node for node in machine.numa_nodes if node.socket == socket.index and not node.gpu_memory]
    node_labels = tuple(f"node{node.os_index} · {format_bytes(node.memory_bytes)}" for node in nodes)
    subjects = (f"socket{socket.index}", *(f"node{node.os_index}" for node in nodes))
    own_devices = [device for device, home in homes if home == socket.index]
    return Package(
        socket, _branches(machine, own_devices, marks), node_labels,
        marks.at(*subjects, memory=False), marks.at(*subjects, memory=True),
    )  # fmt: skip


def _branches(machine: Machine, devices: Iterable[Gpu | Nic], marks: _Marks) -> tuple[Branch, ...]:
    def inner(device: PciDevice, children: tuple[Branch, ...]) -> Branch:
        link, most = _link(device)
        address = device.address
        return Branch(bridge_kind(device), address, device.name or "", link, most, marks.at(address), children)

    return forest(machine, devices, lambda device, function: _leaf(device, function, marks), inner)


def _leaf(device: Gpu | Nic, pci: PciDevice | None, marks: _Marks) -> Branch:
    address = device.pci_address or ""
    link, most = _link(pci) if pci else (None, None)
    if isinstance(device, Nic):
        rate = f"{device.bytes_per_s * 8e-9:g} Gb/s" if device.bytes_per_s else ""
        return Branch("nic", device.name, rate, link, most, marks.at(device.name, address))
    name = (device.spec.name if device.spec else device.name) or "GPU ?"
    memory = format_bytes(device.memory_bytes) if device.memory_bytes else "?"
    gpu_link = device.link
    slower_link = gpu_link if link is None or (gpu_link and gpu_link.bytes_per_s < link.bytes_per_s) else link
    lanes = device.spec.pcie_lanes if device.spec else None
    generation = device.spec.pcie_generation if device.spec else None
    best = PcieLink(generation, lanes) if generation and lanes else most
    return Branch(
        "gpu", name, memory, gpu_link or slower_link, best, marks.at(f"gpu{device.index}", address), (), device.index
    )


def _link(device: PciDevice) -> tuple[PcieLink | None, PcieLink | None]:
    return device.link_current or device.link_max, device.link_max
