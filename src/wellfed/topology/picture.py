"""A machine as nested boxes: sockets, memory, the PCIe ways to GPUs and network cards, links between GPUs. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, GpuLink, Machine, Nic, Socket
from wellfed.hardware.pcie import PciDevice
from wellfed.message import joined, sentence
from wellfed.nouns.finding import Finding, Verdict
from wellfed.topology.forest import bridge_kind, devices_with_sockets, forest
from wellfed.units import format_bandwidth, format_bytes


@dataclass(frozen=True, slots=True)
class Box:
    """One thing on the picture; `faults` are the ids of checks that warn or fail on it."""

    kind: str  # machine | socket | memory | node | port | switch | bridge | gpu | nic | links
    title: str
    detail: str = ""
    faults: tuple[str, ...] = ()
    children: tuple[Box, ...] = ()


def picture(machine: Machine, findings: Iterable[Finding] = ()) -> Box:
    """The machine's box; what hangs on no known socket hangs on the machine itself."""
    faults = _Faults.of(findings)
    homes = devices_with_sockets(machine)
    sockets = tuple(_socket(machine, socket, homes, faults) for socket in machine.sockets)
    socket_indices = {socket.index for socket in machine.sockets}
    loose = [device for device, home in homes if home not in socket_indices]
    links = _links(machine, faults)
    children = (*sockets, *_ways(machine, loose, faults), *links)
    title = machine.name or sentence("picture.machine", "machine")
    detail = (
        sentence("picture.ram", "{size} RAM", size=format_bytes(machine.memory_bytes)) if machine.memory_bytes else ""
    )
    return Box("machine", title, detail, faults.at("system"), children)


@dataclass(frozen=True, slots=True)
class _Faults:
    """Which checks complain of what."""

    by_subject: Mapping[str, tuple[str, ...]]
    by_place: Mapping[str, tuple[str, ...]]  # PCI address -> ids

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> _Faults:
        by_subject: dict[str, list[str]] = defaultdict(list)
        places: dict[str, list[str]] = defaultdict(list)
        for finding in findings:
            if finding.verdict in (Verdict.WARN, Verdict.FAIL):
                by_subject[finding.subject].append(finding.id)
                for place in finding.places:
                    places[place].append(finding.id)
        return cls(_unique(by_subject), _unique(places))

    def at(self, *subjects: str) -> tuple[str, ...]:
        """Ids of the checks that complain of any of these subjects."""
        return tuple(dict.fromkeys(id for subject in subjects for id in self.by_subject.get(subject, ())))

    def about(self, address: str) -> tuple[str, ...]:
        """Ids of the checks that complain of this device, or of something at its address."""
        return tuple(dict.fromkeys((*self.at(address), *self.by_place.get(address, ()))))


def _unique(ids: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(dict.fromkeys(repeated)) for key, repeated in ids.items()}


_BRIDGE = sentence("picture.bridge", "bridge")
_PORTS = {
    "root": sentence("picture.root-port", "root port"),
    "upstream": sentence("picture.switch", "switch"),
    "downstream": sentence("picture.port", "port"),
}


def _socket(machine: Machine, socket: Socket, homes: Sequence[tuple[Gpu | Nic, int | None]], faults: _Faults) -> Box:
    name = socket.cpu.name if socket.cpu else socket.name or sentence("picture.unknown-cpu", "unknown CPU")
    cores = sentence("picture.cores", "{cores} cores", cores=socket.cores) if socket.cores else ""
    nodes = [node for node in machine.numa_nodes if node.socket == socket.index and not node.gpu_memory]
    children = [_memory(socket, faults)] if socket.channels or socket.memory_bytes else []
    if len(nodes) > 1 or any(faults.at(f"node{node.os_index}") for node in nodes):
        children += [
            Box("node", f"node{n.os_index}", format_bytes(n.memory_bytes), faults.at(f"node{n.os_index}"))
            for n in nodes
        ]
    own_devices = [device for device, home in homes if home == socket.index]
    bad = tuple(id for id in faults.at(f"socket{socket.index}") if not id.startswith("mem-"))
    return Box(
        "socket",
        joined(": ", (f"socket{socket.index}", name)),
        cores,
        bad,
        (*children, *_ways(machine, own_devices, faults)),
    )


def _memory(socket: Socket, faults: _Faults) -> Box:
    there_are = max(socket.channels_named or 0, socket.cpu.memory_channels if socket.cpu else 0)
    channels: str = str(socket.channels)
    if there_are:
        channels = sentence("picture.out-of", "{seen} of {most}", seen=socket.channels, most=there_are)
    words = [
        sentence("picture.channels", "{channels} channels", channels=channels) if socket.channels else "",
        f"{socket.mt_s:.0f} MT/s" if socket.mt_s else "",
    ]
    bandwidth = socket.memory_bandwidth_bytes_per_s
    words.append(format_bandwidth(bandwidth) if bandwidth else "")
    bad = tuple(id for id in faults.at(f"socket{socket.index}") if id.startswith("mem-"))
    title = sentence("picture.memory", "RAM")
    if socket.memory_bytes:
        title = sentence("picture.ram", "{size} RAM", size=format_bytes(socket.memory_bytes))
    return Box("memory", title, joined(", ", (word for word in words if word)), bad)


def _ways(machine: Machine, devices: Iterable[Gpu | Nic], faults: _Faults) -> tuple[Box, ...]:
    """The bridges above these devices as a tree, with the devices as its leaves."""

    def inner(device: PciDevice, children: tuple[Box, ...]) -> Box:
        word = _PORTS.get(device.port or "", _BRIDGE)
        address = device.address
        return Box(
            bridge_kind(device), joined(" ", (word, address)), link_text(device), faults.about(address), children
        )

    return forest(machine, devices, lambda device, function: _leaf(device, function, faults), inner)


def _leaf(part: Gpu | Nic, device: PciDevice | None, faults: _Faults) -> Box:
    address = part.pci_address or ""
    about = faults.about(address) if address else ()
    if isinstance(part, Nic):
        rate = f"{part.bytes_per_s * 8e-9:g} Gb/s" if part.bytes_per_s else ""
        detail = joined(", ", (word for word in (rate, link_text(device) if device else "") if word))
        return Box(
            "nic", f"{part.name} {address}".strip(), detail, tuple(dict.fromkeys((*faults.at(part.name), *about)))
        )
    name = part.spec.name if part.spec else part.name or "GPU"
    words = [format_bytes(part.memory_bytes) if part.memory_bytes else "", _gpu_link(part, device)]
    ids = tuple(dict.fromkeys((*faults.at(f"gpu{part.index}"), *about)))
    return Box("gpu", f"gpu{part.index} {name} {address}".strip(), joined(", ", (word for word in words if word)), ids)


def _gpu_link(gpu: Gpu, device: PciDevice | None) -> str:
    if device is not None and link_text(device):
        return link_text(device)
    return str(gpu.link) if gpu.link else ""


def link_text(device: PciDevice) -> str:
    """Gen4 x8 of Gen5 x16: as seen, and at most."""
    current, most = device.link_current, device.link_max
    if current and most and current != most:
        return sentence("picture.of", "{seen} of {most}", seen=current, most=most)
    return str(current or most or "")


def _links(machine: Machine, faults: _Faults) -> tuple[Box, ...]:
    """Links between GPUs; alike ones are counted where there are many."""
    if not machine.gpu_links:
        return ()
    if len(machine.gpu_links) <= 6:
        lines = tuple(Box("links", f"gpu{x.a} - gpu{x.b}", _link_words(x)) for x in machine.gpu_links)
    else:
        alike = Counter(_link_words(link) for link in machine.gpu_links)
        lines = tuple(
            Box("links", sentence("picture.pairs", "{count} pairs", count=count), words)
            for words, count in alike.items()
        )
    bad = ("nvlink",) if any("nvlink" in ids for ids in faults.by_subject.values()) else ()
    return (Box("links", sentence("picture.links", "links between GPUs"), "", bad, lines),)


def _link_words(link: GpuLink) -> str:
    rate = (
        sentence("picture.each-way", ", {bytes} each way", bytes=format_bandwidth(link.bytes_per_s))
        if link.bytes_per_s
        else ""
    )
    down = "" if link.active else sentence("picture.down", ", down")
    return joined("", (link.kind, rate, down))
