"""The PCI tree from sysfs: every function with its bridge, and every hop's current and maximum link.

Kernel documentation: Documentation/ABI/testing/sysfs-bus-pci. Configuration space (bus numbers at 0x18, capability
list at 0x34, PCIe and ACS capabilities): PCI Express Base 5.0, 7.5 and 7.7.8.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

from wellfed.hardware.pcie import PciDevice, PcieLink, generation_of
from wellfed.topology.lists import cpu_list, cpu_mask, integer, keyed, number
from wellfed.topology.snapshot import Tree

PCI = "/sys/bus/pci/devices"
ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", re.IGNORECASE)
# PCI Express capability, device/port type (7.5.3.2)
_PORTS = {0: "endpoint", 1: "endpoint", 4: "root", 5: "upstream", 6: "downstream", 7: "bridge", 9: "integrated"}
_CAP_PCIE = 0x10
_EXT_ACS = 0x000D
_ACS_REDIRECT = 0x000C  # P2P request redirect and completion redirect


def read_pci(tree: Tree) -> tuple[PciDevice, ...]:
    """All PCI functions, sorted by address."""
    places = device_places(tree)
    devices = (_read(tree, address, path, places) for address, path in places.items())
    return tuple(sorted(devices, key=lambda device: device.address))


def device_places(tree: Tree) -> dict[str, str]:
    """Address -> directory, from the bus's links or, where a capture lacks them, from the paths themselves."""
    folder_of: dict[str, str] = {}
    for name in tree.names(PCI):
        if ADDRESS.fullmatch(name):
            folder_of[normal_address(name)] = tree.real(f"{PCI}/{name}")
    if not folder_of:
        for path in tree.paths():
            folder, _, file = path.rpartition("/")
            name = folder.rpartition("/")[2]
            if file in ("class", "vendor") and path.startswith("/sys/devices/") and ADDRESS.fullmatch(name):
                folder_of[normal_address(name)] = folder
    return folder_of


def normal_address(text: str) -> str:
    """Lower case, domain of four digits (eight as nvidia-smi writes are cut), added where missing."""
    text = text.strip().lower()
    if text.count(":") == 1:
        text = f"0000:{text}"
    domain, _, function = text.partition(":")
    return f"{int(domain, 16):04x}:{function}" if re.fullmatch(r"[0-9a-f]{1,8}", domain) else text


def _read(tree: Tree, address: str, path: str, places: dict[str, str]) -> PciDevice:
    config = tree.data(f"{path}/config") or b""
    class_code = integer(tree.text(f"{path}/class"), 16)
    parent = _parent(path, places)
    bridge = class_code is not None and class_code >> 8 == 0x0604
    numa = integer(tree.text(f"{path}/numa_node"))
    buses = _buses(tree, path, config) if bridge else (None, None)
    acs = _acs_redirect(config)
    cpus = cpu_list(tree.text(f"{path}/local_cpulist")) or cpu_mask(tree.text(f"{path}/local_cpus")) or ()
    return PciDevice(
        address=address,
        vendor_id=integer(tree.text(f"{path}/vendor"), 16),
        device_id=integer(tree.text(f"{path}/device"), 16),
        class_code=class_code,
        name=tree.text(f"{path}/product_name") or None,
        parent=parent,
        link_current=_link(tree, path, "current"),
        link_max=_link(tree, path, "max"),
        numa_node=numa if numa is not None and numa >= 0 else None,
        iommu_group=integer(tree.target(f"{path}/iommu_group")),
        acs_redirect=acs,
        replays=integer(tree.text(f"{path}/pcie_replay_count")),
        port=_port(config),
        secondary_bus=buses[0],
        subordinate_bus=buses[1],
        driver=tree.target(f"{path}/driver"),
        local_cpus=cpus,
        aer_correctable=_aer(tree, path, "correctable", "COR"),
        aer_nonfatal=_aer(tree, path, "nonfatal", "NONFATAL"),
        aer_fatal=_aer(tree, path, "fatal", "FATAL"),
    )


def _parent(path: str, places: dict[str, str]) -> str | None:
    """The nearest PCI function above in the path."""
    for name in reversed(path.split("/")[:-1]):
        if ADDRESS.fullmatch(name):
            return normal_address(name) if normal_address(name) in places else None
    return None


def link_of(speed: str | None, width: str | None) -> PcieLink | None:
    """`16.0 GT/s PCIe` and `8` (or `x8`, `8x`) as a link; width 0 and unknown speeds are no link."""
    rate, lanes = number(speed), number(width)
    if rate is None or lanes is None or not 1 <= lanes <= 32:
        return None
    generation = generation_of(rate)
    return PcieLink(generation, int(lanes)) if generation is not None else None


def _link(tree: Tree, path: str, state: str) -> PcieLink | None:
    return link_of(tree.text(f"{path}/{state}_link_speed"), tree.text(f"{path}/{state}_link_width"))


def _aer(tree: Tree, path: str, kind: str, total: str) -> int | None:
    """The `TOTAL_ERR_...` line of an AER counter file."""
    facts = keyed(tree.text(f"{path}/aer_dev_{kind}"), " ")
    return integer(facts.get(f"TOTAL_ERR_{total}"))


def _buses(tree: Tree, path: str, config: bytes) -> tuple[int | None, int | None]:
    secondary = integer(tree.text(f"{path}/secondary_bus_number"))
    subordinate = integer(tree.text(f"{path}/subordinate_bus_number"))
    if secondary is None and len(config) > 0x1A and config[0x0E] & 0x7F == 1:
        return config[0x19], config[0x1A]
    return secondary, subordinate


def _port(config: bytes) -> str | None:
    """Port type from the PCIe capability; needs more than the 64 bytes unprivileged users may read."""
    at = config[0x34] if len(config) > 0x34 else 0
    for _ in range(48):
        if at < 0x40 or at + 4 > len(config):
            return None
        if config[at] == _CAP_PCIE:
            return _PORTS.get(config[at + 2] >> 4)
        at = config[at + 1]
    return None


def _acs_redirect(config: bytes) -> bool | None:
    """Whether ACS redirects peer requests; None where the extended space is not readable or has no ACS."""
    at = 0x100
    for _ in range(96):
        if at < 0x100 or at + 8 > len(config):
            return None
        (header,) = struct.unpack_from("<I", config, at)
        if header & 0xFFFF == _EXT_ACS:
            return bool(struct.unpack_from("<H", config, at + 6)[0] & _ACS_REDIRECT)
        at = header >> 20
    return None


def by_address(devices: Iterable[PciDevice]) -> dict[str, PciDevice]:
    """Devices keyed by their address."""
    return {device.address: device for device in devices}
