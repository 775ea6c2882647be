"""A pattern that is not compiled for a text would not have matched it."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from wellfed import patterns
from wellfed.patterns import beyond_ascii, regex

TESTS = Path(__file__).resolve().parents[1]
FOLDERS = ("written", "catalog_hardware", "models", "cli")
MODULES = (
    "wellfed.catalog.names", "wellfed.catalog.name_words", "wellfed.written.modules", "wellfed.written.seats",
    "wellfed.written.settings", "wellfed.written.spelling",
)  # fmt: skip
_LONGEST = 200


def _patterns(value: object) -> Iterator[patterns._Pattern]:
    if isinstance(value, patterns._Pattern):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _patterns(part)


def _texts() -> list[str]:
    """What tests of names and lines are about: their own strings, as typed and in lower case."""
    found: dict[str, None] = {}
    for folder in FOLDERS:
        for path in (TESTS / folder).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < _LONGEST:
                    for piece in (node.value, *node.value.split(",")):
                        found[piece] = found[piece.lower()] = None
    for line in (TESTS / "written" / "lines.txt").read_text().splitlines():
        found[line] = found[line.lower()] = None
    return list(found)


def test_what_is_not_looked_for_is_not_there() -> None:
    texts = _texts()
    assert len(texts) > 2000
    for name in MODULES:
        sifting = [one for one in _patterns(tuple(vars(importlib.import_module(name)).values())) if one._of is not None]
        assert sifting, name
        for one in sifting:
            whole = re.compile(*one._given)
            wrong = [text for text in texts if not one._may_be_in(text) and whole.search(text)]
            assert not wrong, (name, one._given[0], wrong[:3])


@pytest.mark.parametrize("text", ["a1b22", "", "none", "ü7"])
@pytest.mark.parametrize("of", [None, ("1", "2", "7"), beyond_ascii])
def test_it_answers_as_a_compiled_one(text: str, of: patterns.Signs | None) -> None:
    expected = re.compile(r"\d") if of is not beyond_ascii else re.compile(r"(?<=ü)\d")

    def one() -> re.Pattern[str]:
        return regex(expected.pattern, of=of)

    def spans(matches: Iterator[re.Match[str]]) -> list[tuple[int, int]]:
        return [match.span() for match in matches]

    assert spans(one().finditer(text)) == spans(expected.finditer(text))
    assert one().sub("-", text) == expected.sub("-", text) and one().split(text) == expected.split(text)
    assert one().findall(text) == expected.findall(text) and one().pattern == expected.pattern
    for ask in ("search", "match", "fullmatch"):
        assert (getattr(one(), ask)(text) is None) is (getattr(expected, ask)(text) is None)
