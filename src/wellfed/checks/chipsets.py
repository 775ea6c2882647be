"""Which bridges are a chipset, a packet switch or a CPU's own port.

Ids: the PCI ID repository (pci-ids.ucw.cz), read 2025. Intel's chipsets keep their root ports at device 1a to 1d of
the bus that has the LPC bridge at 1f.0 (every platform controller hub data sheet, PCI device and revision tables).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from wellfed.hardware.pcie import PciDevice, on_card, path_up

INTEL, AMD, ATI, IBM, QEMU = 0x8086, 0x1022, 0x1002, 0x1014, 0x1B36

# Promontory (300/400/500 series), X399, X370, X570/TRX40 (57ax), Promontory 21 (600 and 800 series)
AMD_CHIPSET = frozenset(
    {0x43B0, 0x43B1, 0x43B2, 0x43B3, 0x43B4, 0x43C6, 0x43C7, 0x43E9, 0x43EA, 0x43F4, 0x43F5, 0x43FD, 0x43FE,
     0x57A3, 0x57A4, 0x57AD, 0x43A0, 0x43A1, 0x43A2, 0x43A3}
)  # fmt: skip
# Broadcom/LSI, PLX, IDT/Microsemi, PMC/Microchip, Pericom, Mellanox, NVIDIA, TI, ATTO, Amazon, Astera
SWITCH_VENDORS = frozenset(
    {0x1000, 0x10B5, 0x111D, 0x11F8, 0x12D8, 0x15B3, 0x10DE, 0x104C, 0x117C, 0x1D0F, 0x1DE5, 0x1FC9}
)
# CPU vendors whose machines have no chipset between root port and slot: IBM, Ampere, Cavium/Marvell, HiSilicon,
# Phytium, NVIDIA (Grace), Amazon, Apple, ARM, Qualcomm, Fujitsu
NO_CHIPSET_VENDORS = frozenset(
    {IBM, 0x1DEF, 0x177D, 0x14E4, 0x19E5, 0x1DB7, 0x10DE, 0x1D0F, 0x106B, 0x13B5, 0x17CB, 0x10CF}
)
# Root ports of memory controller hubs and I/O hubs, from before the CPU had PCIe: E7xxx, 5000, 5100, 5400, 7300
# and 9xx/3x/4x series (X58/5520 hubs sit on QPI, not behind DMI, and count as the CPU's).
_INTEL_HUBS = frozenset({0x25, 0x27, 0x29, 0x2A, 0x2E, 0x36, 0x40, 0x65})
_ICH_PORTS = range(0x2940, 0x294B)


class Place(StrEnum):
    """What lies between a card and its CPU."""

    CPU = "cpu"
    CHIPSET = "chipset"
    EMULATED = "emulated chipset"
    LEGACY = "northbridge"
    UNKNOWN = "unknown"
    NO_BRIDGE = "no bridge"


def place_of(
    devices: Mapping[str, PciDevice], address: str | None, complete: bool | None = None
) -> tuple[Place, PciDevice | None]:
    """Where a card hangs, and the bridge that decides it.

    `complete` is False for a source that shows only some devices: an absent LPC bridge then proves nothing.
    """
    path = path_up(devices, address or "")
    bridges = tuple(bridge for bridge in path[1:] if not on_card(bridge))
    if not bridges:
        return Place.NO_BRIDGE, None
    for bridge in bridges:
        if bridge.chipset or (bridge.vendor_id == AMD and bridge.device_id in AMD_CHIPSET):
            return Place.CHIPSET, bridge
    root = bridges[-1]
    if _intel_chipset_port(devices, root, complete):
        return (Place.EMULATED if root.vendor_id == QEMU else Place.CHIPSET), root
    if any(_strange(bridge) for bridge in bridges[:-1]):
        return Place.UNKNOWN, next(bridge for bridge in bridges if _strange(bridge))
    return _root_place(root, direct=len(bridges) == 1 or root.chipset is False), root


def _intel_chipset_port(devices: Mapping[str, PciDevice], root: PciDevice, complete: bool | None) -> bool:
    """Device 1a to 1d, on the bus whose 1f.0 is an ISA/LPC bridge (class 0601)."""
    bus, _, slot = root.address.rpartition(":")
    if root.vendor_id not in (INTEL, QEMU, None) or not 0x1A <= int(slot.split(".")[0], 16) <= 0x1D:
        return False
    lpc = devices.get(f"{bus}:1f.0")
    if lpc is None:
        return complete is not True and bus.endswith(":00")
    return lpc.vendor_id in (INTEL, None) and (lpc.class_code is None or lpc.class_code >> 8 == 0x0601)


def _strange(bridge: PciDevice) -> bool:
    """A bridge below the root port that is neither a known packet switch nor part of a card."""
    return bridge.vendor_id is not None and bridge.vendor_id not in SWITCH_VENDORS | {INTEL, QEMU, ATI, 0xFFFF}


def _root_place(root: PciDevice, direct: bool) -> Place:
    """`direct`: nothing between card and root port; a chipset would have put its own switch there."""
    vendor, device = root.vendor_id, root.device_id
    if vendor is None:
        return Place.CPU if direct else Place.UNKNOWN
    if vendor == INTEL:
        return Place.LEGACY if _intel_hub(device) else Place.CPU
    if vendor == AMD:
        return Place.LEGACY if device is not None and device >> 8 == 0x96 else Place.CPU
    if vendor in NO_CHIPSET_VENDORS | SWITCH_VENDORS | {QEMU, 0xFFFF}:
        return Place.CPU  # a packet switch on top: the source leaves root ports out
    return Place.LEGACY if vendor == ATI else Place.UNKNOWN


def _intel_hub(device: int | None) -> bool:
    if device is None:
        return False
    return device >> 8 in _INTEL_HUBS or 0x3595 <= device <= 0x359A or device in _ICH_PORTS
