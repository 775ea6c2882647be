"""Comments for people in files for programs: each one line, and still a message for whoever writes the file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from wellfed.message import Sentence, joined


def one_line(text: str) -> str:
    """A name or a note without what would end a line: names in a dump must not break out of a comment."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def commented(note: str, mark: str = "# ") -> Sentence:
    """A note as one comment line. What cannot stand in one line as it is becomes plain text that can."""
    return joined("", (mark, note if isinstance(note, Sentence) and note.isprintable() else one_line(note)))


def uncommented(text: str) -> str:
    """The note of a comment line."""
    if isinstance(text, Sentence) and text.params.get("item0") == "# ":
        return cast(str, text.params["item1"])
    return text.lstrip("# ") if text.startswith("#") else text


def lines_of(lines: Iterable[str]) -> Sentence:
    """Lines as a text whose comments are still messages."""
    return joined("", (part for line in lines for part in (line, "\n")))
