"""`hwinfo` (--gfxcard, --memory, --cpu) and `hwinfo --short`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wellfed.hardware.machine import Gpu, Machine, OsSettings
from wellfed.hardware.pcie import PciDevice
from wellfed.topology.lists import integer
from wellfed.topology.pci import normal_address
from wellfed.topology.pci_tree import bracketed_name
from wellfed.topology.readers.pci_words import vendor_of
from wellfed.topology.readers.reader import Reader, partial_machine

_BLOCK = re.compile(r"^(?:>?\s*)?\d{1,3}: (PCI|None|Memory|CPU|BIOS)[^\n]*$", re.M)
_SHORT = re.compile(r"^(graphics card|cpu|memory):\s*$", re.M)
_BRANDS = {0x10DE: "nvidia", 0x1002: "amd"}


def recognises(text: str) -> bool:
    """Its numbered blocks with a hardware class, or the short list."""
    if re.search(r"^\s+Hardware Class: ", text, re.M) and _BLOCK.search(text):
        return True
    return bool(re.search(r"^(?:graphics card|cpu):\s*\n\s{2,}\S", text, re.M) and len(_SHORT.findall(text)) > 1)


def parse(text: str) -> Machine:
    """The cards, CPU and RAM that the text names."""
    blocks = list(_blocks(text))
    cards = [card for kind, block in blocks if kind == "graphics card" and (card := _card(block)) is not None]
    cards = cards or list(_short_cards(text))
    cpus = [block for kind, block in blocks if kind == "cpu"]
    name = _quoted(cpus[0], "Model") if cpus else _short_cpu(text)
    memory = next((m for kind, block in blocks if kind == "memory" and (m := _memory(block))), None)
    return partial_machine(
        gpus=tuple(gpu_at(index, device) for index, device in enumerate(cards)),
        pci=tuple(device for device in cards if device.address),
        pci_complete=False,
        cpu_name=re.sub(r",\s*\d+ MHz$", "", name) if name else None,
        memory_bytes=memory,
        os=OsSettings(family="linux"),
    )


def gpu_at(index: int, device: PciDevice) -> Gpu:
    """The card of a function."""
    return Gpu(
        index, name=bracketed_name(device), vendor=_BRANDS[device.vendor_id or 0], pci_address=device.address or None
    )


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    marks = list(_BLOCK.finditer(text))
    for at, mark in enumerate(marks):
        block = text[mark.end() : marks[at + 1].start() if at + 1 < len(marks) else len(text)]
        kind = re.search(r"^\s+Hardware Class: (.+?)\s*$", block, re.M)
        if kind:
            yield kind[1], block


def _quoted(block: str, key: str) -> str | None:
    match = re.search(rf'^\s+{key}: (?:pci 0x[0-9a-f]+ |[\d.]+ )?"([^"\n]*)"', block, re.M)
    return match[1].strip() if match else None


def _card(block: str) -> PciDevice | None:
    place = re.search(r"^\s+SysFS BusID: ([0-9a-f:.]+)\s*$", block, re.M)
    vendor = re.search(r"^\s+Vendor: pci 0x([0-9a-f]{4})", block, re.M)
    device = re.search(r"^\s+Device: pci 0x([0-9a-f]{4})", block, re.M)
    number = integer(vendor[1], 16) if vendor else None
    if number not in _BRANDS:
        return None
    driver = _quoted(block, "Driver")
    return PciDevice(
        normal_address(place[1]) if place and place[1].count(":") else "", vendor_id=number,
        device_id=integer(device[1], 16) if device else None, class_code=0x030000,
        name=_quoted(block, "Device") or _quoted(block, "Model"), driver=driver,
    )  # fmt: skip


def _short_cards(text: str) -> Iterator[PciDevice]:
    match = re.search(r"^graphics card:\s*\n((?:\s{2,}\S[^\n]*\n?)+)", text, re.M)
    for line in (match[1] if match else "").splitlines():
        name = re.sub(r"^(?i:nvidia)\b", "NVIDIA", line.strip())
        vendor = vendor_of(name) or (0x1002 if name.startswith(("ATI", "AMD")) else None)
        if vendor in _BRANDS:
            yield PciDevice("", vendor_id=vendor, class_code=0x030000, name=name)


def _short_cpu(text: str) -> str | None:
    match = re.search(r"^cpu:\s*\n\s{2,}(\S[^\n]*)$", text, re.M)
    return match[1].strip() if match else None


def _memory(block: str) -> int | None:
    match = re.search(r"^\s+Memory Size: (\d+) (GB|MB)(?: \+ (\d+) (GB|MB))?", block, re.M)
    if match is None:
        return None
    units = {"GB": 1 << 30, "MB": 1 << 20}
    return int(match[1]) * units[match[2]] + (int(match[3]) * units[match[4]] if match[3] else 0)


READER = Reader(
    "hwinfo", "hwinfo --gfxcard --memory --cpu", "GPUs, CPU, RAM", ("Hardware Class:", "graphics card:", "cpu:"),
    recognises, parse,
)  # fmt: skip
