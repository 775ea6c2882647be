"""rocminfo: the HSA agents, of which GPUs tell their name, place, memory and architecture."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine, OsSettings
from wellfed.message import sentence
from wellfed.topology.readers.reader import Reader, partial_machine

_AGENT = re.compile(r"^[ \t]*Agent \d+[ \t]*$", re.M)
_POOL = re.compile(r"Segment:\s+GLOBAL[^\n]*COARSE[^\n]*\n\s*Size:\s+(\d{1,12})\(", re.M)


def recognises(text: str) -> bool:
    """An agent with its kind."""
    return bool(_AGENT.search(text)) and "Device Type:" in text


def parse(text: str) -> Machine:
    """GPUs in their order; a CPU's name. CPU agents are NUMA nodes, not sockets: they are not counted."""
    blocks = _AGENT.split(text)[1:]
    cpus = [block for block in blocks if _field(block, "Device Type") == "CPU"]
    cards = [block for block in blocks if _field(block, "Device Type") == "GPU"]
    return partial_machine(
        gpus=tuple(_gpu(index, block) for index, block in enumerate(cards)),
        pci_complete=False,
        cpu_name=_field(cpus[0], "Marketing Name") if cpus else None,
        os=OsSettings(family="linux"),
    )


def _field(block: str, name: str) -> str | None:
    match = re.search(rf"^[ \t]*{name}:[ \t]+(\S[^\n]*?)[ \t]*$", block, re.M)
    return match[1] if match else None


def _gpu(index: int, block: str) -> Gpu:
    pool, place, domain = _POOL.search(block), _field(block, "BDFID"), _field(block, "Domain") or "0"
    number = int(place) if place and place.isdecimal() and len(place) < 6 else None
    return Gpu(
        index,
        name=_field(block, "Marketing Name") or _field(block, "Name"),
        vendor="amd",
        memory_bytes=int(pool[1]) << 10 if pool else None,
        pci_address=None
        if number is None or not domain.isdecimal() or len(domain) > 4
        else f"{int(domain):04x}:{number >> 8:02x}:{number >> 3 & 31:02x}.{number & 7}",
    )


READER = Reader(
    "rocminfo",
    "rocminfo",
    sentence("rocminfo.text", "AMD GPUs, their place and memory"),
    ("Device Type:",),
    recognises,
    parse,
)
