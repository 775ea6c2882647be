"""AMD GPUs from /sys alone (Documentation/gpu/amdgpu: driver-misc, thermal); no ROCm library is needed.

Not told there, and None: PCIe throughput (its file blocks for a second) and why clocks are low.
"""

from __future__ import annotations

import re

from wellfed.frozen import dataclass
from wellfed.watching.sample import Gpu, GpuProcess
from wellfed.watching.samplers.files import at, names, number, text

_VENDOR = "0x1002"  # AMD, as PCI-SIG assigns it
_SLOW_EVERY = 4  # samples between looks at links and errors, which change seldom
_LEVEL = re.compile(r"^\s*(\d+|S):\s*(\d+)\s*[Mm][Hh]z\s*(\*?)", re.MULTILINE)
_GENERATIONS = {2.5: 1, 5.0: 2, 8.0: 3, 16.0: 4, 32.0: 5, 64.0: 6}  # by gigatransfers a second


@dataclass(frozen=True, slots=True)
class _Card:
    """Its folder in /sys, its PCI address, and its number at KFD (the compute driver), where it has one."""

    folder: str
    address: str
    hwmon: str | None
    kfd: str | None


class AmdSampler:
    """Cards of the driver `amdgpu` below `root`. Their indices begin with `first`: after other vendors' cards."""

    def __init__(self, root: str = "/", first: int = 0) -> None:
        self._root, self._first, self._count = root, first, 0
        self._cards = _cards(root)
        self._slow: dict[str, dict[str, int | None]] = {}

    def __len__(self) -> int:
        return len(self._cards)

    def sample(self) -> tuple[Gpu, ...]:
        """What the cards' files tell now."""
        if self._count % _SLOW_EVERY == 0:
            self._slow = {card.address: _seldom(card) for card in self._cards}
        self._count += 1
        processes = self._processes_by_card()
        return tuple(self._gpu(self._first + index, card, processes) for index, card in enumerate(self._cards))

    def _gpu(self, index: int, card: _Card, processes: dict[str, list[GpuProcess]] | None) -> Gpu:
        clock, highest = _clocks(card)
        slow = self._slow[card.address]
        return Gpu(
            index=index,
            busy=_scaled(card.folder, "gpu_busy_percent", 0.01),
            memory_busy=_scaled(card.folder, "mem_busy_percent", 0.01),
            memory_used_bytes=_integer(card.folder, "mem_info_vram_used"),
            memory_total_bytes=_integer(card.folder, "mem_info_vram_total"),
            clock_hz=clock,
            clock_max_hz=highest,
            power_w=_scaled(card.hwmon, "power1_average", 1e-6, "power1_input"),
            power_limit_w=_scaled(card.hwmon, "power1_cap", 1e-6),
            temperature_c=_scaled(card.hwmon, "temp2_input", 1e-3, "temp1_input"),  # junction, else edge
            processes=None if processes is None or card.kfd is None else tuple(processes.get(card.kfd, ())),
            address=card.address,
            link_generation=slow["generation"],
            link_width=slow["width"],
            link_generation_max=slow["generation_max"],
            link_width_max=slow["width_max"],
            replays=slow["replays"],
            ecc_uncorrected=slow["ecc"],
            node=slow["node"],
        )

    def _processes_by_card(self) -> dict[str, list[GpuProcess]] | None:
        """Processes by card, from KFD; None where it is not there. Graphics alone (Vulkan) is not in it."""
        base = at(self._root, "sys/class/kfd/kfd/proc")
        if all(card.kfd is None for card in self._cards):
            return None
        by_card: dict[str, list[GpuProcess]] = {}
        for pid in names(base):
            for file in names(f"{base}/{pid}") if pid.isdecimal() else ():
                if file.startswith("vram_"):
                    size = number((text(f"{base}/{pid}/{file}") or "").strip() or None)
                    by_card.setdefault(file[5:], []).append(GpuProcess(int(pid), size))
        return by_card


def _cards(root: str) -> tuple[_Card, ...]:
    base = at(root, "sys/class/drm")
    cards = sorted((name for name in names(base) if re.fullmatch(r"card\d+", name)), key=lambda name: int(name[4:]))
    kfd = _kfd(root)
    return tuple(
        _Card(folder, slot, _hwmon(folder), kfd.get(slot))
        for folder in (f"{base}/{name}/device" for name in cards)
        if (text(f"{folder}/vendor") or "").strip() == _VENDOR and (slot := _slot(folder)) is not None
    )


def _slot(folder: str) -> str | None:
    match = re.search(r"^PCI_SLOT_NAME=(\S+)$", text(f"{folder}/uevent") or "", re.MULTILINE)
    return match[1].lower() if match else None


def _hwmon(folder: str) -> str | None:
    return next((f"{folder}/hwmon/{name}" for name in sorted(names(f"{folder}/hwmon"))), None)


def _kfd(root: str) -> dict[str, str]:
    """KFD's numbers of cards by PCI address: `location_id` is bus << 8 | device << 3 | function."""
    base = at(root, "sys/class/kfd/kfd/topology/nodes")
    card_of_address: dict[str, str] = {}
    for node in names(base):
        identity = (text(f"{base}/{node}/gpu_id") or "0").strip()
        rows = (line.split() for line in (text(f"{base}/{node}/properties") or "").splitlines())
        properties = {row[0]: number(row[1]) for row in rows if len(row) == 2}
        location = properties.get("location_id")
        if identity != "0" and location is not None:
            domain = properties.get("domain") or 0
            slot = f"{domain:04x}:{location >> 8 & 255:02x}:{location >> 3 & 31:02x}.{location & 7}"
            card_of_address[slot] = identity
    return card_of_address


def _clocks(card: _Card) -> tuple[float | None, float | None]:
    """Now and the highest, from the levels of the shader clock; a sleeping card has a level `S`."""
    levels = [(int(hertz), mark) for _, hertz, mark in _LEVEL.findall(text(f"{card.folder}/pp_dpm_sclk") or "")]
    highest = max((mhz for mhz, _ in levels), default=None)
    exact = _scaled(card.hwmon, "freq1_input", 1.0)
    marked = next((mhz for mhz, mark in levels if mark), None)
    now = exact if exact is not None else None if marked is None else marked * 1e6
    return now, None if highest is None else highest * 1e6


def _seldom(card: _Card) -> dict[str, int | None]:
    return {
        "generation": _generation(card.folder, "current_link_speed"),
        "width": _integer(card.folder, "current_link_width"),
        "generation_max": _generation(card.folder, "max_link_speed"),
        "width_max": _integer(card.folder, "max_link_width"),
        "replays": _integer(card.folder, "pcie_replay_count"),
        "ecc": _uncorrected(card.folder),
        "node": _integer(card.folder, "numa_node"),
    }


def _generation(folder: str, file: str) -> int | None:
    """`16.0 GT/s PCIe` is the fourth generation."""
    match = re.match(r"(\d{1,3}(?:\.\d)?) GT/s", text(f"{folder}/{file}") or "")
    return _GENERATIONS.get(float(match[1])) if match else None


def _uncorrected(folder: str) -> int | None:
    """Of the memory controller: lines `ue: 0` and `ce: 0`."""
    match = re.search(r"^ue:\s*(\d+)", text(f"{folder}/ras/umc_err_count") or "", re.MULTILINE)
    return int(match[1]) if match else None


def _integer(folder: str, file: str) -> int | None:
    value = number((text(f"{folder}/{file}") or "").strip() or None)
    return value if value is not None and value >= 0 else None


def _scaled(folder: str | None, file: str, factor: float, fallback: str = "") -> float | None:
    for name in (file, fallback) if folder is not None else ():
        value = _integer(folder or "", name) if name else None
        if value is not None:
            return value * factor
    return None
