"""What a name means in the catalogue, as a value: entry, model, format, and what was assumed to come there."""

from __future__ import annotations

import math
import re
from enum import StrEnum

from wellfed.catalog.model_formats import by_label, of_format
from wellfed.catalog.models import Entry, Repackaging, Task, by_id
from wellfed.catalog.name_match import explains_sizes, spellings, without_sizes
from wellfed.catalog.name_words import Name, is_active, is_size, parse, plain
from wellfed.catalog.named_formats import as_published
from wellfed.catalog.other_kinds import NotALanguageModel
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


CONTEXT = regex(r"(\d{1,4})(k|m)")


def made(
    facts: Entry, how: How, name: Name, assumptions: tuple[Assumption, ...], model: Model | None = None
) -> Identity:
    if facts.task is Task.NOT_A_LANGUAGE_MODEL:
        raise NotALanguageModel(facts.name, facts.kind_of or "?")
    built = model or (by_id(facts.id) if facts.has_config else None)
    built = None if built is None else as_published(_at_said_context(facts, built, name), name)
    quantisation, more = of_format(built, name)
    how = How.SIZES if built is None else how
    return Identity(facts, how, built, name.format, quantisation, (*assumptions, *more))


_MANY_TYPES = "gguf"


def repackaged(identity: Identity, packed: Repackaging) -> Identity:
    """With the format that the repository holds, and its bytes, where these are known.

    A repository of GGUF files has many types: one that is not named is the one of which a file is known, or open.
    """
    if packed.format == _MANY_TYPES and identity.quantisation is None and identity.format is None:
        only = by_label(next(iter(packed.files_bytes))) if len(packed.files_bytes) == 1 else None
        return identity if only is None else replace(identity, quantisation=only.sized(packed.files_bytes[only.id]))
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


def _at_said_context(facts: Entry, model: Model, name: Name) -> Model:
    """With the context that the name tells (Yi-34B-200K), where the entry's own names tell none of that kind."""
    contexts = [match for word in name.distinguishing if (match := CONTEXT.fullmatch(word))]
    spelled = {word for line in spellings(facts.id) if not line.alias for word in line.words}
    if len(contexts) != 1 or any(CONTEXT.fullmatch(word) for word in spelled):
        return model
    return replace(model, context_limit=tokens(contexts[0]))


def tokens(match: re.Match[str]) -> int:
    """32K and 128K are powers of two, and so is what 262K rounds; 200K is not."""
    count = int(match[1]) * (1000 if match[2] == "k" else 10**6)
    power = 1 << round(math.log2(count))
    return power if abs(power / count - 1) < _POWER_SLACK else count


_POWER_SLACK = 0.05


LISTED = sentence("model-names.usual-one-where", "the usual one where a name says no more")


def differs(facts: Entry, name: Name, why: str = LISTED) -> tuple[Assumption, ...]:
    """What is assumed where the asked words are not the entry's own: another variant's, or fewer than it has."""
    if any(_same(facts.id, line.words, name.distinguishing) for line in spellings(facts.id) if not line.alias):
        return ()
    shorter = any(without_sizes(name.distinguishing) <= line.words for line in spellings(facts.id) if not line.alias)
    if shorter or why is not LISTED:
        text = message("resolve.taken-for", "{name} is taken for {model}", name=as_asked(name), model=facts.name)
        return (Assumption(as_text(text), why),)
    text = message("resolve.same-layers", "{name} is planned as {model}", name=as_asked(name), model=facts.name)
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


def packed(facts: Entry, name: Name) -> Assumption:
    """The entry's own words, but not its own repository or spelling."""
    text = message("resolve.taken-for", "{name} is taken for {model}", name=as_asked(name), model=facts.name)
    why = sentence("model-names.every-word-name", "every word of its name is one of that model's") + (
        sentence("model-names.owner-aside", ", its owner aside") if name.owner else ""
    )
    return Assumption(as_text(text), why)


def as_asked(name: Name) -> str:
    return plain(name.text[:LONGEST])


def lacks_its_size(facts: Entry, name: Name) -> bool:
    """Whether somebody's repository tells no size where the entry's own does: it may be any of the family, or a toy."""
    if name.owner is None or facts.repository is None or any(map(is_size, name.distinguishing)):
        return False
    return any(map(is_size, parse(facts.repository).distinguishing))
