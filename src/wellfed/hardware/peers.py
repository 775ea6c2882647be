"""Which way data takes between GPUs that no link of their own joins: straight, up to the root complex, or through RAM.

Peer access over PCIe is the driver's to give. NVIDIA's gives GeForce cards from Turing on none; the kernel's amdgpu
gives it where a card's whole memory lies in its BAR (`amdgpu_device_is_peer_accessible`). Translation by the IOMMU and
access control (ACS) send packets between ports of one switch up to the root complex and down again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from itertools import combinations

from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PciDevice, on_card, path_up

_GEFORCE_WITHOUT_PEERS = frozenset({"turing", "ampere", "ada", "blackwell"})
_WHOLE = 0.9  # of the memory: what is mapped for the card's own use is not


class Way(IntEnum):
    """The way a copy between two GPUs takes, the shortest first."""

    DIRECT = 0
    THROUGH_ROOT = 1
    THROUGH_RAM = 2


def usual_way(gpu: Gpu) -> Way:
    """What the card's driver gives where nothing is told."""
    return Way.THROUGH_RAM if without_peers(gpu) else Way.DIRECT


def slowest_way(machine: Machine, ranks: int) -> Way | None:
    """The longest way between two of the first `ranks` GPUs; None where the machine tells nothing of it."""
    gpus = machine.gpus[:ranks]
    devices = {device.address: device for device in machine.pci}
    peer_access = {frozenset((pair.a, pair.b)): pair.works for pair in machine.peers}
    detours = machine.os.iommu == "on" or any(device.acs_redirect for device in machine.pci)
    ways = [_way(machine, a, b, peer_access, devices, detours) for a, b in combinations(gpus, 2)]
    return max((way for way in ways if way is not None), default=None)


def without_peers(gpu: Gpu) -> bool:
    """GeForce cards from Turing on: NVIDIA's driver gives them peer access over NVLink alone, never over PCIe."""
    spec = gpu.spec
    return spec is not None and "geforce" in spec.name.lower() and spec.architecture in _GEFORCE_WITHOUT_PEERS


def part_mapped(gpu: Gpu) -> bool:
    """Whether only a window of the card's memory lies on the bus."""
    return gpu.bar1_bytes is not None and gpu.memory_bytes is not None and gpu.bar1_bytes < gpu.memory_bytes * _WHOLE


def _way(
    machine: Machine,
    a: Gpu,
    b: Gpu,
    peer_access: Mapping[frozenset[int], bool],
    devices: Mapping[str, PciDevice],
    detours: bool,
) -> Way | None:
    works = peer_access.get(frozenset((a.index, b.index)))
    if works is False or a.mig or b.mig:  # MIG user guide: no peer-to-peer between GPUs, by PCIe or NVLink
        return Way.THROUGH_RAM
    if works is None and (part_mapped(a) or part_mapped(b)):
        return Way.THROUGH_RAM
    if detours and _redirected(machine, a, b, devices):
        return Way.THROUGH_ROOT
    return None if works is None else Way.DIRECT


def _redirected(machine: Machine, a: Gpu, b: Gpu, devices: Mapping[str, PciDevice]) -> bool:
    """Whether two GPUs share a switch that may not hand packets from one to the other."""
    below = [
        [bridge.address for bridge in path_up(devices, gpu.pci_address or "")[1:] if not on_card(bridge)]
        for gpu in (a, b)
    ]
    shared = [devices[address] for address in below[0] if address in below[1]]
    if len(shared) < 2:  # a root port at most: what goes over it is at the root complex anyway
        return False
    if machine.os.iommu == "on":
        return True
    ports = {address for path in below for address in path}
    return any(devices[address].acs_redirect for address in ports)
