"""`mthreads-gmi`: Moore Threads' GPUs. Three lines a card: number, name | bus id | memory; kind | lanes | heat."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.reader import Reader, told

_FIRST = re.compile(
    r"^\|?\s*(\d{1,3})\s+(MTT\s[^|]*?)\s*\|\s*((?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.\d)\s*\|"
    r"[^|\n]*?(\d+)MiB\s*\(\s*(\d+)MiB\s*\)",
    re.M,
)
_SECOND = re.compile(r"^\|?[^|\n]*\|\s*\d+x\(\d+x\)\s*\|\s*(\d+)C", re.M)
_MOORE_THREADS = 0x1ED5


def recognises(text: str) -> bool:
    """A card's first line."""
    return bool(_FIRST.search(text))


def parse(text: str) -> Machine:
    """Cards with their memory."""
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
                temperature_c=float(below[1]) if below else None,
            )
        )
    return told(
        gpus=tuple(gpus),
        pci=tuple(PciDevice(g.pci_address or "", vendor_id=_MOORE_THREADS, class_code=0x030000) for g in gpus),
        pci_complete=False,
    )


READER = Reader(
    "mthreads-gmi",
    "mthreads-gmi",
    sentence("mthreads-gmi.text-moore-threads-gpus", "Moore Threads GPUs and their memory"),
    ("MTT ",),
    recognises,
    parse,
)
