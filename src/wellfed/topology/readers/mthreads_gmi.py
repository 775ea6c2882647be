"""`mthreads-gmi`: Moore Threads' GPUs. Three lines a card: number, name | bus id | memory; kind | lanes | heat.

With -q the sections of nvidia-smi's log, under its own banner.
"""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.message import sentence
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.reader import Reader, partial_machine

_FIRST = re.compile(
    r"^\|?\s*(\d{1,3})\s+(MTT\s[^|]*?)\s*\|\s*((?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.\d)\s*\|"
    r"[^|\n]*?(\d+)MiB\s*\(\s*(\d+)MiB\s*\)",
    re.M,
)
_SECOND = re.compile(r"^\|?[^|\n]*\|\s*(\d{1,2})x\((\d{1,2})x\)\s*\|\s*(\d+)C", re.M)
_CARD = re.compile(r"^\s*GPU\s*(\d{1,3})\s*:?\s+((?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.\d)\s*$", re.M)
_MOORE_THREADS = 0x1ED5  # PCI vendor id (pci.ids)


def recognises(text: str) -> bool:
    """A card's first line, or the banner of -q."""
    return bool(_FIRST.search(text)) or ("MTSMI LOG" in text and _CARD.search(text) is not None)


def parse(text: str) -> Machine:
    """The cards with their memory."""
    if "MTSMI LOG" in text:
        return _machine_of(text)
    marks = list(_FIRST.finditer(text))
    gpus = []
    for at, mark in enumerate(marks):
        below = _SECOND.search(text, mark.end(), marks[at + 1].start() if at + 1 < len(marks) else len(text))
        used, total = int(mark[4]) << 20, int(mark[5]) << 20
        gpus.append(
            Gpu(
                int(mark[1]),
                name=mark[2].strip(),
                vendor="moorethreads",
                pci_address=normal_address(mark[3]),
                memory_bytes=total,
                memory_free_bytes=max(0, total - used),
                temperature_c=float(below[3]) if below else None,
                link_width=int(below[1]) if below else None,
                link_width_max=int(below[2]) if below else None,
            )
        )
    return partial_machine(
        gpus=tuple(gpus),
        pci=tuple(PciDevice(g.pci_address or "", vendor_id=_MOORE_THREADS, class_code=0x030000) for g in gpus),
        pci_complete=False,
    )


def _machine_of(text: str) -> Machine:
    """-q: cards with memory and link."""
    marks = list(_CARD.finditer(text))
    cards, devices = [], []
    for at, mark in enumerate(marks):
        block = text[mark.end() : marks[at + 1].start() if at + 1 < len(marks) else len(text)]
        place = normal_address(mark[2])
        name = re.search(r"Product Name\s*:\s*(\S.*)", block)
        heat = re.search(r"GPU Current Temp\s*:\s*(\d+)\s*C", block)
        cards.append(
            Gpu(
                int(mark[1]),
                name=name[1].strip() if name else None,
                vendor="moorethreads",
                pci_address=place,
                memory_bytes=_mib(block, "Total"),
                memory_free_bytes=_mib(block, "Free"),
                temperature_c=float(heat[1]) if heat else None,
            )
        )
        devices.append(
            PciDevice(
                place,
                vendor_id=_MOORE_THREADS,
                class_code=0x030000,
                link_current=_link(block, "Current"),
                link_max=_link(block, "Max"),
            )
        )
    driver = re.search(r"Driver Version\s*:\s*(\S+)", text)
    gpus = tuple(replace(card, driver=driver[1]) if driver else card for card in cards)
    return partial_machine(gpus=gpus, pci=tuple(devices), pci_complete=False)


def _mib(block: str, key: str) -> int | None:
    match = re.search(rf"FB Memory Usage\s*\n(?:[^\n]*\n){{0,3}}?\s*{key}\s*:\s*(\d+)\s*MiB", block)
    return int(match[1]) << 20 if match else None


def _link(block: str, state: str) -> PcieLink | None:
    generation = re.search(rf"PCIe Generation\s*\n(?:[^\n]*\n){{0,1}}?\s*{state}\s*:\s*(\d)\b", block)
    width = re.search(rf"Link Width\s*\n(?:[^\n]*\n){{0,1}}?\s*{state}\s*:\s*(\d{{1,2}})x", block)
    if not generation or not width or not 1 <= int(generation[1]) <= 6 or not 1 <= int(width[1]) <= 32:
        return None
    return PcieLink(int(generation[1]), int(width[1]))


READER = Reader(
    "mthreads-gmi",
    "mthreads-gmi",
    sentence("mthreads-gmi.text-moore-threads-gpus", "Moore Threads GPUs and their memory"),
    ("MTT ", "MTSMI LOG"),
    recognises,
    parse,
)
