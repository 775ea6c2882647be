"""neofetch and fastfetch: a line each for the CPU, the graphics cards and memory, beside a picture of letters."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine, OsSettings
from wellfed.message import sentence
from wellfed.topology.readers.numbers import power_of_1024
from wellfed.topology.readers.reader import Reader, partial_machine

_LINE = re.compile(
    r"(?:^|[^\w(])(OS|Host|Kernel|Uptime|Packages|Shell|CPU|GPU(?: ?\d{1,2})?|Memory|Swap): (\S[^\n]*?)[ \t]*$", re.M
)
_SIZE = re.compile(r"([\d.]+) ?([KMGT])i?B ?/ ?([\d.]+) ?([KMGT])i?B")
_LEAST = 4  # of its lines
_VENDORS = (
    ("nvidia", r"NVIDIA|GeForce|Quadro|Tesla"),
    ("amd", r"AMD|Radeon|ATI"),
    ("intel", r"Intel"),
    ("apple", r"Apple"),
)


def recognises(text: str) -> bool:
    """Several of its lines, the CPU's among them on one line with its threads or its clock."""
    lines = {match[1][:3]: match[2] for match in _LINE.finditer(text)}
    return len(lines) >= _LEAST and re.search(r"\(\d+\)|@|Apple M\d", lines.get("CPU", "")) is not None


def parse(text: str) -> Machine:
    """CPU, cards by name, RAM and what is left of it."""
    lines = [(match[1], match[2]) for match in _LINE.finditer(text)]
    system = next((value for key, value in lines if key == "OS"), "")
    kernel = next((value for key, value in lines if key == "Kernel"), "")
    used, total = next((_sizes(value) for key, value in lines if key == "Memory"), (None, None))
    swapped, swap = next((_sizes(value) for key, value in lines if key == "Swap"), (None, None))
    cards = [_gpu(index, value) for index, value in enumerate(v for key, v in lines if key.startswith("GPU"))]
    host = next((value for key, value in lines if key == "Host"), "")
    return partial_machine(
        gpus=tuple(cards),
        pci_complete=False,
        cpu_name=next((_cpu(value) for key, value in lines if key == "CPU"), None),
        memory_bytes=total,
        os=OsSettings(
            kernel=kernel.removeprefix("Linux ") or None,
            memory_free_bytes=None if total is None or used is None else max(0, total - used),
            swap_total_bytes=swap,
            swap_used_bytes=swapped,
            family="macos" if re.match(r"macOS", system) else "windows" if system.startswith("Windows") else "linux",
            wsl=True if "microsoft" in kernel.lower() or "Windows Subsystem" in host else None,
            chassis="laptop" if re.search(r"laptop|notebook|book\b", host, re.I) else None,
        ),
    )


def _cpu(text: str) -> str:
    """Without threads and clock."""
    return re.sub(r"\s*\(\d+\).*$|\s*@.*$", "", text)


def _gpu(index: int, text: str) -> Gpu:
    """A card; what stands in brackets is its memory and kind, a bus id within the name is no name."""
    memory = re.search(r"\(([\d.]+) ([GM])iB\)", text)
    name = re.sub(r"\s*(?:@.*|\(.*|\[(?:Discrete|Integrated|External)\].*)$|\b[\da-f]{2}:[\da-f]{2}\.\d\s", "", text)
    name = re.sub(r"^AMD ATI ", "AMD ", name).strip()
    vendor = next((vendor for vendor, pattern in _VENDORS if re.search(pattern, name)), None)
    return Gpu(
        index,
        name=name,
        vendor=vendor,
        memory_bytes=round(float(memory[1]) * power_of_1024(memory[2])) if memory else None,
        display_only=vendor == "intel" and "Arc" not in name,
    )


def _sizes(text: str) -> tuple[int | None, int | None]:
    match = _SIZE.search(text)
    if match is None or match[1].count(".") > 1 or match[3].count(".") > 1:
        return None, None
    return round(float(match[1]) * power_of_1024(match[2])), round(float(match[3]) * power_of_1024(match[4]))


READER = Reader(
    "neofetch, fastfetch",
    "fastfetch",
    sentence("fetch.text", "CPU, names of the GPUs, RAM"),
    ("Kernel: ",),
    recognises,
    parse,
)
