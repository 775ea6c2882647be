"""`rocm-smi`: the concise table, and the lines of its --show options (product, bus, memory, topology, driver).

Source of the form: ROCm documentation, rocm_smi_lib, python_smi_tools. Hygon's `hy-smi` is a fork; see `hy_smi`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wellfed.hardware.machine import Gpu, GpuLink, Machine, OsSettings
from wellfed.hardware.pcie import PciDevice
from wellfed.topology.lists import integer
from wellfed.topology.names import gpu_name
from wellfed.topology.pci import ADDRESS, normal_address
from wellfed.topology.readers.reader import Reader, partial_machine

_LINE = re.compile(r"^\s*GPU\[(\d{1,3})\]\s*:\s*([^:\n]+?)\s*:\s*([^\n]*)$", re.M)
_MATRIX = re.compile(r"^=*\s*(Weight|Hops|Link Type|Link accessibility)[^\n]*two GPUs\s*=*\s*$", re.M | re.I)
_CONCISE = re.compile(r"^\s*(?:Device|GPU)\s+.*(?:VRAM%|PwrCap)", re.M)
_ROW = re.compile(r"^\s*(\d{1,3})\s+(\S.*)$")


def recognises(text: str) -> bool:
    """The tool's banner, its `GPU[0] :` lines, or its concise table."""
    if "ROCm System Management Interface" in text:
        return True
    return bool(_LINE.search(text) or _CONCISE.search(text) or _document(text))


_AMD = 0x1002  # PCI vendor id (pci.ids)


def _document(text: str) -> dict[str, dict[str, Any]]:
    """The cards of --json: an object with `card0`, `card1` ..."""
    start = text.find('{"card')
    if start < 0:
        return {}
    try:
        document, _ = json.JSONDecoder().raw_decode(text[start:])
    except (ValueError, RecursionError):
        return {}
    return {k: v for k, v in document.items() if re.fullmatch(r"card\d{1,3}", k) and isinstance(v, dict)}


def parse(text: str) -> Machine:
    """Cards, links between them, NUMA nodes."""
    facts: dict[int, dict[str, str]] = defaultdict(dict)
    for match in _LINE.finditer(text):
        facts[int(match[1])].setdefault(match[2].strip().lower(), match[3].strip())
    for card, values in _document(text).items():
        facts[int(card.removeprefix("card"))].update({key.lower(): str(value) for key, value in values.items()})
    concise = _concise(text)
    numbers = sorted({*facts, *concise, *(number for pair in _links_of(text) for number in pair)})
    gpus = [_gpu(number, facts.get(number, {}), concise.get(number, {})) for number in numbers]
    driver = re.search(r"Driver version:\s*(\S+)", text)
    return partial_machine(
        gpus=tuple(replace(gpu, driver=driver[1] if driver else gpu.driver) for gpu in gpus),
        gpu_links=tuple(
            GpuLink(a, b, "xgmi") for (a, b), kind in sorted(_links_of(text).items()) if kind.upper() == "XGMI"
        ),
        pci=tuple(
            PciDevice(gpu.pci_address, 0x1002, _device_id(facts.get(gpu.index, {})), 0x038000)
            for gpu in gpus
            if gpu.pci_address
        ),
        pci_complete=False,
        os=OsSettings(family="linux"),
    )  # fmt: skip


def _device_id(facts: Mapping[str, str]) -> int | None:
    return integer(facts.get("device id", facts.get("gpu id")), 16)


def _gpu(index: int, facts: Mapping[str, str], row: Mapping[str, str]) -> Gpu:
    total, used = (integer(facts.get(f"vram total {word}memory (b)")) for word in ("", "used "))
    bus = facts.get("pci bus", "")
    power = re.match(r"([\d.]+)W", row.get("PwrCap", ""))
    heat = re.match(r"([\d.]+)", row.get("Temp", ""))
    limit = re.match(r"([\d.]+)", facts.get("max graphics package power (w)", ""))
    return Gpu(
        index,
        name=_name(facts) or gpu_name(_AMD, integer(row.get("DID"), 16)),
        vendor="amd",
        memory_bytes=total,
        memory_free_bytes=total - used if total is not None and used is not None else None,
        pci_address=normal_address(bus) if ADDRESS.fullmatch(bus) else None,
        numa_node=_node(facts),
        power_limit_w=float(limit[1]) if limit else float(power[1]) if power and float(power[1]) > 0 else None,
        temperature_c=float(heat[1]) if heat else None,
    )


def _name(facts: Mapping[str, str]) -> str | None:
    """The series, as the model is often only a number; the architecture where there is neither."""
    for key in ("card series", "card model", "gfx version"):
        value = facts.get(key, "")
        if value and value != "N/A" and not re.fullmatch(r"0x[0-9a-f]+", value):
            inside = re.search(r"\[((?:AMD |Radeon|Instinct)[^\]]*)\]", value)  # Navi 31 [Radeon Pro W7900]
            return re.sub(r"\s+OAM$", "", inside[1] if inside else value)
    return None


def _node(facts: Mapping[str, str]) -> int | None:
    node = integer(facts.get("(topology) numa node"))
    return node if node is not None and node >= 0 else None


def _concise(text: str) -> dict[int, dict[str, str]]:
    """Rows of the table by column; columns before the temperature shift between versions, so units tell the cells."""
    rows: dict[int, dict[str, str]] = {}
    start = _CONCISE.search(text)
    for line in text[start.end() :].splitlines() if start else ():
        row = _ROW.match(line)
        if row is None or line.lstrip().startswith("="):
            if rows and not line.strip(" ="):
                break
            continue
        cells = row[2].split()
        kind = re.search(r"\b0x([0-9a-f]{4})\b", row[2], re.I)
        powers = [cell for cell in cells if re.fullmatch(r"[\d.]+W", cell)]
        heats = [cell for cell in cells if re.fullmatch(r"[\d.]+°?[cC]", cell)]
        rows[int(row[1])] = {"PwrCap": powers[-1] if len(powers) > 1 else "", "Temp": heats[0] if heats else ""}
        rows[int(row[1])]["DID"] = kind[1] if kind else ""
    return rows


def _links_of(text: str) -> dict[tuple[int, int], str]:
    """Pair of cards -> type of link, from the matrix of link types."""
    kind_of_pair: dict[tuple[int, int], str] = {}
    for head in _MATRIX.finditer(text):
        if not head[1].lower().startswith("link type"):
            continue
        for line in text[head.end() :].splitlines()[1:140]:
            row = re.match(r"^\s*GPU(\d{1,3})\s+((?:0|[A-Z]\S*)(?:\s+(?:0|[A-Z]\S*))*)\s*$", line)
            if row is None:
                if kind_of_pair and line.startswith("="):
                    break
                continue
            if re.search(r"\bGPU\d", row[2]):
                continue
            for peer, kind in enumerate(row[2].split()):
                if int(row[1]) < peer:
                    kind_of_pair[int(row[1]), peer] = kind
        break
    return kind_of_pair


READER = Reader(
    "rocm-smi",
    "rocm-smi; rocm-smi --showproductname --showbus --showmeminfo vram --showtopo",
    "AMD GPUs, their memory, power limit, links between them and NUMA nodes",
    ("ROCm System Management Interface", "GPU[", "VRAM%", '{"card'),
    recognises,
    parse,
    adds_up=True,
)
