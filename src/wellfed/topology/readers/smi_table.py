"""The table that `nvidia-smi` prints; nvitop's, and xpu-smi's from version 2 on, have the same cells.

Three lines a card: number, name, persistence mode | bus id | ECC; fan, temperature, state, power | memory | load;
nothing | nothing | MIG. On Windows the driver model (WDDM, TCC, MCDM) stands in persistence mode's place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from wellfed.hardware.machine import Gpu, Machine, OsSettings
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.numbers import power_of_1024
from wellfed.topology.readers.reader import Reader, partial_machine

_BUS = r"(?:[0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]"
_HEAD = re.compile(r"^\s*(\d{1,3})\s+(\S.*?)\s+(On|Off|N/A|WDDM|TCC|MCDM|Enabled|Disabled)\s*$")
_BARE_HEAD = re.compile(r"^\s*(\d{1,3})\s+(\S.*?)\s*$")
_PLACE = re.compile(rf"({_BUS})")
_STATE = re.compile(r"\bP(\d{1,2})\b")
_TEMPERATURE = re.compile(r"(?<![\d.])(\d{1,3})C\b")
_POWER = re.compile(r"(\d+(?:\.\d+)?)\s*W?\s*/\s*(\d+(?:\.\d+)?)\s*W\b")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)\s*/\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B)")
_PROCESS = re.compile(r"^\|\s*(\d{1,3})(?:\s+\S+\s+\S+)?\s+\d+\s+(?:C|C\+G|M\+C|X)\s")
_VENDOR_IDS = {"nvidia": 0x10DE, "intel": 0x8086}  # PCI vendor ids (pci.ids)
_FAILED = re.compile(r"NVIDIA-SMI has failed because[^\n]*|No devices were found|Failed to initialize NVML[^\n]*")


def recognises(text: str) -> bool:
    """A card's first line, or the tool's word that it has no answer."""
    return any(_card(cells) is not None for cells in _rows(text)) or bool(_FAILED.search(text))


def _rows(text: str) -> list[list[str]]:
    lines = text.replace("│", "|").replace("║", "|").splitlines()
    return [line.strip().strip("|").split("|") for line in lines if line.count("|") >= 3]


def _card(cells: list[str]) -> tuple[re.Match[str], re.Match[str]] | None:
    """Number, name and mode, and the bus id of a card's first line."""
    if len(cells) < 2:
        return None
    head = _HEAD.match(cells[0]) or _BARE_HEAD.match(cells[0])
    if head and head.re is _BARE_HEAD and not re.match(r"NVIDIA|Tesla|GeForce|Quadro|GRID|Intel", head[2]):
        return None
    place = _PLACE.search(cells[1])
    return (head, place) if head and place else None


def parse(text: str) -> Machine:
    """Cards with state, memory and limits."""
    gpus: list[Gpu] = []
    intel = "XPU-SMI" in text
    driver = re.search(r"Driver Version:\s*([\d.]+)", text) or re.search(r"KMD Version:\s*([\d.]+)", text)
    for cells in _rows(text):
        first = _card(cells)
        if first is not None:
            gpus.append(_first_line(first, cells, "intel" if intel else "nvidia", driver[1] if driver else None))
        elif gpus:
            gpus[-1] = _further_line(gpus[-1], cells)
    gpus = _with_processes(text, gpus)
    failed = _FAILED.search(text)
    windows = bool(re.search(r"\b(?:WDDM|TCC|MCDM)\b", text))
    return partial_machine(
        gpus=tuple(gpus),
        pci=tuple(_device(gpu) for gpu in gpus),
        pci_complete=False,
        os=OsSettings(nvidia_driver=driver[1] if driver and not intel else None, family="windows" if windows else None),
        unsupported=frozenset(_unsupported(text)),
        unknown={"gpus": f"nvidia-smi says: {failed[0].strip()}"} if failed and not gpus else {},
    )


def _unsupported(text: str) -> Iterator[str]:
    """What the table answers with N/A: the card has none."""
    index = None
    for cells in _rows(text):
        first = _card(cells)
        if first is not None:
            index = int(first[0][1])
            if len(cells) > 2 and cells[2].strip() == "N/A":
                yield f"gpu{index}.ecc"
            if first[0].re is _HEAD and first[0][3] in ("N/A", "WDDM", "TCC", "MCDM"):
                yield f"gpu{index}.persistence"
        elif index is not None and not cells[0].strip() and len(cells) > 2 and cells[2].strip() == "N/A":
            yield f"gpu{index}.mig"


def _first_line(first: tuple[re.Match[str], re.Match[str]], cells: list[str], vendor: str, driver: str | None) -> Gpu:
    head, place = first
    mode = head[3] if head.re is _HEAD else None
    ecc = cells[2].strip() if len(cells) > 2 else ""
    return Gpu(
        int(head[1]),
        name=_name(head[2], vendor),
        vendor=vendor,
        pci_address=normal_address(place[1]),
        persistence={"On": True, "Enabled": True, "Off": False, "Disabled": False}.get(mode or ""),
        ecc_enabled=True if ecc.isdecimal() or ecc == "Enabled" else False if ecc in ("Off", "Disabled") else None,
        ecc_uncorrected=int(ecc) if ecc.isdecimal() and len(ecc) < 10 else None,
        driver=driver,
    )


def _name(text: str, vendor: str) -> str:
    """The name; nvitop leaves out the vendor, which changes nothing. A cut name keeps its dots."""
    text = re.sub(r"\s+", " ", text.strip())
    return text if vendor != "nvidia" or text.startswith(("NVIDIA", "Tesla", "Quadro", "GRID")) else f"NVIDIA {text}"


def _further_line(gpu: Gpu, cells: list[str]) -> Gpu:
    state, heat = _STATE.search(cells[0]), _TEMPERATURE.search(cells[0])
    power = _POWER.search(cells[0])
    memory = _MEMORY.search(cells[1]) if len(cells) > 1 else None
    if memory and gpu.memory_bytes is None:
        used, total = _bytes(memory[1], memory[2]), _bytes(memory[3], memory[4])
        gpu = replace(gpu, memory_bytes=total, memory_free_bytes=max(0, total - used))
        gpu = replace(
            gpu,
            performance_state=int(state[1]) if state else None,
            temperature_c=float(heat[1]) if heat else None,
            power_draw_w=float(power[1]) if power else None,
            power_limit_w=float(power[2]) if power else None,
        )
    mode = cells[2].strip() if len(cells) > 2 else ""
    if not cells[0].strip() and mode in ("Enabled", "Disabled"):
        gpu = replace(gpu, mig=mode == "Enabled")
    return gpu


def _bytes(value: str, unit: str) -> int:
    return round(float(value) * power_of_1024(unit[0]))


def _with_processes(text: str, gpus: list[Gpu]) -> list[Gpu]:
    """Programs that compute, counted per card; desktop programs (G) hold memory, too, but are no rival."""
    if "Processes" not in text:
        return gpus
    count = Counter(int(match[1]) for line in text.splitlines() if (match := _PROCESS.match(line.strip())))
    return [replace(gpu, foreign_processes=count[gpu.index]) for gpu in gpus]


def _device(gpu: Gpu) -> PciDevice:
    return PciDevice(gpu.pci_address or "", vendor_id=_VENDOR_IDS[gpu.vendor or "nvidia"], class_code=0x030200)


READER = Reader(
    "nvidia-smi",
    "nvidia-smi",
    sentence(
        "smi-table.text-gpus-their-memory",
        "GPUs, their memory and who uses it, ECC, persistence and MIG mode, power limit, performance state",
    ),
    ("|", "│", "NVIDIA-SMI has failed", "No devices were found", "Failed to initialize NVML"),
    recognises,
    parse,
)
