"""Where a line of a terminal may break: behind blanks, and between wide characters, which need none.

Not before a closing mark and not behind an opening one, as Chinese is set (W3C, Requirements for Chinese Text Layout).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_CLOSING = "，。；：、！？）】」』”’》…"
_OPENING = "（【「『“‘《"


def is_wide(sign: str) -> bool:
    """Whether a character takes two places."""
    return unicodedata.east_asian_width(sign) in "WF"


def pieces(text: str) -> Iterator[str]:
    """What stays together, blanks behind it included; joined, they are the text."""
    piece = ""
    for sign in text:
        if piece.strip() and _may_break(piece[-1], sign):
            yield piece
            piece = ""
        piece += sign
    if piece:
        yield piece


def _may_break(before: str, after: str) -> bool:
    if after == " " or after in _CLOSING or before in _OPENING:
        return False
    return before == " " or is_wide(before) or is_wide(after)


def install() -> None:
    """Let rich break its lines so. Once; English needs none of it."""
    from rich import _wrap

    _wrap.words = _spans


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    for piece in pieces(text):
        yield at, at + len(piece), piece
        at += len(piece)
