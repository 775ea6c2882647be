"""Who a process is: its pid, when it started in ticks since the boot, and which boot. No clock that can be set.

Fields of /proc/PID/stat: proc(5). Where there is none (macOS), the start time of the process stands for the ticks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import psutil

from wellfed.frozen import dataclass

PROC = Path("/proc")
MARK = "WELLFED_ENGINE"  # the variable with a launch's token, which everything that an engine starts inherits


@dataclass(frozen=True, slots=True)
class Place:
    """Where pids mean something: a boot of one machine, and a namespace of pids on it. Empty where it is not told."""

    boot: str = ""
    namespace: str = ""
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says: state (R S D T Z X), process group, session, start in clock ticks since the boot."""

    pid: int
    state: str
    group: int
    session: int
    ticks: int

    @property
    def runs(self) -> bool:
        """Whether it is more than an entry in the table of processes: a zombie holds no memory and no port."""
        return self.state not in "ZXx"


@lru_cache(maxsize=1)
def here() -> Place:
    """The machine, boot and pid namespace that this process runs in."""
    machine = _line("/etc/machine-id") or os.uname().nodename
    return Place(_line("/proc/sys/kernel/random/boot_id"), _namespace(), machine)


def _line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()[:100]
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def stat(pid: int, proc: Path = PROC) -> Stat | None:
    """The process now; None when there is none. Raises PermissionError where it may not be looked at."""
    try:
        words = (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return Stat(pid, words[0], int(words[2]), int(words[3]), int(words[19]))
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return _without_proc(pid) if not (proc / "self").exists() and proc is PROC else None
    except (IndexError, ValueError):
        return None


def _without_proc(pid: int) -> Stat | None:
    try:
        process = psutil.Process(pid)
        state = "Z" if process.status() == psutil.STATUS_ZOMBIE else "S"
        return Stat(pid, state, os.getpgid(pid), os.getsid(pid), round(100 * process.create_time()))
    except (psutil.Error, OSError):
        return None


def owner(pid: int, proc: Path = PROC) -> int | None:
    """The user that the process belongs to; None when it is not there."""
    try:
        return (proc / str(pid)).stat().st_uid
    except OSError:
        return None


def members(group: int, proc: Path = PROC) -> Iterator[Stat]:
    """Processes of a process group that run."""
    for name in _pids(proc):
        try:
            process = stat(name, proc)
        except OSError:
            continue
        if process is not None and process.group == group and process.runs:
            yield process


def _pids(proc: Path) -> tuple[int, ...]:
    try:
        return tuple(int(entry) for entry in os.listdir(proc) if entry.isdecimal())  # noqa: PTH208  names alone, often
    except OSError:
        return tuple(psutil.pids())


def is_marked(pid: int, token: str, proc: Path = PROC) -> bool:
    """Whether the process was started, by whomever, under the launch with this token."""
    try:
        return f"{MARK}={token}".encode() in (proc / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
