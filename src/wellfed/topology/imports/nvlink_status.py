"""`nvidia-smi nvlink --status`: every link of every GPU with its rate, or inactive."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine, Origin

_GPU = re.compile(r"^\s*GPU (\d+): (.*?)(?:\s*\(UUID.*)?$", re.M)


def recognises(text: str) -> bool:
    """A GPU's line and a link's line."""
    return bool(_GPU.search(text) and re.search(r"^\s+Link \d+:\s", text, re.M))


def parse(text: str) -> Machine:
    """GPUs with their number of active links and those links' rate together, one direction."""
    marks = list(_GPU.finditer(text))
    gpus = []
    for at, mark in enumerate(marks):
        block = text[mark.end() : marks[at + 1].start() if at + 1 < len(marks) else len(text)]
        states = re.findall(r"^\s+Link \d+:\s*(.*)$", block, re.M)
        rates = [float(m[1]) for state in states if (m := re.match(r"([\d.]+)\s*GB/s", state))]
        gpus.append(
            Gpu(
                int(mark[1]),
                name=mark[2].strip() or None,
                vendor="nvidia",
                nvlinks_active=len(rates) if states else None,
                nvlinks_total=len(states) or None,
                nvlink_bytes_per_s=sum(rates) * 1e9 if states else None,
            )
        )
    return Machine("", Origin.DUMP, gpus=tuple(gpus), pci_complete=False)
