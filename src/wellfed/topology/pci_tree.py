"""What follows from a PCI tree: missing parents, port types, which functions are GPUs, their links and paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from wellfed.hardware.machine import DevicePath, Gpu, Nic
from wellfed.hardware.pcie import PciDevice, PcieLink, on_card, path_up
from wellfed.topology.names import VENDORS, gpu_name
from wellfed.topology.pci import ADDRESS

_QEMU = 0x1B36  # PCI vendor id (pci.ids); emulated ports show invented links
_CONSOLES = {0x1A03, 0x102B, 0x1AF4, 0x1013, 0x1234, 0x15AD, 0x80EE, 0x1414, _QEMU, 0x1B21, 0x18CA}


def complete(devices: tuple[PciDevice, ...]) -> tuple[PciDevice, ...]:
    """Parents from bus numbers where the source has no tree; port types from the shape where no ids tell.

    Functions with a garbled address are dropped.
    """
    devices = tuple(device for device in devices if ADDRESS.fullmatch(device.address))
    owners = {
        (device.address.split(":")[0], device.secondary_bus): device.address
        for device in devices
        if device.secondary_bus
    }
    linked = [
        replace(device, parent=owners.get((device.address.split(":")[0], device.bus)))
        if device.parent is None
        else device
        for device in devices
    ]
    by_address = {device.address: device for device in linked}
    linked = [replace(d, parent=None) if d.parent == d.address else d for d in linked]
    with_children = {device.parent for device in linked}
    return tuple(
        replace(device, port=_shape(device, by_address, with_children)) if device.port is None else device
        for device in linked
    )


def _shape(device: PciDevice, devices: Mapping[str, PciDevice], with_children: set[str | None]) -> str | None:
    """A bridge without a bridge above is a root port; below that, upstream and downstream ports alternate."""
    bridge = device.is_bridge or (device.class_code is None and device.address in with_children)
    above = devices.get(device.parent) if device.parent else None
    if not bridge:
        return "endpoint" if above is not None else "integrated" if device.class_code is not None else None
    if above is None:
        return "root" if device.link_max is not None or device.address in with_children else None
    depth = len(path_up(devices, device.address)) - 1
    return "upstream" if depth % 2 else "downstream"


def is_gpu(device: PciDevice) -> bool:
    """A card that may compute: display controllers and accelerators, without consoles and integrated graphics.

    Class 0300 (VGA) of a known GPU vendor below a bridge, 0302 (3D), 0380 (other display) and 1200 (accelerator) of
    anyone. Intel's 00:02.0 and everything else on the root complex itself counts only as 0302 or 1200 (virtual
    machines put passed-through cards there).
    """
    if device.class_code is None or device.address.rpartition(".")[2] not in ("0",):
        return False
    kind = device.class_code >> 8
    if kind == 0x1200:
        return device.vendor_id in VENDORS
    if kind == 0x0302:
        return True
    if kind == 0x0380:
        return (device.parent is not None and device.vendor_id != 0x8086) or device.vendor_id in (0x1002, 0x10DE)
    if kind != 0x0300 or device.vendor_id not in VENDORS or device.vendor_id in _CONSOLES:
        return False
    return device.parent is not None or device.vendor_id == 0x10DE or device.bus > 0


def gpus_on_pci(devices: tuple[PciDevice, ...]) -> tuple[Gpu, ...]:
    """GPUs in address order."""
    cards = [device for device in devices if is_gpu(device)]
    real = any(device.vendor_id in VENDORS for device in cards)
    return tuple(
        Gpu(
            index=index,
            name=bracketed_name(device),
            pci_address=device.address,
            vendor=VENDORS.get(device.vendor_id or 0),
            display_only=device.vendor_id is not None and device.vendor_id not in VENDORS,
        )
        for index, device in enumerate(
            sorted((d for d in cards if d.vendor_id in VENDORS or not real), key=lambda d: d.address)
        )
    )


def bracketed_name(device: PciDevice) -> str | None:
    """By id, else the bracketed marketing name that lspci prints; a name for several cards is none."""
    name = gpu_name(device.vendor_id, device.device_id)
    listing = re.sub(r"\s+(?:Mobile / Max-Q|Max-Q / Mobile|Mobile)\]", " Laptop GPU]", device.name or "")
    match = re.search(r"\[([^\[\]/]+)\]\s*$", listing)
    if name or match is None:
        return name
    brand = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel"}.get(device.vendor_id or 0, "")
    return f"{brand} {match[1]}".strip()


def loaded_link(gpu: Gpu, devices: Mapping[str, PciDevice]) -> PcieLink | None:
    """The hop with the least bandwidth between GPU and host, as it would run under load.

    Widths are the current ones. Generations are the current ones above the card; on the card's own link, which
    idles in Gen1, the lesser of both ends' maxima unless the GPU was in P0. Links inside the card do not count.
    """
    path = path_up(devices, gpu.pci_address or "")
    if not path:
        return None
    edge = 0
    while edge + 1 < len(path) and on_card(path[edge + 1]):
        edge += 1
    hops = [_hop(path[edge], path[edge + 1] if edge + 1 < len(path) else None, gpu)]
    for at in range(edge + 2, len(path), 2):
        hops.append(_uplink(path[at], path[at + 1] if at + 1 < len(path) else None))
    return min((hop for hop in hops if hop is not None), key=lambda hop: hop.bytes_per_s, default=None)


def _hop(card: PciDevice, port: PciDevice | None, gpu: Gpu) -> PcieLink | None:
    ends = [end for end in (card, port) if end is not None and end.vendor_id != _QEMU]
    currents = [end.link_current for end in ends if end.link_current is not None]
    maxima = [end.link_max for end in ends if end.link_max is not None]
    if not currents and not maxima:
        return None
    width = min(link.width for link in (currents or maxima))
    if gpu.performance_state == 0 and currents:
        return PcieLink(min(link.generation for link in currents), width)
    generations = [link.generation for link in (maxima or currents)]
    if gpu.link_host_generation and currents:
        generations.append(gpu.link_host_generation)
    return PcieLink(min(generations), width)


def _uplink(below: PciDevice, above: PciDevice | None) -> PcieLink | None:
    ends = [end for end in (below, above) if end is not None and end.vendor_id != _QEMU]
    links = [end.link_current or end.link_max for end in ends]
    told_links = [link for link in links if link is not None]
    if not told_links:
        return None
    return PcieLink(min(link.generation for link in told_links), min(link.width for link in told_links))


def paths_between(
    gpus: tuple[Gpu, ...], nics: tuple[Nic, ...], devices: Mapping[str, PciDevice]
) -> tuple[DevicePath, ...]:
    """Pairwise PCIe paths of GPUs and of GPUs with NICs, in nvidia-smi's terms."""
    ends = [(f"GPU{gpu.index}", gpu.pci_address, gpu.numa_node) for gpu in gpus]
    ends += [(f"NIC{n}", nic.pci_address, nic.numa_node) for n, nic in enumerate(nics) if nic.pci_address]
    chains = {name: [d.address for d in path_up(devices, address or "")] for name, address, _ in ends}
    paths = []
    for i, (a, _, node_a) in enumerate(ends[: len(gpus)]):
        for b, _, node_b in ends[i + 1 :]:
            kind = _relation(chains[a], chains[b], node_a, node_b)
            if kind:
                paths.append(DevicePath(a, b, kind))
    return tuple(paths)


def _relation(a: list[str], b: list[str], node_a: int | None, node_b: int | None) -> str | None:
    common = next((address for address in a if address in b), None)
    if common is not None:
        bridges = a.index(common) + b.index(common) - 2
        return "PIX" if bridges <= 2 else "PXB"
    if len(a) > 1 and len(b) > 1 and _root_bus(a) == _root_bus(b) and not a[-1].startswith("ffff:"):
        return "PHB"
    if node_a is None or node_b is None:
        return None
    return "NODE" if node_a == node_b else "SYS"


def _root_bus(chain: list[str]) -> str:
    return chain[-1].rpartition(":")[0]
