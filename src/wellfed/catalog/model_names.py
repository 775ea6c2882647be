"""Models as people name them. Every word of a name is explained by the model, or it is another model.

An exact name (id, name, repository, alias; a format may follow) names its model. Else it is read loosely, see
`name_match`. The owner of a repository explains nothing. Whatever is not the name itself is told as an assumption.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum

from wellfed.catalog.model_formats import by_label, of_format
from wellfed.catalog.models import (
    Entry,
    Repackaging,
    Task,
    by_id,
    entry,
    exactly,
    families,
    repackaging,
    tags,
    written_together,
)
from wellfed.catalog.name_match import explains_sizes, largest, matched, spellings, without_sizes, written_alike
from wellfed.catalog.name_words import Name, is_active, is_size, parse, plain, repository_in
from wellfed.catalog.named_formats import as_published
from wellfed.catalog.other_kinds import DraftModel, NotALanguageModel, Projector, is_draft, kind_by_words
from wellfed.errors import UnknownName
from wellfed.frozen import dataclass, replace
from wellfed.message import as_text, message, sentence
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation
from wellfed.patterns import regex
from wellfed.provenance import Assumption


class How(StrEnum):
    """By which reading a name was understood."""

    PATH = "path"
    EXACT = "exact"
    CACHE = "cache"
    HUB = "hub"
    LOOSE = "loose"
    SIZES = "sizes"  # an entry of published sizes only


@dataclass(frozen=True, slots=True)
class Identity:
    """The entry that a name means. `model` is None where only sizes are published.

    `format`: as the name says it, None where it says none; `quantisation`: what it is, None where it is not known.
    """

    entry: Entry
    how: How
    model: Model | None
    format: str | None = None
    quantisation: Quantisation | None = None
    assumptions: tuple[Assumption, ...] = ()


LONGEST = 300  # letters of a name; hub ids have at most 193


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
        return _of_ollama(_identity(entry(tagged), How.EXACT, name, _differs(entry(tagged), name, _LIBRARY)))
    packed = repackaging(repository) if repository else None
    if packed is not None:
        facts = entry(packed.model_id)
        return _repackaged(_identity(facts, How.EXACT, name, (_packed(facts, name),)), packed)
    for spelling in (repository,) if repository else _as_written(text, name):
        identity = exactly(spelling) if spelling.isascii() else None  # a key has no other letters
        if identity is not None:
            return _identity(entry(identity), How.EXACT, name, _spelled(entry(identity), name))
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
        return _differs(facts, name, _LISTED if library is None else _LIBRARY)
    text = message(
        "resolve.library-differs", "in Ollama's library {name} is {model}", name=short, model=entry(library).name
    )
    assumption = Assumption(
        as_text(text), sentence("model-names.latest-names-one", "{short}:latest names that one", short=short)
    )
    return (*_differs(facts, name), assumption)


def _of_ollama(identity: Identity) -> Identity:
    """With its library's own recipe of the format that the tag names."""
    from wellfed.catalog.ollama_files import as_served

    made = identity.quantisation
    return identity if made is None else replace(identity, quantisation=as_served(made, identity.format or ""))


def loose(text: str) -> Identity:
    """The one entry that explains every word of `text`. Raises UnknownName, NotALanguageModel, DraftModel."""
    shown = plain(text[:LONGEST])
    if len(text) > LONGEST:
        raise _unknown(f"{shown} ...", frozenset())
    name = parse(text)
    words = name.distinguishing
    if _foreign_family(text, name):
        raise _unknown(shown, words)
    chosen = _undiminished(name) if _FULL in words else matched(words) or written_alike(words, name.core)
    if chosen is not None and _lacks_its_size(chosen, name):
        raise _unknown(shown, words)
    if chosen is not None:
        return _identity(chosen, How.LOOSE, name, _loosely(chosen, name))
    from wellfed.catalog.pruned import pruned

    cut = pruned(name)
    if cut is not None:
        return _identity(cut[0], How.LOOSE, name, (cut[2],), cut[1])
    changed = _changed_weights(name)
    if changed is not None:
        return changed
    longer = _at_context(name) or _as_said(name)
    if longer is not None:
        return longer
    if _PACKED_OWNER.match(name.core) and (name.is_gguf or name.owner == _PREFIXING or "exl" in (name.format or "")):
        return _without_prefix(text, name)
    if is_draft(re.findall(r"[a-z]+\d?", name.core.lower())):
        raise DraftModel(shown)
    if "mmproj" in words:
        raise Projector(shown)
    kind = kind_by_words(name.core)
    if kind is not None:
        raise NotALanguageModel(shown, kind)
    tuned = _tuned(name)
    if tuned is not None:
        return tuned
    raise _unknown(shown, words, written_together(name.core))


def _lacks_its_size(facts: Entry, name: Name) -> bool:
    """Whether somebody's repository tells no size where the entry's own does: it may be any of the family, or a toy."""
    if name.owner is None or facts.repository is None or any(map(is_size, name.distinguishing)):
        return False
    return any(map(is_size, parse(facts.repository).distinguishing))


def _unknown(shown: str, words: frozenset[str], together: str | None = None) -> UnknownName:
    from wellfed.catalog.neighbours import unknown_model

    return unknown_model(shown, words, together)


def _as_said(name: Name) -> Identity | None:
    """A name with less in it than any of the model's own, where one model is left; or of what it was distilled from."""
    from wellfed.catalog.short_names import in_figures, of_any_generation, taught_by_another, with_units

    taught = taught_by_another(name)
    if taught is not None:
        text = message("resolve.same-layers", "{name} is planned as {model}", name=_as_asked(name), model=taught.name)
        return _identity(taught, How.LOOSE, name, (Assumption(as_text(text), _TAUGHT),))
    words = name.distinguishing
    chosen = None if name.owner else with_units(words) or in_figures(name) or of_any_generation(words)
    if chosen is None:
        return None
    text = message("resolve.taken-for", "{name} is taken for {model}", name=_as_asked(name), model=chosen.name)
    return _identity(chosen, How.LOOSE, name, (Assumption(as_text(text), _ONLY_ONE),))


def _tuned(name: Name) -> Identity | None:
    """A fine-tune whose name tells family, generation and size of its base."""
    from wellfed.catalog.fine_tunes import base_of

    base = base_of(name)
    if base is None:
        return None
    text = message("resolve.same-layers", "{name} is planned as {model}", name=_as_asked(name), model=base.name)
    return _identity(base, How.LOOSE, name, (Assumption(as_text(text), _TUNED),))


_TUNED = sentence("model-names.tuned", "its name tells a fine-tune of that one: its layers are taken to be the same")
_TAUGHT = sentence("model-names.distilled", "it was trained on another model's answers: every size is that model's")
_ONLY_ONE = sentence("model-names.only-one", "the only one of that name and size")
_CONTEXT = regex(r"(\d{1,4})(k|m)")


def _at_context(name: Name) -> Identity | None:
    """A model published once more for another context: 'Qwen3-14B-128K' is Qwen3-14B with that limit."""
    words = name.distinguishing
    contexts = [match for word in words if (match := _CONTEXT.fullmatch(word))]
    chosen = matched(words - {contexts[0][0]}) if len(contexts) == 1 else None
    if chosen is None or not chosen.has_config:
        return None
    limit = _tokens(contexts[0])
    text = message(
        "resolve.said-context",
        "{name} is {model} for {tokens} tokens",
        name=_as_asked(name),
        model=chosen.name,
        tokens=limit,
    )
    assumption = Assumption(as_text(text), sentence("model-names.name-tells-context", "its name tells the context"))
    return _identity(chosen, How.LOOSE, name, (assumption,), replace(by_id(chosen.id), context_limit=limit))


def _at_said_context(facts: Entry, model: Model, name: Name) -> Model:
    """With the context that the name tells (Yi-34B-200K), where the entry's own names tell none of that kind."""
    contexts = [match for word in name.distinguishing if (match := _CONTEXT.fullmatch(word))]
    spelled = {word for line in spellings(facts.id) if not line.alias for word in line.words}
    if len(contexts) != 1 or any(_CONTEXT.fullmatch(word) for word in spelled):
        return model
    return replace(model, context_limit=_tokens(contexts[0]))


def _tokens(match: re.Match[str]) -> int:
    """32K and 128K are powers of two, and so is what 262K rounds; 200K is not."""
    count = int(match[1]) * (1000 if match[2] == "k" else 10**6)
    power = 1 << round(math.log2(count))
    return power if abs(power / count - 1) < _POWER_SLACK else count


_POWER_SLACK = 0.05


_PREFIXING = "bartowski"  # whose repositories and files are called OWNER_NAME
_PACKED_OWNER = regex(r"[A-Za-z][A-Za-z-]{1,24}_(?=[A-Za-z])")  # no size, no version: those tell a model


def _without_prefix(text: str, name: Name) -> Identity:
    """What stands behind the owner in a packed name; the refusal names the whole."""
    owner, _, rest = name.core.partition("_")
    form = f" {name.format}" if name.format else ""
    if owner.lower() in families():
        raise _unknown(_as_asked(name), name.distinguishing)
    try:
        prefixed = loose(f"{_PREFIXING}/{rest}{'-GGUF' if name.is_gguf else ''}{form}")
    except UnknownName:
        raise _unknown(_as_asked(name), name.distinguishing) from None
    taken_for = message(
        "resolve.taken-for", "{name} is taken for {model}", name=_as_asked(name), model=prefixed.entry.name
    )
    return replace(
        prefixed,
        assumptions=(
            Assumption(as_text(taken_for), sentence("model-names.first-word-maker", "its first word is its maker's")),
            *prefixed.assumptions[1:],
        ),
    )


# weights edited in place so that the model refuses less: not a size changes. What else such names hold (a merge, a
# training, a style) is another model
_UNREFUSING_WORDS = frozenset(
    {
        "abliterated",
        "lorablated",
        "ablated",
        "uncensored",
        "heretic",
        "derestricted",
        "decensored",
        "abliteration",
        "prism",
    }
)
_UNREFUSING = _UNREFUSING_WORDS | {"huihui", "hauhaucs", "aggressive", "v2", "norm", "preserved", "biprojected"}


# stages of a training that are published beside its end (OLMo-2-7B-SFT, -DPO): the layers are the same. A reward
# model (RM) has another head
_STAGES = frozenset({"sft", "dpo", "rlvr", "rlvr1", "rlvr2", "kto", "orpo", "simpo", "grpo"})
_EDITED_RELEASE = regex(r"(?<=[a-z])[-_ ]v?\d+(?:\.\d+)?(?![\w.])", re.IGNORECASE)
_EDITED = sentence("model-names.weights-edited-place", "its weights were edited in place: every size is that model's")
_STAGE = sentence("model-names.stage-training", "a stage of its training: every size is that model's")


def _changed_weights(name: Name) -> Identity | None:
    """A model with other weights in the same layers: edited in place, or published midway through its training."""
    words = name.distinguishing
    for telling, beside, why in ((_UNREFUSING_WORDS, _UNREFUSING, _EDITED), (_STAGES, _STAGES, _STAGE)):
        chosen = matched(words - beside) or _of_release(name, telling, beside) if telling & words else None
        if chosen is not None and not _lacks_its_size(chosen, name):
            text = message(
                "resolve.same-layers", "{name} is planned as {model}", name=_as_asked(name), model=chosen.name
            )
            return _identity(chosen, How.LOOSE, name, (Assumption(as_text(text), why),))
    return None


def _of_release(name: Name, telling: frozenset[str], beside: frozenset[str]) -> Entry | None:
    """The model edited a second time: 'abliterated-v3.5' is a release of the edit, not of the model."""
    word = next((word for word in name.words if word in telling), "")
    head, _, tail = name.core.lower().partition(word)
    return matched(parse(head + _EDITED_RELEASE.sub("", f"{word}{tail}", count=1)).distinguishing - beside)


def _loosely(chosen: Entry, name: Name) -> tuple[Assumption, ...]:
    why = _WHOLE if _FULL in name.words else _LISTED
    return _differs(chosen, name, why) or (_packed(chosen, name),)


_FULL = "full"  # the whole model, not a distilled one


def _undiminished(name: Name) -> Entry | None:
    """The largest model of what is named besides; a short name (R1) counts where it is all that is left."""
    named = largest(name.distinguishing - {_FULL})
    identity = exactly(" ".join(word for word in name.words if word != _FULL))
    return named or (entry(identity) if identity else None)


def _identity(
    facts: Entry, how: How, name: Name, assumptions: tuple[Assumption, ...], model: Model | None = None
) -> Identity:
    if facts.task is Task.NOT_A_LANGUAGE_MODEL:
        raise NotALanguageModel(facts.name, facts.kind_of or "?")
    built = model or (by_id(facts.id) if facts.has_config else None)
    built = None if built is None else as_published(_at_said_context(facts, built, name), name)
    quantisation, more = of_format(built, name)
    how = How.SIZES if built is None else how
    return Identity(facts, how, built, name.format, quantisation, (*assumptions, *more))


def _repackaged(identity: Identity, packed: Repackaging) -> Identity:
    """With the format that the repository holds, and its bytes, where these are known."""
    quantisation = identity.quantisation or by_label(packed.format)
    if packed.bytes and identity.format == packed.format:  # what it holds is counted: no family's habit applies
        quantisation = by_label(packed.format) or quantisation
        identity = replace(identity, assumptions=identity.assumptions[:1])
    size = packed.files_bytes.get(quantisation.id) if quantisation else None
    size = size or (packed.bytes if identity.format in (None, packed.format) or not packed.files_bytes else None)
    if quantisation is None or size is None:
        return replace(identity, quantisation=quantisation, format=identity.format or packed.format)
    sized = replace(quantisation.sized(size), mtp_bytes=packed.mtp_bytes)
    return replace(identity, quantisation=sized, format=identity.format or packed.format)


_LISTED = sentence("model-names.usual-one-where", "the usual one where a name says no more")
_WHOLE = sentence("model-names.undiminished-model", "the undiminished model is the largest of that name")
_LIBRARY = sentence("model-names.ollama-library-means", "Ollama's library means that by it today")


def _differs(facts: Entry, name: Name, why: str = _LISTED) -> tuple[Assumption, ...]:
    """What is assumed where the asked words are not the entry's own: another variant's, or fewer than it has."""
    if any(_same(facts.id, line.words, name.distinguishing) for line in spellings(facts.id) if not line.alias):
        return ()
    shorter = any(without_sizes(name.distinguishing) <= line.words for line in spellings(facts.id) if not line.alias)
    if shorter or why is not _LISTED:
        text = message("resolve.taken-for", "{name} is taken for {model}", name=_as_asked(name), model=facts.name)
        return (Assumption(as_text(text), why),)
    text = message("resolve.same-layers", "{name} is planned as {model}", name=_as_asked(name), model=facts.name)
    return (
        Assumption(
            as_text(text),
            sentence("model-names.another-model-whose", "another model, whose layers are the same, says the catalogue"),
        ),
    )


def _same(identity: str, spelling: frozenset[str], request: frozenset[str]) -> bool:
    """Whether words differ at most in how the same size is written; a size may be left out only where none tells."""
    sized = [word for word in spelling if is_size(word) and not is_active(word)]
    complete = not sized or any(word in request for word in sized)
    return (
        complete and without_sizes(spelling) == without_sizes(request) and explains_sizes(identity, request - spelling)
    )


def _packed(facts: Entry, name: Name) -> Assumption:
    """The entry's own words, but not its own repository or spelling."""
    text = message("resolve.taken-for", "{name} is taken for {model}", name=_as_asked(name), model=facts.name)
    why = sentence("model-names.every-word-name", "every word of its name is one of that model's") + (
        sentence("model-names.owner-aside", ", its owner aside") if name.owner else ""
    )
    return Assumption(as_text(text), why)


def _as_asked(name: Name) -> str:
    return plain(name.text[:LONGEST])
