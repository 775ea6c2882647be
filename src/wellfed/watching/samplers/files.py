"""Small reads below a root that may be another machine's."""

from __future__ import annotations

import os


def text(path: str) -> str | None:
    """The file's text; None where it cannot be read. One open, one read: these files are read every second."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        parts = []
        while part := os.read(handle, 65536):
            parts.append(part)
        return b"".join(parts).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(handle)


def at(root: str, path: str) -> str:
    """`path` below `root`; strings, since joining paths costs more than reading these files."""
    return f"{root.rstrip('/')}/{path.lstrip('/')}"


def number(word: str | None) -> int | None:
    """An integer, or None for anything else."""
    try:
        return int(word) if word is not None else None
    except ValueError:
        return None


def table(content: str | None) -> dict[str, int]:
    """Lines of `name value` (vmstat, memory.stat, cpu.stat); a colon and a unit are passed over."""
    values: dict[str, int] = {}
    for line in (content or "").splitlines():
        words = line.replace(":", " ").split()
        value = number(words[1]) if len(words) >= 2 else None
        if value is not None:
            values[words[0]] = value
    return values


def names(path: str) -> tuple[str, ...]:
    """A directory's entries; empty where there is none."""
    try:
        with os.scandir(path) as entries:
            return tuple(entry.name for entry in entries)
    except OSError:
        return ()
