"""The bytecode of our modules in one file, so that a start opens one file and not two hundred.

The file lies beside `__init__`'s bytecode and holds what lies there for each module, unchanged: Python's own loader
still compiles what is of another time or size than its source. Where bytecode is not written
(`PYTHONDONTWRITEBYTECODE`, a folder of somebody else's), nothing is, and modules are found as everywhere.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import MAGIC_NUMBER, cache_from_source
from types import CodeType, ModuleType

PACKAGE = __package__
ROOT = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (pathlib is not loaded yet)
HEAD = b"wellfed bytecode 1\n"  # what a bundle begins with; the next format has another number
PLACE = cache_from_source(os.path.join(ROOT, "__init__.py")).removesuffix(".pyc")  # noqa: PTH118
SUFFIX = PLACE.rpartition("__init__")[2]  # the interpreter's name and what it optimises
_HEAD_BYTES = 16  # of a `.pyc`: magic number, flags, time and size of the source (PEP 552)


class Bundle:
    """A finder of our modules: `contents` by module's name, as in its `.pyc`; `packages`: those that are folders."""

    def __init__(self, contents: Mapping[str, memoryview], packages: frozenset[str]) -> None:
        self.contents, self.packages = contents, packages

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module of ours lies; None for others, and for one whose source is another than that compiled."""
        content = self.contents.get(name)
        if content is None:
            return None
        folder = place = ROOT + name[len(PACKAGE) :].replace(".", os.sep)
        stem = "__init__"
        if name not in self.packages:
            folder, _, stem = place.rpartition(os.sep)
        source = f"{folder}{os.sep}{stem}.py"
        if not _is_of(content, source):
            return None
        spec = ModuleSpec(name, _Loader(name, source, content), origin=source, is_package=folder is place)
        if folder is place:
            spec.submodule_search_locations = [place]
        spec.has_location = True
        spec.cached = f"{folder}{os.sep}__pycache__{os.sep}{stem}{SUFFIX}.pyc"
        return spec


class _Loader(SourceFileLoader):
    """Python's own, with the bytecode at hand."""

    def __init__(self, name: str, path: str, content: memoryview) -> None:
        super().__init__(name, path)
        self._content = content

    def get_code(self, fullname: str) -> CodeType | None:
        """The module's code; of a package that was moved it names the old place, which Python's own loader mends."""
        code: CodeType = marshal.loads(self._content[_HEAD_BYTES:])
        return code if code.co_filename == self.path else super().get_code(fullname)


def _is_of(content: memoryview, source: str) -> bool:
    """Whether the bytecode is of this interpreter and of the source as it lies there (PEP 552, by time and size)."""
    try:
        seen = os.stat(source)  # noqa: PTH116
    except OSError:
        return False
    times = (0, int(seen.st_mtime) & 0xFFFFFFFF, seen.st_size & 0xFFFFFFFF)
    return content[:_HEAD_BYTES] == MAGIC_NUMBER + b"".join(part.to_bytes(4, "little") for part in times)


def use() -> Bundle:
    """Load our modules from the bundle, where there is one, from here on."""
    bundle = _read(PLACE + ".bundle") if sys.pycache_prefix is None else Bundle({}, frozenset())
    sys.meta_path.insert(0, bundle)
    return bundle


def keep(bundle: Bundle) -> None:
    """Add to the file what was loaded from elsewhere, where bytecode may be written."""
    if sys.dont_write_bytecode or sys.pycache_prefix is not None or not os.access(os.path.dirname(PLACE), os.W_OK):  # noqa: PTH120
        return
    contents: dict[str, bytes | memoryview] = {**bundle.contents}
    packages = set(bundle.packages)
    for name in [name for name in sys.modules if name.startswith(PACKAGE + ".")]:
        module = sys.modules[name]
        spec = getattr(module, "__spec__", None)
        if spec and spec.cached and not isinstance(spec.loader, _Loader):
            with suppress(OSError), open(spec.cached, "rb") as file:  # noqa: PTH123
                contents[name] = file.read()
                packages.discard(name)
                packages.update([name] if hasattr(module, "__path__") else ())
    if contents != bundle.contents:
        with suppress(OSError):
            _write(PLACE + ".bundle", contents, packages)


def _read(place: str) -> Bundle:
    """The bundle there; an empty one where there is none, or none that was written whole by this format."""
    try:
        with open(place, "rb") as file:  # noqa: PTH123
            content = file.read()
        if not content.startswith(HEAD):
            return Bundle({}, frozenset())
        index_bytes = int.from_bytes(content[len(HEAD) : len(HEAD) + 4], "little")
        begin = len(HEAD) + 4
        index, packages, length = marshal.loads(content[begin : begin + index_bytes])
        whole = memoryview(content)[begin + index_bytes :]
        if len(whole) != length:
            return Bundle({}, frozenset())
        return Bundle({name: whole[at : at + size] for name, (at, size) in index.items()}, packages)
    except (OSError, ValueError, TypeError, EOFError, AttributeError):
        return Bundle({}, frozenset())


def _write(place: str, contents: Mapping[str, bytes | memoryview], packages: set[str]) -> None:
    """Write it whole or not at all."""
    index, at = {}, 0
    for name, content in contents.items():
        index[name] = (at, len(content))
        at += len(content)
    head = marshal.dumps((index, frozenset(packages), at))
    unfinished = f"{place}.{os.getpid()}"
    try:
        with open(unfinished, "wb") as file:  # noqa: PTH123
            file.write(b"".join((HEAD, len(head).to_bytes(4, "little"), head, *contents.values())))
        os.replace(unfinished, place)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)  # noqa: PTH108
        raise
