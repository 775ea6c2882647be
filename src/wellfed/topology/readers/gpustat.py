"""gpustat: `[0] NVIDIA GeForce RTX 3090 | 45'C, 0 % | 1234 / 24576 MB | user(1230M)`."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import sentence
from wellfed.topology.readers.reader import Reader, partial_machine

_CARD = re.compile(
    r"^[ \t]*\[(\d{1,3})\][ \t]+([^|\n]+?)[ \t]*\|[ \t]*(?:(\d{1,3})\s?['°]\s?C)?[^|\n]*\|[ \t]*(\d{1,7})[ \t]*/"
    r"[ \t]*(\d{1,7}) ?MB[ \t]*(?:\|([^\n]*))?$", re.M
)  # fmt: skip
_POWER = re.compile(r"(\d+) / (\d+) W")
_HOLDER = re.compile(r"\S+\(\d+M\)")


def recognises(text: str) -> bool:
    """Whether a card's line stands in the text."""
    return _CARD.search(text) is not None


def parse(text: str) -> Machine:
    """Cards with memory, heat, the power limit where it is shown, and programs that hold memory."""
    cards = []
    for match in _CARD.finditer(text):
        used, total, power = int(match[4]) << 20, int(match[5]) << 20, _POWER.search(match[0])
        cards.append(
            Gpu(
                int(match[1]),
                name=match[2],
                vendor="nvidia" if re.search(r"NVIDIA|GeForce|Tesla|Quadro|RTX", match[2]) else None,
                memory_bytes=total,
                memory_free_bytes=max(0, total - used),
                temperature_c=float(match[3]) if match[3] else None,
                power_limit_w=float(power[2]) if power else None,
                foreign_processes=len(_HOLDER.findall(match[6])) if match[6] is not None else None,
            )
        )
    return partial_machine(gpus=tuple(cards), pci_complete=False)


READER = Reader(
    "gpustat",
    "gpustat -P",
    sentence("gpustat.text", "GPUs, their memory and who uses it"),
    (" MB |",),
    recognises,
    parse,
)
