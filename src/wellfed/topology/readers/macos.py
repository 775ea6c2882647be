"""macOS: `system_profiler SPHardwareDataType SPDisplaysDataType SPMemoryDataType`, and `sysctl` of CPU and memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from wellfed.hardware.machine import Gpu, Machine, OsSettings, Socket
from wellfed.message import sentence
from wellfed.topology.readers.numbers import power_of_1024
from wellfed.topology.readers.reader import Reader, partial_machine

_VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel", "0x106b": "apple"}


def recognises(text: str) -> bool:
    """The profiler's fields, or sysctl's names."""
    return bool(
        re.search(r"^\s*Chipset Model: \S", text, re.M)
        or re.search(r"^\s*Hardware Overview:\s*$", text, re.M)
        or re.search(r"^\s*(?:hw\.memsize|machdep\.cpu\.brand_string):", text, re.M)
    )


def parse(text: str) -> Machine:
    """The chip with its GPU, graphics cards, RAM."""
    chip = _field(text, "Chip") or _field(text, "machdep.cpu.brand_string")
    name = chip or _field(text, "Processor Name")
    cores = re.search(
        r"^\s*(?:Total Number of Cores|hw\.physicalcpu): (\d{1,3})", text.partition("Chipset Model")[0], re.M
    )
    count = _field(text, "Number of Processors")
    memory = _memory(text)
    gpus = tuple(_sharing(gpu, memory) for gpu in tuple(_cards(text)) or _of_chip(chip))
    model = _field(text, "Model Name") or ""
    return partial_machine(
        name=model,
        gpus=gpus,
        sockets=tuple(
            Socket(index, name=name, cores=int(cores[1]) if cores else None)
            for index in range(int(count) if count and count.isdecimal() and int(count) <= 2 else 1)
        )
        if name
        else (),
        cpu_name=name,
        memory_bytes=memory,
        os=OsSettings(
            family="macos",
            chassis="laptop" if "MacBook" in model else "desktop" if model else None,
            architecture="arm64" if chip and chip.startswith("Apple") else None,
        ),
    )


def _field(text: str, key: str) -> str | None:
    match = re.search(rf"^\s*{re.escape(key)}: (\S[^\n]*)$", text, re.M)
    return match[1].strip() if match else None


def _memory(text: str) -> int | None:
    raw = _field(text, "hw.memsize")
    if raw and raw.isdecimal():
        return int(raw)
    match = re.search(r"^\s*Memory: (\d+) (MB|GB|TB)\s*$", text, re.M)
    return int(match[1]) * power_of_1024(match[2]) if match else None


def _cards(text: str) -> Iterator[Gpu]:
    marks = list(re.finditer(r"^\s*Chipset Model: (\S[^\n]*)$", text, re.M))
    for at, mark in enumerate(marks):
        block = text[mark.start() : marks[at + 1].start() if at + 1 < len(marks) else len(text)]
        vendor = re.search(r"^\s*Vendor: [^\n]*\((0x[0-9a-f]{4})\)", block, re.M)
        memory = re.search(r"^\s*VRAM \((?:Total|Dynamic, Max)\): (\d+) (MB|GB)", block, re.M)
        cores = re.search(r"^\s*Total Number of Cores: (\d{1,3})\s*$", block, re.M)
        name = mark[1].strip()
        kind = _VENDORS.get(vendor[1]) if vendor else "apple" if name.startswith("Apple") else None
        shared = memory is not None and "Dynamic" in memory[0]
        yield Gpu(
            at,
            name=name,
            vendor=kind,
            memory_bytes=int(memory[1]) * power_of_1024(memory[2]) if memory and not shared else None,
            compute_units=int(cores[1]) if cores and kind == "apple" else None,
            display_only=kind == "intel",
        )


def _sharing(gpu: Gpu, memory_bytes: int | None) -> Gpu:
    """An Apple GPU has the machine's memory."""
    return replace(gpu, memory_bytes=memory_bytes) if gpu.vendor == "apple" else gpu


def _of_chip(chip: str | None) -> tuple[Gpu, ...]:
    """An Apple chip has its GPU inside."""
    return (Gpu(0, name=chip, vendor="apple"),) if chip and chip.startswith("Apple M") else ()


READER = Reader(
    "system_profiler",
    "system_profiler SPHardwareDataType SPDisplaysDataType",
    sentence("macos.text-mac-chip-gpu", "a Mac's chip, GPU and memory"),
    ("Chipset Model:", "Hardware Overview:", "hw.memsize", "machdep.cpu"),
    recognises,
    parse,
)
