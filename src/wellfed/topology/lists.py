"""The kernel's small formats: CPU lists, masks, sizes, tolerant of anything."""

from __future__ import annotations

import re
from functools import lru_cache

_MAX_CPU = 1 << 16  # the kernel's NR_CPUS limit is 8192; anything above this is not a CPU list


def integer(text: str | None, base: int = 10) -> int | None:
    """The whole text as an integer, or None."""
    if text is None:
        return None
    try:
        return int(text.strip(), base)
    except ValueError:
        return None


def number(text: str | None) -> float | None:
    """The first decimal number in the text, or None."""
    match = re.search(r"-?[0-9]+(?:\.[0-9]+)?", text or "")
    return float(match[0]) if match else None


@lru_cache(maxsize=4096)
def cpu_list(text: str | None) -> tuple[int, ...] | None:
    """`0-3,8,10-14:2` as sorted numbers; empty text is the empty list, None or nonsense is None."""
    if text is None:
        return None
    numbers: set[int] = set()
    for part in text.replace(" ", ",").strip().strip("\x00").split(","):
        if not part.strip():
            continue
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6})(?::(\d{1,4})(?:/\d+)?)?)?", part.strip())
        if match is None or int(match[2] or match[1]) > _MAX_CPU:
            return None
        numbers.update(range(int(match[1]), int(match[2] or match[1]) + 1, max(int(match[3] or 1), 1)))
    return tuple(sorted(numbers))


@lru_cache(maxsize=4096)
def cpu_mask(text: str | None) -> tuple[int, ...] | None:
    """`000000ff,0000ffff` or `0xff,,0x0` (32-bit words, highest first) as sorted numbers; nonsense is None."""
    if text is None or len(text) > _MAX_CPU:
        return None
    words = [word.strip().removeprefix("0x") for word in text.strip().split(",")]
    words = [word or "0" for word in words] if len(words) > 1 else words  # hwloc leaves zero words out
    if not all(re.fullmatch(r"[0-9a-fA-F]{1,8}", word) for word in words):
        return _wide_mask(words)
    value = 0
    for word in words:
        value = value << 32 | int(word, 16)
    return _bits(value)


def _wide_mask(words: list[str]) -> tuple[int, ...] | None:
    if len(words) == 1 and re.fullmatch(r"[0-9a-fA-F]+", words[0]):
        return _bits(int(words[0], 16))
    return None


def _bits(value: int) -> tuple[int, ...]:
    return tuple(index for index, bit in enumerate(reversed(bin(value)[2:])) if bit == "1")


def kib(text: str | None) -> int | None:
    """Bytes of `123 kB` or `32K` as the kernel writes them (K is 1024)."""
    match = re.match(r"\s*(\d+)\s*([kKMG]?)", text or "")
    if match is None:
        return None
    return int(match[1]) << {"": 0, "k": 10, "K": 10, "M": 20, "G": 30}[match[2]]


def keyed(text: str | None, separator: str = ":") -> dict[str, str]:
    """`key: value` lines as a mapping; the first of equal keys wins."""
    values: dict[str, str] = {}
    for line in (text or "").splitlines():
        key, mark, value = line.partition(separator)
        if mark:
            values.setdefault(key.strip(), value.strip())
    return values
