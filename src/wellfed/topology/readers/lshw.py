"""`lshw` as text, -short or -json: memory slots, processors, display controllers, what kind of machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wellfed.hardware.machine import Gpu, Machine, OsSettings, Socket
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.topology.lists import integer
from wellfed.topology.memory import dimms
from wellfed.topology.pci import normal_address
from wellfed.topology.pci_tree import bracketed_name
from wellfed.topology.readers.numbers import power_of_1024
from wellfed.topology.readers.pci_words import vendor_of
from wellfed.topology.readers.reader import Reader, partial_machine
from wellfed.topology.smbios import MemoryDevice

_NODE = re.compile(r"^[ \t]*\*-([a-z0-9]+(?::\d+)?)(?:[ \t]+(?:DISABLED|UNCLAIMED))?[ \t]*$", re.M)
_SHORT = re.compile(
    r"^(/[\w/.]*)?\s+(?:\S+\s+)?(display|memory|processor|network|storage|system)\s{2,}(\S[^\n]*)$", re.M
)
_BRANDS = {0x10DE: "nvidia", 0x1002: "amd"}
_Facts = Mapping[str, str]


def recognises(text: str) -> bool:
    """Nodes with fields, the short table's head, or its JSON."""
    if '"class"' in text and '"id"' in text and _json(text):
        return True
    if re.search(r"^H/W path\s+", text, re.M):
        return True
    return bool(_NODE.search(text) and re.search(r"^\s+(?:description|product|size|slot|physical id):", text, re.M))


def parse(text: str) -> Machine:
    """The slots, processors and cards that the text names."""
    nodes = list(_json(text)) or list(_nodes(text)) or list(_short(text))
    banks = [facts for name, facts in nodes if name.partition(":")[0] == "bank"]
    displays = [facts for name, facts in nodes if name.partition(":")[0] == "display"]
    cards = [card for at, facts in enumerate(displays) if (card := _card(at, facts)) is not None]
    cpus = [
        facts
        for name, facts in nodes
        if name.partition(":")[0] == "cpu" and "processor" in facts.get("class", "processor")
    ]
    sockets = [facts for facts in cpus if facts.get("product") and "empty" not in facts.get("description", "").lower()]
    memory = [_size(f.get("size")) for n, f in nodes if n.partition(":")[0] == "memory" and _is_main(f)]
    told_sizes = [size for size in memory if size]
    kind = " ".join(f.get("description", "") for n, f in nodes[:1])
    virtual = any(
        re.search(r"KVM|QEMU|VMware|VirtualBox|Virtual Machine", f.get("product", "") + f.get("vendor", ""))
        for _, f in nodes[:2]
    )
    return partial_machine(
        gpus=tuple(gpu for gpu, _ in cards),
        pci=tuple(device for _, device in cards if device is not None),
        pci_complete=False,
        cpu_name=sockets[0]["product"] if sockets else None,
        sockets=tuple(
            Socket(i, name=f["product"], cores=_setting(f, "cores"), threads=_setting(f, "threads"))
            for i, f in enumerate(sockets)
        ),
        memory_bytes=sum(told_sizes) if told_sizes else None,
        dimms=dimms([_bank(facts) for facts in banks]),
        os=OsSettings(
            chassis=_chassis(kind),
            virtualised=True if virtual else None,
            family="linux",
        ),
    )


def _chassis(kind: str) -> str | None:
    if re.search(r"Notebook|Laptop|Portable", kind):
        return "laptop"
    return "desktop" if "Desktop" in kind else None


def _is_main(facts: _Facts) -> bool:
    text = facts.get("description", "").lower()
    return "system memory" in text or (
        facts.get("short") == "memory" and "system memory" in facts.get("product", "").lower()
    )


def _nodes(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    marks = list(_NODE.finditer(text))
    head = text[: marks[0].start()] if marks else ""
    if re.search(r"^\s+(?:description|product):", head, re.M):
        yield "system", _fields(head)
    for at, mark in enumerate(marks):
        yield mark[1], _fields(text[mark.end() : marks[at + 1].start() if at + 1 < len(marks) else len(text)])


def _fields(block: str) -> dict[str, str]:
    return {m[1]: m[2].strip() for m in re.finditer(r"^\s+([a-z][a-z ]*[a-z]): ([^\n]*)$", block, re.M)}


def _json(text: str) -> list[tuple[str, dict[str, str]]]:
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0 or '"class"' not in text:
        return []
    try:
        document = json.loads(text[start:])
    except (ValueError, RecursionError):
        return []
    return list(_flat(document, 0))


def _flat(value: Any, depth: int) -> Iterator[tuple[str, dict[str, str]]]:
    if isinstance(value, list):
        for inner in value:
            yield from _flat(inner, depth)
    elif isinstance(value, dict) and depth < 30 and isinstance(value.get("id"), str) and "class" in value:
        facts = {
            str(key).replace("businfo", "bus info"): str(setting)
            for key, setting in value.items()
            if isinstance(setting, str | int | float)
        }
        if "units" in value and value.get("units") == "bytes" and "size" in value:
            facts["size"] = f"{value['size']}B"
        if isinstance(value.get("configuration"), dict):
            facts["configuration"] = " ".join(f"{k}={v}" for k, v in value["configuration"].items())
        yield value["id"], facts
        yield from _flat(value.get("children", []), depth + 1)


def _short(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """`/0/100/1/0  display  GA102 [GeForce RTX 3090]`, `/0/0/0  memory  16GiB DIMM DDR4 ...`."""
    for match in _SHORT.finditer(text):
        kind, words = match[2], match[3].strip()
        size = re.match(r"([\d.]+[KMGT]iB)\s+(.*)", words)
        if kind == "memory" and size:
            bank = "DIMM" in size[2]
            yield "bank" if bank else "memory", {"size": size[1], "description": size[2], "short": "memory"}
        elif kind == "processor":
            yield "cpu", {"product": words}
        elif kind == "display":
            yield "display", {"product": words}
        elif kind == "system":
            yield "system", {"description": words, "product": words}


def _setting(facts: _Facts, key: str) -> int | None:
    match = re.search(rf"\b(?:enabled)?{key}=(\d+)", facts.get("configuration", ""))
    return integer(match[1]) if match else None


def _card(index: int, facts: _Facts) -> tuple[Gpu, PciDevice | None] | None:
    product = facts.get("product", "")
    vendor = vendor_of(facts.get("vendor", "")) or vendor_of(product)
    if vendor is None and re.search(r"GeForce|Quadro|Tesla|\bRTX\b|\b(?:GA|AD|GB|GP|TU|GH|GV)\d{3}", product):
        vendor = 0x10DE
    if vendor == 0x1022:
        vendor = 0x1002
    place = re.search(r"pci@((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", facts.get("bus info", ""))
    if vendor not in _BRANDS:
        return None
    driver = re.search(r"driver=(\S+)", facts.get("configuration", ""))
    ids = re.search(r"\[[0-9A-F]{4}:([0-9A-F]{4})\]\s*$", product, re.I)
    device = PciDevice(
        normal_address(place[1]) if place else "",
        vendor_id=vendor,
        device_id=int(ids[1], 16) if ids else None,
        class_code=0x030000,
        name=product,
        driver=driver[1] if driver else None,
    )
    gpu = Gpu(index, name=bracketed_name(device), vendor=_BRANDS[vendor], pci_address=device.address or None)
    return gpu, device if place else None


def _bank(facts: _Facts) -> MemoryDevice:
    text = facts.get("description", "")
    empty = "[empty]" in text or "size" not in facts
    speed = re.search(r"(\d{3,5})\s*(?:MHz|MT/s)", facts.get("clock", "")) or re.search(r"(\d{3,5})\s*MHz", text)
    kind = re.search(r"\b(LP)?DDR\d\b", text)
    return MemoryDevice(
        facts.get("slot", ""),
        "",
        0 if empty else _size(facts.get("size")),
        kind[0] if kind else None,
        None,
        float(speed[1]) if speed and not empty else None,
        facts.get("vendor"),
        facts.get("product"),
    )


def _size(text: str | None) -> int | None:
    match = re.match(r"([\d.]+)\s*([KMGT])?i?B", text or "")
    if match is None or match[1].count(".") > 1:
        return None
    return round(float(match[1]) * (power_of_1024(match[2]) if match[2] else 1))


READER = Reader(
    "lshw",
    "sudo lshw",
    sentence("lshw.text-memory-slots", "memory slots, processors, GPUs, laptop or desktop"),
    ("*-", "H/W path", '"class"'),
    recognises,
    parse,
)
