"""One process that answers: it runs a command of wellfed in itself and hands back what `--json` prints.

So the API's answers are the command line's by construction. A worker opens no file by a name that came from outside,
works in an empty folder, and can be killed at any time: cancelling a request stops its computing.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import field
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from wellfed.frozen import dataclass
from wellfed.message import Message, message
from wellfed.progress import Progress, listening

UPLOAD = "\0upload\0"  # stands in a command for the file that the upload is written to
FOLDER = "\0folder\0"  # stands for the folder of the uploads, each by its own name
WRITTEN = "\0written.html"  # stands for a file that the command writes; its text is the answer then
_TOLD_S = 0.1
# One pair for all jobs: click keeps every stream that it has printed to, with what was printed.
_OUT, _TOLD = io.StringIO(), io.StringIO()


@dataclass(frozen=True, slots=True)
class Job:
    """A command's words, the language of its texts, and uploaded files by name.

    `task` ("module:function" of this room): a page to make instead of a command to run. The function takes `params` and
    the paths of the uploads, and returns an `Answer`.
    """

    words: tuple[str, ...]
    language: str = "en"
    uploads: Mapping[str, bytes] = field(default_factory=dict)
    task: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the command printed and its exit code, or the error it raised (`kind`, `message`, `hint`)."""

    code: int
    text: str
    error: Mapping[str, str | None] | None = None


def serve_jobs(pipe: Connection) -> None:
    """The worker's life: a job, its answer, the next, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _silence()
    from wellfed.plain_file import refuse_named_files

    refuse_named_files()
    with tempfile.TemporaryDirectory(prefix="wellfed-serve-") as folder:
        os.chdir(folder)
        while True:
            try:
                job = pipe.recv()
            except (EOFError, OSError):
                return
            with listening(_Every(pipe, _TOLD_S)):
                answer = run(job)
            pipe.send(answer)


def _silence() -> None:
    """Standard streams lead nowhere: whatever a library prints, it is no answer, and no line of `wellfed mcp`."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, *(() if os.environ.get("WELLFED_DEBUG") else (2,))):
        os.dup2(nowhere, stream)
    os.close(nowhere)


class _Every:
    """Sends what is told down the pipe, of each kind not more often than every `seconds`."""

    def __init__(self, pipe: Connection, seconds: float) -> None:
        self._pipe, self._seconds = pipe, seconds
        self._next: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now >= self._next.get(progress.what, 0.0):
            self._next[progress.what] = now + self._seconds
            self._pipe.send(progress)


def run(job: Job) -> Answer:
    """The answer to one job, in this process."""
    from wellfed.messages.language import language

    os.environ["WELLFED_LANG"] = job.language
    language.cache_clear()  # the last job may have been in another one
    for stream in (_OUT, _TOLD):
        stream.seek(0)
        stream.truncate()
    with (
        tempfile.TemporaryDirectory(prefix="upload-") as folder,
        contextlib.redirect_stdout(_OUT),
        contextlib.redirect_stderr(_TOLD),
    ):
        answer = _answer(job, Path(folder), _OUT)
    return _without_paths(answer, folder)


def _answer(job: Job, folder: Path, out: io.StringIO) -> Answer:
    import click

    from wellfed.cli.click_words import complaint
    from wellfed.cli.main import cli
    from wellfed.errors import WellfedError
    from wellfed.plain_file import handed_in

    written = folder / "written.html"
    try:
        words = [str(written) if word == WRITTEN else word for word in _with_uploads(job, folder)]
        if job.task:
            return _task_answer(job, words[len(job.words) :])
        with handed_in(words[job.words.index(UPLOAD)] if UPLOAD in job.words else ""):
            code = cli.main(args=words, standalone_mode=False, prog_name="wellfed") or 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except WellfedError as error:
        return Answer(error.exit_code, out.getvalue(), _error(error.kind, error.message, error.hint))
    except click.ClickException as error:
        return Answer(2, out.getvalue(), _error("usage", complaint(error)[0]))
    except click.Abort:
        return Answer(130, "", _error("interrupted", message("serve.ended", "interrupted")))
    except Exception as error:  # noqa: BLE001 - the last line of defence, as in the command line
        why = message("serve.internal", "internal error: {why}", why=f"{type(error).__name__}: {error}")
        return Answer(70, "", _error("internal", why, message("serve.internal.hint", "please report it")))
    text = written.read_text(encoding="utf-8") if WRITTEN in job.words and written.exists() else out.getvalue()
    return Answer(code if isinstance(code, int) else 0, text)


def _without_paths(answer: Answer, folder: str) -> Answer:
    """No answer tells where on the server an upload lay."""

    def clean(text: str) -> str:
        for place, instead in ((f"{folder}/", ""), (folder, "upload"), (Path(folder).name, "upload")):
            text = text.replace(place, instead)
        return text

    redacted = answer.error and {key: text and clean(text) for key, text in answer.error.items()}
    return Answer(answer.code, clean(answer.text), redacted)


def _task_answer(job: Job, paths: list[str]) -> Answer:
    """A task's answer: the function of this room that it names."""
    module, _, name = job.task.partition(":")
    if not module.startswith("wellfed.serve."):
        raise ValueError(f"no task: {job.task}")
    answer: Answer = getattr(import_module(module), name)(dict(job.params), [Path(path) for path in paths])
    return answer


def _with_uploads(job: Job, folder: Path) -> list[str]:
    """The command's words, the upload's place in them. One file is handed on itself, several as their folder."""
    if not job.uploads:
        return list(job.words)
    paths = []
    for number, (name, content) in enumerate(job.uploads.items()):
        path = folder / (_own_name(name, number) if FOLDER in job.words else _plain_name(name, number))
        if path.exists():
            path = folder / f"{number}-{path.name}"
        path.write_bytes(content)
        paths.append(path)
    place = str(paths[0] if len(paths) == 1 else folder)
    if job.task:
        return [*job.words, place]
    places = {UPLOAD: place, FOLDER: str(folder)}
    return [places.get(word, word) for word in job.words]


def _plain_name(name: str, number: int) -> str:
    """A name of ours with the suffixes of theirs."""
    suffix = "".join(Path(name).suffixes[-2:]) if len(name) < 200 else ""
    return f"paste{number}{suffix if suffix.replace('.', '').isalnum() else '.txt'}"


def _own_name(name: str, number: int) -> str:
    """Their name without what a file's name cannot be: reports call a machine so. Alike names get a number."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name.replace("\\", "/").rpartition("/")[2]).lstrip(".-")[-100:]
    plain = plain or f"machine{number}"
    return plain if "." in plain else f"{plain}.txt"


def _error(kind: str, sentence: Message | str, hint: Message | str | None = None) -> dict[str, str | None]:
    from wellfed.messages.words import words

    return {"kind": kind, "message": words(sentence), "hint": None if hint is None else words(hint)}
