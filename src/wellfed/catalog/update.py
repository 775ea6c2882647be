"""`wellfed catalog update`: newest configs of a hub's most downloaded models, as tables like the bundled ones.

They lie in the user's data folder and go before the bundled ones. Nothing is asked of a hub without this command.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from wellfed.catalog.config_facts import facts
from wellfed.catalog.hub_listing import Hub, Listed, Withheld
from wellfed.catalog.model_tables import key as name_key
from wellfed.catalog.model_tables import names, table, user_folder
from wellfed.catalog.models import entry
from wellfed.errors import BadInput, Unsupported, WellfedError
from wellfed.message import Message, message, sentence
from wellfed.models.config import from_config
from wellfed.models.counts import counts
from wellfed.models.native_formats import native_quantisation

# in Hugging Face's words: what wellfed understands, the most asked for first
TASKS = ("text-generation", "image-text-to-text", "feature-extraction", "text-ranking")
_TASK_NAMES = {"image-text-to-text": "vision-language", "feature-extraction": "embedding", "text-ranking": "reranker"}
_FILE = "updated.toml"


@dataclass(slots=True)
class Update:
    """What an update found: ids that are new, ids whose facts changed, how many are as known, who was left out why."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    left_out: list[tuple[str, Message]] = field(default_factory=list)
    path: Path | None = None


def update(hub: Hub, most: int, today: date, tasks: tuple[str, ...] = TASKS) -> Update:
    """Reads the `most` most downloaded models for each task and writes what differs from the catalogue.

    What was read before a hub broke off is kept. Raises BadInput where the hub gives no list, or nothing can be
    written.
    """
    result = Update()
    tables: dict[str, dict[str, Any]] = dict(_written())
    try:
        for task in tasks:
            for listed in hub.most_downloaded(task, most):
                _update_model(hub, listed, task, today, tables, result)
    finally:
        if result.new or result.changed:
            result.path = _write(tables)
    return result


def _update_model(
    hub: Hub, listed: Listed, task: str, today: date, tables: dict[str, dict[str, Any]], result: Update
) -> None:
    identity, theirs = _identity(listed.repository)
    if identity in result.new or identity in result.changed:
        return
    if theirs is None and identity in names().values():
        return  # another repository's name for a known model: a repackaging, a mirror
    try:
        config = hub.file(listed.repository, "config.json")
        fresh = _table(hub, listed, task, config, today, theirs)
    except Withheld as withheld:
        result.left_out.append((listed.repository, withheld.reason))
        return
    except WellfedError as error:
        reason = error.message if isinstance(error.message, Message) else None
        text = "its config.json is not understood: {why}"
        result.left_out.append(
            (listed.repository, reason or message("catalog.update.config", text, why=str(error.message)))
        )
        return
    if theirs is not None and _same(theirs, fresh):
        result.unchanged += 1
        return
    stored = _stored_bytes(hub, listed.repository)
    tables[identity] = fresh if stored is None else {**fresh, "bytes": float(stored)}
    (result.new if theirs is None else result.changed).append(identity)


def _identity(repository: str) -> tuple[str, Mapping[str, Any] | None]:
    """The entry whose own repository this is, with its table; else an id for a new one and None."""
    known_id = names().get(name_key(repository))
    if known_id is not None and (entry(known_id).repository or "").lower() == repository.lower():
        return known_id, table(known_id)
    same_name = names().get(name_key(repository.rpartition("/")[2]))
    if same_name is not None:
        return same_name, None
    return re.sub(r"[^a-z0-9.]+", "-", repository.rpartition("/")[2].lower()).strip("-"), None


def _table(
    hub: Hub, listed: Listed, task: str, config: Mapping[str, object], today: date, theirs: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The model's table. Raises where its layers are not understood and the hub does not say how large it is."""
    name = listed.repository.rpartition("/")[2]
    fresh: dict[str, Any] = {"name": name, "repo": listed.repository}
    if task in _TASK_NAMES:
        fresh["task"] = _TASK_NAMES[task]
    fresh |= {key: value for key, value in (theirs or {}).items() if key in _OURS}
    described = facts(config)
    try:
        model = from_config(config, name)
        fresh["config"] = described
        fresh["parameters"] = float(counts(model).parameters)
        fresh["native"] = native_quantisation(config)
    except Unsupported:
        if theirs is not None or listed.parameters is None:
            raise
    if listed.parameters is not None:
        fresh["total_parameters"] = float(listed.parameters)
    fresh["source"] = f"{hub.name}/{listed.repository} config.json"
    fresh["date"] = today.isoformat()
    return fresh


def _stored_bytes(hub: Hub, repository: str) -> int | None:
    """Bytes of all its tensors, as the index of its safetensors files says; None where it has one file or no index."""
    try:
        metadata = hub.file(repository, "model.safetensors.index.json").get("metadata")
    except Withheld:
        return None
    size = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    return int(size) if isinstance(size, int | float) and 0 < size < _MOST_BYTES else None


_MOST_BYTES = 1 << 50
_OURS = ("name", "repo", "aliases", "tags", "sizes", "task", "family", "released", "active", "published", "files_gib")
_COMPARED = ("parameters", "context")


def _same(theirs: Mapping[str, Any], fresh: Mapping[str, Any]) -> bool:
    """Whether both tables describe the same layers, cache and context."""
    if "config" not in theirs or "config" not in fresh:
        return "config" not in fresh
    old, new = (from_config(side["config"], "x") for side in (theirs, fresh))
    return (old.layers, old.vocabulary, old.context_limit, old.tied_embeddings) == (
        new.layers,
        new.vocabulary,
        new.context_limit,
        new.tied_embeddings,
    )


def _written() -> dict[str, dict[str, Any]]:
    """What earlier updates wrote; a damaged file is written anew."""
    import tomllib

    try:
        return tomllib.loads((user_folder() / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _write(tables: Mapping[str, Mapping[str, Any]]) -> Path:
    path = user_folder() / _FILE
    text = "# Written by `wellfed catalog update`; goes before the bundled tables. Delete it to be without.\n\n"
    text += "\n\n".join(_toml(identity, row) for identity, row in tables.items()) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise BadInput(
            sentence("update.cannot-write", "cannot write {path}: {strerror}", path=path, strerror=error.strerror),
            sentence("update.set-xdg-data", "set XDG_DATA_HOME to a writable folder"),
        ) from error
    return path


def _toml(identity: str, row: Mapping[str, Any]) -> str:
    return "\n".join([f"[{json.dumps(identity)}]", *(f"{json.dumps(key)} = {_value(row[key])}" for key in row)])


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value if item is not None) + "]"
    return json.dumps(value)
