"""`free` and /proc/meminfo: RAM and swap, in all and what is left."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Machine, OsSettings
from wellfed.message import sentence
from wellfed.provenance import Assumption
from wellfed.topology.readers.locales import AVAILABLE, MEMORY, SWAP
from wellfed.topology.readers.reader import Reader, partial_machine

_MEMINFO = re.compile(
    r"^\s*(MemTotal|MemFree|MemAvailable|Buffers|Cached|SwapTotal|SwapFree):\s+(\d{1,18}) kB\s*$", re.M
)
_LINE = re.compile(
    rf"^[ \t]*({'|'.join(map(re.escape, (*MEMORY, *SWAP)))})[ \t\u00a0\u202f]*[:：][ \t]*(\d[\d.,BKMGTPi \t]*)$", re.M
)
_HEAD = re.compile(r"^[ \t]*(\S+(?:[ \t]+\S+){2,5})[ \t]*$")
_OLD = re.compile(r"^[ \t]*-/\+ buffers/cache:[ \t]+\S+[ \t]+(\d[\d.BKMGTPi]*)[ \t]*$", re.M)
_VALUE = re.compile(r"([\d.]+)([BKMGTP])?(i)?")
_POWERS = {"B": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}  # of 1024


def recognises_meminfo(text: str) -> bool:
    """Whether the kernel's own lines stand in the text."""
    return any(match[1] == "MemTotal" for match in _MEMINFO.finditer(text))


def parse_meminfo(text: str) -> Machine:
    """The machine's memory and swap."""
    sizes: dict[str, int] = {}
    for match in _MEMINFO.finditer(text):
        sizes.setdefault(match[1], int(match[2]) << 10)
    swap = sizes.get("SwapTotal")
    swap_used = None if swap is None or "SwapFree" not in sizes else swap - sizes["SwapFree"]
    return partial_machine(
        memory_bytes=sizes["MemTotal"],
        os=OsSettings(
            memory_free_bytes=sizes.get("MemAvailable"),
            swap_total_bytes=swap,
            swap_used_bytes=swap_used,
            family="linux",
        ),
    )


def recognises_free(text: str) -> bool:
    """The line of RAM below a head, in any of the tool's languages."""
    return _memory_line(text) is not None


def _memory_line(text: str) -> tuple[re.Match[str], list[str]] | None:
    """RAM's line, and the titles of the columns above it."""
    for match in _LINE.finditer(text):
        head = _HEAD.match(text[: match.start()].rstrip("\n").rpartition("\n")[2])
        if match[1] in MEMORY and head and not any(char.isdecimal() or char == ":" for char in head[1]):
            return match, head[1].split()
    return None


def parse_free(text: str) -> Machine:
    """RAM and swap. Bare numbers are what the command says (-b, -k, -m, -g), else what their size suggests."""
    line, titles = _memory_line(text) or (None, [])
    columns = ["total", "used", "free", *("available" if title in AVAILABLE else title for title in titles[3:])]
    memory = line[2].replace(",", ".").split() if line else ["0"]
    swaps = [m[2].replace(",", ".").split() for m in _LINE.finditer(text) if m[1] in SWAP]
    scale, assumption = _scale(text, memory[0])
    sizes = dict(zip(columns, (_bytes(value, scale) for value in memory), strict=False))
    swap = [_bytes(value, scale) for value in (swaps[0] if swaps else [])]
    return partial_machine(
        memory_bytes=sizes["total"] or None,
        os=OsSettings(
            memory_free_bytes=sizes.get("available", _without_cache(text, scale)),
            swap_total_bytes=swap[0] if swap else None,
            swap_used_bytes=swap[1] if len(swap) > 1 else None,
            family="linux",
        ),
        assumptions=(Assumption(assumption, sentence("meminfo.output-names-unit", "the output names no unit")),)
        if assumption
        else (),
    )


def _without_cache(text: str, scale: int) -> int | None:
    """What old versions print as free without buffers and cache."""
    match = _OLD.search(text)
    return _bytes(match[1], scale) if match else None


def _scale(text: str, total: str) -> tuple[int, str]:
    """Bytes a bare number counts, and what was assumed."""
    if not total.isdecimal():
        return 1, ""
    command = re.search(r"\bfree\s+(?:-\w+\s+)*-\w*?([bkmg])\w*\b|\bfree\s+--(b|k|m|g)\w*", text)
    if command:
        return 1 << 10 * "bkmg".index(command[1] or command[2]), ""
    value = int(total)
    if value >= 1 << 33:
        return 1, sentence("meminfo.free-counts-bytes", "free counts bytes")
    if value >= 1 << 21:
        return 1 << 10, ""  # the tool's own default
    return (
        (1 << 20, sentence("meminfo.free-counts-mib", "free counts MiB"))
        if value >= 4096
        else (1 << 30, sentence("meminfo.free-counts-gib", "free counts GiB"))
    )


def _bytes(text: str, scale: int) -> int:
    """`31Gi` is 31 GiB; `3.7G` of older versions is 3.7 GiB, too (it counts in 1024s)."""
    match = _VALUE.match(text)
    if match is None or match[1].count(".") > 1:
        return 0
    factor = 1024 ** _POWERS[match[2]] if match[2] else scale
    return round(float(match[1].strip(".") or 0) * factor)


MEMINFO = Reader(
    "/proc/meminfo",
    "cat /proc/meminfo",
    sentence("meminfo.text-ram-swap", "RAM and swap"),
    ("MemTotal",),
    recognises_meminfo,
    parse_meminfo,
)
FREE = Reader(
    "free",
    "free -b",
    sentence("meminfo.text-ram-swap", "RAM and swap"),
    ("Mem:", "内存", "Speicher:", "メモリ", "Память", "記憶體"),
    recognises_free,
    parse_free,
)
