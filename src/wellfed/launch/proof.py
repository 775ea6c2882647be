"""Proof of placement: what /proc says of where a process's threads may run and its pages are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

import psutil

from wellfed.frozen import dataclass
from wellfed.launch.bound import parse_list


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a process is. None = could not be read; `pages` maps NUMA node to resident bytes."""

    cpus: tuple[int, ...] | None
    threads: int | None
    resident_bytes: int | None
    huge_bytes: int | None  # transparent and explicit huge pages
    pages: Mapping[int, int] = field(default_factory=dict)

    def share_on(self, nodes: tuple[int, ...]) -> float | None:
        """The share of its pages on `nodes`; None when the kernel does not tell."""
        total = sum(self.pages.values())
        return sum(self.pages.get(node, 0) for node in nodes) / total if total else None


def placement(pid: int, proc: Path = Path("/proc")) -> Placement:
    """What `proc` tells of `pid`; unreadable files leave None."""
    status = _read(proc / str(pid) / "status")
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
    threads = re.search(r"^Threads:\s*(\d+)", status, re.MULTILINE)
    rollup = _read(proc / str(pid) / "smaps_rollup")
    return Placement(
        cpus=tuple(parse_list(allowed[1])) if allowed else None,
        threads=int(threads[1]) if threads else None,
        resident_bytes=_sum_or_none(_kilobytes(status, "VmRSS"), _kilobytes(status, "HugetlbPages")),
        huge_bytes=_sum_or_none(
            _kilobytes(rollup, "AnonHugePages"),
            _kilobytes(rollup, "Private_Hugetlb"),
            _kilobytes(rollup, "FilePmdMapped"),
        ),
        pages=numa_pages(_read(proc / str(pid) / "numa_maps")),
    )


def group_placement(pid: int, proc: Path = Path("/proc")) -> Placement:
    """Of `pid` and the processes it started, together; memory they share counts once."""
    descendants = _descendants(pid)
    found = [placement(one, proc) for one in (pid, *descendants)]
    if len(found) == 1:
        return found[0]
    bound = [one.cpus for one in found if one.cpus is not None]
    pages: dict[int, int] = {}
    for one in found:
        for node, size in one.pages.items():
            pages[node] = pages.get(node, 0) + size
    proportional = [_kilobytes(_read(proc / str(one) / "smaps_rollup"), "Pss") for one in (pid, *descendants)]
    return Placement(
        cpus=tuple(sorted({cpu for cpus in bound for cpu in cpus})) if bound else None,
        threads=_sum_or_none(*(one.threads for one in found)),
        resident_bytes=_sum_or_none(*proportional),
        huge_bytes=_sum_or_none(*(one.huge_bytes for one in found)),
        pages=pages,
    )


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def numa_pages(text: str) -> dict[int, int]:
    """Resident bytes by node, from numa_maps (Documentation/filesystems/proc.rst): N<node>=<pages>."""
    pages: dict[int, int] = {}
    for line in text.splitlines():
        size = re.search(r"kernelpagesize_kB=(\d+)", line)
        unit = int(size[1]) * 1024 if size else 4096
        for node, count in re.findall(r"\bN(\d+)=(\d+)", line):
            pages[int(node)] = pages.get(int(node), 0) + int(count) * unit
    return pages


def _kilobytes(text: str, name: str) -> int | None:
    match = re.search(rf"^{name}:\s*(\d+) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _sum_or_none(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
