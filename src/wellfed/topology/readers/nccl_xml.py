"""NCCL's and RCCL's topology XML (NCCL_TOPO_DUMP_FILE): CPUs by NUMA node, PCI tree, NVLink and xGMI.

A `pci` element's link is what NCCL counts on between it and its parent (maxima of both ends, read from sysfs), so it
is taken as the current link, which is said as an assumption; what a card could do by itself the file does not tell.
Bus ids ffff:ff:* are stand-ins for hidden switches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from wellfed.hardware.machine import Gpu, GpuLink, Machine, Nic, NumaNode, Origin
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.provenance import Assumption
from wellfed.topology.lists import cpu_mask, integer, number
from wellfed.topology.names import VENDORS, gpu_name
from wellfed.topology.pci import link_of, normal_address
from wellfed.topology.readers.reader import Reader
from wellfed.topology.readers.xml import parse_xml

_ASSUMED = Assumption(
    sentence("nccl-xml.links-run-nccl", "links run as NCCL's topology states them"),
    sentence("nccl-xml.file-current-link", "the file has no current link state"),
)
_GPU_CLASSES = ("0x0300", "0x0302", "0x0380", "0x1200")


def recognises(text: str) -> bool:
    """`<system version=...>` with `<cpu numaid=...>`."""
    return "<system" in text and "<cpu" in text and "numaid" in text


def parse(text: str) -> Machine:
    """Everything the file tells. Raises BadInput on broken XML."""
    root = parse_xml(text, "system")
    devices: list[PciDevice] = []
    gpus: list[tuple[Element, PciDevice]] = []
    nics: list[Nic] = []
    for cpu in root.iter("cpu"):
        node = integer(cpu.get("numaid"))
        for element, parent in _walk(cpu, None):
            device = _device(element, parent, node)
            devices.append(device)
            if element.find("gpu") is not None or (element.get("class") or "")[:6] in _GPU_CLASSES:
                gpus.append((element, device))
            nics += _nics(element, device)
    cards = _gpus(gpus)
    return Machine(
        "",
        Origin.DUMP,
        numa_nodes=_nodes(root),
        gpus=tuple(card for _, card in cards),
        gpu_links=_links(cards),
        pci=tuple(devices),
        nics=tuple(nics),
        assumptions=(_ASSUMED,),
        unknown={
            "sockets": sentence("nccl-xml.file-tells-numa", "the file tells NUMA nodes and CPU families, not packages")
        },
        pci_complete=False,
    )


def _walk(element: Element, parent: str | None) -> Iterator[tuple[Element, str | None]]:
    for child in element.findall("pci"):
        yield child, parent
        yield from _walk(child, normal_address(child.get("busid") or "?"))


def _device(element: Element, parent: str | None, node: int | None) -> PciDevice:
    link = link_of(element.get("link_speed"), element.get("link_width"))
    vendor, device = integer(element.get("vendor"), 16), integer(element.get("device"), 16)
    return PciDevice(
        address=normal_address(element.get("busid") or "?"),
        vendor_id=None if vendor in (None, 0xFFFF) else vendor,
        device_id=None if vendor in (None, 0xFFFF) else device,
        class_code=integer(element.get("class"), 16),
        parent=parent,
        link_current=link,
        link_max=link,
        numa_node=node if node is not None and node >= 0 else None,
    )


def _gpus(elements: list[tuple[Element, PciDevice]]) -> list[tuple[Element, Gpu]]:
    """Numbered as the file does (`dev`), else in file order."""
    cards = []
    for order, (element, device) in enumerate(elements):
        inner = element.find("gpu")
        index = integer(inner.get("dev")) if inner is not None else None
        vendor = VENDORS.get(device.vendor_id or 0)
        if vendor is None and inner is not None:
            vendor = "amd" if inner.get("gcn") else "nvidia"
        units = integer(inner.get("sm")) if inner is not None and vendor == "amd" else None
        gpu = Gpu(
            index=order if index is None else index,
            name=gpu_name(device.vendor_id, device.device_id),
            pci_address=device.address,
            numa_node=device.numa_node,
            vendor=vendor,
            compute_units=units,
        )
        cards.append((element, gpu))
    return sorted(cards, key=lambda pair: pair[1].index)


def _links(cards: list[tuple[Element, Gpu]]) -> tuple[GpuLink, ...]:
    index = {gpu.pci_address: gpu.index for _, gpu in cards}
    direct: dict[tuple[int, int, str], int] = {}
    switched: dict[int, int] = {}
    for element, gpu in cards:
        for link in element.iter():
            count = integer(link.get("count")) or 1
            peer = index.get(normal_address(link.get("target") or ""))
            if link.tag not in ("nvlink", "xgmi"):
                continue
            if peer is None and (link.get("tclass") or "").startswith("0x0680"):
                switched[gpu.index] = switched.get(gpu.index, 0) + count
            elif peer is not None and gpu.index < peer:
                direct[gpu.index, peer, link.tag] = count
    pairs = [GpuLink(a, b, kind, count=count) for (a, b, kind), count in sorted(direct.items())]
    on_switch = sorted(switched)
    pairs += [
        GpuLink(a, b, "nvswitch", count=min(switched[a], switched[b]))
        for i, a in enumerate(on_switch)
        for b in on_switch[i + 1 :]
    ]
    return tuple(pairs)


def _nics(element: Element, device: PciDevice) -> list[Nic]:
    nics = []
    for net in element.findall("nic/net"):
        megabits = number(net.get("speed"))
        nics.append(
            Nic(
                name=net.get("name") or device.address,
                pci_address=device.address,
                numa_node=device.numa_node,
                bytes_per_s=megabits * 1e6 / 8 if megabits else None,
            )
        )
    is_nic = (element.get("class") or "").startswith(("0x0200", "0x0207"))
    return nics or ([Nic(device.address, device.address, device.numa_node)] if is_nic else [])


def _nodes(root: Element) -> tuple[NumaNode, ...]:
    nodes: dict[int, NumaNode] = {}
    for cpu in root.iter("cpu"):
        node = integer(cpu.get("numaid"))
        if node is not None and node >= 0:
            words = re.findall(r"[0-9a-fA-F]+", cpu.get("affinity") or "")
            mask = cpu_mask(",".join(word.zfill(8) for word in words)) if words else None
            nodes[node] = NumaNode(node, cpus=mask or ())
    return tuple(nodes[node] for node in sorted(nodes))


READER = Reader(
    sentence("reader.nccl-topology", "NCCL topology XML"),
    "NCCL_TOPO_DUMP_FILE=topo.xml (an engine with NCCL or RCCL)",
    sentence("nccl-xml.text-pci-tree-links", "PCI tree with links, NUMA nodes, NVLink and xGMI, network cards"),
    ("<system",),
    recognises,
    parse,
)
