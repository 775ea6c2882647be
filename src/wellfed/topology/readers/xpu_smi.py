"""`xpu-smi discovery` (all cards, or one with -d): Intel GPUs, two columns a table.

Source of the form: Intel XPU Manager documentation, smi_user_guide. The table of version 2 is read by `smi_table`,
the topology by `topo_matrix`.
"""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.message import sentence
from wellfed.topology.lists import integer, number
from wellfed.topology.pci import ADDRESS, normal_address
from wellfed.topology.readers.numbers import not_na, size
from wellfed.topology.readers.reader import Reader, partial_machine

_ROW = re.compile(r"^\s*\|\s*(\d{0,3})\s*\|\s*([A-Z][^:|\n]*?):\s*([^|\n]*?)\s*\|\s*$", re.M)


def recognises(text: str) -> bool:
    """Rows with a device's name."""
    return "Device Name" in text and any(match[2] == "Device Name" for match in _ROW.finditer(text))


def parse(text: str) -> Machine:
    """Cards with address, memory and link."""
    cards: list[dict[str, str]] = []
    for match in _ROW.finditer(text):
        if match[1] or not cards:
            cards.append({"number": match[1] or "0"})
        cards[-1].setdefault(match[2], match[3])
    gpus = tuple(_gpu(card) for card in cards)
    return partial_machine(
        gpus=gpus,
        pci=tuple(_device(gpu, card) for gpu, card in zip(gpus, cards, strict=True) if gpu.pci_address),
        pci_complete=False,
    )


def _gpu(card: dict[str, str]) -> Gpu:
    place = card.get("PCI BDF Address", "")
    name = re.sub(r"\((?:R|TM|C)\)", "", card.get("Device Name", ""))
    name = re.sub(r"\s*\[0x[0-9a-f]+\]", "", name)
    name = re.sub(r"^(Intel (?:Arc|Data Center GPU).*?)\s+Graphics$", r"\1", re.sub(r"\s+", " ", name).strip())
    return Gpu(
        int(card["number"]),
        name=None if name == "Intel Graphics" else name or None,  # a driver that does not know the card says only that
        vendor="intel",
        memory_bytes=size(not_na(card.get("Memory Physical Size"))),
        memory_free_bytes=size(not_na(card.get("Memory Free Size"))),
        pci_address=normal_address(place) if ADDRESS.fullmatch(place) else None,
        driver=not_na(card.get("Driver Version")),
    )


def _device(gpu: Gpu, card: dict[str, str]) -> PciDevice:
    generation, width = number(card.get("PCIe Generation")), number(card.get("PCIe Max Link Width"))
    fits = generation is not None and width is not None and 1 <= generation <= 6 and 1 <= width <= 32
    return PciDevice(
        gpu.pci_address or "",
        vendor_id=0x8086,
        device_id=integer(card.get("PCI Device ID"), 16),
        class_code=0x038000,
        link_max=PcieLink(int(generation or 1), int(width or 1)) if fits else None,
    )


READER = Reader(
    "xpu-smi discovery",
    "xpu-smi discovery; xpu-smi discovery -d 0; xpu-smi topology -m",
    sentence("xpu-smi.text-intel-gpus-their", "Intel GPUs, their memory and link"),
    ("Device Name",),
    recognises,
    parse,
    adds_up=True,
)
