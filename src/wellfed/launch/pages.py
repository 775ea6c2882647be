"""Explicit huge pages: reserved per NUMA node when asked and permitted, given back afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from wellfed.errors import WellfedError

_PAGE = 2 * 2**20


def pages_for(size_bytes: float) -> int:
    """2 MiB pages that hold `size_bytes`."""
    return -(-round(size_bytes) // _PAGE)


@contextmanager
def reserved(wanted: Mapping[int, int], root: Path = Path("/")) -> Iterator[None]:
    """Add `wanted` (node -> pages) to what is reserved, and put the old numbers back at the end.

    Raises WellfedError when the kernel refuses or cannot find so many; nothing stays reserved then.
    """
    before: dict[Path, str] = {}
    try:
        for node, count in wanted.items():
            path = root / f"sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages"
            before[path] = _read(path)
            _write(path, int(before[path]) + count)
            got = int(_read(path)) - int(before[path])
            if got < count:
                hint = "memory is fragmented: reserve at boot with hugepages=, or free memory first"
                raise WellfedError(f"node {node} gave {got} of {count} huge pages", hint)
        yield
    finally:
        for path, text in before.items():
            _put_back(path, text)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        hint = "start without --huge-pages; transparent huge pages may still serve"
        raise WellfedError(f"no huge pages here: {path}: {error.strerror}", hint) from error


def _write(path: Path, count: int) -> None:
    try:
        path.write_text(str(count))
    except OSError as error:
        hint = f"as root: echo {count} > {path}; or start without --huge-pages"
        raise WellfedError(f"may not reserve huge pages: {error.strerror}", hint) from error


def _put_back(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError:
        return  # it could not be raised either
