"""A folder of tables compiled: all TOML files parsed once, then kept as one file in the user's cache.

It is known again by its tables' names, sizes and times; the one that wheels ship (hatch_build.py) by a digest of their
content. An edited table, a new version or an editable install never meets an old one; where neither that nor a cache
can be had, the files are parsed anew. What is read of it is what is asked for: a section, or a text of a section.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.homes import under_home

Tables = Mapping[str, Mapping[str, Any]]
Files = Mapping[Path, Tables]  # the tables of each file


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of TOML files, and what is made of them.

    `code`: the sources whose change makes what was compiled stale. What `build` gives must be plain JSON: sections by
    name, of which `texts` hold long texts, each read alone, and `apart` values by name, read for the names that begin
    alike. `user`: a folder whose files come after those of `path`. `name`: what the compiled file's begins with, where
    one folder is compiled into several; "" stands for the folder's.
    """

    path: Path
    code: tuple[Path, ...]
    build: Callable[[Files], dict[str, Any]]
    user: Path | None = None
    texts: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    name: str = ""

    @property
    def kind(self) -> str:
        """What its compiled files' names begin with."""
        return self.name or self.path.name


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
        content = _packed(folder.build(_parsed(paths, texts)), folder)
    _store(place, folder.kind, content)
    return Sections(content)


def written(folder: Folder, into: Path) -> Path:
    """The same as a file in `into`, to be shipped beside the tables."""
    paths = _tables_in(folder.path)
    texts = [path.read_bytes() for path in paths]
    place = into / _shipped_name(folder, texts)
    place.write_bytes(_packed(folder.build(_parsed(paths, texts)), folder))
    return place


class Sections(Mapping[str, Any]):
    """The sections of a compiled file, each read when it is first asked for."""

    def __init__(self, content: bytes) -> None:
        end = content.index(b"\n")
        head = json.loads(content[:end])
        self._content = content[end + 1 :]
        self._sum: int = head["sum"]
        self._index: Mapping[str, Any] = head["sections"]
        self._read: dict[str, Any] = {}

    @property
    def intact(self) -> bool:
        """Whether the content is what was written."""
        return zlib.crc32(self._content) == self._sum

    def __getitem__(self, name: str) -> Any:
        if name not in self._read:
            self._read[name] = self._section(self._index[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def _section(self, place: Any) -> Any:
        match place:
            case {"apart": dict() as parts}:
                return Apart(self._content, parts)
            case dict():
                return _Texts(self._content, place)
            case [[_, _], *_] | []:
                return Lines(self._content, place)
        return json.loads(_text(self._content, place))


class _Texts(Mapping[str, str]):
    """Texts by name, cut out of the file when asked for."""

    def __init__(self, content: bytes, places: Mapping[str, Sequence[int]]) -> None:
        self._content, self._places = content, places

    def __getitem__(self, name: str) -> str:
        return _text(self._content, self._places[name])

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Lines(Sequence[str]):
    """Texts in order, cut out of the file when asked for."""

    def __init__(self, content: bytes, places: Sequence[Sequence[int]]) -> None:
        self._content, self._places = content, places

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> list[str]: ...

    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [_text(self._content, place) for place in self._places[at]]
        return _text(self._content, self._places[at])

    def __len__(self) -> int:
        return len(self._places)

    def __eq__(self, other: object) -> bool:
        return list(self) == other

    def holding(self, words: Iterable[str], enough: Callable[[Iterable[bool]], bool]) -> Iterator[str]:
        """The texts in which `enough` (all, any) of the words stand; the others are not read."""
        signs = [word.encode() for word in words]
        for place in self._places:
            start, end = place[0], place[0] + place[1]
            if enough(self._content.find(sign, start, end) >= 0 for sign in signs):
                yield _text(self._content, place)


class Apart(Mapping[str, Any]):
    """Values by name, of which those are read whose names begin as one that is asked for."""

    def __init__(self, content: bytes, places: Mapping[str, Sequence[int]]) -> None:
        self._content, self._places = content, places
        self._read: dict[str, Mapping[str, Any]] = {}

    def __getitem__(self, name: str) -> Any:
        return self._part(name[:_ALIKE])[name]

    def __iter__(self) -> Iterator[str]:
        return (name for start in self._places for name in self._part(start))

    def __len__(self) -> int:
        return sum(len(self._part(start)) for start in self._places)

    def _part(self, start: str) -> Mapping[str, Any]:
        if start not in self._read:
            place = self._places.get(start)
            self._read[start] = {} if place is None else json.loads(_text(self._content, place))
        return self._read[start]


_ALIKE = 2  # letters with which names begin that are kept together


def _text(content: bytes, place: Sequence[int]) -> str:
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
    try:
        return sorted((path for path in folder.iterdir() if path.suffix == ".toml"), key=lambda path: path.name)
    except OSError:
        return []  # there is no such folder


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


def _packed(tables: Mapping[str, Any], folder: Folder) -> bytes:
    """A line that says where each section and text stands, then those."""
    body = bytearray()

    def place(text: str) -> list[int]:
        encoded = text.encode()
        start = len(body)
        body.extend(encoded)
        return [start, len(encoded)]

    sections: dict[str, Any] = {}
    for name, value in tables.items():
        if name in folder.apart:
            sections[name] = {"apart": {start: place(_json(part)) for start, part in _by_start(value).items()}}
        elif name not in folder.texts:
            sections[name] = place(_json(value))
        elif isinstance(value, Mapping):
            sections[name] = {key: place(text) for key, text in value.items()}
        else:
            sections[name] = [place(text) for text in value]
    head = {"sum": zlib.crc32(body), "sections": sections}
    return _json(head).encode() + b"\n" + body


def _by_start(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    parts: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        parts.setdefault(name[:_ALIKE], {})[name] = value
    return parts


def _unpacked(content: bytes) -> Sections | None:
    """The sections, None for a damaged file: it is made again."""
    try:
        sections = Sections(content)
        return sections if sections.intact else None
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
