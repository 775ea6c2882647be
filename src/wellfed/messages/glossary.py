"""The glossary: every term once, in every language that has it."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from wellfed.errors import UnknownName, nearest
from wellfed.frozen import dataclass

_FILE = Path(__file__).with_name("glossary.toml")


@dataclass(frozen=True, slots=True)
class GlossaryEntry:
    """A term of the field: its id, its names and one or two sentences, by language."""

    id: str
    names: dict[str, str]
    texts: dict[str, str]
    also: tuple[str, ...]

    def name(self, language: str) -> str:
        """The term in a language, in English where it has none."""
        return self.names.get(language, self.names["en"])

    def text(self, language: str) -> str:
        """What the term means, in a language."""
        return self.texts.get(language, self.texts["en"])


@cache
def entries() -> tuple[GlossaryEntry, ...]:
    """All terms, in the file's order."""
    tables = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        GlossaryEntry(
            identity,
            {name: text for name, text in table.items() if name not in {"also"} and not name.startswith("text_")},
            {name.removeprefix("text_"): text for name, text in table.items() if name.startswith("text_")},
            tuple(table.get("also", ())),
        )
        for identity, table in tables.items()
    )


def look_up(term: str) -> GlossaryEntry:
    """The entry of a term in any spelling or language. Raises UnknownName with near ones."""
    spellings = {_key(name): entry for entry in reversed(entries()) for name in _names(entry)}
    term_entry = spellings.get(_key(term))
    if term_entry is None:
        raise UnknownName("term", term, nearest(_key(term), spellings))
    return term_entry


def _names(entry: GlossaryEntry) -> tuple[str, ...]:
    return (*entry.also, *entry.names.values(), entry.id)


def _key(term: str) -> str:
    return " ".join(term.lower().replace("-", " ").split())
