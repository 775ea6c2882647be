"""The models of the catalogue as values: what an entry tells, its repackagings, the model that it builds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any

from wellfed.catalog import model_tables
from wellfed.catalog.model_tables import is_entry, key, mapping, model_ids, names, table, texts
from wellfed.errors import UnknownName, Unsupported, nearest
from wellfed.frozen import dataclass, replace
from wellfed.message import Amount, message
from wellfed.models.config import from_config
from wellfed.models.model import Model
from wellfed.patterns import regex
from wellfed.provenance import Source


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
    released: date | None
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


_NUMBERS = regex(r"\d+(?:\.\d+)*")


def exactly(name: str) -> str | None:
    """The id of the entry that is called `name`, its case and punctuation aside; None where there is none.

    Numbers must be told apart alike: 'qwen 27b' is no Qwen2-7B, though both are the same letters.
    """
    written = key(name)
    identity = names().get(written)
    if identity is None:
        return None
    called = (text for text in (*entry(identity).spellings, *entry(identity).tags) if _is_called(text, written))
    return identity if any(_NUMBERS.findall(text) == _NUMBERS.findall(name) for text in called) else None


def written_together(name: str) -> str | None:
    """The id of the entry whose name has the same letters and digits, wherever one number ends and the next begins."""
    return names().get(key(name))


def _is_called(text: str, written: str) -> bool:
    return written in {key(text), key(text.rpartition("/")[2])}


def repackaging(repository: str) -> Repackaging | None:
    """The known repackaging in `owner/NAME`, upper and lower case alike; None where it is not known."""
    published = model_tables.published(repository)
    if published is None:
        return None
    identity, row = published
    files = {quant: float(size) * 2**30 for quant, size in mapping(row.get("files_gib")).items()}
    sizes = _number(row.get("bytes")), _number(row.get("mtp_bytes"))
    return Repackaging(str(row["repo"]), str(identity), str(row["format"]), *sizes, files)


def repackagings(identity: str) -> tuple[Repackaging, ...]:
    """All known repackagings of a model."""
    rows = (repackaging(str(row["repo"])) for row in table(identity).get("published", ()))
    return tuple(row for row in rows if row is not None)


@cache
def entry(identity: str) -> Entry:
    """The entry with exactly this id."""
    facts = table(identity)
    return Entry(
        id=identity,
        name=str(facts["name"]),
        repository=_text(facts.get("repo")),
        aliases=texts(facts.get("aliases")),
        sizes=texts(facts.get("sizes")),
        task=Task(facts.get("task", "text")),
        kind_of=_text(facts.get("kind_of")),
        family=_text(facts.get("family")),
        native_quantisation=str(facts.get("native", "bf16")),
        parameters=_number(facts.get("parameters")),
        total_parameters=_number(facts.get("total_parameters")),
        active_parameters=_number(facts.get("active")),
        context=None if facts.get("context") is None else int(facts["context"]),
        released=_day(facts.get("released")),
        source=_source(facts),
        has_config="config" in facts,
        tags=texts(facts.get("tags")),
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
    built = from_config(mapping(table(identity)["config"]), identity, facts.name)
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


def _no_earlier_than(identity: str) -> date | None:
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


def _day(value: object) -> date | None:
    return None if value is None else date.fromisoformat(str(value))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def architecture(identity: str) -> str:
    """The model's `model_type`."""
    return str(mapping(table(identity)["config"])["model_type"])


def published_files(identity: str) -> Mapping[str, float]:
    """Bytes of published GGUF files whose recipe is not public, by quantisation id; of a made-up id none."""
    if not is_entry(identity):
        return {}
    sizes = mapping(table(identity).get("files_gib"))
    return {quant: float(size) * 2**30 for quant, size in sizes.items() if isinstance(size, int | float)}


def repository_of(identity: str) -> str | None:
    """The repository on Hugging Face of an entry, where it has one; None for other ids too."""
    return entry(identity).repository if is_entry(identity) else None


def unknown(name: str) -> UnknownName:
    """The error for a name nobody knows, with the nearest ids."""
    return UnknownName("model", name, nearest(name, model_ids()))
