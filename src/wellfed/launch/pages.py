"""Explicit huge pages: reserved per NUMA node when asked and permitted, given back afterwards, whatever happens.

llama.cpp asks for none itself: glibc's malloc does for it, when told so (GLIBC_TUNABLES, glibc 2.35 and newer), and
only weights that are not mapped from their file come from malloc. Where the pages run out, ordinary ones serve.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from wellfed.errors import BadInput, WellfedError
from wellfed.launch import state
from wellfed.launch.folder import made_folder
from wellfed.message import sentence

_PAGE = 2 * 2**20  # bytes of an explicit huge page on x86-64 and arm64 with 4 KiB base pages
_GLIBC = (2, 35)  # the first that knows the tunable glibc.malloc.hugetlb (its release notes)
ENVIRONMENT: Mapping[str, str] = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=2"}
FLAG = "--no-mmap"


def pages_for(size_bytes: float) -> int:
    """2 MiB pages that hold `size_bytes`."""
    return -(-round(size_bytes) // _PAGE)


def ensure_usable(libc: tuple[str, str] | None = None) -> None:
    """Raises BadInput where malloc cannot be told to use huge pages: they would only be lost."""
    name, version = libc or platform.libc_ver()
    if name == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= _GLIBC:
        return
    hint = sentence(
        "launch.pages.start-without-huge", "start without --huge-pages; transparent huge pages may still serve"
    )
    least, here = f"{_GLIBC[0]}.{_GLIBC[1]}", f"{name} {version}".rstrip()
    template = "huge pages need glibc {least} or newer, this is {here}"
    raise BadInput(sentence("launch.pages.glibc", template, least=least, here=here), hint)


@contextmanager
def reserved(pages_by_node: Mapping[int, int], root: Path = Path("/")) -> Iterator[None]:
    """Add `pages_by_node` (2 MiB pages) to what is reserved, and take as many away at the end.

    What was added is written down first, so that `release_left_behind` finds it if we are killed. Raises WellfedError
    when the kernel refuses or cannot find so many; nothing stays reserved then.
    """
    added: dict[str, int] = {}
    note = _note(os.getpid())
    made_folder()
    try:
        for node, count in pages_by_node.items():
            path = root / f"sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages"
            before = _read(path)
            _remember(note, added, {str(path): (count, before)})
            _write(path, before + count)
            added[str(path)] = _read(path) - before
            _remember(note, added)
            if added[str(path)] < count:
                hint = sentence(
                    "launch.pages.memory-fragmented",
                    "memory is fragmented: reserve at boot with hugepages=, or free memory first",
                )
                raise WellfedError(
                    sentence(
                        "launch.pages.node-gave-huge",
                        "node {node} gave {added} of {count} huge pages",
                        node=node,
                        added=added[str(path)],
                        count=count,
                    ),
                    hint,
                )
        yield
    finally:
        _give_back(added)
        note.unlink(missing_ok=True)


def release_left_behind() -> int:
    """Give back what runs that were killed had reserved; how many pages."""
    total = 0
    for note in sorted(state.folder().glob("*.pages")):
        try:
            record = json.loads(note.read_text())
            if _runs(record["pid"], record["started"]):
                continue
            total += _give_back(record["added"]) + _give_back(_half_added(record["adding"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, WellfedError):
            pass  # not ours
        note.unlink(missing_ok=True)
    return total


def _note(pid: int) -> Path:
    return state.folder() / f"{pid}.pages"


def _half_added(adding: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Of what was about to be added when the run was killed, what has been."""
    return {path: max(0, min(count, _read(Path(path)) - before)) for path, (count, before) in adding.items()}


def _remember(note: Path, added: Mapping[str, int], adding: Mapping[str, tuple[int, int]] | None = None) -> None:
    """On disk before anything is reserved. Raises BadInput where it cannot be written."""
    owner = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    text = json.dumps({**owner, "added": added, "adding": adding or {}})
    try:
        draft = note.with_suffix(".tmp")
        draft.write_text(text)
        draft.replace(note)
    except OSError as error:
        hint = sentence("launch.pages.free-some-space", "free some space, or set XDG_STATE_HOME to a folder with room")
        raise BadInput(
            sentence(
                "launch.pages.cannot-write", "cannot write {note}: {strerror}", note=note, strerror=error.strerror
            ),
            hint,
        ) from error


def _runs(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        began: float = process.create_time()
        return abs(began - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _give_back(added: Mapping[str, int]) -> int:
    pages = 0
    for name, count in added.items():
        path = Path(name)
        try:
            now = int(path.read_text())
            path.write_text(str(max(0, now - count)))
        except (OSError, ValueError):
            continue  # it could not be raised either
        pages += min(now, count)
    return pages


def _read(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError) as error:
        hint = sentence(
            "launch.pages.start-without-huge", "start without --huge-pages; transparent huge pages may still serve"
        )
        why = error.strerror if isinstance(error, OSError) else sentence("launch.pages.no-number", "no number")
        raise WellfedError(
            sentence("launch.pages.no-huge-pages", "no huge pages here: {path}: {why}", path=path, why=why), hint
        ) from error


def _write(path: Path, count: int) -> None:
    try:
        path.write_text(str(count))
    except OSError as error:
        hint = sentence(
            "launch.pages.root-echo-start",
            "as root: echo {count} > {path}; or start without --huge-pages",
            count=count,
            path=path,
        )
        raise WellfedError(
            sentence(
                "launch.pages.may-reserve-huge", "may not reserve huge pages: {strerror}", strerror=error.strerror
            ),
            hint,
        ) from error
