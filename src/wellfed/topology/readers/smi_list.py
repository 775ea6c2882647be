"""`nvidia-smi -L`: cards and MIG slices by name."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import sentence
from wellfed.topology.readers.reader import Reader, partial_machine

_GPU = re.compile(r"^\s*GPU (\d{1,3}): ([^\n(]*?(?:\([^\n(U]*\)[^\n(]*?)?)\s*\((?:UUID|S/N)[^\n]*$", re.M)


def recognises(text: str) -> bool:
    """A card's line with its UUID, without a link's line below (that is `nvlink --status`)."""
    return bool(_GPU.search(text)) and not re.search(r"^\s+Link \d+:", text, re.M)


def parse(text: str) -> Machine:
    """Cards; one that has slices below it is in MIG mode."""
    marks = list(_GPU.finditer(text))
    gpus = []
    for at, mark in enumerate(marks):
        block = text[mark.end() : marks[at + 1].start() if at + 1 < len(marks) else len(text)]
        sliced = re.search(r"^\s+MIG\s+\S+\s+Device", block, re.M) is not None
        gpus.append(Gpu(int(mark[1]), name=mark[2].strip() or None, vendor="nvidia", mig=True if sliced else None))
    return partial_machine(gpus=tuple(gpus), pci_complete=False)


READER = Reader(
    "nvidia-smi -L",
    "nvidia-smi -L",
    sentence("smi-list.text-names-gpus-mig", "names of the GPUs, MIG slices"),
    ("(UUID", "(S/N"),
    recognises,
    parse,
)
