"""`npu-smi info`: Huawei's Ascend NPUs. Two lines a chip: card, name, health, power; chip, bus id, memory.

Source of the form: Ascend documentation, npu-smi user guide. Newer versions print the chip's number over all cards.
"""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.reader import Reader, partial_machine

_FIRST = re.compile(r"^\|\s*(\d{1,3})\s+((?:Ascend\s?)?\w[\w-]*)\s*\|\s*(\w+)\s*\|\s*([\d.]+|-|NA)?\s+([\d.]+|NA)?")
_SECOND = re.compile(
    r"^\|\s*(\d{1,3})(?:\s+(\d{1,3}))?\s*\|\s*([0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\d)\s*\|([^|]*)\|"
)
_HUAWEI = 0x19E5  # PCI vendor id (pci.ids)


def recognises(text: str) -> bool:
    """The tool's head or column titles, and a chip."""
    return ("npu-smi" in text or "HBM-Usage" in text or "AICore" in text) and any(
        _SECOND.match(line.strip()) for line in text.splitlines()
    )


def parse(text: str) -> Machine:
    """Chips with name, address and memory."""
    gpus: list[Gpu] = []
    name, heat = "", None
    for line in text.splitlines():
        first, second = _FIRST.match(line.strip()), _SECOND.match(line.strip())
        if second:
            gpus.append(_chip(len(gpus), name, heat, second))
            name, heat = "", None  # each chip has a first line of its own
        elif first:
            name, heat = first[2], first[5]
    return partial_machine(
        gpus=tuple(gpus),
        pci=tuple(PciDevice(gpu.pci_address or "", vendor_id=_HUAWEI, class_code=0x120000) for gpu in gpus),
        pci_complete=False,
    )


def _chip(order: int, name: str, heat: str | None, line: re.Match[str]) -> Gpu:
    pairs = re.findall(r"(\d+)\s*/\s*(\d+)", line[4])
    used, total = (int(pairs[-1][0]) << 20, int(pairs[-1][1]) << 20) if pairs else (0, 0)
    full = name if name.startswith("Ascend") or not name else f"Ascend {name}"
    return Gpu(
        int(line[2]) if line[2] else order,
        name=full or None,
        vendor="ascend",
        pci_address=normal_address(line[3]),
        memory_bytes=total or None,
        memory_free_bytes=total - used if total else None,
        temperature_c=float(heat) if heat and heat != "NA" else None,
    )


READER = Reader(
    "npu-smi info",
    "npu-smi info; npu-smi info -t topo",
    sentence("npu-smi.text-ascend-npus-their", "Ascend NPUs and their memory"),
    ("npu-smi", "HBM-Usage", "AICore"),
    recognises,
    parse,
    adds_up=True,
)
