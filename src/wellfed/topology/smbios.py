"""SMBIOS tables: memory arrays and memory devices.

Layout: DMTF DSP0134 3.7, 6.1.2 (structure header: type, length, handle; formatted area; strings ended by two zeros),
7.17 (type 16), 7.18 (type 17), 7.2 (type 1), 7.5 (type 4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from wellfed.frozen import dataclass
from wellfed.units import MIB

_TYPES = {  # 7.18.2
    0x0F: "SDRAM", 0x12: "DDR", 0x13: "DDR2", 0x14: "DDR2 FB-DIMM", 0x18: "DDR3", 0x1A: "DDR4", 0x1B: "LPDDR",
    0x1C: "LPDDR2", 0x1D: "LPDDR3", 0x1E: "LPDDR4", 0x1F: "NVDIMM", 0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5",
    0x23: "LPDDR5", 0x24: "HBM3", 0x25: "MRDIMM",
}  # fmt: skip
_SYSTEM_MEMORY = 3  # type 16, "Use": system memory (DMTF DSP0134)


@dataclass(frozen=True, slots=True)
class Structure:
    """One SMBIOS structure: the formatted area (with its 4-byte header) and its strings."""

    type: int
    handle: int
    area: bytes
    strings: tuple[str, ...]

    def byte(self, offset: int) -> int | None:
        """The byte at `offset`, None beyond the structure's length (older firmware)."""
        return self.area[offset] if offset < len(self.area) else None

    def word(self, offset: int) -> int | None:
        """Little-endian 16 bits."""
        return struct.unpack_from("<H", self.area, offset)[0] if offset + 2 <= len(self.area) else None

    def dword(self, offset: int) -> int | None:
        """Little-endian 32 bits."""
        return struct.unpack_from("<I", self.area, offset)[0] if offset + 4 <= len(self.area) else None

    def string(self, offset: int) -> str | None:
        """The string whose 1-based number stands at `offset`."""
        index = self.byte(offset)
        return self.strings[index - 1].strip() if index and index <= len(self.strings) else None


@dataclass(frozen=True, slots=True)
class MemoryDevice:
    """Type 17. `bytes` is 0 for an empty slot, None for unknown."""

    locator: str
    bank: str
    bytes: int | None
    type: str | None = None
    speed_mt_s: float | None = None
    configured_mt_s: float | None = None
    manufacturer: str | None = None
    part: str | None = None
    ranks: int | None = None
    total_bits: int | None = None
    data_bits: int | None = None


def structures(table: bytes) -> Iterator[Structure]:
    """Every structure up to the end mark (type 127) or the first that does not fit."""
    at = 0
    while at + 4 <= len(table):
        kind, length, handle = struct.unpack_from("<BBH", table, at)
        if length < 4 or at + length > len(table):
            return
        end = table.find(b"\0\0", at + length)
        if end < 0:
            return
        raw = table[at + length : end]
        strings = tuple(part.decode("utf-8", "replace") for part in raw.split(b"\0")) if raw else ()
        yield Structure(kind, handle, table[at : at + length], strings)
        if kind == 127:
            return
        at = end + 2


def memory_devices(table: bytes) -> tuple[MemoryDevice, ...]:
    """Slots of system memory: type 17 whose type 16 array is used as system memory."""
    entries = tuple(structures(table))
    not_system_memory = {s.handle for s in entries if s.type == 16 and s.byte(5) not in (_SYSTEM_MEMORY, None)}
    return tuple(_device(s) for s in entries if s.type == 17 and s.word(4) not in not_system_memory)


def _device(s: Structure) -> MemoryDevice:
    return MemoryDevice(
        locator=s.string(0x10) or "",
        bank=s.string(0x11) or "",
        bytes=_size(s),
        type=_TYPES.get(s.byte(0x12) or 0),
        speed_mt_s=_speed(s, 0x15, 0x54),
        configured_mt_s=_speed(s, 0x20, 0x58),
        manufacturer=s.string(0x17),
        part=s.string(0x1A),
        ranks=(s.byte(0x1B) or 0) & 0x0F or None,
        total_bits=_bits(s.word(0x08)),
        data_bits=_bits(s.word(0x0A)),
    )


def _size(s: Structure) -> int | None:
    """7.18: 0 = empty, 0xFFFF = unknown, 0x7FFF = see the extended size in MiB; bit 15 set = KiB."""
    size = s.word(0x0C)
    if size is None or size == 0xFFFF:
        return None
    if size == 0x7FFF:
        extended = s.dword(0x1C)
        return None if extended is None else (extended & 0x7FFF_FFFF) * MIB
    return (size & 0x7FFF) * 1024 if size & 0x8000 else size * MIB


def _speed(s: Structure, offset: int, extended_offset: int) -> float | None:
    """MT/s; 0 = unknown, 0xFFFF = see the extended field."""
    speed = s.word(offset)
    if speed == 0xFFFF:
        speed = s.dword(extended_offset)
    return float(speed) if speed else None


def _bits(width: int | None) -> int | None:
    return None if width in (None, 0, 0xFFFF) else width


def system_name(table: bytes) -> str | None:
    """Manufacturer and product (type 1)."""
    for s in structures(table):
        if s.type == 1:
            words = [word for word in (s.string(4), s.string(5)) if word]
            return " ".join(words) or None
    return None
