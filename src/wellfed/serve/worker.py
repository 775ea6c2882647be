"""One process that answers: it runs a command of wellfed in itself and hands back what `--json` prints.

So the API's answers are the command line's by construction. A worker opens no file by a name that came from outside,
works in an empty folder, and can be killed at any time: cancelling a request stops its computing.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from wellfed.message import sentence
from wellfed.progress import Progress, listening

UPLOAD = "\0upload\0"  # stands in a command for the file that the upload is written to
WRITTEN = "\0written.html"  # stands for a file that the command writes; its text is the answer then
_TOLD_S = 0.1


@dataclass(frozen=True, slots=True)
class Job:
    """A command's words, the language of its texts, and uploaded files by name.

    `task` ("module:function" of this room): a page to make instead of a command to run. The function takes `given` and
    the paths of the uploads, and returns an `Answer`.
    """

    words: tuple[str, ...]
    language: str = "en"
    uploads: Mapping[str, bytes] = field(default_factory=dict)
    task: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the command printed and its exit code, or the error it raised (`kind`, `message`, `hint`)."""

    code: int
    text: str
    error: Mapping[str, str | None] | None = None


def serve_jobs(pipe: Connection) -> None:
    """The worker's life: a job, its answer, the next, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
    import click

    from wellfed.cli.click_words import complaint
    from wellfed.cli.main import cli
    from wellfed.errors import WellfedError
    from wellfed.messages.language import language

    os.environ["WELLFED_LANG"] = job.language
    language.cache_clear()  # the last job may have been in another one
    out = io.StringIO()
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        written = Path(folder) / "written.html"
        words = [str(written) if word == WRITTEN else word for word in _with_uploads(job, Path(folder))]
        try:
            if job.task:
                return _done(job, words[len(job.words) :])
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                code = cli.main(args=words, standalone_mode=False, prog_name="wellfed") or 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        except WellfedError as error:
            return Answer(error.exit_code, out.getvalue(), _error(error.kind, error.message, error.hint))
        except click.ClickException as error:
            return Answer(2, out.getvalue(), _error("usage", complaint(error)[0], None))
        except click.Abort:
            return Answer(130, "", _error("interrupted", "interrupted", None))
        except Exception as error:  # noqa: BLE001 - the last line of defence, as in the command line
            text: str = sentence(
                "worker.internal-error", "internal error: {name}: {error}", name=type(error).__name__, error=error
            )
            return Answer(70, "", _error("internal", text, sentence("worker.please-report", "please report it")))
        text = written.read_text(encoding="utf-8") if WRITTEN in job.words and written.exists() else out.getvalue()
    return Answer(code if isinstance(code, int) else 0, text)


def _done(job: Job, paths: list[str]) -> Answer:
    """A task's answer: the function of this room that it names."""
    module, _, name = job.task.partition(":")
    if not module.startswith("wellfed.serve."):
        raise ValueError(f"no task: {job.task}")
    answer: Answer = getattr(import_module(module), name)(dict(job.given), [Path(path) for path in paths])
    return answer


def _with_uploads(job: Job, folder: Path) -> list[str]:
    """The command's words, the upload's place in them. One file is handed on itself, several as their folder."""
    if not job.uploads:
        return list(job.words)
    paths = []
    for number, (name, content) in enumerate(job.uploads.items()):
        suffix = "".join(Path(name).suffixes[-2:]) if len(name) < 200 else ""
        path = folder / f"paste{number}{suffix if suffix.replace('.', '').isalnum() else '.txt'}"
        path.write_bytes(content)
        paths.append(path)
    place = str(paths[0] if len(paths) == 1 else folder)
    if job.task:
        return [*job.words, place]
    return [place if word == UPLOAD else word for word in job.words]


def _error(kind: str, message: str, hint: str | None) -> dict[str, str | None]:
    return {"kind": kind, "message": message, "hint": hint}
