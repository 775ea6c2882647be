"""Files that were handed in, read with a limit on size and patience: devices, FIFOs and sockets hang nobody.

`/dev/stdin` and `<(...)` keep working: whatever gives bytes in time and comes to an end.
"""

from __future__ import annotations

import errno
import json
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wellfed.errors import BadInput
from wellfed.homes import expanded
from wellfed.message import Amount, message, sentence
from wellfed.patterns import regex
from wellfed.printable import printable
from wellfed.units import MIB

MOST_BYTES = 16 * MIB  # of a table, a configuration or a dump that a person hands in
IDLE_S = 3.0  # without a byte from what is no file
TOTAL_S = 60.0  # of what is no file, however slowly it gives
_LONGEST_PATH = 4096
_CHUNK_BYTES = 256 * 1024
_DESCRIPTOR = regex(r"/(?:dev|proc/self)/fd/(\d+)")


_may_name_files = True
_handed_in = ""  # the one path that a name may be all the same


def refuse_named_files() -> None:
    """From now on this process opens no file that a model's or machine's name could mean: names come from strangers."""
    global _may_name_files
    _may_name_files = False


def may_name_files() -> bool:
    """Whether names may be files of this machine: not in a process that answers strangers."""
    return _may_name_files


@contextmanager
def handed_in(path: Path | str) -> Iterator[None]:
    """Within it, a name may be this path even where names may be no files: what a stranger sent, stored by us."""
    global _handed_in
    before, _handed_in = _handed_in, str(path)
    try:
        yield
    finally:
        _handed_in = before


def named_path(text: str) -> Path | None:
    """The path that a name would be, if a name may be one here."""
    if not text.strip() or len(text) >= _LONGEST_PATH:
        return None
    return expanded(text) if _may_name_files or text == _handed_in else None


def is_there(text: str) -> bool:
    """Whether a name is a file or folder that may be opened."""
    try:
        path = named_path(text)
        return path is not None and path.exists()
    except (OSError, ValueError, RuntimeError):  # no file can have such a name; no such home
        return False


def read_bytes(path: Path | str, most_bytes: int = MOST_BYTES, idle_s: float = IDLE_S) -> bytes:
    """All of it. Raises BadInput when it is a folder, missing, unreadable, longer than `most_bytes`, or silent."""
    return b"".join(chunks(path, most_bytes, idle_s))


def read_text(path: Path | str, most_bytes: int = MOST_BYTES, encoding: str = "utf-8", idle_s: float = IDLE_S) -> str:
    """As `read_bytes`, decoded; a byte order mark is dropped. Raises BadInput for what is no text too."""
    try:
        return read_bytes(path, most_bytes, idle_s).decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        template = message("file.no-text", "{path} is not {encoding} text", path=_shown(path), encoding=encoding)
        raise BadInput(template) from error


def read_json(path: Path | str, most_bytes: int = MOST_BYTES) -> Any:
    """The JSON value in it. Raises BadInput as `read_text`, and for what is no JSON or is nested without end."""
    text = read_text(path, most_bytes)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        why = (
            str(error)
            if isinstance(error, ValueError)
            else sentence("plain-file.nested-too-deep", "it is nested too deep")
        )
        raise BadInput(message("file.no-json", "{path} is not JSON: {why}", path=_shown(path), why=why)) from error


def lines(path: Path | str, most_bytes: int, most_line_bytes: int, idle_s: float = IDLE_S) -> Iterator[bytes]:
    """Its lines, one in memory at a time. Raises BadInput as `read_bytes`, and for a line that is too long."""
    rest = b""
    for chunk in chunks(path, most_bytes, idle_s):
        *complete, rest = (rest + chunk).split(b"\n")
        yield from complete
        if len(rest) > most_line_bytes:
            template = "{path} has a line longer than {most}"
            raise BadInput(message("file.long-line", template, path=_shown(path), most=Amount(most_line_bytes, "B")))
    if rest:
        yield rest


def ensure_file(path: Path | str) -> None:
    """Raises BadInput for what is no ordinary file, of readers that go to and fro in it."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(mode):
        raise BadInput(message("file.folder", "{path} is a folder", path=_shown(path)))
    if not stat.S_ISREG(mode):
        raise BadInput(message("file.no-file", "{path} is not an ordinary file", path=_shown(path)))


def chunks(path: Path | str, most_bytes: int, idle_s: float = IDLE_S) -> Iterator[bytes]:
    """Pieces of it, as they come. Raises BadInput as `read_bytes`."""
    try:
        descriptor = _opened(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        about = os.fstat(descriptor)
        if stat.S_ISDIR(about.st_mode):
            raise BadInput(message("file.folder", "{path} is a folder", path=_shown(path)))
        regular = stat.S_ISREG(about.st_mode)
        if regular and about.st_size > most_bytes:
            raise _too_long(path, most_bytes)
        yield from _pieces(path, descriptor, most_bytes, None if regular else idle_s)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(descriptor)


def _opened(path: Path | str) -> int:
    """A descriptor; opening a FIFO that nobody writes to does not wait."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        name = os.fspath(path)
        number = 0 if name == "/dev/stdin" else int(match[1]) if (match := _DESCRIPTOR.fullmatch(name)) else None
        if number is None or error.errno not in (errno.ENXIO, errno.EACCES):
            raise
        return os.dup(number)  # a socket, or a pipe of another user: it is open already


def _pieces(path: Path | str, descriptor: int, most_bytes: int, idle_s: float | None) -> Iterator[bytes]:
    total, end = 0, time.monotonic() + TOTAL_S
    while True:
        if idle_s is not None and not _ready(descriptor, min(idle_s, end - time.monotonic())):
            template = "{path} gave nothing for {seconds}, and did not end"
            hint = message("file.silent.hint", "give a file, or what writes and ends: <(COMMAND)")
            raise BadInput(message("file.silent", template, path=_shown(path), seconds=Amount(idle_s, "s")), hint)
        try:
            piece = os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            continue
        if not piece:
            return
        total += len(piece)
        if total > most_bytes:
            raise _too_long(path, most_bytes)
        yield piece


def _ready(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read, or the end, within `seconds`."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def _too_long(path: Path | str, most_bytes: int) -> BadInput:
    template = "{path} is longer than {most}, the most that is read of such a file"
    return BadInput(message("file.too-long", template, path=_shown(path), most=Amount(most_bytes, "B")))


def _unreadable(path: Path | str, error: Exception) -> BadInput:
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return BadInput(message("file.unreadable", "cannot read {path}: {why}", path=_shown(path), why=why))


def _shown(path: Path | str) -> str:
    return printable(os.fspath(path), 200)
