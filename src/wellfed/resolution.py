"""What is known of a name, as facts: the schema `wellfed.resolve/1`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from wellfed.catalog.identities import LONGEST
from wellfed.catalog.model_formats import by_label
from wellfed.catalog.models import Entry, by_id
from wellfed.catalog.name_words import parse, plain
from wellfed.catalog.ollama_files import default_of
from wellfed.catalog.other_kinds import NotALanguageModel
from wellfed.catalog.pruned import is_cut, slack
from wellfed.errors import UnknownName, Unsupported, WellfedError
from wellfed.frozen import dataclass
from wellfed.identity import NamedModel, identify
from wellfed.message import message, sentence
from wellfed.models.checkpoint_formats import GGUF
from wellfed.models.counts import Counts, counts
from wellfed.models.file_size import FileSize, file_size
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation
from wellfed.models.quantisation_names import quantisation
from wellfed.models.recipes_ollama import MAKER, holds_towers
from wellfed.models.tensor import Part
from wellfed.provenance import Assumption

SCHEMA = "wellfed.resolve/1"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A name that is understood. Counts in parameters, sizes in bytes; None is unknown.

    `parameters`: the language model without multi-token-prediction layers and towers, tied weights once;
    `total_parameters`: everything in the repository. `weight_bytes`: the files in `format`; `loaded_bytes` where an
    engine loads less; `weight_bytes_range`: low and high, where the size is not exactly known.
    """

    text: str
    id: str
    name: str
    task: str
    parameters: int | None
    total_parameters: int | None
    active_parameters: int | None
    context: int | None
    format: str | None
    weight_bytes: int | None
    loaded_bytes: int | None
    weight_bytes_range: tuple[int, int] | None
    how: str
    source: str
    assumptions: tuple[Assumption, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A name that is not understood. `kind`: unknown, unsupported (damaged files too) or not-a-language-model."""

    text: str
    kind: str
    message: str
    hint: str | None
    near: tuple[str, ...] = ()
    kind_of: str | None = None


def resolve(names: Iterable[str], hub: str | None = None) -> tuple[Resolved | Refused, ...]:
    """One answer for each name, in order. No hub is asked unless `hub` names one."""
    return tuple(_answer(name, hub) for name in names)


def shown(text: str) -> str:
    """A name as it may be printed: no controls, no endless line."""
    return plain(text[: LONGEST + 1])[:LONGEST]


def _safe(text: str) -> str:
    """A message as it may be printed; what stays as it is stays a message."""
    printable_text = plain(text)
    return text if printable_text == text else printable_text


def _answer(text: str, hub: str | None) -> Resolved | Refused:
    try:
        return _facts(text, identify(text, hub))
    except WellfedError as error:
        near = error.near if isinstance(error, UnknownName) else ()
        kind = error.kind if error.kind in _KINDS else Unsupported.kind
        kind_of = error.kind_of if isinstance(error, NotALanguageModel) else None
        return Refused(shown(text), kind, _safe(error.message), error.hint, near, kind_of)
    except (OSError, ValueError, RecursionError) as error:  # of a file that cannot be read: the other names go on
        return Refused(
            shown(text),
            Unsupported.kind,
            plain(sentence("resolution.cannot-read", "cannot read it: {error}", error=error))[:LONGEST],
            _CHECK,
        )


_KINDS = (UnknownName.kind, Unsupported.kind, NotALanguageModel.kind)
_CHECK = sentence("resolution.check-path", "check the path and its permissions")


def _facts(text: str, named_model: NamedModel) -> Resolved:
    if named_model.model is None:
        return _published(text, named_model)
    served = _served(text, named_model)
    count = counts(named_model.model)
    form, size, loaded, spread = _size(
        replace(named_model, quantisation=served) if served else named_model, named_model.model
    )
    return Resolved(
        text=shown(text),
        id=plain(named_model.id),
        name=plain(named_model.name),
        task=named_model.task.value,
        parameters=count.parameters,
        total_parameters=_total(named_model, count),
        # a dense model's parameters are all active by anybody's count; ours leaves an untied input embedding out
        active_parameters=count.active if named_model.model.is_moe else count.parameters,
        context=named_model.model.context_limit,
        format=form,
        weight_bytes=size,
        loaded_bytes=loaded,
        weight_bytes_range=spread,
        how=named_model.how.value,
        source=named_model.source,
        assumptions=(
            *named_model.assumptions,
            *_file_of(text, served),
            *(Assumption(note, "") for note in named_model.model.notes),
        ),
    )


def _served(text: str, named_model: NamedModel) -> Quantisation | None:
    """The file that a tag of Ollama's library means where it names none."""
    silent = named_model.weights is None and named_model.quantisation is None and not named_model.format
    usual = default_of(text) if silent else None
    return quantisation(usual).made_by("ollama") if usual else None


def _file_of(text: str, served: Quantisation | None) -> tuple[Assumption, ...]:
    if served is None:
        return ()
    assumption = message("resolve.served-as", "{name} is served as {format}", name=shown(text), format=served.label)
    return (
        Assumption(
            str(assumption), sentence("resolution.ollama-file", "Ollama's library serves that file for the tag")
        ),
    )


def _total(named_model: NamedModel, count: Counts) -> int:
    """As published where that is told; else counted, as where experts were cut from what was published."""
    published = named_model.entry.total_parameters if named_model.entry and not _cut(named_model) else None
    return max(count.total, round(published)) if published else count.total


_Size = tuple[str | None, int | None, int | None, tuple[int, int] | None]


def _size(named_model: NamedModel, model: Model) -> _Size:
    """Format, bytes of the files, bytes that are loaded where these are fewer, the range where makers differ."""
    if named_model.weights is not None:
        return named_model.weights.quantisation, *_bytes(named_model.weights.total, named_model.weights.mtp), None
    chosen = named_model.quantisation
    if chosen is None:
        if named_model.format:
            return named_model.format, None, None, None
        if model.files == GGUF:
            return GGUF, None, None, None  # a repository of many sizes
        chosen = by_label(model.native_quantisation)
    if chosen is None:
        return model.native_quantisation, None, None, None
    size = file_size(model, chosen)
    stored = _stored(named_model, chosen)
    if stored is not None:
        size = replace(size, bytes=stored, low=stored, high=stored)
    size = _cut_range(named_model, model, size)
    towers = _towers(model) if _has_towers(model, chosen) else 0
    size = replace(size, bytes=size.bytes + towers, low=size.low + towers, high=size.high + towers)
    loaded = round(size.loaded) if size.loaded < 0.999 * (size.bytes - towers) else None
    spread = (round(size.low), round(size.high)) if size.is_range else None
    recipe = model.native_recipe
    label = named_model.format.upper() if recipe and named_model.format and chosen.id == recipe.format else chosen.label
    return label, round(size.bytes), loaded, spread


def _cut(named_model: NamedModel) -> bool:
    return (
        named_model.entry is not None and named_model.model is not None and is_cut(named_model.entry, named_model.model)
    )


def _cut_range(named_model: NamedModel, model: Model, size: FileSize) -> FileSize:
    """Of a cut model: the name's rounding, and whether its layers that predict ahead were kept, is not known."""
    if named_model.entry is None or not is_cut(named_model.entry, model):
        return size
    share = slack(named_model.entry, model)
    low = min(size.low, size.loaded * size.low / size.bytes)
    return replace(size, low=low * (1 - share), high=size.high * (1 + share))


def _has_towers(model: Model, chosen: Quantisation) -> bool:
    """Whether the towers count: in safetensors they are among the weights, of GGUF files only Ollama's include them."""
    return chosen.maker == MAKER and chosen.family == GGUF and holds_towers(model)


def _towers(model: Model) -> int:
    """Bytes of what sees and hears, in F16: part of what Ollama's library gives as a model's size."""
    beside = (Part.VISION, Part.AUDIO)
    return 2 * sum(tensor.elements for tensor in model.extra_tensors if tensor.part in beside)


def _stored(named_model: NamedModel, chosen: Quantisation) -> float | None:
    """What the publisher's own index says that its files take; None where another format is meant, or it is unknown."""
    entry = named_model.entry
    if (
        entry is None
        or entry.weight_bytes is None
        or named_model.format
        or _cut(named_model)
        or chosen.id != entry.native_quantisation
    ):
        return None
    return entry.weight_bytes


def _bytes(loaded: float, ahead: float) -> tuple[int, int | None]:
    return round(loaded + ahead), round(loaded) if ahead else None


_SIZES_SLACK = 0.08  # published counts are rounded, and what a format leaves wide is not known


def _published(text: str, named_model: NamedModel) -> Resolved:
    """An entry of published sizes: weights by bits, as a range."""
    entry = named_model.entry
    parameters = entry.parameters if entry else None
    total = (entry.total_parameters if entry else None) or parameters
    many = named_model.format is None and parse(text).is_gguf  # a repository of many sizes
    native = by_label(entry.native_quantisation) if entry and not named_model.format and not many else None
    served = _served(text, named_model)
    chosen = named_model.quantisation or served or native
    text_parameters = (
        parameters if chosen and chosen.family == GGUF and parameters else total
    )  # towers have files of their own
    size = (
        None
        if text_parameters is None or chosen is None
        else round(text_parameters * _bits(chosen, text_parameters, entry) / 8)
    )
    stored = _stored(named_model, chosen) if chosen else None
    size = round(stored) if stored else size
    if size is not None and parameters and total and chosen and (chosen.maker, chosen.family) == (MAKER, GGUF):
        size += round(2 * (total - parameters))  # its library counts the towers, in F16
    return Resolved(
        text=shown(text),
        id=named_model.id,
        name=named_model.name,
        task=named_model.task.value,
        parameters=_rounded(parameters),
        total_parameters=_rounded(total),
        active_parameters=_rounded(entry.active_parameters if entry else None),
        context=entry.context if entry else None,
        format=chosen.label if chosen else GGUF if many else named_model.format,
        weight_bytes=size,
        loaded_bytes=None,
        weight_bytes_range=None if size is None or stored else _around(size),
        how=named_model.how.value,
        source=named_model.source,
        assumptions=(*named_model.assumptions, *_file_of(text, served)),
    )


def _around(size: int) -> tuple[int, int]:
    return round(size * (1 - _SIZES_SLACK)), round(size * (1 + _SIZES_SLACK))


# models of known layers whose files tell how many bits a mix gives on average, by least parameters
_ALIKE = {True: ((100e9, "qwen3-235b-a22b"), (0.0, "qwen3-30b-a3b")),
          False: ((20e9, "qwen3-32b"), (5e9, "llama-3.1-8b"), (0.0, "llama-3.2-3b"))}  # fmt: skip


def _bits(chosen: Quantisation, parameters: float, entry: Entry | None) -> float:
    """Bits a parameter takes in files of this format: as in a model of about that size and age, embeddings and all."""
    if chosen.file_bits or chosen.recipe in {"bf16", "fp16", "fp32"} or "-experts" in chosen.recipe:
        return chosen.file_bits or chosen.bits
    alike = by_id(next(identity for least, identity in _ALIKE[bool(_active(entry))] if parameters >= least))
    alike = replace(alike, released=entry.released if entry else None)  # its makers' habits are those of that month
    return 8 * file_size(alike, chosen).bytes / alike.parameters


def _active(entry: Entry | None) -> float | None:
    return entry.active_parameters if entry else None


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def to_json(answers: Iterable[Resolved | Refused]) -> dict[str, Any]:
    """The document of schema `wellfed.resolve/1`."""
    return {"schema": SCHEMA, "names": [_entry(answer) for answer in answers]}


def _entry(answer: Resolved | Refused) -> dict[str, Any]:
    if isinstance(answer, Resolved):
        facts = asdict(answer)
        return {"asked": facts.pop("text"), **facts}
    error = {"kind": answer.kind, "message": answer.message, "hint": answer.hint, "near": list(answer.near)}
    return {"asked": answer.text, "error": error | ({"kind_of": answer.kind_of} if answer.kind_of else {})}
