"""Where a parameter meets its sentence: a space between Chinese and Latin letters or digits, none inside Chinese.

A template cannot know what its parameter begins with (`受限于{limit}`: `KV 缓存` or `内存带宽`). Only the joints are
mended; what a parameter says itself, a path or a name, stays as it is. Texts without Chinese are untouched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Formatter

_MARKS = "，。；：、！？（）【】「」『』“”‘’《》…"


def filled(template: str, values: Mapping[str, object]) -> str:
    """What `template.format_map(values)` gives, with the spaces that Chinese wants at the joints."""
    return _joined(_pieces(template, values))


def _pieces(template: str, values: Mapping[str, object]) -> Iterable[str]:
    for literal, name, form, conversion in Formatter().parse(template):
        yield literal
        if name is not None:
            field = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            yield f"{{{field}}}".format_map(values)


def _joined(pieces: Iterable[str]) -> str:
    text = ""
    for piece in pieces:
        if not piece or not text:
            text += piece
            continue
        left, right = text.rstrip(" "), piece.lstrip(" ")
        blanks = len(text) - len(left) + len(piece) - len(right)
        text = left + _between(left[-1:], right[:1], blanks) + right
    return text


def _between(before: str, after: str, blanks: int) -> str:
    """The spaces between two characters that had so many: more than one are a layout's, and stay."""
    if blanks > 1 or not before or not after:
        return " " * blanks
    if (_is_han(before) and _is_latin(after)) or (_is_latin(before) and _is_han(after)):
        return " "
    if before in _MARKS or after in _MARKS or (_is_han(before) and _is_han(after)):
        return ""
    return " " * blanks


def _is_han(sign: str) -> bool:
    return "\u3400" <= sign <= "\u9fff"


def _is_latin(sign: str) -> bool:
    return sign.isascii() and sign.isalnum()
