"""Repairs that several checks share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from wellfed.checks.pcie_path import gpu_hops, narrowest
from wellfed.hardware.machine import Gpu, Machine, Socket
from wellfed.hardware.pcie import PciDevice, PcieLink


def with_devices(machine: Machine, changed: Mapping[str, PciDevice]) -> Machine:
    """The machine with some PCI functions replaced, matched by address."""
    return replace(machine, pci=tuple(changed.get(device.address, device) for device in machine.pci))


def with_gpus(machine: Machine, changed: Iterable[Gpu]) -> Machine:
    """The machine with some GPUs replaced, matched by index."""
    new = {gpu.index: gpu for gpu in changed}
    return replace(machine, gpus=tuple(new.get(gpu.index, gpu) for gpu in machine.gpus))


def with_sockets(machine: Machine, sockets: tuple[Socket, ...]) -> Machine:
    """The machine with its sockets replaced; a bandwidth that was measured grows with what the channels promise."""
    mended = replace(machine, sockets=sockets)
    measured = machine.measured_memory_bandwidth_bytes_per_s
    before, after = machine.memory_bandwidth_bytes_per_s, mended.memory_bandwidth_bytes_per_s
    if measured is None or not before or not after or after <= before:
        return mended
    return replace(mended, measured_memory_bandwidth_bytes_per_s=min(after, measured * after / before))


def without_gpus(machine: Machine, gone: Collection[int]) -> Machine:
    """The machine as if these GPUs were not in it; the others keep their places in order, and their links."""
    if not gone:
        return machine
    stay = [gpu for gpu in machine.gpus if gpu.index not in gone]
    place = {gpu.index: at for at, gpu in enumerate(stay)}
    return replace(
        machine,
        gpus=tuple(replace(gpu, index=place[gpu.index]) for gpu in stay),
        gpu_links=tuple(
            replace(link, a=place[link.a], b=place[link.b])
            for link in machine.gpu_links
            if link.a in place and link.b in place
        ),
        peers=tuple(
            replace(pair, a=place[pair.a], b=place[pair.b])
            for pair in machine.peers
            if pair.a in place and pair.b in place
        ),
    )


def relinked(machine: Machine) -> Machine:
    """Every GPU's link recomputed from its hops; kept where there are none."""
    return with_gpus(
        machine, (replace(gpu, link=narrowest(gpu_hops(machine, gpu)) or gpu.link) for gpu in machine.gpus)
    )


def awakened(machine: Machine, links: Mapping[str, PcieLink]) -> Machine:
    """The machine with the links of some cards as they were seen under load."""
    ends: dict[str, PciDevice] = {}
    for device in machine.pci:
        link = links.get(device.address)
        if link is not None:
            ends[device.address] = replace(device, link_current=link)
            port = next((port_device for port_device in machine.pci if port_device.address == device.parent), None)
            if port is not None and port.link_current is not None:
                ends[port.address] = replace(port, link_current=link)
    woken = (replace(gpu, link_under_load=True) for gpu in machine.gpus if gpu.pci_address in links)
    return relinked(with_gpus(with_devices(machine, ends), woken))


def own_port(machine: Machine, gpu: Gpu) -> Machine:
    """The card moved into a slot of its own that is wired to a CPU and gives all the card can take."""
    path = gpu_hops(machine, gpu)
    if not path:
        return with_gpus(machine, [replace(gpu, link=full_link(gpu) or gpu.link)])
    card = path[0].lower
    link = card.link_max or full_link(gpu) or gpu.link
    port = PciDevice(
        address=f"{0x9000 + gpu.index:04x}:00:01.0",
        vendor_id=0x8086,
        class_code=0x060400,
        link_current=link,
        link_max=link,
        numa_node=card.numa_node,
        port="root",
    )
    moved = replace(card, parent=port.address, link_current=link or card.link_current)
    seated = with_devices(machine, {card.address: moved})
    seated = replace(seated, pci=(*seated.pci, port))
    return with_gpus(seated, [replace(gpu, link=link or gpu.link)])


def full_link(gpu: Gpu) -> PcieLink | None:
    """What the card can do by its data sheet."""
    spec = gpu.spec
    if spec is None or spec.pcie_generation is None or spec.pcie_lanes is None:
        return None
    return PcieLink(spec.pcie_generation, spec.pcie_lanes)
