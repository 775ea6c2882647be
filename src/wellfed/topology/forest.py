"""Which socket devices hang on, and the bridges above them as trees: what every drawing of a machine stands on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

from wellfed.hardware.machine import Gpu, Machine, Nic
from wellfed.hardware.pcie import PciDevice, path_up

Device: TypeAlias = "Gpu | Nic"
T = TypeVar("T")
_DEEPEST = 32  # bridges above a device; more is a circle that a source made up


def devices_with_sockets(machine: Machine) -> list[tuple[Device, int | None]]:
    """GPUs and physical network cards, each with its socket: its own, its NUMA node's, or the only one there is."""
    of_node = {node.os_index: node.socket for node in machine.numa_nodes}
    only = machine.sockets[0].index if len(machine.sockets) == 1 else None

    def socket_of(node: int | None) -> int | None:
        socket = None if node is None else of_node.get(node)
        return only if socket is None else socket

    gpus = [(gpu, socket_of(gpu.numa_node) if gpu.socket is None else gpu.socket) for gpu in machine.gpus]
    nics = [(nic, socket_of(nic.numa_node)) for nic in machine.nics if nic.physical and nic.pci_address]
    return [*gpus, *nics]


def forest(
    machine: Machine,
    devices: Iterable[Device],
    leaf: Callable[[Device, PciDevice | None], T],
    inner: Callable[[PciDevice, tuple[T, ...]], T],
) -> tuple[T, ...]:
    """The trees from the root ports down, `inner` made of a bridge and what hangs below it, `leaf` of a device.

    Devices whose address is not among the machine's stand alone at the end, with None for their function.
    """
    tree = {device.address: device for device in machine.pci}
    below: dict[str | None, list[str]] = defaultdict(list)
    leaves: dict[str, list[Device]] = defaultdict(list)
    bare: list[T] = []
    for device in devices:
        path = path_up(tree, device.pci_address or "")
        if not path:
            bare.append(leaf(device, None))
            continue
        leaves[path[0].address].append(device)
        for lower, upper in zip(path, (*path[1:], None), strict=True):
            key = upper.address if upper else None
            if lower.address not in below[key]:
                below[key].append(lower.address)

    def grown(address: str, depth: int) -> tuple[T, ...]:
        if address in leaves:
            return tuple(leaf(device, tree[address]) for device in leaves[address])
        if depth > _DEEPEST:
            return ()
        children = tuple(subtree for lower in sorted(below.get(address, ())) for subtree in grown(lower, depth + 1))
        return (inner(tree[address], children),)

    return (*(subtree for address in sorted(below[None]) for subtree in grown(address, 0)), *bare)


def bridge_kind(device: PciDevice) -> str:
    """port (a root's or a switch's downstream one), switch (its upstream port), or bridge."""
    return {"root": "port", "upstream": "switch", "downstream": "port"}.get(device.port or "", "bridge")
