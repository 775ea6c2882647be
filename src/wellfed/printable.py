"""The one door for text from strangers: what reaches a terminal moves no cursor, sets no title, hides no letter.

Names of models, GPUs, files and servers come from files and endpoints that anybody may have written.
"""

from __future__ import annotations

import re
from typing import Any, TextIO

from wellfed.patterns import regex


def _is_beyond(text: str) -> bool:
    """Whether the text has signs that are neither printable ASCII nor a tab or newline."""
    return not (text.isascii() and text.replace("\n", "").replace("\t", "").isprintable())


# C0 and C1 controls but tab and newline; marks that turn the direction of text (Unicode Bidirectional Algorithm,
# UAX 9); separators that terminals break lines at; lone surrogates, which no terminal can show.
_UNSAFE = regex(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", of=_is_beyond
)
# What rich and click write themselves: colours (CSI ... m), erased lines, the cursor up or hidden, a line begun anew.
_OWN = regex("\x1b\\[(?:[0-9;]*m|[0-9]*[AKG]|\\?25[lh])|\r")


def printable(text: str, most: int | None = None) -> str:
    """`text` in one line, with what is not to be printed shown as an escape (`\\x1b`); cut after `most` characters.

    Tabs and newlines become spaces.
    """
    if most is not None and len(text) > most:
        text = text[: max(0, most - 1)] + "…"
    return _UNSAFE.sub(_escape, text.replace("\n", " ").replace("\t", " "))


def printable_lines(text: str) -> str:
    """`text` with its lines kept."""
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n"))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Guarded:
    """A text stream through which nothing unsafe passes; on a terminal, the colours and lines of our own do."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()

    def write(self, text: str) -> int:
        """Written, with what is unsafe escaped; the length of what was given."""
        self._stream.write(self._safe(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """As `write`."""
        for line in lines:
            self.write(line)

    def _safe(self, text: str) -> str:
        if not _UNSAFE.search(text):
            return text
        if not self._terminal:
            return printable_lines(text)
        parts, since = [], 0
        for match in _OWN.finditer(text):
            parts += [printable_lines(text[since : match.start()]), match[0]]
            since = match.end()
        return "".join([*parts, printable_lines(text[since:])])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
