"""The models' tables compiled: all TOML files parsed once, then kept as one JSON file in the user's cache.

Its name is a digest of everything it follows from, so an edited table, a new version or an editable install never meets
an old one. Wheels ship it made (hatch_build.py); where neither that nor a cache can be had, the files are parsed anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from wellfed.errors import BadInput
from wellfed.homes import under_home

Tables = Mapping[str, Mapping[str, Any]]


def compiled(
    folder: Path, code: tuple[Path, ...], build: Callable[[Tables], dict[str, Any]], user: Path | None = None
) -> dict[str, Any]:
    """What `build` makes of the tables in `folder`: as shipped in a wheel, or cached, or else made now.

    `code`: the sources whose change makes both stale. What `build` gives must be plain JSON. Tables in the folder
    `user` take the place of those with the same id.
    """
    sources = sorted(folder.glob("*.toml"))
    users = sorted(user.glob("*.toml")) if user else []
    texts = [path.read_bytes() for path in (*sources, *users)]
    name = _file_name(texts, code)
    for place in (folder / name, _cache() / name):
        stored = _stored(place)
        if stored is not None:
            return stored
    made = build(_parsed(sources, texts[: len(sources)]) | _parsed(users, texts[len(sources) :]))
    _store(_cache() / name, made)
    return made


def written(folder: Path, code: tuple[Path, ...], build: Callable[[Tables], dict[str, Any]], into: Path) -> Path:
    """The same as a file in `into`, to be shipped beside the tables."""
    sources = sorted(folder.glob("*.toml"))
    texts = [path.read_bytes() for path in sources]
    place = into / _file_name(texts, code)
    place.write_text(_json(build(_parsed(sources, texts))), encoding="utf-8")
    return place


def _file_name(texts: list[bytes], code: tuple[Path, ...]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in (*texts, *(path.read_bytes() for path in code if path.is_file())):
        digest.update(len(text).to_bytes(8, "little") + text)
    return f"models-{digest.hexdigest()}.json"


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


def _store(place: Path, value: dict[str, Any]) -> None:
    """Write it whole or not at all, and drop what older tables left."""
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_json(value))
        Path(name).replace(place)
        stale = sorted(place.parent.glob("models-*.json"), key=lambda path: path.stat().st_mtime)[:-_KEPT]
        for path in stale:
            path.unlink(missing_ok=True)


_KEPT = 4  # several versions may be installed side by side


def _parsed(sources: list[Path], texts: list[bytes]) -> dict[str, Mapping[str, Any]]:
    tables: dict[str, Mapping[str, Any]] = {}
    for path, text in zip(sources, texts, strict=True):
        try:
            parsed = tomllib.loads(text.decode("utf-8"))
        except ValueError as error:
            raise BadInput(f"{path}: {error}") from error
        twice = tables.keys() & parsed.keys()
        if twice:
            raise BadInput(f"{path}: described in another file too: {', '.join(sorted(twice))}")
        tables.update(parsed)
    return tables
