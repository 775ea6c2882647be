"""Options of a program whose flags take no, one or several words, as Python's argparse reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MANY, MAYBE, NONE = "*", "?", "0"  # words that a flag takes; others take one


def options_of(words: Sequence[str], counts: Mapping[str, str]) -> tuple[dict[str, list[str]], list[str]]:
    """Flag (without dashes) -> its words, and the words of no flag. `counts`: of flags that do not take one word."""
    options: dict[str, list[str]] = {}
    others: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if not _is_flag(word):
            others.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        count = counts.get(name, "1")
        values = [value] if equals else []
        most = 0 if equals or count == NONE else len(words) if count == MANY else 1
        while len(values) < most and position < len(words) and _is_value(words[position], name, count):
            values.append(words[position])
            position += 1
        options[name] = values
    return options, others


def _is_flag(word: str) -> bool:
    return word.startswith("-") and not is_number(word)


def _is_value(word: str, flag: str, count: str) -> bool:
    """Where a flag may do without a word, the next one may be the model's file."""
    takes_file = flag in ("model", "m", "lora") or count not in (MANY, MAYBE)
    return not _is_flag(word) and (takes_file or not word.lower().endswith(".gguf"))


def is_number(word: str) -> bool:
    """Whether a word is a number, perhaps below zero."""
    return word.lstrip("-").replace(".", "", 1).isdecimal()
