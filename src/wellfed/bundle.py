"""The bytecode of our modules in one file, so that a start reads one file and not two hundred.

The file lies in the user's cache, beside the compiled catalogue: one for each interpreter and place of the package.
Each module is compared with its source's time and size, as Python compares a `.pyc` (PEP 552); what is stale or lacking
is loaded as everywhere and kept for the next start. A file that another user wrote, or may write, is not read.
"""

from __future__ import annotations

import marshal
import os
import sys
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import MAGIC_NUMBER
from types import CodeType, ModuleType

PACKAGE = __package__
ROOT = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (pathlib is not loaded yet)
FORMAT = b"wellfed modules 1\n"  # what a bundle begins with; the next format has another number
FILES_MAX = 8  # bundles that are kept: of other environments and interpreters; assumed
_STAMP_BYTES = 16  # before a module's code: magic number, flags, time and size of the source
_WRITTEN_BY_OTHERS = 0o022


class Bundle:
    """A finder of our modules: `contents` by module's name, as in a `.pyc`; `packages`: those that are folders."""

    def __init__(self, contents: Mapping[str, memoryview], packages: frozenset[str]) -> None:
        self.contents, self.packages = contents, packages
        self.lacking: dict[str, _Loader] = {}  # modules that were loaded from elsewhere

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module of ours lies; None for others."""
        if not name.startswith(PACKAGE):
            return None
        content = self.contents.get(name)
        return (content and self._at_hand(name, content)) or self._as_everywhere(name, path)

    def _at_hand(self, name: str, content: memoryview) -> ModuleSpec | None:
        """The module in the bundle; None where its source is another than that compiled."""
        folder = place = ROOT + name[len(PACKAGE) :].replace(".", os.sep)
        stem = "__init__"
        if name not in self.packages:
            folder, _, stem = place.rpartition(os.sep)
        source = f"{folder}{os.sep}{stem}.py"
        if bytes(content[:_STAMP_BYTES]) != _stamp(source):
            return None
        loader = _Loader(name, source, content)
        spec = ModuleSpec(name, loader, origin=source, is_package=folder is place)
        if folder is place:
            spec.submodule_search_locations = [place]
        spec.has_location = True
        spec.cached = f"{folder}{os.sep}__pycache__{os.sep}{stem}.{sys.implementation.cache_tag}.pyc"
        return spec

    def _as_everywhere(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path)
        if spec is not None and type(spec.loader) is SourceFileLoader and spec.origin and name != PACKAGE:
            spec.loader = self.lacking[name] = _Loader(name, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    """Python's own: with the bytecode at hand, or keeping it when it was found."""

    def __init__(self, name: str, path: str, content: memoryview | None = None) -> None:
        super().__init__(name, path)
        self._content = content
        self.kept: tuple[bytes, CodeType] | None = None

    def get_code(self, fullname: str) -> CodeType | None:
        """The module's code."""
        if self._content is not None:
            code: CodeType = marshal.loads(self._content[_STAMP_BYTES:])
            return code
        stamp = _stamp(self.path)
        found = super().get_code(fullname)
        if stamp and found:
            self.kept = stamp, found
        return found


def _stamp(source: str) -> bytes | None:
    """What stands before a `.pyc`'s code: the interpreter, time and size of the source; None where there is none."""
    try:
        seen = os.stat(source)  # noqa: PTH116
    except OSError:
        return None
    times = (0, int(seen.st_mtime) & 0xFFFFFFFF, seen.st_size & 0xFFFFFFFF)
    return MAGIC_NUMBER + b"".join(part.to_bytes(4, "little") for part in times)


def use() -> Bundle:
    """Load our modules from the bundle, where there is one, from here on."""
    place = _place()
    bundle = (_read(place) if place else None) or Bundle({}, frozenset())
    sys.meta_path.insert(0, bundle)
    return bundle


def keep(bundle: Bundle) -> None:
    """Write what was loaded from elsewhere to the file, with what is in it."""
    lacking = {name: loader.kept for name, loader in bundle.lacking.items() if loader.kept}
    place = _place()
    if not lacking or place is None:
        return
    contents: dict[str, bytes | memoryview] = {**bundle.contents}
    packages = set(bundle.packages) - lacking.keys()
    for name, (stamp, code) in lacking.items():
        contents[name] = stamp + marshal.dumps(code)
        packages.update([name] if hasattr(sys.modules.get(name), "__path__") else ())
    with suppress(OSError):
        _write(place, contents, packages)


def _place() -> str | None:
    """The file of this interpreter, what it leaves out and this place; None where a user has no cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    if not os.path.isabs(cache) or not hasattr(os, "geteuid"):  # noqa: PTH117
        return None
    place = f"{ROOT}|{sys.version}|{sys.flags.optimize}".encode()
    return f"{cache}/wellfed/modules/{zlib.crc32(place):08x}{zlib.adler32(place):08x}.bundle"


def _read(place: str) -> Bundle | None:
    """The bundle there; None where there is none that this user wrote whole, and nobody else may write."""
    try:
        with open(place, "rb") as file:  # noqa: PTH123
            seen = os.fstat(file.fileno())
            if seen.st_uid != os.geteuid() or seen.st_mode & _WRITTEN_BY_OTHERS:
                return None
            content = file.read()
        if not content.startswith(FORMAT):
            return None
        begin = len(FORMAT) + 4
        end = begin + int.from_bytes(content[len(FORMAT) : begin], "little")
        root, index, packages, length = marshal.loads(content[begin:end])
        whole = memoryview(content)[end:]
        if root != ROOT or len(whole) != length:
            return None
        return Bundle({name: whole[at : at + size] for name, (at, size) in index.items()}, packages)
    except (OSError, ValueError, TypeError, EOFError, AttributeError):
        return None


def _write(place: str, contents: Mapping[str, bytes | memoryview], packages: set[str]) -> None:
    """Write it whole or not at all, and drop the oldest of too many."""
    index, at = {}, 0
    for name, content in contents.items():
        index[name] = (at, len(content))
        at += len(content)
    head = marshal.dumps((ROOT, index, frozenset(packages), at))
    folder = os.path.dirname(place)  # noqa: PTH120
    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
    unfinished = f"{place}.{os.getpid()}"
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            file.write(b"".join((FORMAT, len(head).to_bytes(4, "little"), head, *contents.values())))
        os.replace(unfinished, place)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)  # noqa: PTH108
        raise
    kept = sorted((entry for entry in os.scandir(folder)), key=lambda entry: -entry.stat().st_mtime)
    for entry in kept[FILES_MAX:]:
        os.unlink(entry.path)  # noqa: PTH108
