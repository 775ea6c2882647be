"""The bundled models: facts in data/models/*.toml, built on demand.

Every file is one family's; a table is one model:

- `name`, `repo` (owner/name on Hugging Face), `aliases`: what it is called; `sizes` (["7b"]): further sizes under
  which it is published; `task` (see `Task`) and, for what is no language model, `kind_of`.
- `config`: the keys of its config.json that matter, or `like`: another model whose config (and native format, family,
  counts, task) it shares, with its own `config` on top. An entry with neither is one of published sizes only:
  `parameters`, `total_parameters`, `active`, `context`.
- `native`: the quantisation of the publisher's files; `bytes`: what their weights take, as their index says;
  `files_gib`: published GGUF files whose recipe is not public.
- `tags`: what Ollama's library calls it today. `qwen3:4b` there is not the `Qwen3-4B` of the hub, so a tag with its
  colon is looked up before anything else.
- `published` = [{ repo = "owner/NAME-AWQ", format = "awq", bytes = 5.2e9, files_gib = { q4_k_m = 4.7 } }]: repackagings
  by others; `bytes` (what is loaded), `mtp_bytes` (of prediction layers beside it) and `files_gib` (of a repository of
  GGUF files) only where they are known.
- `source`, `date` (ISO: when it was read, or written down where the source says that it is recalled), `released`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from wellfed.catalog import chinese_names, name_index, name_words
from wellfed.catalog.compiled import Files, Folder, Tables, compiled, merged, written
from wellfed.errors import BadInput, UnknownName, Unsupported, nearest
from wellfed.frozen import dataclass, replace
from wellfed.homes import under_home
from wellfed.message import Amount, message
from wellfed.models.config import from_config
from wellfed.models.model import Model
from wellfed.provenance import Source

TABLES = Path(__file__).parent / "data" / "models"
_INHERITED = ("native", "family", "parameters", "total_parameters", "active", "context", "task")


class Task(StrEnum):
    """What a model is for."""

    TEXT = "text"
    VISION_LANGUAGE = "vision-language"
    OMNI = "omni"
    OCR = "ocr"
    EMBEDDING = "embedding"
    RERANKER = "reranker"
    NOT_A_LANGUAGE_MODEL = "not-a-language-model"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue tells of a model without building it. Counts are as published; None where not told."""

    id: str
    name: str
    repository: str | None
    aliases: tuple[str, ...]
    sizes: tuple[str, ...]
    task: Task
    kind_of: str | None  # of what is no language model: image, video, speech ...
    family: str | None
    native_quantisation: str
    parameters: float | None
    total_parameters: float | None
    active_parameters: float | None
    context: int | None
    released: str | None
    source: Source
    has_config: bool
    tags: tuple[str, ...] = ()
    weight_bytes: float | None = None  # of the publisher's own files

    @property
    def spellings(self) -> tuple[str, ...]:
        """Id, name, repository, aliases."""
        return (self.id, self.name, *((self.repository,) if self.repository else ()), *self.aliases)


@dataclass(frozen=True, slots=True)
class Repackaging:
    """A repository that holds another's model in a format of its own; sizes None or empty where not known."""

    repository: str
    model_id: str
    format: str  # a quantisation id, or a container with many: gguf, mlx, exl2 ...
    bytes: float | None = None
    mtp_bytes: float | None = None
    files_bytes: Mapping[str, float] = field(default_factory=dict)  # of GGUF repositories: quantisation id to bytes


def key(name: str) -> str:
    """A name with case and punctuation taken out, dots between digits kept: 'DeepSeek-R1:70b' is 'deepseekr170b'.

    A plus is a word of its own: Command R+ is no Command R.
    """
    return re.sub(r"[^a-z0-9.]|(?<!\d)\.|\.(?!\d)", "", name.lower().replace("+", "plus"))


CODE = (*(Path(str(room.__file__)) for room in (name_words, name_index, chinese_names)), Path(__file__))


_BY_NAME = ("names", "tags", "words")  # of which a name means a few


@cache
def _compiled() -> Mapping[str, Any]:
    return compiled(Folder(TABLES, CODE, _build, user_folder(), ("texts",), _BY_NAME))


def user_folder() -> Path:
    """$XDG_DATA_HOME/wellfed/models: tables that `wellfed catalog update` wrote. They go before the bundled ones."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else under_home(".local", "share")) / "wellfed" / "models"


def write_compiled(into: Path) -> Path:
    """The compiled catalogue as a file in `into`, to be shipped in data/models/; for builders of packages."""
    return written(Folder(TABLES, CODE, _build, None, ("texts",), _BY_NAME), into)


def _build(files: Files) -> dict[str, Any]:
    """Every table with what it takes from the one it is `like`, every exact name, and the words of every name.

    The user's tables take the place of the bundled ones with the same id.
    """
    tables = _joined(files)
    complete = completed(files)
    indexed = name_index.index(complete, key)
    return indexed | {
        "names": {**_tag_names(tables), **indexed["names"]},
        "described": [identity for identity, table in complete.items() if "config" in table],
        "tags": {tag.lower(): identity for identity, table in tables.items() for tag in _texts(table.get("tags"))},
        "published": _published(tables),
        "quantised": _quantised(_all(files)),
    }


def completed(files: Files) -> dict[str, dict[str, Any]]:
    """Every table by its id, with what it takes from the one it is `like`."""
    tables = _joined(files)
    return {identity: _with_parent(identity, tables, ()) for identity in tables}


def _joined(files: Files) -> Tables:
    """The entries' tables, by id."""
    return {identity: table for identity, table in _all(files).items() if "of" not in table}


def _all(files: Files) -> Tables:
    """Entries, and quantised repositories `of` them."""
    bundled = {path: tables for path, tables in files.items() if path.parent == TABLES}
    added = {path: tables for path, tables in files.items() if path.parent != TABLES}
    return {**merged(bundled), **merged(added)}


def _tag_names(tables: Tables) -> dict[str, str]:
    """Tags written in any way (`r1:70b` as R1-70B): used where no name of that key is known."""
    return {key(tag): identity for identity, table in tables.items() for tag in _texts(table.get("tags"))}


def _published(tables: Tables) -> dict[str, list[Any]]:
    """Each repackaging's repository in lower case: the entry's id and its row."""
    rows = ((identity, row) for identity, table in tables.items() for row in table.get("published", ()))
    return {str(row["repo"]).lower(): [identity, dict(row)] for identity, row in rows}


def _quantised(tables: Tables) -> dict[str, dict[str, str]]:
    """Of each entry, by format: the repository that public lists name."""
    repositories: dict[str, dict[str, str]] = {}
    for repository, table in tables.items():
        if "of" in table:
            repositories.setdefault(str(table["of"]), {})[str(table["format"])] = repository
    return repositories


def _with_parent(identity: str, tables: Tables, seen: tuple[str, ...]) -> dict[str, Any]:
    table = _plain(tables[identity])
    parent = table.get("like")
    if parent is None:
        return table
    if parent not in tables or parent in seen:
        raise BadInput(f"{identity} is like {parent!r}, which is no other model")
    base = _with_parent(str(parent), tables, (*seen, identity))
    taken = {name: base[name] for name in _INHERITED if name in base}
    merged = {**taken, **table}
    if "config" in base or "config" in table:
        merged["config"] = {**_mapping(base.get("config")), **_mapping(table.get("config"))}
    return merged


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no dates."""
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in table.items()}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


@cache
def table(identity: str) -> Mapping[str, Any]:
    """The entry's table, with what it takes from the one it is `like`."""
    facts: Mapping[str, Any] = json.loads(_compiled()["texts"][identity])
    return facts


@cache
def model_ids() -> tuple[str, ...]:
    """Every model whose layers are known, in the files' order."""
    return tuple(_compiled()["described"])


def entry_ids() -> tuple[str, ...]:
    """Every entry: also those of published sizes only, and what is no language model."""
    return tuple(_compiled()["texts"])


def names() -> Mapping[str, str]:
    """Every exact name (as `key` writes it) and its entry's id."""
    exact: Mapping[str, str] = _compiled()["names"]
    return exact


_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


def exactly(name: str) -> str | None:
    """The id of the entry that is called `name`, its case and punctuation aside; None where there is none.

    Numbers must be told apart alike: 'qwen 27b' is no Qwen2-7B, though both are the same letters.
    """
    written = key(name)
    identity = names().get(written)
    if identity is None:
        return None
    texts = (text for text in (*entry(identity).spellings, *entry(identity).tags) if _is_called(text, written))
    return identity if any(_NUMBERS.findall(text) == _NUMBERS.findall(name) for text in texts) else None


def written_together(name: str) -> str | None:
    """The id of the entry whose name has the same letters and digits, wherever one number ends and the next begins."""
    return names().get(key(name))


def _is_called(text: str, written: str) -> bool:
    return written in {key(text), key(text.rpartition("/")[2])}


def tags() -> Mapping[str, str]:
    """Every tag of Ollama's library, in lower case with its colon (`qwen3:4b`), and its entry's id."""
    tag_ids: Mapping[str, str] = _compiled()["tags"]
    return tag_ids


def quantised_repository(identity: str, quantisation: str) -> str | None:
    """The repository that public lists name for a model in a served format ("int4"); None where they name none."""
    repositories: Mapping[str, str] = _compiled()["quantised"].get(identity, {})
    return repositories.get(quantisation.lower())


def repackaging(repository: str) -> Repackaging | None:
    """The known repackaging in `owner/NAME`, upper and lower case alike; None where it is not known."""
    published = _compiled()["published"].get(repository.lower())
    if published is None:
        return None
    identity, row = published
    files = {quant: float(size) * 2**30 for quant, size in _mapping(row.get("files_gib")).items()}
    sizes = _number(row.get("bytes")), _number(row.get("mtp_bytes"))
    return Repackaging(str(row["repo"]), str(identity), str(row["format"]), *sizes, files)


def repackagings(identity: str) -> tuple[Repackaging, ...]:
    """All known repackagings of a model."""
    rows = (repackaging(str(row["repo"])) for row in table(identity).get("published", ()))
    return tuple(row for row in rows if row is not None)


def spelling_words(identity: str) -> list[tuple[bool, str]]:
    """Of each spelling: whether it is an alias (not the id, name or repository), and its distinguishing words."""
    words: list[tuple[bool, str]] = _compiled()["words"][identity]
    return words


def anchored(word: str) -> list[str]:
    """Entries that have a spelling of which `word` is the rarest: a name without it cannot mean that spelling."""
    identities: list[str] = _compiled()["anchors"].get(word, [])
    return identities


def families() -> Mapping[str, list[str]]:
    """The first word of ids, and the entries whose ids begin so."""
    first: Mapping[str, list[str]] = _compiled()["families"]
    return first


@cache
def entry(identity: str) -> Entry:
    """The entry with exactly this id."""
    facts = table(identity)
    return Entry(
        id=identity,
        name=str(facts["name"]),
        repository=_text(facts.get("repo")),
        aliases=_texts(facts.get("aliases")),
        sizes=_texts(facts.get("sizes")),
        task=Task(facts.get("task", "text")),
        kind_of=_text(facts.get("kind_of")),
        family=_text(facts.get("family")),
        native_quantisation=str(facts.get("native", "bf16")),
        parameters=_number(facts.get("parameters")),
        total_parameters=_number(facts.get("total_parameters")),
        active_parameters=_number(facts.get("active")),
        context=None if facts.get("context") is None else int(facts["context"]),
        released=_text(facts.get("released")),
        source=_source(facts),
        has_config="config" in facts,
        tags=_texts(facts.get("tags")),
        weight_bytes=_number(facts.get("bytes")),
    )


def _source(facts: Mapping[str, Any]) -> Source:
    return Source(str(facts["source"]), str(facts["date"]))


@cache
def by_id(identity: str) -> Model:
    """The model with exactly this id. Raises Unsupported where only its sizes are published."""
    facts = entry(identity)
    if not facts.has_config:
        raise sizes_only(facts)
    built = from_config(_mapping(table(identity)["config"]), identity, facts.name)
    return replace(
        built,
        family=facts.family or built.family,
        native_quantisation=facts.native_quantisation,
        aliases=facts.aliases,
        sources=(facts.source,),
        released=facts.released or _no_earlier_than(identity),
        published_parameters=facts.parameters,
        published_active_parameters=facts.active_parameters,
    )


def _no_earlier_than(identity: str) -> str | None:
    """When the model came out that this one is made from: what makers of files did since then, they did to it."""
    parent = table(identity).get("like")
    return None if parent is None else entry(str(parent)).released or _no_earlier_than(str(parent))


def sizes_only(facts: Entry) -> Unsupported:
    """Why an entry of published sizes cannot be planned, and what would tell."""
    problem = message(
        "model.sizes-only",
        "of {name} only its published size is known ({billions} billion parameters), not its layers: "
        "its cache, speed and fit cannot be told",
        name=facts.name,
        billions=Amount(None if facts.parameters is None else facts.parameters / 1e9, ""),
    )
    hint = message("model.sizes-only.hint", "give its config.json, its folder or a GGUF file, or name it as owner/name")
    return Unsupported(problem, hint)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def architecture(identity: str) -> str:
    """The model's `model_type`."""
    return str(_mapping(table(identity)["config"])["model_type"])


def published_files(identity: str) -> Mapping[str, float]:
    """Bytes of published GGUF files whose recipe is not public, by quantisation id; of a made-up id none."""
    if identity not in _compiled()["texts"]:
        return {}
    sizes = _mapping(table(identity).get("files_gib"))
    return {quant: float(size) * 2**30 for quant, size in sizes.items() if isinstance(size, int | float)}


def repository_of(identity: str) -> str | None:
    """The repository on Hugging Face of an entry, where it has one; None for other ids too."""
    return entry(identity).repository if identity in _compiled()["texts"] else None


def model(name: str) -> Model:
    """The model called `name`: id, alias, repository, tag (`r1:70b`) or a loose name. Raises UnknownName."""
    exact = tags().get(name.strip().lower()) or exactly(name)
    if exact is not None:
        return by_id(exact)
    from wellfed.catalog.model_names import resolve  # only loose names need it

    identity = resolve(name)
    if identity.model is None:
        raise sizes_only(identity.entry)
    return identity.model


def unknown(name: str) -> UnknownName:
    """The error for a name nobody knows, with the nearest ids."""
    return UnknownName("model", name, nearest(name, model_ids()))
