"""`amd-smi` (default table, list, static, metric, topology): text by indentation, the table, or --json.

Source of the form: AMD SMI documentation, amdsmi_cli.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wellfed.hardware.machine import Gpu, GpuLink, Machine, OsSettings
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.message import sentence
from wellfed.topology.lists import integer, number
from wellfed.topology.pci import ADDRESS, link_of, normal_address
from wellfed.topology.readers.numbers import not_na
from wellfed.topology.readers.reader import Reader, partial_machine

_GPU = re.compile(r"^\s*GPU:\s*(\d{1,3})\s*$", re.M)
_BDF = r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]"
_TABLE_HEAD = re.compile(rf"^\|\s*({_BDF})\s+(\S[^|]*?)\s*\|([^|]*)\|", re.M | re.I)
_TOPOLOGY = re.compile(r"^\s*LINK TYPE TABLE:", re.M)
_CSV = re.compile(r"^[ \t]*gpu,(?:[a-z0-9_]+,)*(?:market_name|bdf|gpu_bdf|max_pcie_width)(?:,[a-z0-9_]+)*[ \t]*$", re.M)
_COLUMNS = (
    ("market_name", "asic/market_name", ""), ("device_id", "asic/device_id", ""), ("bdf", "bus/bdf", ""),
    ("gpu_bdf", "bus/bdf", ""), ("max_pcie_width", "bus/max_pcie_width", ""),
    ("max_pcie_speed", "bus/max_pcie_speed", " GT/s"), ("max_power", "limit/max_power", " W"),
    ("socket_power", "limit/socket_power", " W"), ("version", "driver/version", ""), ("size", "vram/size", " MB"),
    ("node", "numa/node", ""),
)  # fmt: skip
_HOT_C = 110.0  # junction temperature, degrees, at which Radeon cards slow down (AMD), where the tool tells no limit
_Fields = Mapping[str, str]


def recognises(text: str) -> bool:
    """A card's block with the tool's sections, its table, its topology, or its JSON."""
    if "AMD-SMI" in text or _TOPOLOGY.search(text):
        return True
    if _documents(text) or _CSV.search(text):
        return True
    return bool(_GPU.search(text) and re.search(r"^\s+(?:ASIC|BUS|VRAM|BDF|USAGE|POWER|MEM_USAGE)\s*:", text, re.M))


def parse(text: str) -> Machine:
    """Cards with their links, memory and limits."""
    cards = [_gpu(index, fields) for index, fields in _blocks(text)] or list(_table(text))
    order = [gpu.pci_address for gpu, _ in cards]
    places, links = _topology(text)
    if not cards:
        cards = [(Gpu(at, vendor="amd", pci_address=place), None) for at, place in enumerate(places)]
        order = list(places)
    numbers = {place: cards[at][0].index for at, place in enumerate(order) if place}
    versions = re.search(r"ROCm version:\s*(\d[\d.]*)", text)
    return partial_machine(
        gpus=tuple(gpu for gpu, _ in cards),
        pci=tuple(
            device or PciDevice(gpu.pci_address, vendor_id=0x1002, class_code=0x038000)
            for gpu, device in cards
            if gpu.pci_address
        ),
        gpu_links=tuple(
            GpuLink(numbers[a], numbers[b], "xgmi", rate)
            for (a, b), rate in links.items()
            if a in numbers and b in numbers and numbers[a] < numbers[b]
        ),
        pci_complete=False,
        os=OsSettings(
            rocm=versions[1] if versions else None,
            virtualised=True if re.search(r"Platform:\s*Linux Guest", text) else None,
        ),
    )


def _documents(text: str) -> list[Any]:
    """The entries of --json: a list of objects with a `gpu` number."""
    start = text.find("[")
    if start < 0 or '"gpu"' not in text:
        return []
    try:
        entries = json.loads(text[start : text.rfind("]") + 1])
    except (ValueError, RecursionError):
        return []
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("gpu"), int)]


def _blocks(text: str) -> Iterator[tuple[int, _Fields]]:
    """Card number and its fields by path, `bus/max_pcie_width`, from text or JSON."""
    for document in _documents(text):
        yield document["gpu"], dict(_flat(document, "", 0))
    if _documents(text):
        return
    yield from _rows(text)
    marks = list(_GPU.finditer(text))
    joined: dict[int, dict[str, str]] = {}
    for at, mark in enumerate(marks):
        block = text[mark.end() : marks[at + 1].start() if at + 1 < len(marks) else len(text)]
        joined.setdefault(int(mark[1]), {}).update(_indented(block))
    yield from joined.items()


def _rows(text: str) -> Iterator[tuple[int, _Fields]]:
    """--csv: columns by the names that --json has within its sections; sizes are MB, speeds GT/s."""
    head = _CSV.search(text)
    titles = head[0].strip().split(",") if head else []
    for line in text[head.end() :].splitlines() if head else ():
        cells = line.strip().split(",")
        if len(cells) == len(titles) and cells[0].isdecimal() and len(cells[0]) < 4:
            fields = dict(zip(titles, cells, strict=True))
            yield (
                int(cells[0]),
                {path: fields[title] + unit for title, path, unit in _COLUMNS if fields.get(title, "N/A") != "N/A"},
            )


def _flat(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and depth < 8:
        if set(value) == {"value", "unit"}:
            yield path, f"{value['value']} {value['unit']}"
            return
        for key, inner in value.items():
            yield from _flat(inner, f"{path}/{key}".strip("/").lower(), depth + 1)
    elif not isinstance(value, list):
        yield path, str(value)


def _indented(block: str) -> dict[str, str]:
    values: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in block.splitlines():
        match = re.match(r"^(\s+)([A-Za-z][\w ./-]*?)\s*:(?:\s+(.*))?$", line)
        if match is None:
            continue
        depth = len(match[1])
        while stack and stack[-1][0] >= depth:
            stack.pop()
        key = match[2].strip().lower()
        if match[3] and match[3].strip():
            values.setdefault("/".join([*(name for _, name in stack), key]), match[3].strip())
        stack.append((depth, key))
    return values


def _gpu(index: int, fields: _Fields) -> tuple[Gpu, PciDevice | None]:
    place = fields.get("bus/bdf", fields.get("bdf", ""))
    address = normal_address(place) if ADDRESS.fullmatch(place) else None
    total = _size(fields.get("vram/size", fields.get("mem_usage/total_vram")))
    used = _size(fields.get("mem_usage/used_vram"))
    node = integer(fields.get("numa/node"))
    gpu = Gpu(
        index,
        name=not_na(fields.get("asic/market_name")),
        vendor="amd",
        memory_bytes=total,
        memory_free_bytes=total - used if total is not None and used is not None else None,
        pci_address=address,
        numa_node=node if node is not None and node >= 0 else None,
        power_limit_w=number(not_na(fields.get("limit/socket_power", fields.get("limit/power_cap")))),
        power_limit_default_w=number(not_na(fields.get("limit/max_power"))),
        power_draw_w=number(not_na(fields.get("power/socket_power", fields.get("power/current_socket_power")))),
        temperature_c=number(not_na(fields.get("temperature/hotspot", fields.get("temperature/edge")))),
        compute_units=integer(fields.get("asic/num_compute_units")),
        replays=integer(not_na(fields.get("pcie/replay_count"))),
        ecc_uncorrected=integer(not_na(fields.get("ecc/total_uncorrectable_count"))),
        ecc_corrected=integer(not_na(fields.get("ecc/total_correctable_count"))),
        driver=not_na(fields.get("driver/version")),
        clock_hz=_hertz(fields.get("clock/gfx_0/clk", fields.get("clock/gfx/clk"))),
        clock_max_hz=_hertz(fields.get("clock/gfx_0/max_clk", fields.get("clock/gfx/max_clk"))),
        throttle_reasons=_throttled(fields),
        link_width=integer(not_na(fields.get("pcie/width"))),
        link_width_max=integer(not_na(fields.get("bus/max_pcie_width"))),
    )
    return gpu, _device(address, fields) if address else None


def _device(address: str, fields: _Fields) -> PciDevice:
    return PciDevice(
        address,
        vendor_id=0x1002,
        device_id=integer(fields.get("asic/device_id"), 16),
        class_code=0x038000,
        link_current=_link(fields, "pcie/speed", "pcie/width"),
        link_max=_link(fields, "bus/max_pcie_speed", "bus/max_pcie_width"),
    )


def _hertz(text: str | None) -> float | None:
    megahertz = number(not_na(text))
    return megahertz * 1e6 if megahertz else None


def _throttled(fields: _Fields) -> tuple[str, ...]:
    """What slows the card down: the status alone tells no cause, a cause's own state does (amdsmi, violations)."""
    causes = [
        path.rpartition("/")[2].removesuffix("_violation_status").removesuffix("_accumulated")
        for path, value in fields.items()
        if path.endswith("_violation_status") and value.upper() == "ACTIVE"
    ]
    hot = any(word in cause for cause in causes for word in ("thermal", "prochot"))
    if hot:
        return ("hw_thermal_slowdown",)
    if causes:
        return ("sw_power_cap",)
    hotspot = number(not_na(fields.get("temperature/hotspot")))
    limit = number(not_na(fields.get("limit/slowdown_hotspot_temperature"))) or _HOT_C
    status = (fields.get("power/throttle_status") or "").upper()
    if status == "THROTTLED" and hotspot and hotspot >= limit:
        return ("hw_thermal_slowdown",)
    status_read = status == "UNTHROTTLED" or any(path.endswith("_violation_status") for path in fields)
    return ("unthrottled",) if status_read else ()


def _link(fields: _Fields, speed: str, width: str) -> PcieLink | None:
    return link_of(not_na(fields.get(speed)), not_na(fields.get(width)))


def _size(text: str | None) -> int | None:
    """AMD's tools write MB and GB for powers of two."""
    match = re.match(r"(\d+)\s*([KMGT]?)i?B", not_na(text) or "")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match[2]] if match else None


def _table(text: str) -> Iterator[tuple[Gpu, PciDevice | None]]:
    """The default table: two lines a card, with its name and power first, its number and memory second."""
    heads = list(_TABLE_HEAD.finditer(text))
    for at, head in enumerate(heads):
        below = text[head.end() : heads[at + 1].start() if at + 1 < len(heads) else head.end() + 400]
        second = re.search(r"^\|\s*(\d{1,3})\s[^|]*\|[^|]*?(\d+)/(\d+)\s*MB\s*\|", below, re.M)
        power = re.search(r"(\d+)/(\d+)\s*W", head[3])
        heat = re.search(r"(\d+)\s*°?C", head[3])
        name = re.sub(r"\s*\.{3}$|\.\.$", "", head[2]).strip()
        yield (
            Gpu(
                int(second[1]) if second else at,
                name=name or None,
                vendor="amd",
                pci_address=normal_address(head[1]),
                memory_bytes=int(second[3]) << 20 if second else None,
                memory_free_bytes=max(0, int(second[3]) - int(second[2])) << 20 if second else None,
                power_draw_w=float(power[1]) if power else None,
                power_limit_w=float(power[2]) if power else None,
                temperature_c=float(heat[1]) if heat else None,
            ),
            None,
        )


def _topology(text: str) -> tuple[tuple[str, ...], dict[tuple[str, str], float | None]]:
    """Addresses in order; pairs joined by xGMI with their rate, where the table of bandwidths (MB/s) tells it."""
    kinds, rates = _matrix(text, "LINK TYPE TABLE"), _matrix(text, "NUMA BW TABLE")
    places = tuple(dict.fromkeys(a for a, _ in kinds)) or tuple(
        dict.fromkeys(a for a, _ in _matrix(text, "ACCESS TABLE"))
    )
    links: dict[tuple[str, str], float | None] = {}
    for pair, kind in kinds.items():
        if kind == "XGMI":
            most = number((rates.get(pair) or "").rpartition("-")[2])
            links[pair] = most * 1e6 if most else None
    return places, links


def _matrix(text: str, title: str) -> dict[tuple[str, str], str]:
    cells: dict[tuple[str, str], str] = {}
    columns: list[str] = []
    for line in text.partition(f"{title}:")[2].splitlines()[:140]:
        words = line.split()
        if line.rstrip().endswith(":") and cells:
            break
        if words and all(re.fullmatch(_BDF, word, re.I) for word in words):
            columns = [normal_address(word) for word in words]
        elif columns and words and re.fullmatch(_BDF, words[0], re.I):
            cells.update({(normal_address(words[0]), b): cell for b, cell in zip(columns, words[1:], strict=False)})
    return cells


READER = Reader(
    "amd-smi",
    "amd-smi static; amd-smi metric; amd-smi topology",
    sentence("amd-smi.text-amd-gpus-their", "AMD GPUs, their memory, links, limits, errors, links between them"),
    ("AMD-SMI", "max_pcie_width,", "LINK TYPE TABLE", "GPU:", '"gpu"'),
    recognises,
    parse,
    adds_up=True,
)
