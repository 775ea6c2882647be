"""Network interfaces with their PCI function and speed: /sys/class/infiniband and /sys/class/net."""

from __future__ import annotations

from wellfed.hardware.machine import Nic
from wellfed.topology.lists import integer, number
from wellfed.topology.pci import ADDRESS, normal_address
from wellfed.topology.snapshot import Tree

NET = "/sys/class/net"
INFINIBAND = "/sys/class/infiniband"


def read_nics(tree: Tree) -> tuple[Nic, ...]:
    """RDMA devices first, then network interfaces; the loopback left out."""
    rdma = tuple(_rdma(tree, name) for name in tree.names(INFINIBAND))
    net = tuple(_net(tree, name) for name in tree.names(NET) if name not in ("lo", "bonding_masters"))
    return rdma + net


def pci_above(tree: Tree, path: str) -> str | None:
    """The nearest PCI function on the way up from a class device; None for a virtual one."""
    for start in (tree.real(f"{path}/device"), tree.real(path)):
        for name in reversed(start.split("/")):
            if ADDRESS.fullmatch(name):
                return normal_address(name)
    return None


def _rdma(tree: Tree, name: str) -> Nic:
    base = f"{INFINIBAND}/{name}"
    ports = [f"{base}/ports/{port}" for port in tree.names(f"{base}/ports")]
    rates = [number(tree.text(f"{port}/rate")) for port in ports]  # "200 Gb/sec (4X HDR)"
    states = [tree.text(f"{port}/state") or "" for port in ports]
    layer = next((tree.text(f"{port}/link_layer") for port in ports), None)
    nonzero = [rate for rate in rates if rate]
    return Nic(
        name=name,
        pci_address=pci_above(tree, base),
        numa_node=_node(tree, base),
        bytes_per_s=sum(nonzero) * 1e9 / 8 if nonzero else None,
        kind="ethernet" if layer == "Ethernet" else "infiniband",
        up=any("ACTIVE" in state for state in states) if any(states) else None,
        driver=tree.target(f"{base}/device/driver"),
    )


def _net(tree: Tree, name: str) -> Nic:
    base = f"{NET}/{name}"
    megabits = integer(tree.text(f"{base}/speed"))
    state = tree.text(f"{base}/operstate")
    address = pci_above(tree, base)
    return Nic(
        name=name,
        pci_address=address,
        numa_node=_node(tree, base),
        bytes_per_s=megabits * 1e6 / 8 if megabits and megabits > 0 else None,
        kind="infiniband" if tree.text(f"{base}/type") == "32" else "ethernet",
        up={"up": True, "down": False}.get(state or ""),
        driver=tree.target(f"{base}/device/driver"),
        physical="/virtual/" not in tree.real(base),
    )


def _node(tree: Tree, base: str) -> int | None:
    node = integer(tree.text(f"{base}/device/numa_node"))
    return node if node is not None and node >= 0 else None
