"""From what people paste to clean pieces: fenced blocks and the text around them, without quotes, colours, time stamps.

Nothing here knows a kind of dump. A paste may be markdown, an e-mail's quote, a log with a stamp on every line, the
JSON of a forum's interface with escaped line ends, or all of these.
"""

from __future__ import annotations

import html
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 12  # of nested JSON
MAX_LINE = 16_384  # characters of a line of text; no tool prints longer ones (XML and JSON may)
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_LOST_ESCAPES = re.compile(r"(?:␛|\^\[|\\x1b|\\033|\\e)\[[0-9;]*m")
_BARE_ESCAPES = re.compile(r"\[(?:(?:[014578]|[34]\d|9[0-7])(?:;\d{1,3})*)?m")  # their first character was lost
_FENCE = re.compile(
    r"^[ \t]{0,40}(?:[-*+]|\d{1,3}\.)?[ \t]{0,8}(?:`{3,}|~{3,})[^\n`]*$|</?(?:pre|code)(?: [^>\n]*)?>", re.M
)
_QUOTE = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.M)
_STAMP = re.compile(
    r"^(?:"
    r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?"  # 2026-01-31T12:00:00.123Z
    r"|\([\w ]+pid=\d+\)"  # (EngineCore pid=123)
    r")[ \t]?"
)
_LEAST_COPIED = 8  # lines: fewer may be two equal parts of one machine
_STAMPED_SHARE = 0.7  # of the lines that begin alike, from which that is a log's stamp: assumed
_LOOKED_AT = 400  # lines that tell what stands before each
_SERVICE = re.compile(r"[\w.-]+[ \t]+\| ?")  # worker-0  | of a compose log


def pieces(text: str) -> Iterator[str]:
    """The clean pieces of a paste, in its order. Empty ones are left out."""
    text = _plain(text)
    for body in _bodies(text):
        yield from _parts(body)


def _plain(text: str) -> str:
    """Line ends as they should be, no colours, no marks of encodings."""
    text = text.lstrip("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "[" in text and ("\\x1b[" in text or "\\033[" in text or "␛[" in text or "^[[" in text or "\\e[" in text):
        text = _LOST_ESCAPES.sub("", text)
    if "[0m" in text:
        text = _BARE_ESCAPES.sub("", text)
    if "\u00a0" in text:
        text = text.replace("\u00a0", " ")
    return text.replace("\u200b", "") if "\u200b" in text else text


def _bodies(text: str) -> Iterator[str]:
    """The text; of JSON whose strings have lines (a forum's interface) those. Escaped line ends are line ends."""
    start = text.lstrip()[:1]
    if start in ('"', "{", "["):
        document = _json(text)
        if document is not None:
            bodies = [_plain(body) for body in _strings(document, 0) if "\n" in body]
            yield from bodies or [text]
            return
    yield _unescaped(text)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < MAX_DEPTH and isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner, depth + 1)
    elif depth < MAX_DEPTH and isinstance(value, list):
        for inner in value:
            yield from _strings(inner, depth + 1)


def _unescaped(text: str) -> str:
    """A JSON string's inside, pasted without its frame: many `\\n`, hardly a line end."""
    escaped = text.count("\\n")
    if escaped < 3 or escaped < 2 * text.count("\n"):
        return text
    escapes = {"n": "\n", "t": "\t", "r": "", '"': '"', "\\": "\\", "/": "/"}
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return _plain(re.sub(r'\\([ntr"\\/])', lambda match: escapes[match[1]], text))


def _parts(text: str) -> Iterator[str]:
    """Fenced blocks and what stands between them; a fence that never closes runs to the end."""
    text = _unquoted(text)
    if "&lt;" in text or "&gt;" in text:
        text = html.unescape(text)
    if not any(mark in text for mark in ("```", "~~~", "<pre", "<code")):
        yield from _sections(text)
        return
    at = 0
    for match in _FENCE.finditer(text):
        yield from _sections(text[at : match.start()])
        at = match.end()
    yield from _sections(text[at:])


def _sections(part: str) -> Iterator[str]:
    if part.strip():
        part = _said_once(_unstamped(_cut(part)))
        yield textwrap.dedent(part) if part.startswith(("  ", "\n  ")) else part


def _said_once(part: str) -> str:
    """Without a second copy at its end, whole or not, of all that stands at its start."""
    lines = part.splitlines(keepends=True)
    start = next((at for at, line in enumerate(lines) if line.strip()), 0)
    first = lines[start].strip()
    for at in range(start + _LEAST_COPIED, len(lines)):
        if lines[at].strip() != first:
            continue
        copy = "".join(lines[at:]).strip()
        if "\n" in copy and "".join(lines[start:]).strip().startswith(copy):
            return "".join(lines[:at])
    return part


def _cut(part: str) -> str:
    """Without the tails of endless lines, on which patterns would spend forever."""
    if len(part) <= MAX_LINE or part.lstrip()[:1] in ("<", "{", "["):
        return part
    return "\n".join(line[:MAX_LINE] for line in part.split("\n"))


def _unquoted(text: str) -> str:
    """Without the `> ` of a quote, where several lines have it (XML may start one line with it, too)."""
    if ">" not in text:
        return text
    marked = len(re.findall(r"^[ \t]*>", text, re.M))
    return _QUOTE.sub("", text) if marked >= 2 else text


def _without_service(lines: list[str]) -> list[str]:
    """Without a compose log's service name, where almost every line has the same."""
    head = [line for line in lines[:_LOOKED_AT] if line.strip()]
    first = next((match[0] for line in head[:5] if (match := _SERVICE.match(line))), None)
    if first is None or len(head) < 3:
        return lines
    bare = first.rstrip()
    if sum(line.startswith(bare) for line in head) < _STAMPED_SHARE * len(head):
        return lines
    return [line.removeprefix(bare).removeprefix(" ") if line.startswith(bare) else line for line in lines]


def _unstamped(text: str) -> str:
    """Without the time stamp, container name or process name that a log puts before every line.

    Kernel logs keep theirs: they are part of that kind.
    """
    lines = text.split("\n")
    bare = _without_service(lines)
    for _ in range(4):
        head = [line for line in bare[:_LOOKED_AT] if line.strip()]
        stamped = sum(_STAMP.match(line) is not None for line in head)
        if stamped < 3 or stamped < _STAMPED_SHARE * len(head) or " kernel: " in head[0]:
            break
        bare = [_STAMP.sub("", line, count=1) for line in bare]
    return text if bare is lines else "\n".join(bare)
