"""Proof of placement: what /proc says of where a process's threads may run and its pages are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

import psutil

from wellfed.frozen import dataclass
from wellfed.launch.bound import parse_list
from wellfed.partial_sums import total_of_known


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
        resident_bytes=total_of_known((_kilobytes(status, "VmRSS"), _kilobytes(status, "HugetlbPages"))),
        huge_bytes=total_of_known(
            _kilobytes(rollup, name) for name in ("AnonHugePages", "Private_Hugetlb", "FilePmdMapped")
        ),
        pages=numa_pages(_read(proc / str(pid) / "numa_maps")),
    )


def group_placement(pid: int, proc: Path = Path("/proc")) -> Placement:
    """Of `pid` and the processes it started, together; memory they share counts once."""
    descendants = _descendants(pid)
    placements = [placement(member, proc) for member in (pid, *descendants)]
    if len(placements) == 1:
        return placements[0]
    bound = [process.cpus for process in placements if process.cpus is not None]
    pages: dict[int, int] = {}
    for process in placements:
        for node, size in process.pages.items():
            pages[node] = pages.get(node, 0) + size
    proportional = [_kilobytes(_read(proc / str(member) / "smaps_rollup"), "Pss") for member in (pid, *descendants)]
    return Placement(
        cpus=tuple(sorted({cpu for cpus in bound for cpu in cpus})) if bound else None,
        threads=total_of_known(process.threads for process in placements),
        resident_bytes=total_of_known(proportional),
        huge_bytes=total_of_known(process.huge_bytes for process in placements),
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


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
