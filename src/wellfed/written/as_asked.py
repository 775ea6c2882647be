"""Errors quote what was typed, not what a Chinese line was brought to before it was read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wellfed.errors import BadInput, UnknownName
from wellfed.message import Sentence, sentence
from wellfed.patterns import regex
from wellfed.written.spelling import plain_line

_HAN = regex(r"[\u3400-\u9fff]")
_PIECES = regex(r"[,，;；、\n]")


@contextmanager
def quoting(text: str) -> Iterator[None]:
    """Whatever is refused within is refused in the words of `text`."""
    try:
        yield
    except BadInput as error:
        if _HAN.search(text) and isinstance(error.said, Sentence):
            _quote(error, error.said, text)
        raise


def _quote(error: BadInput, quoted: Sentence, text: str) -> None:
    params = {
        name: _as_typed(value, text) if isinstance(value, str) else value for name, value in quoted.params.items()
    }
    error.said = error.message = sentence(quoted.id, quoted.template, **params)
    error.args = (str(error.said),)
    if isinstance(error, UnknownName):
        error.name = _as_typed(error.name, text)


def _as_typed(value: str, text: str) -> str:
    """The piece of the line that a quoted value comes from; the value itself where it stands there, or nowhere."""
    if isinstance(value, Sentence) or not value.strip() or value in text:
        return value
    spoken = " ".join(value.split())
    pieces = [piece.strip() for piece in _PIECES.split(text)]
    return next((piece for piece in pieces if spoken in _plain(piece)), value)


def _plain(piece: str) -> str:
    try:
        return " ".join(plain_line(piece).split())
    except BadInput as error:  # it cannot be read: the error says to what it was brought
        params = error.said.params if isinstance(error.said, Sentence) else {}
        return " ".join(str(params.get("piece", "")).split())
