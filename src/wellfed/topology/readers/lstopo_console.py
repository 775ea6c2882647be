"""`lstopo --of console`, with and without -v: the same tree as the XML, by indentation."""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Cpu, Gpu, Machine, Nic, NumaNode, Origin, Socket
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.topology.names import VENDORS, gpu_name
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.lstopo_xml import HwlocTree, Place
from wellfed.topology.readers.numbers import power_of_1024
from wellfed.topology.readers.reader import Reader

_KIND = re.compile(
    r"(Package|Socket|NUMANode|Core|PU|HostBridge|PCIBridge|PCI|Net|Network|OpenFabrics|CoProc|GPU|Group0|Die|L\d[di]?Cache|L\d[di]?)"
    r"(?:\([^)]*\))?(?: L#(\d+))?"
)


@dataclass(frozen=True, slots=True)
class _Item:
    kind: str
    text: str
    depth: int


def recognises(text: str) -> bool:
    """`Machine (...)` followed by hwloc objects with `L#`."""
    return bool(
        re.search(r"^Machine(?: L#0)?\b.*\(?", text, re.M) and re.search(r"\b(?:PU|Package|Socket|Core) L#\d+", text)
    )


def parse(text: str) -> Machine:
    """Packages, cores, PUs, NUMA nodes and PCI functions."""
    tree = HwlocTree()
    stack: list[tuple[int, Place]] = []
    for item in _items(text):
        while stack and stack[-1][0] >= item.depth:
            stack.pop()
        place = stack[-1][1] if stack else Place()
        stack.append((item.depth, _take(item, place, tree)))
    cpus = tuple(sorted(tree.cpus, key=lambda cpu: cpu.os_index))
    name = re.search(r'DMIProductName="?([^"\n]*?)"? DMI', text) or re.search(r'PlatformModel="([^"]*)"', text)
    return Machine(
        name[1] if name else "",
        Origin.DUMP,
        sockets=tuple(_counted(socket, cpus) for socket in tree.sockets),
        numa_nodes=tuple(_homed(node, cpus) for node in sorted(tree.nodes, key=lambda n: n.os_index)),
        pci=tuple(tree.pci),
        nics=tuple(tree.nics),
        cpus=cpus,
        pci_complete=False if tree.pci else None,
        gpus=_named(tree),
        unknown={"pci.cut": sentence("lstopo-console.lines-listing", "lines of the listing are missing")}
        if _is_cut(text)
        else {},
    )


def _is_cut(text: str) -> bool:
    """hwloc numbers hardware threads without gaps; a gap is a line that was left out."""
    numbers = [int(number) for number in re.findall(r"\bPU L#(\d{1,6})", text)]
    return bool(numbers) and set(numbers) != set(range(len(numbers)))


def _named(tree: HwlocTree) -> tuple[Gpu, ...]:
    """Functions that a GPU's programming interface calls its own, with their name where -v shows it."""
    return tuple(
        Gpu(index, name=name or None, pci_address=address, vendor=vendor or None)
        for index, (address, (name, vendor)) in enumerate(sorted(tree.cards.items()))
    )


def _items(text: str) -> list[_Item]:
    """One item per object; `A + B + C` on a line are nested."""
    items = []
    for line in text.splitlines():
        if line.startswith(("depth", " depth", "Special", "Relative")) or re.match(r"\s*(index|\d+)\s+\d", line):
            continue
        body = line.strip()
        depth = (len(line) - len(line.lstrip())) * 8
        for offset, part in enumerate(re.split(r" \+ (?=[A-Z])", body)):
            match = _KIND.match(part)
            if match:
                items.append(_Item(match[1], part, depth + offset))
    return items


def _take(item: _Item, place: Place, tree: HwlocTree) -> Place:
    index = _index(item.text)
    if item.kind in ("Package", "Socket"):
        model = re.search(r'CPUModel="([^"]*)"', item.text)
        tree.sockets.append(Socket(len(tree.sockets), name=model[1] if model else None))
        return replace(place, socket=len(tree.sockets) - 1)
    if item.kind == "NUMANode" and index is not None:
        tree.nodes.append(NumaNode(index, memory_bytes=_size(item.text)))
        return replace(place, nodes=(index,))
    if item.kind == "Core":
        tree.cores += 1
        return replace(place, core=tree.cores - 1)
    if item.kind == "PU" and index is not None:
        node = _nearest_node(place, tree)
        tree.cpus.append(Cpu(index, place.socket, place.core, node))
    if item.kind in ("PCI", "PCIBridge"):
        return _pci(item, place, tree)
    if item.kind in ("Net", "Network", "OpenFabrics") and place.device:
        name = re.search(r'"([^"]+)"', item.text)
        tree.nics.append(Nic(name[1] if name else "?", place.device))
    if item.kind in ("CoProc", "GPU") and place.device:
        tree.card(place.device, item.text)
    return place


def _nearest_node(place: Place, tree: HwlocTree) -> int | None:
    """hwloc prints a memory child before its siblings: the last node of this package holds the PU."""
    return tree.nodes[-1].os_index if tree.nodes else None


def _index(text: str) -> int | None:
    match = re.search(r"\(P#(\d+)", text)
    return int(match[1]) if match else None


def _size(text: str) -> int | None:
    match = re.search(r"local=(\d+)KB", text)
    if match:
        return int(match[1]) << 10
    match = re.search(r"\(P#\d+ (\d+)([KMGT]?B)", text)
    return int(match[1]) * power_of_1024(match[2]) if match else None


def _pci(item: _Item, place: Place, tree: HwlocTree) -> Place:
    bus = re.search(r"busid=([0-9a-f:.]+)", item.text) or re.search(
        r"PCI ((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.\d)", item.text
    )
    if bus is None:
        return _nameless(item, place, tree)
    ids = re.search(r"id=([0-9a-f]{4}):([0-9a-f]{4})", item.text)
    kind = re.search(r"class=([0-9a-f]{4})", item.text)
    address = normal_address(bus[1])
    vendor, device = (int(ids[1], 16), int(ids[2], 16)) if ids else (0, 0)
    word = re.search(r"\((VGA|3D|Display|Ethernet|InfiniBand)\)", item.text)
    code = {"VGA": 0x0300, "3D": 0x0302, "Display": 0x0380, "Ethernet": 0x0200, "InfiniBand": 0x0207}
    class_code = int(kind[1], 16) if kind else code.get(word[1]) if word else None
    if class_code is None and item.kind == "PCIBridge":
        class_code = 0x0604
    tree.pci.append(
        PciDevice(
            address,
            vendor_id=vendor or None,
            device_id=device or None,
            class_code=class_code << 8 if class_code is not None else None,
            parent=place.bridge,
            numa_node=place.nodes[0] if len(place.nodes) == 1 else _only_node(place, tree),
        )
    )
    return replace(place, device=address, bridge=address)


def _nameless(item: _Item, place: Place, tree: HwlocTree) -> Place:
    """A bridge of the short form, or a function of old versions (`PCI 10de:15f8`): there, but without an address.

    It gets one that no machine has.
    """
    number = sum(device.address.startswith("ffff:") for device in tree.pci)
    ids = re.match(r"PCI ([0-9a-f]{4}):([0-9a-f]{4})\b", item.text)
    if number >= 1 << 15 or (item.kind == "PCI" and ids is None):
        return place
    address = f"ffff:{1 + (number >> 8):02x}:{number >> 3 & 0x1F:02x}.{number & 7}"
    if ids is None:
        tree.pci.append(PciDevice(address, class_code=0x060400, parent=place.bridge))
        return replace(place, bridge=address)
    vendor, device = int(ids[1], 16), int(ids[2], 16)
    name = gpu_name(vendor, device)
    node = place.nodes[0] if len(place.nodes) == 1 else None
    tree.pci.append(
        PciDevice(address, vendor, device, 0x030200 if name else None, name, parent=place.bridge, numa_node=node)
    )
    if name:
        tree.cards[address] = (name, VENDORS.get(vendor, ""))
    return replace(place, device=address)


def _only_node(place: Place, tree: HwlocTree) -> int | None:
    """Below a package: that package's node, where it has just one."""
    if place.socket is None or not tree.nodes:
        return None
    nodes = {cpu.numa_node for cpu in tree.cpus if cpu.socket == place.socket}
    return nodes.pop() if len(nodes) == 1 else None


def _counted(socket: Socket, cpus: tuple[Cpu, ...]) -> Socket:
    own_cpus = [cpu for cpu in cpus if cpu.socket == socket.index]
    cores = {cpu.core for cpu in own_cpus if cpu.core is not None}
    return replace(socket, cores=len(cores) or None, threads=len(own_cpus))


def _homed(node: NumaNode, cpus: tuple[Cpu, ...]) -> NumaNode:
    return replace(node, cpus=tuple(cpu.os_index for cpu in cpus if cpu.numa_node == node.os_index))


READER = Reader(
    "lstopo console",
    "lstopo-no-graphics -v",
    sentence("lstopo-console.text-packages-cores-numa", "packages, cores, NUMA nodes, PCI tree"),
    ("Machine",),
    recognises,
    parse,
)
