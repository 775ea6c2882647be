"""A snapshot: the raw texts of one machine, read first and parsed second.

A snapshot is a set of files (logical absolute paths such as `/sys/bus/pci/devices/...`), the symbolic links among
them, and pasted dumps. Live machine, our own snapshot file, somebody's tarball of /sys and /proc, and a folder of
dumps all become one, and everything behind goes through the same readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from posixpath import join, normpath

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Origin
from wellfed.message import sentence

META = "/wellfed/meta.json"  # what has no file: architecture, time, what could not be read
SCHEMA = 1  # of META: what else a snapshot of ours holds
NVML = "/wellfed/nvml.json"  # the NVIDIA driver's answers
_MAX_LINKS = 40  # as the kernel's own limit


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Raw texts of one machine. `unreadable` tells why a path that exists could not be read."""

    name: str
    origin: Origin
    files: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    dumps: Mapping[str, str] = field(default_factory=dict)  # file name -> pasted text
    notes: tuple[str, ...] = ()


class Tree:
    """Reads a snapshot like a file system: directories, symbolic links, text. Never raises on content."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._files = snapshot.files
        self._links = snapshot.links
        self._unreadable = snapshot.unreadable
        self._children: dict[str, set[str]] = {}
        self._real: dict[str, str] = {"/": "/"}
        for path in (*snapshot.files, *snapshot.links):
            self._enter(path)

    def _enter(self, path: str) -> None:
        while len(path) > 1:
            parent, _, name = path.rpartition("/")
            siblings = self._children.setdefault(parent or "/", set())
            if name in siblings:
                return
            if name:
                siblings.add(name)
            path = parent

    def real(self, path: str) -> str:
        """The path after following links; the path itself where a loop or too many links are met."""
        return self._resolve(path, 0)

    def _resolve(self, path: str, depth: int) -> str:
        if path in self._real:
            return self._real[path]
        if depth > _MAX_LINKS:
            return path
        parent, _, name = path.rpartition("/")
        here = join(self._resolve(parent or "/", depth), name)
        target = self._links.get(here)
        if target is not None:
            here = self._resolve(normpath(join(here.rpartition("/")[0] or "/", target)), depth + 1)
        self._real[path] = here
        return here

    def data(self, path: str) -> bytes | None:
        """The file's bytes, or None."""
        return self._files.get(self.real(path))

    def text(self, path: str) -> str | None:
        """The file's text without trailing blanks; other encodings are replaced, not refused."""
        content = self.data(path)
        return None if content is None else content.decode("utf-8", "replace").strip("\x00 \t\r\n")

    def names(self, path: str) -> tuple[str, ...]:
        """Names in a directory, sorted; empty for anything else."""
        return tuple(sorted(self._children.get(self.real(path), ())))

    def exists(self, path: str) -> bool:
        """Whether the snapshot has this file, link or directory."""
        real = self.real(path)
        return real in self._files or real in self._children or path in self._links

    def target(self, path: str) -> str | None:
        """Last component of a link's target, or None where it is no link."""
        parent, _, name = path.rpartition("/")
        link = self._links.get(join(self.real(parent or "/"), name))
        return None if link is None else link.rstrip("/").rpartition("/")[2]

    def why(self, path: str) -> str:
        """Why this path could not be read."""
        return (
            self._unreadable.get(path)
            or self._unreadable.get(self.real(path))
            or sentence("snapshot.absent", "{path} is absent", path=path)
        )

    def paths(self) -> Iterable[str]:
        """Every file's path."""
        return self._files
