"""Shared memory of an engine's processes: known while they live, removed if they leave it behind.

Engines of several processes pass tensors through files in /dev/shm. Killed ones leave them there, where they take
memory until the next boot; vLLM's ranks on CPUs leave theirs even when told to stop, and the file through which they
met in the temporary folder, which their log names.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_FOLDER = "/dev/shm/"
_MEETING = re.compile(r"distributed_init_method=file://(/\S*/vllm_dist_[0-9a-f]+)\s")
_MEETING_FILE = re.compile(r"/\S*/vllm_dist_[0-9a-f]+")
_READ_BYTES = 256 * 1024  # of a log: ranks meet before anything else


def shared_memory(group: int, proc: Path = Path("/proc")) -> tuple[str, ...]:
    """Files in /dev/shm that processes of the process group `group` write to together; none where /proc tells nothing.

    A model that lies there is mapped to be read: it is its owner's, and stays.
    """
    members = _members(group, proc)
    return tuple(sorted({path for pid in members for path in _mapped(proc / str(pid) / "maps", "w", "s")}))


def remove(paths: Iterable[str], proc: Path = Path("/proc")) -> None:
    """Remove those of `paths` that are ours and that no process maps any more."""
    left_behind = [Path(path) for path in paths if _may_be_left(path) and _is_of_this_user(Path(path))]
    if not left_behind:
        return
    used = {path for pid in _pids(proc) for path in _mapped(proc / str(pid) / "maps")}
    for path in left_behind:
        if str(path) not in used:
            with suppress(OSError):  # what cannot be removed is no reason not to end
                path.unlink(missing_ok=True)


def _may_be_left(path: str) -> bool:
    """Whether it is of a place where engines leave things: a record may have been written by anybody."""
    return ".." not in path.split("/") and (path.startswith(_FOLDER) or bool(_MEETING_FILE.fullmatch(path)))


def meeting_points(log: Path) -> tuple[str, ...]:
    """Files that a vLLM log names as its ranks' meeting point."""
    try:
        with log.open("rb") as file:
            text = file.read(_READ_BYTES).decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(dict.fromkeys(_MEETING.findall(text)))


def _is_of_this_user(path: Path) -> bool:
    try:
        status = path.lstat()
        return status.st_uid == os.getuid() and stat.S_ISREG(status.st_mode)
    except OSError:
        return False


def _members(group: int, proc: Path) -> Iterator[int]:
    for pid in _pids(proc):
        with suppress(OSError, ValueError, IndexError):
            if int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                yield pid


def _pids(proc: Path) -> tuple[int, ...]:
    try:
        return tuple(int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal())
    except OSError:
        return ()


def _mapped(maps: Path, *rights: str) -> set[str]:
    """Paths in /dev/shm that a maps file has with all of these rights (proc(5): the sixth field and the second, of
    `rwxs`); deleted ones need no care.
    """
    try:
        lines = maps.read_text(errors="replace").splitlines()
    except OSError:
        return set()
    rows = (fields for fields in (line.split(maxsplit=5) for line in lines) if len(fields) == 6)
    paths = (path for _, permissions, _, _, _, path in rows if all(right in permissions for right in rights))
    return {path for path in paths if path.startswith(_FOLDER) and not path.endswith(" (deleted)")}
