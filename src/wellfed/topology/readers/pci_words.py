"""lspci's words back into numbers, for listings made without -nn. Source: the PCI ID repository, 2025."""

from __future__ import annotations

import re

CLASSES = {
    "Host bridge": 0x0600, "ISA bridge": 0x0601, "PCI bridge": 0x0604, "Bridge": 0x0680,
    "VGA compatible controller": 0x0300, "3D controller": 0x0302, "Display controller": 0x0380,
    "Processing accelerators": 0x1200, "Ethernet controller": 0x0200, "Infiniband controller": 0x0207,
    "Network controller": 0x0280, "Non-Volatile memory controller": 0x0108, "SATA controller": 0x0106,
    "RAID bus controller": 0x0104, "SCSI storage controller": 0x0100, "Audio device": 0x0403,
    "USB controller": 0x0C03, "SMBus": 0x0C05, "IOMMU": 0x0806, "System peripheral": 0x0880,
    "Co-processor": 0x0B40, "Serial Attached SCSI controller": 0x0107, "Communication controller": 0x0780,
    "Encryption controller": 0x1080, "Signal processing controller": 0x1180, "Fabric controller": 0x0207,
    "Non-Essential Instrumentation": 0x1300, "Serial controller": 0x0700, "IDE interface": 0x0101,
}  # fmt: skip

VENDORS = (
    ("NVIDIA", 0x10DE), ("Advanced Micro Devices, Inc. [AMD/ATI]", 0x1002),
    ("Advanced Micro Devices, Inc. [AMD]", 0x1022), ("Advanced Micro Devices", 0x1022), ("Intel", 0x8086),
    ("ASPEED", 0x1A03), ("Matrox", 0x102B), ("Broadcom / LSI", 0x1000), ("LSI Logic", 0x1000),
    ("PLX Technology", 0x10B5), ("Broadcom", 0x14E4), ("Mellanox", 0x15B3), ("Red Hat, Inc. QEMU", 0x1B36),
    ("Red Hat", 0x1AF4), ("Microchip", 0x11F8), ("Microsemi", 0x11F8), ("PMC-Sierra", 0x11F8),
    ("Samsung", 0x144D), ("ASMedia", 0x1B21), ("Microsoft", 0x1414), ("Amazon.com", 0x1D0F), ("Google", 0x1AE0),
    ("IBM", 0x1014), ("VMware", 0x15AD), ("Realtek", 0x10EC),
)  # fmt: skip

# Names of chipset bridges and on-card switches whose ids decide a verdict.
_DEVICES = (
    (0x1022, "Matisse Switch Upstream", 0x57AD), (0x1022, "Matisse PCIe GPP Bridge", 0x57A3),
    (0x1022, "300 Series Chipset PCIe Port", 0x43B4), (0x1022, "400 Series Chipset PCIe Bridge", 0x43C6),
    (0x1022, "400 Series Chipset PCIe Port", 0x43C7), (0x1022, "500 Series Chipset Switch Upstream", 0x43E9),
    (0x1022, "600 Series Chipset PCIe Switch Upstream", 0x43F4),
    (0x1022, "600 Series Chipset PCIe Switch Downstream", 0x43F5),
    (0x1022, "X370 Series Chipset PCIe Upstream", 0x43B0), (0x1022, "X399 Series Chipset PCIe Bridge", 0x43B1),
    (0x1022, "B350 Series Chipset PCIe Upstream", 0x43B2), (0x1022, "500 Series Chipset PCIe Bridge", 0x43EA),
    (0x1002, "Navi 10 XL Upstream Port", 0x1478), (0x1002, "Navi 10 XL Downstream Port", 0x1479),
)  # fmt: skip


def class_of(name: str) -> int | None:
    """24-bit class code of a class name as lspci prints it."""
    code = CLASSES.get(name.strip())
    return None if code is None else code << 8


def vendor_of(text: str) -> int | None:
    """Vendor id of a description that begins with the vendor's name."""
    return next((number for name, number in VENDORS if text.startswith(name)), None)


def device_of(vendor: int | None, text: str) -> int | None:
    """Device id where the text prints it (`Device 2bb5`) or names a bridge we must know."""
    match = re.search(r"\bDevice ([0-9a-f]{4})\b", text)
    if match:
        return int(match[1], 16)
    return next((number for owner, name, number in _DEVICES if owner == vendor and name in text), None)
