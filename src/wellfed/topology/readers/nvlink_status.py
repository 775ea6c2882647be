"""`nvidia-smi nvlink --status`: every link of every GPU with its rate, or inactive."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, GpuLink, Machine, Origin
from wellfed.message import sentence
from wellfed.topology.readers.reader import Reader

_NO_LINKS = re.compile(r"all links are in[aA]ctive|NVLink not supported", re.I)
_GPU = re.compile(r"^\s*GPU (\d+): (.*?)(?:\s*\(UUID.*)?$", re.M)


def recognises(text: str) -> bool:
    """A GPU's line and a link's line."""
    return bool(_GPU.search(text) and (re.search(r"^\s+Link \d+:\s", text, re.M) or _NO_LINKS.search(text)))


def parse(text: str) -> Machine:
    """GPUs with their number of active links and those links' rate together, one direction."""
    marks = list(_GPU.finditer(text))
    gpus = []
    for at, mark in enumerate(marks):
        if not mark[2].strip():
            continue
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
    return Machine("", Origin.DUMP, gpus=tuple(gpus), gpu_links=_pair(gpus), pci_complete=False)


def _pair(gpus: list[Gpu]) -> tuple[GpuLink, ...]:
    """Where just two cards have as many links up, those lead to each other; of more, the output does not tell."""
    up = [gpu for gpu in gpus if gpu.nvlinks_active]
    if len(gpus) != 2 or len(up) != 2 or up[0].nvlinks_active != up[1].nvlinks_active:
        return ()
    return (GpuLink(up[0].index, up[1].index, "nvlink", up[0].nvlink_bytes_per_s, count=up[0].nvlinks_active),)


READER = Reader(
    "nvidia-smi nvlink -s",
    "nvidia-smi nvlink -s",
    sentence("nvlink-status.text-nvlinks-each-gpu", "NVLinks of each GPU, up or down, and their rate"),
    ("Link ", "NVLink"),
    recognises,
    parse,
)
