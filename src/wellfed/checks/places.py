"""Which socket and which node a device belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from wellfed.checks.base import SYSTEM
from wellfed.hardware.machine import Gpu, Machine, Nic, Socket
from wellfed.hardware.pcie import PciDevice

# Code names of AMD's CPUs with graphics inside (PCI ID repository); Strix Halo's is large enough to run models
_APU = re.compile(
    r"\b(?:Raphael|Granite Ridge|Phoenix\d?|Hawk ?Point\d?|Rembrandt|Cezanne|Renoir|Lucienne|Barcelo|Picasso|Raven|"
    r"Mendocino|Krackan|Strix(?! Halo)|Dragon Range)\b"
)

_NAMELESS = re.compile(r"(?:AMD )?Radeon(?:\(TM\))?(?: Vega)? Graphics", re.I)  # as drivers call small ones of no model


def cards(machine: Machine) -> tuple[Gpu, ...]:
    """GPUs that can run models; graphics inside an AMD CPU count only where there are no others."""
    able = tuple(gpu for gpu in machine.gpus if not gpu.display_only)
    devices = {device.address: device for device in machine.pci}
    return tuple(gpu for gpu in able if not _inside_cpu(devices, gpu)) or able


def _inside_cpu(devices: Mapping[str, PciDevice], gpu: Gpu) -> bool:
    """AMD's internal bridges are device 08 of bus 0 (PCI ID repository: Internal PCIe GPP Bridge to bus)."""
    function = devices.get(gpu.pci_address or "")
    if gpu.vendor == "amd" and any(_APU.search(name or "") for name in (function.name if function else None, gpu.name)):
        return True
    if gpu.vendor == "amd" and _NAMELESS.fullmatch(gpu.name or ""):
        return True
    port = devices.get(function.parent or "") if function else None
    if port is None or gpu.vendor != "amd":
        return False
    return port.parent is None and port.vendor_id in (0x1022, None) and ":00:08." in port.address


def name(gpu: Gpu) -> str:
    """The subject of findings about a GPU."""
    return f"gpu{gpu.index}"


def socket_of_node(machine: Machine) -> dict[int, int]:
    """NUMA node -> socket, from the nodes, else from the sockets' own lists."""
    by_socket = {node: socket.index for socket in machine.sockets for node in socket.numa_nodes}
    by_node = {node.os_index: node.socket for node in machine.numa_nodes if node.socket is not None}
    return by_socket | by_node


def cpu_nodes(machine: Machine) -> tuple[int, ...]:
    """NUMA nodes that are not a GPU's own memory."""
    return tuple(node.os_index for node in machine.numa_nodes if not node.gpu_memory)


def node_of(machine: Machine, device: Gpu | Nic, devices: Mapping[str, PciDevice]) -> int | None:
    """The host NUMA node next to a device, never a GPU's own memory node.

    From the device, else its PCI function or a bridge above it, else its CPUs.
    """
    gpu_nodes = {node.os_index for node in machine.numa_nodes if node.gpu_memory}
    if device.numa_node is not None and device.numa_node not in gpu_nodes:
        return device.numa_node
    here = devices.get(device.pci_address or "")
    for _ in range(16):
        if here is None:
            break
        if here.numa_node is not None:
            return here.numa_node
        here = devices.get(here.parent or "")
    affinity = set(device.cpu_affinity) if isinstance(device, Gpu) else set()
    nodes = [node.os_index for node in machine.numa_nodes if affinity and affinity & set(node.cpus)]
    return nodes[0] if len(nodes) == 1 else None


def socket_of(machine: Machine, device: Gpu | Nic, devices: Mapping[str, PciDevice]) -> int | None:
    """The socket a device hangs on; None when it cannot be told."""
    if isinstance(device, Gpu) and device.socket is not None:
        return device.socket
    if len(machine.sockets) == 1:
        return machine.sockets[0].index
    node = node_of(machine, device, devices)
    if node is not None and (socket := socket_of_node(machine).get(node)) is not None:
        return socket
    return _by_cpus(machine, device.cpu_affinity) if isinstance(device, Gpu) else None


def _by_cpus(machine: Machine, affinity: Iterable[int]) -> int | None:
    affine = set(affinity)
    sockets = {cpu.socket for cpu in machine.cpus if cpu.os_index in affine and cpu.socket is not None}
    return next(iter(sockets)) if len(sockets) == 1 else None


def memory_homes(machine: Machine) -> tuple[tuple[str, Socket], ...]:
    """Sockets with the memory slots that are theirs, under the subject of findings about them.

    Slots whose socket is not told are judged together, as one nameless socket.
    """
    homes = [(f"socket{socket.index}", socket) for socket in machine.sockets]
    if any(socket.dimms for socket in machine.sockets) or not machine.dimms:
        return tuple(homes)
    return ((SYSTEM, Socket(-1, dimms=machine.dimms)),)


DIRECT = frozenset({"nvlink", "nvswitch", "xgmi", "hccs", "xelink"})


def linked(machine: Machine, a: int, b: int) -> bool:
    """Whether an active link of the GPUs' own kind joins two of them."""
    return any({link.a, link.b} == {a, b} and link.active and link.kind in DIRECT for link in machine.gpu_links)


def all_linked(machine: Machine, indices: Iterable[int]) -> bool:
    """Whether every pair is joined by a link of its own kind."""
    group = sorted(indices)
    return all(linked(machine, a, b) for i, a in enumerate(group) for b in group[i + 1 :])


def some_nodes_only(machine: Machine) -> bool:
    """Whether the source names only those NUMA nodes that GPUs are on."""
    return any(key in machine.unknown for key in ("numa_nodes.partial", "numa_nodes.cut"))


def pairs_without_links(machine: Machine) -> tuple[frozenset[int], ...]:
    """Pairs of GPUs that must talk over PCIe."""
    gpus = [gpu.index for gpu in cards(machine)]
    return tuple(frozenset((a, b)) for i, a in enumerate(gpus) for b in gpus[i + 1 :] if not linked(machine, a, b))
