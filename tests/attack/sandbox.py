"""One input at a time before wellfed's own commands, in a process of its own: what came out, how long, how large.

The process is forked from one that has everything loaded, so that thousands of inputs take minutes. Its peak is what
the kernel says of it (ru_maxrss), less what the parent had loaded beyond wellfed itself; its time is without what it waited for a core.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from wellfed.errors import WellfedError
from wellfed.printable import printable_lines

_HOPELESS_S = 60.0  # then it is killed


@dataclass(frozen=True)
class Said:
    """What a command said: exit status, standard output, all output, message of an error, what escaped (a traceback)."""

    status: int
    out: str = ""
    shown: str = ""  # that and standard error
    message: str = ""
    escaped: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True)
class Input:
    """Something hostile: `words` of a command, `{}` standing for what `make` leaves in a folder, and who judges.

    `judge` gives what is wrong with what was said, empty for what may be said.
    """

    kind: str
    name: str
    words: tuple[str, ...]
    make: Callable[[Path], Any]
    judge: Callable[[Said], str]
    environment: Mapping[str, str] = field(default_factory=dict)


def prepared() -> None:
    """Loads what the commands need, once."""
    for words in (
        ("resolve", "qwen3-8b", "--json"),
        ("topology", "--on", "rtx 4090", "--json"),
        ("check", "--on", "rtx 4090", "--json"),
        ("plan", "qwen3-8b", "--on", "rtx 4090", "--json"),
    ):
        _called(words)


def said(words: tuple[str, ...], folder: Path, environment: Mapping[str, str], make: Callable[[Path], Any]) -> Said:
    """Runs a command in a forked process; `make`'s path stands for `{}` in its words."""
    there, here = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(there)
        _in_the_child(words, folder, environment, make, here)
    os.close(here)
    try:
        content = _heard(there, child)
    finally:
        os.close(there)
    _, status, used = os.wait4(child, 0)
    peak = max(0, used.ru_maxrss * 1024 - _others_bytes())
    if not content:
        return Said(-os.waitstatus_to_exitcode(status), escaped="it died or hung", seconds=_HOPELESS_S, peak_bytes=peak)
    return Said(*pickle.loads(content), peak_bytes=peak)


_OWN_BYTES = 120 * 10**6  # of a process that has wellfed's commands loaded, and nothing else


def _others_bytes() -> int:
    """What this process holds that is not wellfed's: a test runner with other tests' libraries."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return max(0, pages * os.sysconf("SC_PAGE_SIZE") - _OWN_BYTES)


def _heard(there: int, child: int) -> bytes:
    """All that it writes; nothing when it writes nothing in time."""
    pieces, end = [], time.monotonic() + _HOPELESS_S
    while True:
        ready, _, _ = select.select([there], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            return b""
        piece = os.read(there, 1 << 20)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def _in_the_child(
    words: tuple[str, ...], folder: Path, environment: Mapping[str, str], make: Callable[[Path], Any], here: int
) -> None:
    try:
        os.environ.update(environment)
        place = make(folder)
        if isinstance(place, tuple):  # several words
            words = tuple(item for word in words for item in (place if word == "{}" else (word,)))
        else:
            words = tuple(str(place) if word == "{}" else word for word in words)
        begin = _moment()
        found = _called(words)
        answer = pickle.dumps((*found, _moment() - begin))
    except BaseException:  # noqa: BLE001  whatever it is, the parent hears of it
        answer = pickle.dumps((-1, "", "", "", "the harness: " + traceback.format_exc()[-800:], 0.0))
    with os.fdopen(here, "wb") as pipe:
        pipe.write(answer)
    os._exit(0)


def _moment() -> float:
    """Seconds that count: without what a busy machine let it wait for a core."""
    try:
        waited = int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        waited = 0.0
    return time.monotonic() - waited


def _called(words: tuple[str, ...]) -> tuple[int, str, str, str, str]:
    from click.testing import CliRunner

    from wellfed.cli.main import cli

    done = CliRunner().invoke(cli, list(words), catch_exceptions=True)
    error = done.exception
    message = printable_lines(error.message) if isinstance(error, WellfedError) else ""
    if isinstance(error, click.ClickException):
        message = error.format_message()
    status = error.exit_code if isinstance(error, WellfedError) else done.exit_code
    whole = error is None or isinstance(error, WellfedError | SystemExit | click.ClickException)
    if isinstance(error, OSError) and error.strerror:
        whole, status, message = True, 2, error.strerror
    escaped = "" if whole else "".join(traceback.format_exception(error))[-1500:]
    return status, done.stdout, done.output, message, escaped
