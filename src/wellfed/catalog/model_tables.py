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
- Tables with `of` are repositories of an entry's model in another `format`, of GGUF with `types` and `file`.
- `source`, `date` (ISO: when it was read, or written down where the source says that it is recalled), `released`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from wellfed.catalog import chinese_names, name_index, name_words
from wellfed.catalog.compiled import Files, Folder, Tables, compiled, merged, written
from wellfed.errors import BadInput
from wellfed.homes import under_home

TABLES = Path(__file__).parent / "data" / "models"
_INHERITED = ("native", "family", "parameters", "total_parameters", "active", "context", "task")


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
        "tags": {tag.lower(): identity for identity, table in tables.items() for tag in texts(table.get("tags"))},
        "published": _published(tables),
        "quantised": _quantised(_all(files)),
        "gguf": _gguf(_all(files)),
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
    return {key(tag): identity for identity, table in tables.items() for tag in texts(table.get("tags"))}


def _published(tables: Tables) -> dict[str, list[Any]]:
    """Each repackaging's repository in lower case: the entry's id and its row."""
    rows = ((identity, row) for identity, table in tables.items() for row in table.get("published", ()))
    return {str(row["repo"]).lower(): [identity, dict(row)] for identity, row in rows}


def _quantised(tables: Tables) -> dict[str, dict[str, str]]:
    """Of each entry, by format: the repository that public lists name."""
    repositories: dict[str, dict[str, str]] = {}
    for repository, table in tables.items():
        if "of" in table and "types" not in table:
            repositories.setdefault(str(table["of"]), {})[str(table["format"])] = repository
    return repositories


def _gguf(tables: Tables) -> dict[str, dict[str, list[str]]]:
    """Of each entry, by type in lower case: the repository that public lists name, and its file.

    Under "*" the first repository of a maker of whole sets, with a place for the type in its file's name.
    """
    files: dict[str, dict[str, list[str]]] = {}
    for repository, table in tables.items():
        for kind in table.get("types", ()):
            name = str(table["file"]).format(quantization=kind)
            files.setdefault(str(table["of"]), {}).setdefault(str(kind).lower(), [repository, name])
        if "types" in table and repository.partition("/")[0] in _OF_WHOLE_SETS:
            files.setdefault(str(table["of"]), {}).setdefault("*", [repository, str(table["file"])])
    return files


_OF_WHOLE_SETS = frozenset({"unsloth", "bartowski"})  # who publish every usual type of a model


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
        merged["config"] = {**mapping(base.get("config")), **mapping(table.get("config"))}
    return merged


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no dates."""
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in table.items()}


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def texts(value: object) -> tuple[str, ...]:
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


def is_entry(identity: str) -> bool:
    """Whether an entry has exactly this id."""
    return identity in _compiled()["texts"]


def names() -> Mapping[str, str]:
    """Every exact name (as `key` writes it) and its entry's id."""
    exact: Mapping[str, str] = _compiled()["names"]
    return exact


def tags() -> Mapping[str, str]:
    """Every tag of Ollama's library, in lower case with its colon (`qwen3:4b`), and its entry's id."""
    tag_ids: Mapping[str, str] = _compiled()["tags"]
    return tag_ids


def quantised_repository(identity: str, quantisation: str) -> str | None:
    """The repository that public lists name for a model in a served format ("int4"); None where they name none."""
    repositories: Mapping[str, str] = _compiled()["quantised"].get(identity, {})
    return repositories.get(quantisation.lower())


def gguf_file(identity: str, quantisation: str) -> tuple[str, str] | None:
    """The repository and the GGUF file that public lists name for a model in a type ("q4_k_m"); None where none is."""
    kind, files = quantisation.lower(), _compiled()["gguf"].get(identity, {})
    whole = files.get("*")
    if whole is not None and _makes(str(whole[0]), kind):
        return str(whole[0]), str(whole[1]).format(quantization=kind.upper())
    listed = files.get(kind)
    return None if listed is None else (str(listed[0]), str(listed[1]))


def _makes(repository: str, kind: str) -> bool:
    """Whether a whole set of that maker has the type: no types of ik_llama.cpp, Unsloth's own of Unsloth alone."""
    return kind in _USUAL or (kind.startswith("ud-") and repository.startswith("unsloth/"))


_USUAL = frozenset({"q2_k", "q3_k_s", "q3_k_m", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k", "q8_0", "iq4_xs",
                    "q4_0", "q4_1"})  # fmt: skip


def published(repository: str) -> tuple[str, Mapping[str, Any]] | None:
    """Whose repackaging lies in `owner/NAME`, upper and lower case alike, and its row; None where it is not known."""
    row = _compiled()["published"].get(repository.lower())
    return None if row is None else (str(row[0]), row[1])


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
