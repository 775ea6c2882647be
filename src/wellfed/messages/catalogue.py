"""A compiled gettext catalogue (`.mo`), read by need: its keys are indexed, a text is decoded when it is asked for.

The format is GNU gettext's: a header of 28 bytes, then two tables of (length, offset), of the originals and of their
translations. A key is `context EOT original`, with `NUL plural` behind it where there is one. Python's own reader
decodes and splits all of it first, which takes longer than a short command needs for everything else it says.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path

_MAGIC = 0x950412DE
_BYTE_ORDERS = ("<", ">")


class Catalogue:
    """Templates of one language by id and English template; None where it has none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._numbers, self._texts = _index(data)

    def template(self, id: str, english: str) -> str | None:
        """The template of a sentence."""
        return self._text(f"{id}\x04{english}".encode())

    def plural(self, id: str, singular: str, plural: str, count: int) -> str | None:
        """The template for a count, by the language's own rule."""
        forms = self._text(f"{id}\x04{singular}\0{plural}".encode())
        return None if forms is None else forms.split("\0")[self._form(count)]

    def _text(self, key: bytes) -> str | None:
        number = self._numbers.get(key)
        if number is None:
            return None
        length, begin = self._texts[2 * number : 2 * number + 2]
        return self._data[begin : begin + length].decode()

    @cached_property
    def _form(self) -> Callable[[int], int]:
        """Which form a count takes: the header's `Plural-Forms`."""
        from gettext import c2py

        lines = (self._text(b"") or "").splitlines()
        rule = next((line.partition("plural=")[2] for line in lines if line.startswith("Plural-Forms:")), "")
        return c2py(rule.rstrip(" ;") or "n != 1")


def _index(data: bytes) -> tuple[dict[bytes, int], tuple[int, ...]]:
    """Every key's number; lengths and offsets of the translations. ValueError where this is no catalogue."""
    try:
        order = next(order for order in _BYTE_ORDERS if struct.unpack_from(f"{order}I", data)[0] == _MAGIC)
        _, count, originals, translations = struct.unpack_from(f"{order}4I", data, 4)
        keys = struct.unpack_from(f"{order}{2 * count}I", data, originals)
        texts = struct.unpack_from(f"{order}{2 * count}I", data, translations)
    except (struct.error, StopIteration) as error:
        raise ValueError("no compiled gettext catalogue") from error
    pairs = zip(keys[::2], keys[1::2], range(count), strict=True)
    return {data[begin : begin + length]: number for length, begin, number in pairs}, texts


@cache
def catalogue(folder: Path, language: str) -> Catalogue | None:
    """The compiled catalogue of a language below a folder; None where there is none."""
    try:
        return Catalogue((folder / language / "LC_MESSAGES" / "wellfed.mo").read_bytes())
    except FileNotFoundError:
        return None
