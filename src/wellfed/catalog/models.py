"""The bundled models: facts in data/models/*.toml, built on demand.

Every file is one family's; a table is one model. Only the asked-for table is parsed, which keeps a look-up at a few
milliseconds.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from wellfed.errors import UnknownName, nearest
from wellfed.models.config import from_config
from wellfed.models.model import Model
from wellfed.provenance import Source

_DATA = Path(__file__).parent / "data" / "models"
_SECTION = re.compile(r'^\["?([^\]"\n]+)"?\]\n', re.MULTILINE)
_NAMES = re.compile(r"^(?:name|repo|aliases) = (.+)$", re.MULTILINE)
_QUOTED = re.compile(r'"([^"]+)"')
_INHERITED = ("native", "family", "parameters", "active")


@dataclass(frozen=True, slots=True)
class _Index:
    tables: Mapping[str, str]  # id: its TOML text
    names: Mapping[str, str]  # normalised name: id


def key(name: str) -> str:
    """A name with case and punctuation taken out, dots between digits kept: 'DeepSeek-R1:70b' is 'deepseekr170b'."""
    return re.sub(r"[^a-z0-9.]|(?<!\d)\.|\.(?!\d)", "", name.lower())


@cache
def _index() -> _Index:
    tables: dict[str, str] = {}
    for path in sorted(_DATA.glob("*.toml")):
        parts = _SECTION.split(path.read_text(encoding="utf-8"))
        tables.update(zip(parts[1::2], parts[2::2], strict=True))
    names: dict[str, str] = {}
    for identity, text in tables.items():
        listed = [identity, *(name for line in _NAMES.findall(text) for name in _QUOTED.findall(line))]
        for name in listed:
            names.setdefault(key(name), identity)
            names.setdefault(key(name.rpartition("/")[2]), identity)
    return _Index(tables, names)


def model_ids() -> tuple[str, ...]:
    """Every model in the catalogue, in the files' order."""
    return tuple(_index().tables)


def names() -> Mapping[str, str]:
    """Every known name (as `key` writes it) and the model's id."""
    return _index().names


@cache
def _table(identity: str) -> Mapping[str, object]:
    """The model's table, with what it takes from the one it is `like`."""
    own = tomllib.loads(_index().tables[identity])
    parent = own.get("like")
    if not isinstance(parent, str):
        return own
    base = _table(parent)
    config = {**_mapping(base.get("config")), **_mapping(own.get("config"))}
    taken = {name: base[name] for name in _INHERITED if name in base}
    return {**taken, **own, "config": config}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


@cache
def by_id(identity: str) -> Model:
    """The model with exactly this id."""
    table = _table(identity)
    built = from_config(_mapping(table["config"]), identity, str(table["name"]))
    aliases = table.get("aliases")
    return replace(
        built,
        family=str(table.get("family", built.family)),
        native_quantisation=str(table.get("native", "bf16")),
        aliases=tuple(str(alias) for alias in aliases) if isinstance(aliases, list) else (),
        sources=(Source(str(table["source"]), str(table["date"])),),
        released=_text(table.get("released")),
        published_parameters=_number(table.get("parameters")),
        published_active_parameters=_number(table.get("active")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def architecture(identity: str) -> str:
    """The model's `model_type`."""
    return str(_mapping(_table(identity)["config"])["model_type"])


def published_files(identity: str) -> Mapping[str, float]:
    """Bytes of published GGUF files whose recipe is not public, by quantisation id."""
    sizes = _mapping(_table(identity).get("files_gib"))
    return {quant: float(size) * 2**30 for quant, size in sizes.items() if isinstance(size, int | float)}


def repository(identity: str) -> str | None:
    """The model's repository on Hugging Face, where it has one."""
    return _text(_table(identity).get("repo"))


def model(name: str) -> Model:
    """The model called `name`: id, alias, repository, tag (`r1:70b`) or a loose name. Raises UnknownName."""
    found = names().get(key(name))
    if found is not None:
        return by_id(found)
    from wellfed.catalog.model_names import resolve  # only loose names need it

    return resolve(name).model


def unknown(name: str) -> UnknownName:
    """The error for a name nobody knows, with the nearest ids."""
    return UnknownName("model", name, nearest(name, model_ids()))
