"""`lspci -mm` and `-vmm`: a quoted line, or a block of `Key:<tab>value` lines, per function."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from wellfed.hardware.machine import Machine
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.topology.lists import integer
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.pci_words import class_of, device_of, vendor_of
from wellfed.topology.readers.reader import Reader, partial_machine

_LINE = re.compile(r'^((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) ("[^"\n]*" "[^"\n]*" "[^"\n]*"[^\n]*)$', re.M)
_SLOT = re.compile(r"^Slot:\s+((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\s*$", re.M)
_ID = re.compile(r"\s*\[([0-9a-f]{4})\]$")


def recognises(text: str) -> bool:
    """A quoted line, or a block that starts with a slot and tells a class."""
    return bool(_LINE.search(text) or (_SLOT.search(text) and re.search(r"^Class:\s", text, re.M)))


def parse(text: str) -> Machine:
    """The functions, without links: these forms do not show them."""
    devices = {device.address: device for device in (*_lines(text), *_blocks(text))}
    hosts = any(d.class_code is not None and d.class_code >> 8 == 0x0600 for d in devices.values())
    return partial_machine(
        pci=tuple(devices.values()),
        pci_complete=hosts,
        unknown={"pci.link": sentence("lspci-machine.links-shown-lspci", "links are shown by lspci -vv only")},
    )


def _lines(text: str) -> Iterator[PciDevice]:
    for match in _LINE.finditer(text):
        try:
            words = [word for word in shlex.split(match[2]) if not word.startswith(("-r", "-p"))]
        except ValueError:
            continue
        if len(words) >= 3:
            yield _device(match[1], words[0], words[1], words[2], {})


def _blocks(text: str) -> Iterator[PciDevice]:
    marks = list(_SLOT.finditer(text))
    for at, mark in enumerate(marks):
        block = text[mark.end() : marks[at + 1].start() if at + 1 < len(marks) else len(text)]
        facts = {m[1]: m[2].strip() for m in re.finditer(r"^(\w+):[ \t]+([^\n]*)$", block, re.M)}
        yield _device(mark[1], facts.get("Class", ""), facts.get("Vendor", ""), facts.get("Device", ""), facts)


def _device(place: str, kind: str, vendor: str, device: str, facts: dict[str, str]) -> PciDevice:
    """Names with ids in brackets (-nn), bare ids (-n) or names alone."""
    owner = _number(vendor) if _number(vendor) is not None else vendor_of(vendor)
    code, model = _number(kind), _number(device)
    node, group = integer(facts.get("NUMANode")), integer(facts.get("IOMMUGroup"))
    return PciDevice(
        normal_address(place),
        vendor_id=owner,
        device_id=model if model is not None else device_of(owner, device),
        class_code=code << 8 if code is not None else class_of(kind),
        name=f"{_ID.sub('', vendor)} {_ID.sub('', device)}".strip() or None,
        numa_node=node if node is not None and node >= 0 else None,
        iommu_group=group,
        driver=facts.get("Driver"),
    )


def _number(text: str) -> int | None:
    match = _ID.search(text)
    return int(match[1], 16) if match else integer(text, 16) if re.fullmatch(r"[0-9a-f]{4}", text) else None


READER = Reader(
    "lspci -mm",
    "lspci -nnmmv",
    sentence("lspci-machine.text-pci-functions-ids", "PCI functions with ids and drivers"),
    ('"', "Slot:"),
    recognises,
    parse,
    adds_up=True,
)
