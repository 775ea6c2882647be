"""`hy-smi`: Hygon's DCUs (HCU in newer versions). A table whose first column is the card's number."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine
from wellfed.topology.readers.reader import Reader, partial_machine

_HEAD = re.compile(r"^\s*(?:DCU|HCU)\s+Temp.*$", re.M)
_LINE = re.compile(r"^\s*(?:DCU|HCU)\[(\d{1,3})\]\s*:\s*([^:\n]+?)\s*:\s*([^\n]*)$", re.M)


def recognises(text: str) -> bool:
    """The table's head, or the lines of the --show options."""
    return bool(_HEAD.search(text) or _LINE.search(text))


def parse(text: str) -> Machine:
    """Cards; names and memory where --showproductname and --showmeminfo print them."""
    facts: dict[int, dict[str, str]] = {}
    for match in _LINE.finditer(text):
        facts.setdefault(int(match[1]), {}).setdefault(match[2].lower(), match[3].strip())
    rows: dict[int, list[str]] = {}
    head = _HEAD.search(text)
    for line in text[head.end() :].splitlines() if head else ():
        words = line.split()
        if words and words[0].isdecimal() and len(words[0]) < 4 and len(words) >= 5:
            rows[int(words[0])] = words[1:]
    return partial_machine(
        gpus=tuple(_gpu(n, facts.get(n, {}), rows.get(n, [])) for n in sorted({*facts, *rows})), pci_complete=False
    )


def _gpu(index: int, facts: dict[str, str], row: list[str]) -> Gpu:
    total, used = _mib(facts, "total"), _mib(facts, "used")
    powers = [float(cell[:-1]) for cell in row if re.fullmatch(r"[\d.]+W", cell)]
    heats = [float(cell[:-1]) for cell in row if re.fullmatch(r"[\d.]+C", cell)]
    name = facts.get("card series", facts.get("card model"))
    return Gpu(
        index,
        name=name,
        vendor="hygon",
        memory_bytes=total,
        memory_free_bytes=total - used if total is not None and used is not None else None,
        power_draw_w=powers[0] if len(powers) > 1 else None,
        power_limit_w=powers[-1] if len(powers) > 1 else None,
        temperature_c=heats[0] if heats else None,
    )


def _mib(facts: dict[str, str], word: str) -> int | None:
    """`vram total memory (MiB): 65520`."""
    text = next((value for key, value in facts.items() if "vram" in key and word in key and "memory" in key), "")
    match = re.match(r"(\d+)", text)
    return int(match[1]) << 20 if match else None


READER = Reader(
    "hy-smi", "hy-smi; hy-smi --showproductname --showmeminfo vram", "Hygon DCUs", ("DCU", "HCU"), recognises, parse
)
