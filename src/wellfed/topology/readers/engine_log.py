"""The first lines of llama.cpp's and Ollama's logs: the GPUs that the engine found, and what was free on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from wellfed.hardware.machine import Gpu, Machine, OsSettings
from wellfed.message import sentence
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.numbers import power_of_1024
from wellfed.topology.readers.reader import Reader, partial_machine

_DEVICE = re.compile(
    r"^[ \t]*Device (\d{1,3}): ([^\n,]+), (?:compute capability [\d.]+|gfx\w+)[^\n]*?(?:VRAM: (\d+) MiB)?[^\n]*$", re.M
)
_VULKAN = re.compile(r"^[ \t]*ggml_vulkan: (\d{1,3}) = ([^\n|]+?) \([^)\n|]*\) \|", re.M)
_FREE = re.compile(
    r"using device (?:CUDA|ROCm|Vulkan|SYCL)(\d{1,3}) \((.+?)\)(?: \(((?:[\da-f]{4}:)?[\da-f]{2}:[\da-f]{2}\.\d)\))?"
    r" - (\d+) MiB free", re.I
)  # fmt: skip
_OLLAMA = re.compile(r'msg="inference compute"[^\n]*')
_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|(\S+))')
_SYSTEM = re.compile(r'msg="system memory"[^\n]*')
_SIZE = re.compile(r"([\d.]+) ?([KMGT])i?B")


def recognises(text: str) -> bool:
    """A line about a device, as one of these engines writes it."""
    if "ggml_" in text and (_DEVICE.search(text) or _VULKAN.search(text)):
        return True
    return bool(_FREE.search(text) or _OLLAMA.search(text))


def parse(text: str) -> Machine:
    """Cards with what was free when the engine started."""
    cards = {gpu.index: gpu for gpu in (*_named(text), *_ollama(text))}
    for match in _FREE.finditer(text):
        index = int(match[1])
        card = cards.get(index) or Gpu(index, name=match[2], vendor=_vendor(match[2]))
        place = normal_address(match[3]) if match[3] else None
        cards[index] = replace(card, memory_free_bytes=int(match[4]) << 20, pci_address=place)
    system = next((dict(_fields(match[0])) for match in _SYSTEM.finditer(text)), {})
    return partial_machine(
        gpus=tuple(cards[index] for index in sorted(cards)),
        pci_complete=False,
        memory_bytes=_bytes(system.get("total")),
        os=OsSettings(memory_free_bytes=_bytes(system.get("free"))),
    )


def _named(text: str) -> Iterator[Gpu]:
    for match in _DEVICE.finditer(text):
        size = int(match[3]) << 20 if match[3] else None
        yield Gpu(int(match[1]), name=match[2].strip(), vendor=_vendor(match[2]), memory_bytes=size)
    if not _DEVICE.search(text):
        for match in _VULKAN.finditer(text):
            yield Gpu(int(match[1]), name=match[2].strip(), vendor=_vendor(match[2]))


def _ollama(text: str) -> Iterator[Gpu]:
    """A card a line; a library `cpu` is none."""
    lines = [dict(_fields(match[0])) for match in _OLLAMA.finditer(text)]
    cards = {
        fields["id"]: fields for fields in lines if fields.get("library", "cpu").lower() != "cpu" and "id" in fields
    }
    for index, fields in enumerate(cards.values()):
        name = fields.get("description") or fields.get("name") or None
        place = fields.get("pci_id")
        yield Gpu(
            index,
            name=name,
            vendor=_vendor(name or ""),
            memory_bytes=_bytes(fields.get("total")),
            memory_free_bytes=_bytes(fields.get("available")),
            pci_address=normal_address(place)
            if place and re.fullmatch(r"[\da-f]{4}:[\da-f]{2}:[\da-f]{2}\.\d", place)
            else None,
        )


def _fields(line: str) -> Iterator[tuple[str, str]]:
    for match in _FIELD.finditer(line):
        yield match[1], match[2] if match[2] is not None else match[3]


def _bytes(text: str | None) -> int | None:
    match = _SIZE.match(text or "")
    return round(float(match[1]) * power_of_1024(match[2])) if match and match[1].count(".") < 2 else None


def _vendor(name: str) -> str | None:
    if re.search(r"NVIDIA|GeForce|Tesla|Quadro", name):
        return "nvidia"
    return "amd" if re.search(r"AMD|Radeon|Instinct", name) else "intel" if "Intel" in name else None


READER = Reader(
    "log of llama.cpp or Ollama",
    "llama-server (its first lines), or journalctl -u ollama",
    sentence("engine-log.text", "GPUs that the engine found, and what was free on them"),
    ("ggml_", "inference compute"),
    recognises,
    parse,
)
