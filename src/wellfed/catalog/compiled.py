"""A folder of tables compiled: all TOML files parsed once, then kept as one JSON file in the user's cache.

Its name is a digest of everything it follows from, so an edited table, a new version or an editable install never meets
an old one. Wheels ship it made (hatch_build.py); where neither that nor a cache can be had, the files are parsed anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
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

    `code`: the sources whose change makes what was compiled stale. What `build` gives must be plain JSON. `user`: a
    folder whose files come after those of `path`.
    """

    path: Path
    code: tuple[Path, ...]
    build: Callable[[Files], dict[str, Any]]
    user: Path | None = None

    @property
    def kind(self) -> str:
        """The folder's name: what its compiled files begin with."""
        return self.path.name


def compiled(folder: Folder) -> dict[str, Any]:
    """What is made of the tables: as shipped in a wheel, or cached, or else made now."""
    paths = [*_tables_in(folder.path), *(_tables_in(folder.user) if folder.user else ())]
    texts = [path.read_bytes() for path in paths]
    name = _file_name(folder, texts)
    for place in (folder.path / name, _cache() / name):
        stored = _stored(place)
        if stored is not None:
            return stored
    made = folder.build(_parsed(paths, texts))
    _store(_cache() / name, folder.kind, made)
    return made


def written(folder: Folder, into: Path) -> Path:
    """The same as a file in `into`, to be shipped beside the tables."""
    paths = _tables_in(folder.path)
    texts = [path.read_bytes() for path in paths]
    place = into / _file_name(folder, texts)
    place.write_text(_json(folder.build(_parsed(paths, texts))), encoding="utf-8")
    return place


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


def _file_name(folder: Folder, texts: list[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in (*texts, *(path.read_bytes() for path in folder.code if path.is_file())):
        digest.update(len(text).to_bytes(8, "little") + text)
    return f"{folder.kind}-{digest.hexdigest()}.json"


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else under_home(".cache")) / "wellfed" / "catalogue"


def _stored(place: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(place.read_bytes())
    except (OSError, ValueError):  # absent, unreadable or damaged: it is made again
        return None
    return value if isinstance(value, dict) else None


def _store(place: Path, kind: str, value: dict[str, Any]) -> None:
    """Write it whole or not at all, and drop what older tables left."""
    import tempfile

    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_json(value))
        Path(name).replace(place)
        stale = sorted(place.parent.glob(f"{kind}-*.json"), key=lambda path: path.stat().st_mtime)[:-_KEPT]
        for path in stale:
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
