"""`lstopo` XML (hwloc 1.x and 2.x): packages, cores, PUs, NUMA nodes, PCI tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from xml.etree.ElementTree import Element

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Cpu, Gpu, Machine, Nic, NumaNode, Origin, Socket
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.topology.lists import cpu_mask, integer
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.reader import Reader
from wellfed.topology.readers.xml import parse_xml


@dataclass(slots=True)
class HwlocTree:
    """The objects of an hwloc topology, gathered while its tree is walked."""

    sockets: list[Socket] = field(default_factory=list)
    nodes: list[NumaNode] = field(default_factory=list)
    cpus: list[Cpu] = field(default_factory=list)
    pci: list[PciDevice] = field(default_factory=list)
    nics: list[Nic] = field(default_factory=list)
    cores: int = 0
    cards: dict[str, tuple[str, str]] = field(default_factory=dict)  # address -> name and vendor, "" where not told

    def card(self, address: str, text: str) -> None:
        """Note a GPU's operating system device: CUDA, NVML, RSMI, LevelZero; not OpenCL, which CPUs have, too."""
        match = re.search(r'GPUModel="([^"]*)"', text)
        vendor = (
            "nvidia"
            if re.search(r"cuda\d|nvml\d|CUDA|NVML", text)
            else "amd"
            if re.search(r"rsmi\d|RSMI", text)
            else ""
        )
        if not match and not vendor:
            return
        name, before = self.cards.get(address, ("", ""))
        self.cards[address] = (match[1] if match else name, vendor or before)


@dataclass(frozen=True, slots=True)
class Place:
    """The objects above the one that the walk is at."""

    socket: int | None = None
    core: int | None = None
    bridge: str | None = None
    device: str | None = None
    nodes: tuple[int, ...] = ()


def recognises(text: str) -> bool:
    """The root element with hwloc objects."""
    return "<topology" in text[:4000] and "<object type=" in text


def parse(text: str) -> Machine:
    """The topology. Raises BadInput on broken XML."""
    root = parse_xml(text, "topology")
    tree = HwlocTree()
    for element in root.findall("object"):
        _walk(element, Place(), tree)
    machine = root.find("object")
    distances = _distances(root)
    nodes = [_with_details(node, distances, tree.cpus) for node in sorted(tree.nodes, key=lambda n: n.os_index)]
    sockets = tuple(_counted(socket, tree.cpus) for socket in tree.sockets)
    return Machine(
        _info(machine, "DMIProductName") or "" if machine is not None else "",
        Origin.DUMP,
        sockets=sockets,
        numa_nodes=tuple(nodes),
        pci=tuple(tree.pci),
        nics=tuple(tree.nics),
        unknown={
            "pci.link": sentence(
                "lstopo-xml.lstopo-tells-link", "lstopo tells a link's bandwidth, not its generation and width"
            )
        }
        if tree.pci
        else {},
        cpus=tuple(sorted(tree.cpus, key=lambda cpu: cpu.os_index)),
        gpus=tuple(
            Gpu(index, name=name or None, pci_address=address, vendor=vendor or None)
            for index, (address, (name, vendor)) in enumerate(sorted(tree.cards.items()))
        ),
        pci_complete=False if tree.pci else None,
    )


def _walk(element: Element, place: Place, tree: HwlocTree) -> None:
    kind = element.get("type") or ""
    index = integer(element.get("os_index"))
    if kind in ("Package", "Socket"):
        place = _replace(place, socket=len(tree.sockets))
        tree.sockets.append(Socket(len(tree.sockets), name=_info(element, "CPUModel")))
    elif kind == "NUMANode" and index is not None:
        tree.nodes.append(_node(element, index))
    elif kind == "Core":
        place = _replace(place, core=tree.cores)
        tree.cores += 1
    elif kind == "PU" and index is not None:
        tree.cpus.append(Cpu(index, place.socket, place.core))
    elif kind in ("Bridge", "PCIDev"):
        place = _pci(element, place, tree)
    elif kind == "OSDev" and element.get("osdev_type") in ("1", "5") and place.device:
        model = _info(element, "GPUModel")
        tree.card(place.device, f'{element.get("name")} GPUModel="{model}"' if model else element.get("name") or "")
    elif kind == "OSDev" and element.get("osdev_type") in ("2", "3") and place.device:
        tree.nics.append(Nic(element.get("name") or "?", place.device))
    nodes = cpu_mask(element.get("nodeset"))
    if nodes and kind not in ("Bridge", "PCIDev", "OSDev"):
        place = _replace(place, nodes=nodes)
    for child in element.findall("object"):
        _walk(child, place, tree)


def _replace(place: Place, **changes: int | str | tuple[int, ...] | None) -> Place:
    from dataclasses import replace

    return replace(place, **changes)  # type: ignore[arg-type]


def _node(element: Element, index: int) -> NumaNode:
    cpus = cpu_mask(element.get("cpuset"))
    return NumaNode(index, cpus=cpus or (), memory_bytes=integer(element.get("local_memory")))


def _pci(element: Element, place: Place, tree: HwlocTree) -> Place:
    """PCI functions and PCI bridges; host bridges have no address and leave the place as it is."""
    address = element.get("pci_busid")
    if not address:
        return place
    ids = re.match(r"([0-9a-f]{4})(?: \(.*?\))? \[([0-9a-f]{4}):([0-9a-f]{4})\]", element.get("pci_type") or "", re.I)
    buses = re.search(r"\[([0-9a-f]{2})-([0-9a-f]{2})\]", element.get("bridge_pci") or "")
    here = normal_address(address)
    vendor, device = (int(ids[2], 16), int(ids[3], 16)) if ids else (0, 0)
    tree.pci.append(
        PciDevice(
            here,
            vendor_id=vendor or None,
            device_id=device or None,
            class_code=int(ids[1], 16) << 8 if ids else None,
            name=_info(element, "PCIDevice"),
            parent=place.bridge,
            numa_node=place.nodes[0] if len(place.nodes) == 1 else None,
            secondary_bus=int(buses[1], 16) if buses else None,
            subordinate_bus=int(buses[2], 16) if buses else None,
        )
    )
    return _replace(place, bridge=here, device=here)


def _info(element: Element, name: str) -> str | None:
    return next((i.get("value") for i in element.findall("info") if i.get("name") == name and i.get("value")), None)


def _distances(root: Element) -> dict[int, dict[int, int]]:
    """hwloc 2's latency matrix between NUMA nodes, by os index."""
    for matrix in root.findall("distances2"):
        if matrix.get("type") != "NUMANode" or matrix.get("indexing") != "os":
            continue
        names = list(_numbers(matrix, "indexes"))
        values = list(_numbers(matrix, "u64values"))
        size = len(names)
        if len(values) == size * size:
            return {a: dict(zip(names, values[i * size : (i + 1) * size], strict=True)) for i, a in enumerate(names)}
    return {}


def _numbers(matrix: Element, tag: str) -> Iterator[int]:
    for part in matrix.findall(tag):
        yield from (int(word) for word in (part.text or "").split() if word.isdecimal())


def _with_details(node: NumaNode, distances: dict[int, dict[int, int]], cpus: list[Cpu]) -> NumaNode:
    from dataclasses import replace

    online = {cpu.os_index for cpu in cpus}
    return replace(
        node,
        distances=distances.get(node.os_index, {}),
        cpus=tuple(cpu for cpu in node.cpus if not online or cpu in online),
    )


def _counted(socket: Socket, cpus: list[Cpu]) -> Socket:
    from dataclasses import replace

    own_cpus = [cpu for cpu in cpus if cpu.socket == socket.index]
    cores = {cpu.core for cpu in own_cpus if cpu.core is not None}
    return replace(socket, cores=len(cores) or None, threads=len(own_cpus))


READER = Reader(
    "lstopo XML",
    "lstopo-no-graphics --of xml",
    sentence("lstopo-xml.text-packages-cores-numa", "packages, cores, NUMA nodes with distances, PCI tree"),
    ("<topology",),
    recognises,
    parse,
)
