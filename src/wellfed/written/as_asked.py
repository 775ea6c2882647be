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
        if _HAN.search(text) and isinstance(error.message, Sentence) and error.message.made_of is None:
            _quote(error, error.message, text)
        raise


def _quote(error: BadInput, quoted: Sentence, text: str) -> None:
    params = {
        name: _as_typed(value, text) if isinstance(value, str) else value for name, value in quoted.params.items()
    }
    error.message = sentence(quoted.id, quoted.template, **params)
    error.args = (str(error.message),)
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
        params = error.message.params if isinstance(error.message, Sentence) else {}
        return " ".join(str(params.get("piece", "")).split())
