"""`mx-smi`: MetaX's GPUs. Two lines a card: number, name | bus id | load; heat, power | memory."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.reader import Reader, partial_machine

_FIRST = re.compile(
    r"^\|\s*(\d{1,3})\s+((?:MetaX|MXC|C\d{3}|N\d{3})[^|]*?)\s*\|\s*([0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.\d)\s*\|",
    re.M,
)
_SECOND = re.compile(
    r"^\|\s*(?:(\d+)C)?\s*(?:([\d.]+)\s*W\s*/\s*([\d.]+)\s*W)?[^|\n]*\|\s*(\d+)\s*/\s*(\d+)\s*MiB", re.M
)
_METAX = 0x9999  # PCI vendor id that its cards bear: assumed


def recognises(text: str) -> bool:
    """A card's first line below the tool's head."""
    return bool(_FIRST.search(text)) and ("MX-SMI" in text or "mx-smi" in text or "MetaX" in text)


def parse(text: str) -> Machine:
    """Cards with memory and power."""
    marks = list(_FIRST.finditer(text))
    gpus = []
    for at, mark in enumerate(marks):
        below = _SECOND.search(text, mark.end(), marks[at + 1].start() if at + 1 < len(marks) else len(text))
        total = int(below[5]) << 20 if below else None
        gpus.append(
            Gpu(
                int(mark[1]),
                name=mark[2].strip() if mark[2].startswith("MetaX") else f"MetaX {mark[2].strip()}",
                vendor="metax",
                pci_address=normal_address(mark[3]),
                memory_bytes=total,
                memory_free_bytes=total - (int(below[4]) << 20) if below and total else None,
                temperature_c=float(below[1]) if below and below[1] else None,
                power_draw_w=float(below[2]) if below and below[2] else None,
                power_limit_w=float(below[3]) if below and below[3] else None,
            )
        )
    return partial_machine(
        gpus=tuple(gpus),
        pci=tuple(PciDevice(g.pci_address or "", vendor_id=_METAX, class_code=0x120000) for g in gpus),
        pci_complete=False,
    )


READER = Reader(
    "mx-smi",
    "mx-smi",
    sentence("mx-smi.text-metax-gpus-their", "MetaX GPUs and their memory"),
    ("MetaX", "MX-SMI", "mx-smi"),
    recognises,
    parse,
)
