"""Which entry of the catalogue explains every word of a name.

The words of one of the entry's spellings must all be there, and what is there besides must be a size under which the
entry is published. Only a size or a month of release may be missing, and only where one single entry is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from wellfed.catalog.model_tables import anchored, key, spelling_words
from wellfed.catalog.models import Entry, by_id, entry
from wellfed.catalog.name_index import firm, telling, without_active
from wellfed.catalog.name_words import billions, is_active, is_size, parse
from wellfed.models.counts import counts


class Spelling(NamedTuple):
    """One name of an entry as words. `alias`: neither its id nor its name nor its repository."""

    id: str
    alias: bool
    words: frozenset[str]
    telling: bool
    without_active: frozenset[str]
    firm: frozenset[str]


@lru_cache(maxsize=4096)
def spellings(identity: str) -> tuple[Spelling, ...]:
    """Every name of an entry."""
    return tuple(_spelling(identity, alias, frozenset(text.split())) for alias, text in spelling_words(identity))


def _spelling(identity: str, alias: bool, words: frozenset[str]) -> Spelling:
    return Spelling(identity, alias, words, telling(words), without_active(words), firm(words))


def _possible(words: frozenset[str]) -> list[Spelling]:
    """The spellings that say enough and whose firm words are all there."""
    identities = {identity for word in words for identity in anchored(word)}
    lines = (line for identity in sorted(identities) for line in spellings(identity))
    return [line for line in lines if line.telling and line.firm <= words]


def without_sizes(words: frozenset[str]) -> frozenset[str]:
    """The words that tell no size."""
    return frozenset(word for word in words if not is_size(word))


@lru_cache(maxsize=4096)
def sizes(identity: str) -> frozenset[str]:
    """Every size word under which the entry is published."""
    written = {word for line in spellings(identity) for word in line.words if is_size(word)}
    listed = (*entry(identity).sizes, *entry(identity).tags)
    return frozenset(written | {word for text in listed for word in parse(text).words if is_size(word)})


def matched(words: frozenset[str]) -> Entry | None:
    """The entry that explains all of `words`; None where there is none, or where several do equally well."""
    possible = [line for line in _possible(words) if explains_sizes(line.id, words - line.words)]
    contained = [line for line in possible if line.words <= words]
    if contained:
        longest = max(len(line.words) for line in contained)
        best = [line for line in contained if len(line.words) == longest]
        return _only(line.id for line in best if not line.alias) or _only(line.id for line in best)
    lacking = [line.id for line in possible if line.without_active <= words]
    return _only(lacking) or (_only(line.id for line in possible) if _narrow(words) else None)


def written_alike(words: frozenset[str], core: str) -> Entry | None:
    """Of entries that explain `words` equally well, the one with a name written just as `core`, its owner aside.

    The words alone do not tell glm-4-9b-chat from glm-4-9b-hf, for chat and hf say nothing of a model elsewhere.
    """
    core_key = key(core)
    return _only(
        line.id
        for line in _possible(words)
        if line.words == words and any(key(text.rpartition("/")[2]) == core_key for text in entry(line.id).spellings)
    )


def largest(words: frozenset[str]) -> Entry | None:
    """The entry with most parameters among those called so, whatever their sizes: the undiminished model."""
    wanted = without_sizes(words)
    called = {line.id for line in _possible(words) if without_sizes(line.words) == wanted}
    fitting = [entry(identity) for identity in called if explains_sizes(identity, words - wanted)]
    return max(fitting, key=lambda facts: _count(facts) or 0.0, default=None)


def called(words: frozenset[str]) -> frozenset[str]:
    """The ids of all entries that have these words for a name, sizes aside."""
    return frozenset(line.id for line in _possible(words) if without_sizes(line.words) == words)


def _narrow(words: frozenset[str]) -> bool:
    """Whether words say more than a family's name: a generation, a variant."""
    return len(without_sizes(words)) > 1


def explains_sizes(identity: str, words: frozenset[str]) -> bool:
    """Whether all of `words` are sizes under which the entry is published, or its counts."""
    return all(is_size(word) and (word in sizes(identity) or _counted(identity, word)) for word in words)


def _only(identities: Iterable[str]) -> Entry | None:
    distinct = set(identities)
    return entry(distinct.pop()) if len(distinct) == 1 else None


_SIZE_SLACK = 0.03
_ACTIVE_ROUNDING = 0.5  # billions: A3B is 3.3, A22B is 22.2


def _counted(identity: str, word: str) -> bool:
    """Whether a size under which nothing of its kind is published is the entry's count."""
    number, active = billions(word), is_active(word)
    if number is None or any(billions(size) and is_active(size) is active for size in sizes(identity)):
        return False
    facts = entry(identity)
    values = [facts.active_parameters] if active else [facts.parameters, facts.total_parameters]
    if facts.has_config:
        built = counts(by_id(identity))
        values += [built.active] if active else [built.parameters, built.total]
    slack = max(_SIZE_SLACK * number, _ACTIVE_ROUNDING if active else 0.0)
    return any(abs(value / 1e9 - number) <= slack for value in values if value)


def _count(facts: Entry) -> float | None:
    return facts.parameters or (counts(by_id(facts.id)).parameters if facts.has_config else facts.total_parameters)
