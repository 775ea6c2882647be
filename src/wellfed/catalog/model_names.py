"""Models as people name them. Every word of a name is explained by the model, or it is another model.

An exact name (id, name, repository, alias; a format may follow) names its model. Else it is read loosely, see
`name_match`. The owner of a repository explains nothing. Whatever is not the name itself is told as an assumption.
"""

from __future__ import annotations

import re

from wellfed.catalog.changed_names import as_said, at_context, changed_weights, tuned
from wellfed.catalog.identities import (
    LISTED,
    LONGEST,
    How,
    Identity,
    as_asked,
    differs,
    lacks_its_size,
    made,
    packed,
    repackaged,
)
from wellfed.catalog.model_tables import families, tags
from wellfed.catalog.models import Entry, by_id, entry, exactly, repackaging, sizes_only, written_together
from wellfed.catalog.name_match import largest, matched, written_alike
from wellfed.catalog.name_words import Name, parse, plain, repository_in
from wellfed.catalog.named_formats import MLX_OWNERS
from wellfed.catalog.other_kinds import DraftModel, NotALanguageModel, Projector, is_draft, kind_by_words
from wellfed.errors import UnknownName
from wellfed.frozen import replace
from wellfed.message import as_text, message, sentence
from wellfed.models.model import Model
from wellfed.patterns import regex
from wellfed.provenance import Assumption


def resolve(text: str) -> Identity:
    """What `text` names in the catalogue.

    Raises UnknownName with neighbours by family and size, and NotALanguageModel.
    """
    return exact(text) or loose(text)


def exact(text: str) -> Identity | None:
    """The entry with exactly this name, a format behind it or not; None where there is none.

    A tag of Ollama's library comes first, then `owner/name` as the entry's own repository or a known repackaging of
    it. Raises NotALanguageModel.
    """
    if len(text) > LONGEST:
        return None
    name, repository = parse(text), repository_in(plain(text))
    if name.owner is not None and repository is None:
        return None
    tagged = None if repository else tags().get(plain(text).lower()) or tags().get(name.core.lower())
    if tagged is not None:
        return _of_ollama(made(entry(tagged), How.EXACT, name, differs(entry(tagged), name, _LIBRARY)))
    repackage = repackaging(repository) if repository else None
    if repackage is not None:
        facts = entry(repackage.model_id)
        return repackaged(made(facts, How.EXACT, name, (packed(facts, name),)), repackage)
    for spelling in (repository,) if repository else _as_written(text, name):
        identity = exactly(spelling) if spelling.isascii() else None  # a key has no other letters
        if identity is not None:
            return made(entry(identity), How.EXACT, name, _spelled(entry(identity), name))
    return None


def _as_written(text: str, name: Name) -> tuple[str, ...]:
    """The text and its core; a family's name in other letters (千问) is no tag of a library and names no model."""
    return () if _foreign_family(text, name) else (plain(text), name.core)


def _foreign_family(text: str, name: Name) -> bool:
    return not text.isascii() and len(name.distinguishing) == 1 and set(name.distinguishing) <= families().keys()


def _spelled(facts: Entry, name: Name) -> tuple[Assumption, ...]:
    """What an exact name leaves open: a short one is read as Ollama's library does, or told where that differs."""
    short = "" if name.owner or name.format else plain(name.text).lower()
    library = tags().get(f"{short}:latest")
    if library is None or library == facts.id:
        return differs(facts, name, LISTED if library is None else _LIBRARY)
    text = message(
        "resolve.library-differs", "in Ollama's library {name} is {model}", name=short, model=entry(library).name
    )
    assumption = Assumption(
        as_text(text), sentence("model-names.latest-names-one", "{short}:latest names that one", short=short)
    )
    return (*differs(facts, name), assumption)


def _of_ollama(identity: Identity) -> Identity:
    """With its library's own recipe of the format that the tag names."""
    from wellfed.catalog.ollama_files import as_served

    named = identity.quantisation
    return identity if named is None else replace(identity, quantisation=as_served(named, identity.format or ""))


def loose(text: str) -> Identity:
    """The one entry that explains every word of `text`. Raises UnknownName, NotALanguageModel, DraftModel."""
    shown = plain(text[:LONGEST])
    if len(text) > LONGEST:
        raise _unknown(f"{shown} ...", frozenset())
    name = parse(text)
    words = name.distinguishing
    if _foreign_family(text, name):
        raise _unknown(shown, words)
    if _is_head(name):
        raise DraftModel(shown)
    chosen = _undiminished(name) if _FULL in words else matched(words) or written_alike(words, name.core)
    if chosen is not None and lacks_its_size(chosen, name):
        raise _unknown(shown, words)
    if chosen is not None:
        return made(chosen, How.LOOSE, name, _loosely(chosen, name))
    from wellfed.catalog.pruned import pruned

    cut = pruned(name)
    if cut is not None:
        return made(cut[0], How.LOOSE, name, (cut[2],), cut[1])
    changed = changed_weights(name)
    if changed is not None:
        return changed
    longer = at_context(name) or as_said(name)
    if longer is not None:
        return longer
    if is_draft(re.findall(r"[a-z]+\d?", name.core.lower())):
        raise DraftModel(shown)
    if "mmproj" in words:
        raise Projector(shown)
    kind = kind_by_words(name.core)
    if kind is not None:
        raise NotALanguageModel(shown, kind)
    if _PACKED_OWNER.match(name.core) and (name.is_gguf or name.owner == _PREFIXING or "exl" in (name.format or "")):
        return _without_prefix(text, name)
    fine_tune = tuned(name)
    if fine_tune is not None:
        return fine_tune
    raise _unknown(shown, words, written_together(name.core))


# mlx-vlm loads the prediction layers of a model from a repository of their own (mlx-community/Qwen3.8-27B-MTP-4bit)
_HEAD = regex(r"[-_]MTP[-_](?:\d(?:\.\d)?bit|bf16|fp16|(?:mx|nv)fp[48])$", re.IGNORECASE, of=("mtp",))


def _is_head(name: Name) -> bool:
    """Whether a repository for MLX holds the layers that predict ahead alone."""
    return name.owner in MLX_OWNERS and _HEAD.search(name.text.strip()) is not None


def _unknown(shown: str, words: frozenset[str], together: str | None = None) -> UnknownName:
    from wellfed.catalog.neighbours import unknown_model

    return unknown_model(shown, words, together)


_PREFIXING = "bartowski"  # whose repositories and files are called OWNER_NAME
_PACKED_OWNER = regex(r"[A-Za-z][A-Za-z-]{1,24}_(?=[A-Za-z])")  # no size, no version: those tell a model


def _without_prefix(text: str, name: Name) -> Identity:
    """What stands behind the owner in a packed name; the refusal names the whole."""
    owner, _, rest = name.core.partition("_")
    form = f" {name.format}" if name.format else ""
    if owner.lower() in families():
        raise _unknown(as_asked(name), name.distinguishing)
    try:
        prefixed = loose(f"{_PREFIXING}/{rest}{'-GGUF' if name.is_gguf else ''}{form}")
    except UnknownName:
        raise _unknown(as_asked(name), name.distinguishing) from None
    taken_for = message(
        "resolve.taken-for", "{name} is taken for {model}", name=as_asked(name), model=prefixed.entry.name
    )
    return replace(
        prefixed,
        assumptions=(
            Assumption(as_text(taken_for), sentence("model-names.first-word-maker", "its first word is its maker's")),
            *prefixed.assumptions[1:],
        ),
    )


def _loosely(chosen: Entry, name: Name) -> tuple[Assumption, ...]:
    why = _WHOLE if _FULL in name.words else LISTED
    return differs(chosen, name, why) or (packed(chosen, name),)


_FULL = "full"  # the whole model, not a distilled one


def _undiminished(name: Name) -> Entry | None:
    """The largest model of what is named besides; a short name (R1) counts where it is all that is left."""
    named = largest(name.distinguishing - {_FULL})
    identity = exactly(" ".join(word for word in name.words if word != _FULL))
    return named or (entry(identity) if identity else None)


_WHOLE = sentence("model-names.undiminished-model", "the undiminished model is the largest of that name")
_LIBRARY = sentence("model-names.ollama-library-means", "Ollama's library means that by it today")


def model(name: str) -> Model:
    """The model called `name`: id, alias, repository, tag (`r1:70b`) or a loose name. Raises UnknownName."""
    exact_id = tags().get(name.strip().lower()) or exactly(name)
    if exact_id is not None:
        return by_id(exact_id)
    identity = resolve(name)
    if identity.model is None:
        raise sizes_only(identity.entry)
    return identity.model
