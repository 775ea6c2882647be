"""The last step: conclude from merged facts what no single source tells, and say what stays unknown."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from wellfed.hardware.machine import (
    DevicePath,
    Dimm,
    Gpu,
    GpuLink,
    Machine,
    Nic,
    NumaNode,
    OsSettings,
    Socket,
)
from wellfed.hardware.nvlink import nvlink_bytes_per_s
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.partial_sums import total_if_all_known, total_of_known
from wellfed.topology.memory import named_channels, populated_channels, slowest_mt_s
from wellfed.topology.merge import overlay
from wellfed.topology.names import nvidia_names
from wellfed.topology.os_settings import iommu_of
from wellfed.topology.pci_tree import complete, gpus_on_pci, loaded_link, paths_between
from wellfed.topology.unknown import unknown_reasons

Resolve = Callable[[str, int | None], GpuSpec | None]
ResolveCpu = Callable[[str, int | None], CpuSpec | None]


def finish(machine: Machine, gpu_spec: Resolve, cpu_spec: ResolveCpu) -> Machine:
    """The machine with parents, NUMA homes, links, memory per socket and specs filled in."""
    machine = replace(machine, pci=complete(machine.pci))
    machine = replace(machine, sockets=machine.sockets or _sockets_of_threads(machine, cpu_spec))
    machine = replace(machine, os=_os(machine), nics=machine.nics or _nics_on_pci(machine.pci))
    machine = replace(machine, gpus=_with_pci_gpus(machine))
    machine = _with_homes(machine)
    machine = replace(machine, sockets=_sockets(machine, cpu_spec))
    machine = replace(machine, gpus=_gpus(machine, gpu_spec), memory_bytes=_memory(machine))
    if machine.os.chassis is None and any(map(_is_mobile_part, machine.gpus)):
        machine = replace(machine, os=replace(machine.os, chassis="laptop"))
    machine = replace(machine, paths=machine.paths or _paths(machine), gpu_links=_rated(machine))
    return replace(machine, unknown=unknown_reasons(machine))


def _with_pci_gpus(machine: Machine) -> tuple[Gpu, ...]:
    """GPUs of the driver first; cards only PCI shows are added, or lend their address where the counts match."""
    on_pci = gpus_on_pci(machine.pci)
    if not machine.gpus:
        return on_pci
    if all(gpu.pci_address is None for gpu in machine.gpus):
        same = [card for card in on_pci if card.vendor in (machine.gpus[0].vendor, None) or not machine.gpus[0].vendor]
        if len(same) == len(machine.gpus):
            return tuple(
                replace(overlay(gpu, card), index=gpu.index) for gpu, card in zip(machine.gpus, same, strict=True)
            )
        return machine.gpus
    by_address = {gpu.pci_address: gpu for gpu in on_pci}
    gpus = [
        replace(overlay(gpu, by_address[gpu.pci_address]), index=gpu.index) if gpu.pci_address in by_address else gpu
        for gpu in machine.gpus
    ]
    listed = {gpu.pci_address for gpu in gpus}
    first = max(gpu.index for gpu in gpus) + 1
    missing = [gpu for gpu in on_pci if gpu.pci_address not in listed and not gpu.display_only]
    return (*gpus, *(replace(gpu, index=first + i) for i, gpu in enumerate(missing)))


def _with_homes(machine: Machine) -> Machine:
    """NUMA node and socket of nodes, GPUs and NICs."""
    nodes = tuple(_node_home(machine, node) for node in machine.numa_nodes)
    devices = {device.address: device for device in machine.pci}
    sockets = {node.os_index: node.socket for node in nodes}
    partial = any(key in machine.unknown for key in ("numa_nodes.partial", "numa_nodes.cut"))
    nodes_if_all = nodes if not partial or len(nodes) > 1 else ()  # the only node shown is not the only one there is
    gpus = []
    for gpu in machine.gpus:
        numa = (
            gpu.numa_node if gpu.numa_node is not None else _numa(devices.get(gpu.pci_address or ""), gpu, nodes_if_all)
        )
        home = gpu.socket if gpu.socket is not None or numa is None else sockets.get(numa)
        gpus.append(replace(gpu, numa_node=numa, socket=home))
    nics = tuple(_nic_home(nic, devices) for nic in machine.nics)
    return replace(machine, numa_nodes=nodes, gpus=tuple(gpus), nics=nics)


def _node_home(machine: Machine, node: NumaNode) -> NumaNode:
    if node.socket is not None:
        return node
    members = frozenset(node.cpus)
    homes = {cpu.socket for cpu in machine.cpus if cpu.os_index in members}
    if len(homes) == 1:
        return replace(node, socket=homes.pop())
    if not machine.cpus and len(machine.sockets) == 1:
        return replace(node, socket=machine.sockets[0].index)
    if not machine.cpus and len(machine.sockets) == len(machine.numa_nodes):
        order = sorted(sibling.os_index for sibling in machine.numa_nodes)
        return replace(node, socket=machine.sockets[order.index(node.os_index)].index)
    return node


def _numa(device: PciDevice | None, gpu: Gpu, nodes: tuple[NumaNode, ...]) -> int | None:
    if device is not None and device.numa_node is not None:
        return device.numa_node
    if gpu.cpu_affinity:
        homes = [node.os_index for node in nodes if node.cpus and set(node.cpus) & set(gpu.cpu_affinity)]
        return homes[0] if len(homes) == 1 else None
    return nodes[0].os_index if len(nodes) == 1 else None


def _nic_home(nic: Nic, devices: dict[str, PciDevice]) -> Nic:
    device = devices.get(nic.pci_address or "")
    if nic.numa_node is None and device is not None:
        return replace(nic, numa_node=device.numa_node)
    return nic


def _sockets(machine: Machine, cpu_spec: ResolveCpu) -> tuple[Socket, ...]:
    sockets = machine.sockets or (() if machine.os.virtualised else _sockets_of_dimms(machine.dimms))
    only = len(sockets) == 1
    return tuple(_socket(machine, socket, only, cpu_spec) for socket in sockets)


def _sockets_of_threads(machine: Machine, cpu_spec: ResolveCpu) -> tuple[Socket, ...]:
    """Packages where a source names the CPU and counts threads, but not packages: as many as those threads fill.

    Only whole numbers of packages that this CPU is made for count; a virtual machine's threads tell nothing of them.
    """
    spec = cpu_spec(machine.cpu_name, None) if machine.cpu_name else None
    threads = machine.os.cpus_present or machine.os.cpus_online
    if spec is None or not threads or machine.os.smt is None or machine.os.virtualised:
        return ()
    threads_per_socket = spec.threads if machine.os.smt else spec.cores
    count, left_over = divmod(len(threads), threads_per_socket)
    if left_over or count not in (1, 2, 4, 8) or count > max(spec.sockets_max, 1):
        return ()
    return tuple(
        Socket(index, name=machine.cpu_name, cores=spec.cores, threads=threads_per_socket) for index in range(count)
    )


def _sockets_of_dimms(dimms: tuple[Dimm, ...]) -> tuple[Socket, ...]:
    numbers = {dimm.socket for dimm in dimms}
    if not numbers or None in numbers:
        return ()
    return tuple(Socket(number) for number in sorted(n for n in numbers if n is not None))


def _socket(machine: Machine, socket: Socket, only: bool, cpu_spec: ResolveCpu) -> Socket:
    slots = tuple(d for d in machine.dimms if d.socket == socket.index or (only and d.socket is None))
    nodes = tuple(node.os_index for node in machine.numa_nodes if node.socket == socket.index)
    memory = total_of_known(n.memory_bytes for n in machine.numa_nodes if n.socket == socket.index and not n.gpu_memory)
    spec = socket.cpu or (cpu_spec(socket.name, socket.cores) if socket.name else None)
    believable = machine.os.virtualised is not True
    return replace(
        socket,
        cpu=spec,
        dimms=slots or socket.dimms,
        channels=socket.channels or (populated_channels(slots) if believable else None),
        channels_named=socket.channels_named or (named_channels(slots) if believable else None),
        mt_s=socket.mt_s or (slowest_mt_s(slots) if believable else None),
        numa_nodes=nodes or socket.numa_nodes,
        memory_bytes=socket.memory_bytes if socket.memory_bytes is not None else memory or _installed_bytes(slots),
    )


def _gpus(machine: Machine, gpu_spec: Resolve) -> tuple[Gpu, ...]:
    devices = {device.address: device for device in machine.pci}
    virtual = machine.os.virtualised is True
    return tuple(_gpu(gpu, devices, gpu_spec, virtual) for gpu in machine.gpus)


def _gpu(gpu: Gpu, devices: dict[str, PciDevice], gpu_spec: Resolve, virtual: bool) -> Gpu:
    function = devices.get(gpu.pci_address or "")
    if virtual and function is not None:
        devices = {function.address: replace(function, parent=None)}  # a virtual machine's ports show no real link
    name = _whole_name(gpu, gpu_spec)
    spec = gpu.spec or (gpu_spec(name, gpu.memory_bytes) if name else None)
    return replace(
        gpu,
        name=name,
        spec=spec,
        link=_awake(gpu, function, spec, _lesser(gpu.link, loaded_link(gpu, devices))),
        memory_bytes=gpu.memory_bytes if gpu.memory_bytes is not None else spec.memory_bytes if spec else None,
    )


def _whole_name(gpu: Gpu, gpu_spec: Resolve) -> str | None:
    """A name that old versions of nvidia-smi cut with dots, where its memory tells which one it is."""
    if gpu.name is None or not gpu.name.endswith("..."):
        return gpu.name
    start = gpu.name.removesuffix("...").removeprefix("NVIDIA ").strip()
    fits = [
        name
        for name in nvidia_names(start)
        if (spec := gpu_spec(name, gpu.memory_bytes)) is not None
        and gpu.memory_bytes is not None
        and abs(spec.memory_bytes - gpu.memory_bytes) < spec.memory_bytes * 0.07
    ]
    return fits[0] if len(fits) == 1 else gpu.name


def _awake(gpu: Gpu, function: PciDevice | None, spec: GpuSpec | None, link: PcieLink | None) -> PcieLink | None:
    """The link at the card's own generation, where only a current one was seen of a card that may have been idle."""
    current = function.link_current if function else None
    if (
        link is None
        or current is None
        or function is None
        or function.link_max
        or gpu.performance_state == 0
        or link != current
    ):
        return link
    newest = spec.pcie_generation if spec else None
    return replace(link, generation=max(link.generation, min(newest or 1, 6)))


def _lesser(a: PcieLink | None, b: PcieLink | None) -> PcieLink | None:
    return min((link for link in (a, b) if link is not None), key=lambda link: link.bytes_per_s, default=None)


def _memory(machine: Machine) -> int | None:
    """RAM of all allowed NUMA nodes; what the sockets' slots hold where no node tells."""
    if machine.memory_bytes is not None:
        return machine.memory_bytes
    total = total_if_all_known(node.memory_bytes for node in machine.numa_nodes if not node.gpu_memory)
    return total if total is not None else _installed_bytes(machine.dimms)


def _installed_bytes(slots: tuple[Dimm, ...]) -> int | None:
    return total_if_all_known(slot.bytes for slot in slots)


def _paths(machine: Machine) -> tuple[DevicePath, ...]:
    return paths_between(machine.gpus, machine.nics, {device.address: device for device in machine.pci})


def _os(machine: Machine) -> OsSettings:
    """What PCI tells of the system: NVSwitches (NVIDIA bridges of class 0680), and whether it is virtual."""
    settings = machine.os
    switches = [d for d in machine.pci if d.vendor_id == 0x10DE and (d.class_code or 0) >> 8 == 0x0680]
    if settings.nvswitches is None and (switches or machine.pci_complete):
        settings = replace(settings, nvswitches=len(switches))
    if settings.virtualised is None and (settings.wsl or any(d.vendor_id in _VIRTUAL_VENDORS for d in machine.pci)):
        settings = replace(settings, virtualised=True)
    if settings.virtualised is None and any(_on_root_bus(d) for d in machine.pci):
        settings = replace(settings, virtualised=True)
    if settings.chassis is None and any(_is_mobile(gpu.name) for gpu in machine.gpus):
        settings = replace(settings, chassis="laptop")
    if settings.iommu is None and settings.command_line is not None:
        settings = replace(settings, iommu=iommu_of(settings.command_line))
    return settings


def _on_root_bus(device: PciDevice) -> bool:
    """A card without any bridge above it: PCI Express cards hang below a root port, only hypervisors put them here."""
    card = device.class_code is not None and device.class_code >> 8 in (0x0300, 0x0302)
    gpu_vendor = device.vendor_id == 0x10DE or (device.vendor_id is None and (device.class_code or 0) >> 8 == 0x0302)
    bare = device.parent is None or device.parent.startswith("ffff:")  # NCCL's stand-in for what a guest hides
    return card and gpu_vendor and device.bus == 0 and bare and not device.address.startswith("ffff:")


def _is_mobile(name: str | None) -> bool:
    return (
        bool(name) and re.search(r"Laptop GPU|Mobile\b|MX\d{3}\b|Max-Q(?! Workstation)|\dM\b", name or "") is not None
    )


def _is_mobile_part(gpu: Gpu) -> bool:
    """By the catalogue, where the driver's name is cut."""
    return gpu.spec is not None and gpu.spec.form == "mobile"


_VIRTUAL_VENDORS = {0x1B36, 0x1AF4, 0x1414, 0x15AD, 0x80EE, 0x5853}  # QEMU, virtio, Hyper-V, VMware, VirtualBox, Xen


def _nics_on_pci(devices: tuple[PciDevice, ...]) -> tuple[Nic, ...]:
    """Network controllers by address where nothing names interfaces."""
    kinds = {0x0200: "ethernet", 0x0207: "infiniband"}
    return tuple(
        Nic(device.address, device.address, device.numa_node, kind=kinds[device.class_code >> 8])
        for device in devices
        if device.class_code is not None and device.class_code >> 8 in kinds
    )


def _rated(machine: Machine) -> tuple[GpuLink, ...]:
    """Bandwidth of GPU links from the data sheet: all of a GPU's links together through a switch, or its share."""
    cards = {gpu.index: gpu for gpu in machine.gpus}
    return tuple(_rate(link, cards.get(link.a), cards.get(link.b)) for link in machine.gpu_links)


def _rate(link: GpuLink, a: Gpu | None, b: Gpu | None) -> GpuLink:
    if link.bytes_per_s is not None or link.kind not in ("nvlink", "nvswitch"):
        return link
    if link.kind == "nvswitch":
        both = [rate for gpu in (a, b) if (rate := _together(gpu)) is not None]
        return replace(link, bytes_per_s=min(both)) if len(both) == 2 else link
    single = [rate for gpu in (a, b) if gpu is not None and (rate := _single(gpu)) is not None]
    return replace(link, bytes_per_s=link.count * min(single)) if link.count and single else link


def _together(gpu: Gpu | None) -> float | None:
    """All links of a card: as its driver says, else the data sheet."""
    if gpu is None:
        return None
    return gpu.nvlink_bytes_per_s or (gpu.spec.link_bytes_per_s if gpu.spec else None)


def _single(gpu: Gpu) -> float | None:
    """One link of a card, one direction: as its driver says, else the data sheet."""
    if gpu.nvlink_bytes_per_s and gpu.nvlinks_active:
        return gpu.nvlink_bytes_per_s / gpu.nvlinks_active
    return nvlink_bytes_per_s(gpu.spec) if gpu.spec else None
