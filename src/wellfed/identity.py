"""What a person's word for a model means: a path, an exact name, local hub caches, the hub, a loose name; in order.

Every verb asks here. The hub is asked only for `owner/name` and addresses, for three seconds at most, and never with
HF_HUB_OFFLINE; what could not be asked is told.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from wellfed.catalog.identities import LONGEST, How, Identity
from wellfed.catalog.model_names import exact, loose
from wellfed.catalog.models import Entry, Task, sizes_only
from wellfed.catalog.name_words import parse, plain, repository_in
from wellfed.errors import BadInput, UnknownName, Unsupported, WellfedError
from wellfed.frozen import dataclass, replace
from wellfed.message import Listing, as_text, message, sentence
from wellfed.plain_file import is_there, named_path
from wellfed.provenance import Assumption

if TYPE_CHECKING:
    from wellfed.modelfiles.load import LoadedModel
    from wellfed.models.model import Model
    from wellfed.models.quantisation import Quantisation
    from wellfed.models.weights import Weights

_HUB_S = 3.0  # a hub that takes longer is left out of a plan


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model as it was asked for. `model` is None where only published sizes are known (`entry` has them).

    `weights` are exact where a file is at hand; `format` is what the name says, `quantisation` what that is.
    """

    id: str
    name: str
    how: How
    model: Model | None
    entry: Entry | None = None
    weights: Weights | None = None
    format: str | None = None
    quantisation: Quantisation | None = None
    source: str = ""
    assumptions: tuple[Assumption, ...] = ()

    @property
    def task(self) -> Task:
        """What it is for; text where no more is known."""
        if self.entry is not None or self.model is None:
            return self.entry.task if self.entry else Task.TEXT
        return next((task for task in Task if task.value == self.model.task), Task.TEXT)

    def planned(self) -> Model:
        """The model, for those who need its layers. Raises Unsupported where these, or its format, are not known."""
        if self.model is None:
            raise (
                sizes_only(self.entry)
                if self.entry
                else Unsupported(
                    sentence("identity.no-layers-known", "no layers of {value} are known", value=self.name)
                )
            )
        if self.format and self.quantisation is None and self.weights is None:
            problem = message(
                "model.format-unknown", "no recipe is known for {format} files", format=self.format.upper()
            )
            hint = message("model.format-unknown.hint", "name the model without it to plan its other formats")
            raise Unsupported(problem, hint)
        return self.model


class _NoFile(UnknownName):
    """A path where nothing is, and that tells no model by its name."""

    def __init__(self, name: str, near: tuple[str, ...] = ()) -> None:
        super().__init__("model", name, near)
        BadInput.__init__(
            self,
            sentence("identity.no-such-file", "{name}: no such file or folder", name=name),
            as_text(
                message(
                    "identity.name-files-near",
                    "name the model's folder or its .gguf file; models that are called alike: {near}",
                    near=Listing(near),
                )
            )
            if near
            else sentence("identity.name-files", "name the model's folder or its .gguf file"),
        )


def identify(text: str, hub: str | None = None) -> NamedModel:
    """The model that `text` names. `hub`: "huggingface" or "modelscope", None: no hub is asked.

    Raises UnknownName with neighbours, NotALanguageModel, BadInput for damaged files, Unsupported for unknown layers.
    """
    path = _path(text)
    if path is not None:
        return _of_path(path)
    identity = exact(text) if len(text) <= LONGEST else loose(text)  # which refuses it
    if identity is not None:
        return _as_no_file(_of_catalogue(identity), text)
    repository = repository_in(plain(text))
    if repository is None:
        try:
            return _as_no_file(_of_catalogue(loose(text)), text)
        except UnknownName as error:
            if not _is_written_as_path(text):
                raise
            raise _NoFile(plain(text)[:_LONGEST_SHOWN], error.near) from error
    return _cached(repository, text) or _elsewhere(repository, text, hub)


def _as_no_file(named_model: NamedModel, text: str) -> NamedModel:
    """Told where the text looks like a file, and none is there."""
    if not text.lower().endswith(".gguf") or "://" in text:
        return named_model
    note = message("resolve.no-file", "no file {name} is here", name=plain(text)[:_LONGEST_SHOWN])
    assumption = Assumption(
        as_text(note), sentence("identity.name-tells-what", "its name tells what it would be"), reading=True
    )
    return replace(named_model, assumptions=(*named_model.assumptions, assumption))


def _path(text: str) -> Path | None:
    """The file or folder that is there, or a .json that should be."""
    if is_there(text) or text.lower().endswith(".json"):
        return named_path(text)
    return None


def _of_path(path: Path) -> NamedModel:
    loaded = _loaded(path)
    return _of_files(loaded, How.PATH, str(path))


def _loaded(path: Path) -> LoadedModel:
    from wellfed.modelfiles.load import load_model

    def nowhere(name: str) -> Model:
        raise _NoFile(name)

    return load_model(str(path), nowhere, online=False)


def _is_written_as_path(text: str) -> bool:
    return "://" not in text and (text.startswith(("./", "../", "~/", "/")) or text.lower().endswith(".gguf"))


def _of_files(loaded: LoadedModel, how: How, source: str) -> NamedModel:
    from wellfed.models.quantisation_names import quantisation

    kind = quantisation(loaded.weights.quantisation) if loaded.weights else None
    # a file may call itself anything
    model = replace(loaded.model, id=_shown(loaded.model.id), name=_shown(loaded.model.name))
    return NamedModel(model.id, model.name, how, model, None, loaded.weights, None, kind, source)


def _shown(name: str) -> str:
    return plain(name)[:_LONGEST_SHOWN]


_LONGEST_SHOWN = 200


def _of_catalogue(identity: Identity) -> NamedModel:
    facts, model = identity.entry, identity.model
    return NamedModel(
        id=model.id if model else facts.id,
        name=model.name if model else facts.name,
        how=identity.how,
        model=model,
        entry=facts,
        format=identity.format,
        quantisation=identity.quantisation,
        source=f"{facts.source.text} ({facts.source.date})",
        assumptions=tuple(replace(assumption, reading=True) for assumption in identity.assumptions),
    )


def _cached(repository: str, text: str) -> NamedModel | None:
    """The repository in a local hub cache; a GGUF repository whose files leave a choice by its card's base model."""
    from wellfed.modelfiles.local_caches import base_model, cached_folder

    folder = cached_folder(repository)
    if folder is None:
        return None
    try:
        return _of_files(_loaded(_file_of(folder, text)), How.CACHE, str(folder))
    except BadInput:
        base = base_model(folder)
        return _based(base, repository, text, How.CACHE) if base else None


def _file_of(folder: Path, text: str) -> Path:
    """The folder, or the one GGUF file in it whose name has the format that is asked for."""
    wanted = parse(text).format
    files = [file for file in sorted(folder.glob("*.gguf")) if wanted and parse(file.name).format == wanted]
    return files[0] if files else folder


def _based(base: str, repository: str, text: str, how: How) -> NamedModel | None:
    """The base model that a card names, with the format of the name that was asked for."""
    form = parse(text).format
    identity = exact(f"{base} {form}" if form else base)
    if identity is None:
        return None
    note = message("resolve.base", "{name} is made from {base}, says its card", name=repository, base=base)
    named_model = _of_catalogue(identity)
    return replace(
        named_model,
        how=how,
        assumptions=(
            *named_model.assumptions,
            Assumption(as_text(note), sentence("identity.model-card", "its model card"), True),
        ),
    )


def _elsewhere(repository: str, text: str, hub: str | None) -> NamedModel:
    """From the hub if it may be asked, else by the words of the name."""
    if hub is None:
        return _of_catalogue(loose(text))
    fetched = _offline() if os.environ.get("HF_HUB_OFFLINE") else _fetched(repository, text, hub)
    if isinstance(fetched, NamedModel):
        return fetched
    try:
        named_model = _of_catalogue(loose(text))
    except WellfedError as error:
        error.details = "\n".join(filter(None, (error.details, fetched.message)))
        raise
    note = message("resolve.hub-silent", "{why}: read by its name", why=fetched.message)
    return replace(
        named_model,
        assumptions=(
            *named_model.assumptions,
            Assumption(as_text(note), sentence("identity.no-hub-answered", "no hub answered for it"), True),
        ),
    )


def _offline() -> BadInput:
    return BadInput(sentence("identity.no-hub-asked", "no hub was asked: HF_HUB_OFFLINE is set"))


@lru_cache(maxsize=256)
def _fetched(repository: str, text: str, hub: str) -> NamedModel | BadInput:
    """The repository's config from the hub within three seconds, or why not. Raises Unsupported for unknown layers."""
    from threading import Thread

    answers: list[NamedModel | WellfedError] = []
    # a thread of its own: a hub that hangs must hold up neither the answer nor the end of the program
    request = Thread(target=lambda: answers.append(_answer(repository, text, hub)), daemon=True)
    request.start()
    request.join(_HUB_S)
    answer = (
        answers[0]
        if answers
        else BadInput(
            sentence("identity.did-answer-within", "{hub} did not answer within {hub2:g} s", hub=hub, hub2=_HUB_S)
        )
    )
    if isinstance(answer, NamedModel | BadInput):
        return answer
    raise answer


def _answer(repository: str, text: str, hub: str) -> NamedModel | WellfedError:
    from wellfed.modelfiles.hub import fetch_config
    from wellfed.modelfiles.hub_card import fetch_base_model
    from wellfed.modelfiles.load import LoadedModel

    refused: BadInput | None = None
    try:
        file = _remote_file(repository, text, hub)
        if file is not None:
            return file
    except BadInput as error:  # its card may tell as much
        refused = error
    try:
        loaded = LoadedModel(fetch_config(repository, hub), None, "hub")
    except BadInput as error:
        base = fetch_base_model(repository, hub)
        return (_based(base, repository, text, How.HUB) if base else None) or refused or error
    except WellfedError as error:
        return error
    return _with_format(_of_files(loaded, How.HUB, f"{hub}: {repository}"), text)


def _remote_file(repository: str, text: str, hub: str) -> NamedModel | None:
    """The GGUF file that the name means, by the headers of its parts on the hub; None where it means none of them.

    Raises BadInput where the hub does not give it, Unsupported for layers that are not understood.
    """
    name = parse(text)
    if hub != "huggingface" or not name.is_gguf or name.format is None:
        return None
    from wellfed.modelfiles.hub_gguf import fetch_gguf
    from wellfed.modelfiles.load import LoadedModel
    from wellfed.models.checkpoint_formats import GGUF

    file = fetch_gguf(repository, lambda path: parse(path.rpartition("/")[2]).format == name.format, _HUB_S)
    if file is None:
        return None
    loaded = LoadedModel(replace(file.model, files=GGUF), file.weights, "hub")
    return _of_files(loaded, How.HUB, f"{hub}: {repository}")


def _with_format(named_model: NamedModel, text: str) -> NamedModel:
    """With the format that the name says, where the config says none."""
    from wellfed.catalog.model_formats import of_format

    name = parse(text)
    quantisation, assumptions = of_format(named_model.model, name)
    return replace(named_model, format=name.format, quantisation=quantisation, assumptions=assumptions)
