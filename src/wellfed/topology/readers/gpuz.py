"""GPU-Z's text (submit or clipboard): name, memory, and the PCIe link as `PCIe x16 4.0 @ x8 1.1`."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine, OsSettings
from wellfed.hardware.pcie import PcieLink
from wellfed.message import sentence
from wellfed.topology.readers.numbers import power_of_1024
from wellfed.topology.readers.reader import Reader, partial_machine

_BUS = re.compile(
    r"^\s*Bus Interface\s*[:=]?\s*PCI(?:e|-E|-Express)?\s*(?:x(\d+)\s+)?(\d)\.\d\s*(?:x(\d+)\s*)?"
    r"@\s*x?(\d+)\s+(\d)\.\d",
    re.M,
)


def recognises(text: str) -> bool:
    """The bus line beside a memory size or a GPU's code name."""
    return bool(_BUS.search(text) or ("GPU-Z" in text and _field(text, "Memory Size")))


def _field(text: str, key: str) -> str | None:
    match = re.search(rf"^\s*{key}\s*[:=]?\s{{1,}}(\S[^\n]*)$", text, re.M)
    return match[1].strip() if match else None


def parse(text: str) -> Machine:
    """One card. Its place is not told; the link as seen and what both ends can do is."""
    name = _field(text, "Name") or _field(text, "Card Name")
    memory = re.search(r"^\s*Memory Size\s*[:=]?\s*(\d+)\s*(KB|MB|GB)", text, re.M)
    bus = _BUS.search(text)
    vendor = (
        "nvidia"
        if re.search(r"NVIDIA|GeForce|Quadro", name or "")
        else "amd"
        if re.search(r"AMD|Radeon", name or "")
        else None
    )
    most = _link(bus[2], bus[1] or bus[3]) if bus else None
    current = _link(bus[5], bus[4]) if bus else None
    return partial_machine(
        gpus=(
            Gpu(
                0,
                name=name,
                vendor=vendor,
                memory_bytes=int(memory[1]) * power_of_1024(memory[2]) if memory else None,
                pci_address=None,
                link=_width_known(current, most),
                link_generation=current.generation if current else None,
                link_generation_max=most.generation if most else None,
            ),
        ),
        pci_complete=False,
        os=OsSettings(family="windows"),
    )


def _link(generation: str | None, width: str | None) -> PcieLink | None:
    if not generation or not width or not 1 <= int(generation) <= 6 or not 1 <= int(width) <= 32:
        return None
    return PcieLink(int(generation), int(width))


def _width_known(current: PcieLink | None, most: PcieLink | None) -> PcieLink | None:
    """Lanes do not change when a card idles, generations do: the lanes seen at the generation both ends can do."""
    return PcieLink(most.generation, current.width) if current and most else None


READER = Reader(
    "GPU-Z",
    "GPU-Z",
    sentence("gpuz.text-gpu-memory-link", "a GPU, its memory and its link"),
    ("Bus Interface", "GPU-Z"),
    recognises,
    parse,
)
