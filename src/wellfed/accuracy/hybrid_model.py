"""The model and quantisation of a row, from its own columns, its section or its thread's title."""

from __future__ import annotations

import re
from functools import lru_cache

from wellfed.accuracy.case import Row
from wellfed.accuracy.hybrid_notes import note
from wellfed.accuracy.names import ResolvedModel, resolve
from wellfed.errors import UnknownName

_TITLE = re.compile(r"^(\d+ - |see thread)")  # collectors put the thread's title where a table names no model
_BARE_PARAMETERS = re.compile(r"\?\s*B\b")
_SIZE = re.compile(r"\b([\d.]+ [GMT]iB)\b")


def named(row: Row) -> ResolvedModel | None:
    """The model and quantisation of a row; None when it does not tell the model. Raises UnknownName."""
    column, section, quant = row.text("model"), note(row, "section"), _quant(row)
    size = _SIZE.search(f"{row.text('quant')} {section}")
    notes = row.text("notes") + (f"; size={size[1]}" if size and "size=" not in row.text("notes") else "")
    if column and not _TITLE.match(column):
        bare = _BARE_PARAMETERS.sub(row.text("params").replace(" ", ""), column)
        return _resolve(bare, row.text("params"), quant, notes)
    for text in (section, note(row, "thread") or column):
        titled = _titled(_spelt_out(text), quant, notes)
        if titled is not None:
            return titled
    return None


def _quant(row: Row) -> str:
    text = _SIZE.sub("", row.text("quant"))
    text = re.sub(r"\(\s*,?\s*\)", "", text).strip(" ,")
    return re.sub(r"\((\d\.\d+ bpw)\s*,?\s*\)", "", text).strip()


def _spelt_out(text: str) -> str:
    """Without the thread's number, and with the short names that authors of these threads use."""
    text = re.sub(r"^\d+ - ", "", text).replace("_", " ")
    text = re.sub(r"\bDeep-?Seek-Lite\b", "DeepSeek-V2-Lite", text, flags=re.IGNORECASE)
    return re.sub(r"\b(Maverick|Scout)\b", r"Llama-4-\1", text)


@lru_cache(maxsize=2048)
def _resolve(text: str, params: str, quant: str, notes: str) -> ResolvedModel:
    return resolve(text, params or None, quant or None, notes)


@lru_cache(maxsize=2048)
def _titled(text: str, quant: str, notes: str) -> ResolvedModel | None:
    """A title names a model or it does not; a title that fits nothing is no error."""
    try:
        return resolve(text, None, quant or None, notes) if text else None
    except UnknownName:
        return None
