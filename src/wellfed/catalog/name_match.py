"""Which entry of the catalogue explains every word of a name.

The words of one of the entry's spellings must all be there, and what is there besides must be a size under which the
entry is published. Only a size or a month of release may be missing, and only where one single entry is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from wellfed.catalog.models import Entry, by_id, entry, spelling_words
from wellfed.catalog.name_words import billions, is_active, is_month, is_size, parse
from wellfed.models.counts import counts


@dataclass(frozen=True, slots=True)
class Spelling:
    """One name of an entry as words. `alias`: neither its id nor its name nor its repository."""

    id: str
    alias: bool
    words: frozenset[str]
    telling: bool  # it says enough to be part of a longer name: not 'r1' or '3.2' alone
    without_active: frozenset[str]
    firm: frozenset[str]  # without what may be left out: sizes, and the month of a release


@cache
def spellings() -> tuple[Spelling, ...]:
    """Every name in the catalogue."""
    lines = ((identity, alias, frozenset(words)) for identity, alias, words in spelling_words())
    return tuple(_spelling(identity, alias, words) for identity, alias, words in lines)


def _spelling(identity: str, alias: bool, words: frozenset[str]) -> Spelling:
    without_active = frozenset(word for word in words if not is_active(word))
    firm = frozenset(word for word in words if not (is_size(word) or is_month(word)))
    return Spelling(identity, alias, words, _telling(words), without_active, firm)


_SHORT = 2


def _telling(words: frozenset[str]) -> bool:
    letters = [word for word in words if word[0].isalpha() and not is_size(word)]
    return len(letters) > 1 or (len(letters) == 1 and (len(letters[0]) > _SHORT or len(words) > 1))


def without_sizes(words: frozenset[str]) -> frozenset[str]:
    """The words that tell no size."""
    return frozenset(word for word in words if not is_size(word))


@cache
def sizes(identity: str) -> frozenset[str]:
    """Every size word under which the entry is published."""
    written = {word for line in spellings() if line.id == identity for word in line.words if is_size(word)}
    listed = (*entry(identity).sizes, *entry(identity).tags)
    return frozenset(written | {word for text in listed for word in parse(text).words if is_size(word)})


def matched(words: frozenset[str]) -> Entry | None:
    """The entry that explains all of `words`; None where there is none, or where several do equally well."""
    whole = [line for line in spellings() if line.telling and line.words <= words and _explained(line, words)]
    if whole:
        longest = max(len(line.words) for line in whole)
        best = [line for line in whole if len(line.words) == longest]
        return _only(line.id for line in best if not line.alias) or _only(line.id for line in best)
    without_active = (line for line in spellings() if line.without_active <= words)
    firm = (line for line in spellings() if line.firm <= words) if _narrow(words) else ()
    return _only(_fitting(without_active, words)) or _only(_fitting(firm, words))


def largest(words: frozenset[str]) -> Entry | None:
    """The entry with most parameters among those called so, whatever their sizes: the undiminished model."""
    wanted = without_sizes(words)
    called = {line.id for line in spellings() if line.telling and without_sizes(line.words) == wanted}
    fitting = [entry(identity) for identity in called if explains_sizes(identity, words - wanted)]
    return max(fitting, key=lambda facts: _count(facts) or 0.0, default=None)


def _fitting(lines: Iterable[Spelling], words: frozenset[str]) -> Iterable[str]:
    """The entries of those spellings that explain the words."""
    return (line.id for line in lines if line.telling and _explained(line, words))


def _narrow(words: frozenset[str]) -> bool:
    """Whether words say more than a family's name: a generation, a variant."""
    return len(without_sizes(words)) > 1


def _explained(line: Spelling, words: frozenset[str]) -> bool:
    return explains_sizes(line.id, words - line.words)


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
