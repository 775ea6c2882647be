"""What the compiled catalogue keeps of names, so that a look-up touches only the entries that may be meant."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wellfed.catalog.name_words import is_active, is_month, is_size, parse

_OWN_NAMES = 3  # id, name and repository name the model itself; an alias may be a sibling's of the same shape


def firm(words: Iterable[str]) -> frozenset[str]:
    """Without what a name may leave out: sizes, and the month of a release."""
    return frozenset(word for word in words if not (is_size(word) or is_month(word)))


def without_active(words: Iterable[str]) -> frozenset[str]:
    """The words of a name without sizes of what is active (a3b)."""
    return frozenset(word for word in words if not is_active(word))


_SHORT = 2


def telling(words: Iterable[str]) -> bool:
    """Whether a spelling says enough to be part of a longer name: not 'r1' or '3.2' alone."""
    written = list(words)
    letters = [word for word in written if word[0].isalpha() and not is_size(word)]
    return len(letters) > 1 or (len(letters) == 1 and (len(letters[0]) > _SHORT or len(written) > 1))


def index(tables: Mapping[str, Mapping[str, Any]], key: Any) -> dict[str, Any]:
    """Exact names, the words of every spelling, and which entries a word may lead to. `tables` are whole."""
    spellings = {identity: _spellings(identity, table) for identity, table in tables.items()}
    names: dict[str, str] = {}
    for identity, texts in spellings.items():
        for text in texts:
            if text:
                names.setdefault(key(text), identity)
                names.setdefault(key(text.rpartition("/")[2]), identity)
    words = {identity: list(_lines(texts)) for identity, texts in spellings.items()}
    families: dict[str, list[str]] = {}
    for identity in tables:
        families.setdefault(parse(identity).words[0], []).append(identity)
    return {
        "names": names,
        "words": {i: [[alias, " ".join(line)] for alias, line in lines] for i, lines in words.items()},
        "anchors": _anchors(words),
        "families": families,
        "texts": {identity: json.dumps(table, ensure_ascii=False) for identity, table in tables.items()},
    }


def _spellings(identity: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    """Its own names at their places, "" for a missing one, then the aliases."""
    return (identity, str(table["name"]), str(table.get("repo", "")), *map(str, table.get("aliases", ())))


def _lines(texts: tuple[str, ...]) -> Iterator[tuple[bool, list[str]]]:
    """Of each spelling: whether it is an alias, and its distinguishing words."""
    for place, text in enumerate(texts):
        if text:
            yield place >= _OWN_NAMES, sorted(parse(text).distinguishing)


def _anchors(words: Mapping[str, list[tuple[bool, list[str]]]]) -> dict[str, list[str]]:
    """For each spelling the one of its firm words that fewest spellings have: a name without it cannot mean this."""
    lines = [(identity, firm(line)) for identity, rows in words.items() for _, line in rows if telling(line)]
    usual = Counter(word for _, line in lines for word in line)
    anchors: dict[str, dict[str, None]] = {}
    for identity, line in lines:
        if line:
            rarest = min(sorted(line), key=lambda word: usual[word])
            anchors.setdefault(rarest, {})[identity] = None
    return {word: list(identities) for word, identities in anchors.items()}
