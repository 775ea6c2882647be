"""Marketing names of GPUs by PCI id, for sources that show only ids.

Source: the PCI ID repository (pci-ids.ucw.cz), 2025. Ids shared by several cards are told apart by memory.
"""

from __future__ import annotations

from collections.abc import Mapping

from wellfed.units import GIB

_NVIDIA = {
    0x1B80: "GeForce GTX 1080", 0x1B06: "GeForce GTX 1080 Ti", 0x1B38: "Tesla P40", 0x15F8: "Tesla P100-PCIE-16GB",
    0x15F9: "Tesla P100-SXM2-16GB", 0x17C2: "GeForce GTX TITAN X", 0x1B00: "TITAN X (Pascal)",
    0x1C20: "GeForce GTX 1060 Mobile", 0x1D10: "GeForce MX150", 0x1D12: "GeForce MX150", 0x0FE4: "GeForce GT 750M",
    0x1DB1: "Tesla V100-SXM2-16GB", 0x1DB4: "Tesla V100-PCIE-16GB", 0x1DB5: "Tesla V100-SXM2-32GB",
    0x1DB6: "Tesla V100-PCIE-32GB", 0x1DB2: "Tesla V100-DGXS-16GB", 0x1DB7: "Tesla V100-DGXS-32GB",
    0x1DB8: "Tesla V100-SXM3-32GB", 0x1E04: "GeForce RTX 2080 Ti", 0x1E07: "GeForce RTX 2080 Ti",
    0x1EB8: "Tesla T4", 0x2203: "GeForce RTX 3090 Ti", 0x2204: "GeForce RTX 3090", 0x2206: "GeForce RTX 3080",
    0x2208: "GeForce RTX 3080 Ti", 0x2216: "GeForce RTX 3080", 0x2230: "RTX A6000", 0x2231: "RTX A5000",
    0x2235: "A40", 0x2236: "A10", 0x2482: "GeForce RTX 3070 Ti", 0x2484: "GeForce RTX 3070",
    0x2486: "GeForce RTX 3060 Ti", 0x2503: "GeForce RTX 3060", 0x2504: "GeForce RTX 3060",
    0x20B0: "A100-SXM4-40GB", 0x20B2: "A100-SXM4-80GB", 0x20B5: "A100 80GB PCIe", 0x20F1: "A100-PCIE-40GB",
    0x20B7: "A30", 0x2330: "H100 80GB HBM3", 0x2331: "H100 PCIe", 0x2321: "H100 NVL", 0x2335: "H200",
    0x233B: "H200 NVL", 0x2342: "GH200 120GB", 0x2901: "B200", 0x2684: "GeForce RTX 4090",
    0x2685: "GeForce RTX 4090 D", 0x2702: "GeForce RTX 4080 SUPER", 0x2704: "GeForce RTX 4080",
    0x2705: "GeForce RTX 4070 Ti SUPER", 0x2782: "GeForce RTX 4070 Ti", 0x2786: "GeForce RTX 4070",
    0x2803: "GeForce RTX 4060 Ti", 0x2805: "GeForce RTX 4060 Ti", 0x2882: "GeForce RTX 4060",
    0x26B1: "RTX 6000 Ada Generation", 0x26B5: "L40", 0x26B9: "L40S", 0x27B8: "L4", 0x2B85: "GeForce RTX 5090",
    0x2C02: "GeForce RTX 5080", 0x2C05: "GeForce RTX 5070 Ti", 0x2F04: "GeForce RTX 5070",
    0x2D04: "GeForce RTX 5060 Ti", 0x2BB1: "RTX PRO 6000 Blackwell Workstation Edition",
    0x2BB4: "RTX PRO 6000 Blackwell Max-Q Workstation Edition", 0x2BB5: "RTX PRO 6000 Blackwell Server Edition",
}  # fmt: skip

_AMD: Mapping[int, str | Mapping[int, str]] = {
    0x66AF: "Radeon VII", 0x66A1: {16: "Instinct MI50", 32: "Instinct MI60"}, 0x738C: "Instinct MI100",
    0x740F: "Instinct MI210", 0x7408: "Instinct MI250X", 0x740C: "Instinct MI250X", 0x74A0: "Instinct MI300A",
    0x74A1: "Instinct MI300X", 0x74A5: "Instinct MI325X", 0x75A0: "Instinct MI350X", 0x75A3: "Instinct MI355X",
    0x744C: {24: "Radeon RX 7900 XTX", 20: "Radeon RX 7900 XT", 16: "Radeon RX 7900 GRE"},
    0x7448: "Radeon PRO W7900", 0x745E: "Radeon PRO W7800", 0x747E: {16: "Radeon RX 7800 XT", 12: "Radeon RX 7700 XT"},
    0x73A5: "Radeon RX 6950 XT", 0x7551: "Radeon AI PRO R9700", 0x1586: "Radeon 8060S", 0x9442: "Radeon HD 4850",
}  # fmt: skip

_INTEL = {
    0x56A0: "Arc A770", 0x56A1: "Arc A750", 0xE20B: "Arc B580", 0xE20C: "Arc B570", 0xE211: "Arc Pro B60",
    0x0BD5: "Data Center GPU Max 1550", 0x0BDA: "Data Center GPU Max 1100", 0x56C0: "Data Center GPU Flex 170",
}  # fmt: skip

VENDORS = {0x10DE: "nvidia", 0x1002: "amd", 0x8086: "intel", 0x106B: "apple"}
_BRANDS = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel"}


def gpu_name(vendor_id: int | None, device_id: int | None, memory_bytes: int | None = None) -> str | None:
    """The name a driver would give, or None for ids not in the table or not unique."""
    table: Mapping[int, str | Mapping[int, str]] = {0x10DE: _NVIDIA, 0x1002: _AMD, 0x8086: _INTEL}.get(
        vendor_id or 0, {}
    )
    name = table.get(device_id or 0)
    if isinstance(name, Mapping):
        size = round(memory_bytes / GIB) if memory_bytes else 0
        name = name.get(size)
    return f"{_BRANDS[vendor_id or 0]} {name}" if name else None


def nvidia_names(start: str) -> tuple[str, ...]:
    """Every NVIDIA name of the table that begins so."""
    return tuple(dict.fromkeys(f"NVIDIA {name}" for name in _NVIDIA.values() if name.startswith(start)))
