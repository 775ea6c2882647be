"""A folder of tables compiled: all TOML files parsed once, then kept as one file in the user's cache.

It is known again by its tables' names, sizes and times; the one that wheels ship (hatch_build.py) by a digest of their
content. An edited table, a new version or an editable install never meets an old one; where neither that nor a cache
can be had, the files are parsed anew. What is read of it is what is asked for: a section, or a text of a section.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.homes import under_home

Tables = Mapping[str, Mapping[str, Any]]
Files = Mapping[Path, Tables]  # the tables of each file


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of TOML files, and what is made of them.

    `code`: the sources whose change makes what was compiled stale. What `build` gives must be plain JSON: sections by
    name, of which `texts` hold long texts, each read alone. `user`: a folder whose files come after those of `path`.
    """

    path: Path
    code: tuple[Path, ...]
    build: Callable[[Files], dict[str, Any]]
    user: Path | None = None
    texts: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The folder's name: what its compiled files begin with."""
        return self.path.name


def compiled(folder: Folder) -> Mapping[str, Any]:
    """What is made of the tables: from the user's cache, or as shipped in a wheel, or else made now."""
    paths = [*_tables_in(folder.path), *(_tables_in(folder.user) if folder.user else ())]
    place = _cache() / f"{folder.kind}-{_stamp([*paths, *folder.code])}.tables"
    stored = _stored(place)
    if stored is not None:
        return stored
    texts = [path.read_bytes() for path in paths]
    content = _content(folder.path / _shipped_name(folder, texts))
    if content is None or _unpacked(content) is None:
        content = _packed(folder.build(_parsed(paths, texts)), folder.texts)
    _store(place, folder.kind, content)
    return Sections(content)


def written(folder: Folder, into: Path) -> Path:
    """The same as a file in `into`, to be shipped beside the tables."""
    paths = _tables_in(folder.path)
    texts = [path.read_bytes() for path in paths]
    place = into / _shipped_name(folder, texts)
    place.write_bytes(_packed(folder.build(_parsed(paths, texts)), folder.texts))
    return place


class Sections(Mapping[str, Any]):
    """The sections of a compiled file, each read when it is first asked for."""

    def __init__(self, content: bytes) -> None:
        head, start = _head(content)
        self._content = memoryview(content)[start:]
        self._index: Mapping[str, Any] = head["sections"]
        self._read: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._read:
            self._read[name] = self._section(self._index[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def _section(self, place: Any) -> Any:
        if isinstance(place, dict):
            return _Texts(self._content, place)
        if place and isinstance(place[0], list):
            return [_text(self._content, index) for index in place]
        return json.loads(_text(self._content, place))


class _Texts(Mapping[str, str]):
    """Texts by name, cut out of the file when asked for."""

    def __init__(self, content: memoryview, places: Mapping[str, Sequence[int]]) -> None:
        self._content, self._places = content, places

    def __getitem__(self, name: str) -> str:
        return _text(self._content, self._places[name])

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _text(content: memoryview, place: Sequence[int]) -> str:
    start, length = place
    return str(content[start : start + length], "utf-8")


def merged(files: Files) -> Tables:
    """The tables of all files of one folder. Raises BadInput where two of them describe the same."""
    tables: dict[str, Mapping[str, Any]] = {}
    for path, parsed in files.items():
        twice = tables.keys() & parsed.keys()
        if twice:
            raise BadInput(f"{path}: described in another file too: {', '.join(sorted(twice))}")
        tables.update(parsed)
    return tables


def _tables_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"))


def _stamp(paths: Sequence[Path]) -> str:
    """What changes when one of the files does: their names, sizes and times of change."""
    stamp = bytearray()
    for path in paths:
        with suppress(OSError):
            seen = path.stat()
            stamp += f"{path}|{seen.st_size}|{seen.st_mtime_ns}|{seen.st_ctime_ns};".encode()
    return f"{zlib.crc32(stamp):08x}{zlib.adler32(stamp):08x}"


def _shipped_name(folder: Folder, texts: list[bytes]) -> str:
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for text in (*texts, *(path.read_bytes() for path in folder.code if path.is_file())):
        digest.update(len(text).to_bytes(8, "little") + text)
    return f"{folder.kind}-{digest.hexdigest()}.tables"


def _packed(tables: Mapping[str, Any], texts: Sequence[str]) -> bytes:
    """A line that says where each section and text stands, then those."""
    body = bytearray()

    def place(text: str) -> list[int]:
        encoded = text.encode()
        start = len(body)
        body.extend(encoded)
        return [start, len(encoded)]

    sections: dict[str, Any] = {}
    for name, value in tables.items():
        if name not in texts:
            sections[name] = place(_json(value))
        elif isinstance(value, Mapping):
            sections[name] = {key: place(text) for key, text in value.items()}
        else:
            sections[name] = [place(text) for text in value]
    head = {"sum": zlib.adler32(body), "sections": sections}
    return _json(head).encode() + b"\n" + body


def _head(content: bytes) -> tuple[dict[str, Any], int]:
    end = content.index(b"\n")
    return json.loads(content[:end]), end + 1


def _unpacked(content: bytes) -> Sections | None:
    """The sections, None for a damaged file: it is made again."""
    try:
        head, start = _head(content)
        intact = head["sum"] == zlib.adler32(memoryview(content)[start:])
        return Sections(content) if intact else None
    except (ValueError, KeyError, TypeError):
        return None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else under_home(".cache")) / "wellfed" / "catalogue"


def _stored(place: Path) -> Sections | None:
    content = _content(place)
    return None if content is None else _unpacked(content)


def _content(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except OSError:
        return None


def _store(place: Path, kind: str, content: bytes) -> None:
    """Write it whole or not at all, and drop what older tables left."""
    import tempfile

    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(place)
        stored_files = (*place.parent.glob(f"{kind}-*.tables"), *place.parent.glob(f"{kind}-*.json"))
        for path in sorted(stored_files, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            path.unlink(missing_ok=True)


_KEPT = 4  # several versions may be installed side by side


def _parsed(paths: list[Path], texts: list[bytes]) -> dict[Path, Tables]:
    return {path: _tables(path, text) for path, text in zip(paths, texts, strict=True)}


def _tables(path: Path, text: bytes) -> Tables:
    import tomllib

    try:
        return tomllib.loads(text.decode("utf-8"))
    except ValueError as error:
        raise BadInput(f"{path}: {error}") from error
