"""`wellfed watch`."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from wellfed.cli.numbers import Integer, Number
from wellfed.message import sentence
from wellfed.messages.words import tell, words

if TYPE_CHECKING:
    from wellfed.verbs.watching import WatchOptions
    from wellfed.watching.diagnose import Diagnosis
    from wellfed.watching.sample import Sample
    from wellfed.watching.target import Target
    from wellfed.watching.trace import Promise

Steps = Iterator[tuple["Sample", "Diagnosis"]]
_ONCE_S = 5.0
_MOST_KEY_BYTES = 4096
_FEW = 3  # samples: what so few say is not counted


@click.command()
@click.argument("name", required=False)
@click.option("--pid", type=Integer(1), help="The engine's process, instead of NAME.")
@click.option("--url", metavar="URL", help="The engine's address, instead of NAME.")
@click.option("--model", "-m", help="Compare with the best plan for this model; without it, what the command names.")
@click.option("--concurrency", "-c", type=Integer(1), default=1, show_default=True, help="Users of that plan.")
@click.option("--interval", type=Number(0.1, 60), default=1.0, show_default=True, help="Seconds.")
@click.option("--window", type=Number(2, 3600), default=20.0, show_default=True, help="Seconds judged at once.")
@click.option("--once", is_flag=True, help=f"Look for {_ONCE_S:.0f} s, report and leave.")
@click.option("--for", "seconds", metavar="TIME", help="Look for so long (60s, 5m), report and leave.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per look; with --once or --for, only the last.")
@click.option("--record", type=click.Path(path_type=Path), metavar="FILE", help="Keep every sample in FILE.")
@click.option("--replay", type=click.Path(path_type=Path, exists=True), metavar="FILE", help="Judge a recording.")
@click.option("--export", metavar="[HOST]:PORT", help="Serve the findings and rates to Prometheus, on loopback.")
@click.option("--insecure", is_flag=True, help="Let --export listen where other machines can read it.")
@click.option(
    "--probe",
    is_flag=True,
    help="Also ask it, one short request at a time: each costs about 40 tokens to read and 16 to answer.",
)
@click.option("--probe-every", type=Number(1, 3600), default=5.0, show_default=True, help="Seconds between them.")
@click.option(
    "--expect",
    type=Number(0, min_open=True),
    metavar="RATE",
    help="Tokens/s that a user was promised, where no plan can tell.",
)
@click.option(
    "--api-key-file", type=click.Path(path_type=Path), metavar="FILE", help="Where the key stands, in its first line."
)
@click.option("--api-key", envvar="WELLFED_API_KEY", help="Key the engine wants; better through the variable.")
def command(as_json: bool, record: Path | None, export: str | None, **options: Any) -> None:
    """It is slow now: why?

    Looks at a running engine (NAME of `wellfed ps`, --pid or --url; without any, the one that runs), at its machine
    and at the plan it should follow. Exits with 1 when a fault is named.
    """
    from wellfed.verbs import watching

    settings = _settings(options)
    with ExitStack() as stack:
        target, promise, steps = _steps(options, settings)
        if record is not None:
            steps = _recorded(stack, record, target, promise, steps)
        if export is not None:
            steps = _exported(stack, export, options["insecure"], target, steps)
        last = _show(target, steps, as_json, brief=settings.seconds is not None or options["replay"] is not None)
    if last is not None and (code := watching.exit_code(last)):
        raise SystemExit(code)


def _settings(options: dict[str, Any]) -> WatchOptions:
    from wellfed.verbs.watching import WatchOptions

    interval = min(options["interval"], 0.5) if options["once"] else options["interval"]
    seconds = _seconds(options["seconds"]) if options["seconds"] else _ONCE_S if options["once"] else None
    return WatchOptions(
        interval_s=interval,
        window=round(min(options["window"], seconds or options["window"]) / interval) + 1,
        seconds=seconds,
        model=options["model"],
        key=_key(options["api_key_file"]) if options["api_key_file"] else options["api_key"],
        concurrency=options["concurrency"],
        probe_s=options["probe_every"] if options["probe"] else None,
        expect_tok_s=options["expect"],
    )


def _key(path: Path) -> str:
    from wellfed.plain_file import read_text

    key = read_text(path, _MOST_KEY_BYTES).partition("\n")[0].strip()
    if not key:
        raise click.FileError(str(path), sentence("cli.watch.first-line-empty", "its first line is empty"))
    return key


def _seconds(text: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError as error:
        raise click.BadParameter(
            sentence("cli.watch.time", "{text!r} is no time", text=text), param_hint="--for"
        ) from error
    if not 2 <= seconds <= 7 * 86400:
        raise click.BadParameter(sentence("cli.watch.from-2-s", "from 2 s to 7 days"), param_hint="--for")
    return seconds


def _steps(options: dict[str, Any], settings: WatchOptions) -> tuple[Target, Promise | None, Steps]:
    from wellfed.verbs import watching

    if options["replay"] is not None:
        return watching.replayed(options["replay"], settings)
    target = watching.target(options["name"], options["pid"], options["url"])
    watching.ensure_somebody_listens(target)
    if target.pid is not None:
        line = "what its command line wastes: wellfed plan --from-command pid:{pid}"
        _say(tell("cli.watch.as-started", line, pid=target.pid))
    promised = watching.promise_or_why(target, settings)
    if isinstance(promised, str):
        _say(promised)
    plan = None if isinstance(promised, str) else promised
    return target, plan, watching.live(target, settings, plan, _say)


def _say(line: str) -> None:
    click.echo(words(line), err=True)


def _recorded(stack: ExitStack, path: Path, target: Target, promise: Promise | None, steps: Steps) -> Steps:
    from wellfed.watching.trace import Recorder

    file = _opened(path)
    stack.callback(_closed, file)
    recorder: Recorder | None = None
    try:
        recorder = Recorder(file, target.name, promise)
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error
    for sample, diagnosis in steps:
        if recorder is not None:
            size_bytes = os.fstat(file.fileno()).st_size
            try:
                recorder.write(sample)
            except OSError as error:
                recorder = None
                _say(
                    tell(
                        "cli.watch.cannot-write",
                        "cannot write {path}: {strerror}: it is recorded no further, the watch goes on",
                        path=path,
                        strerror=error.strerror,
                    )
                )
                with suppress(OSError):
                    os.ftruncate(file.fileno(), size_bytes)  # no half of a line
        yield sample, diagnosis


def _opened(path: Path) -> TextIO:
    """For writing; a FIFO that nobody reads is refused, not waited for."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "w", encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error


def _closed(file: TextIO) -> None:
    with suppress(OSError):  # what did not fit was told of
        file.close()


def _exported(stack: ExitStack, address: str, insecure: bool, target: Target, steps: Steps) -> Steps:
    from wellfed.verbs.machine_facts import Reading, machine_facts
    from wellfed.watching.export import Exporter, listen

    exporter: Exporter = stack.enter_context(listen(address, insecure))
    click.echo(tell("cli.watch.serving", "serving {url}", url=exporter.url), err=True)
    stack.callback(Reading(partial(machine_facts, target), partial(setattr, exporter, "facts")).close)
    for sample, diagnosis in steps:
        exporter.update(target.name, diagnosis)
        yield sample, diagnosis


def _show(target: Target, steps: Steps, as_json: bool, brief: bool) -> Diagnosis | None:
    from wellfed.cli.watch_text import live, report
    from wellfed.verbs import watching

    if not as_json and not brief:
        return live(target, steps)
    last: tuple[Sample, Diagnosis] | None = None
    seen: Counter[str] = Counter()
    for last in steps:
        if last[1].view.samples > _FEW:
            seen[last[1].id] += 1
        if as_json and not brief:
            click.echo(json.dumps(watching.document(target, *last)))
    if last is None:
        return None
    if as_json and brief:
        click.echo(json.dumps(watching.document(target, *last)))
    elif not as_json:
        report(target, last[1], seen)
    return last[1]
