"""`wellfed ps`, `logs` and `stop`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from wellfed.cli.numbers import Number
from wellfed.errors import BadInput, WellfedError
from wellfed.launch.life import Phase, Running
from wellfed.message import listed, message, sentence
from wellfed.messages.terms import term_words
from wellfed.messages.words import tell, words
from wellfed.printable import printable, printable_lines

_GRACE = Number(0, 86400)
_FOLLOWED = 2**20  # characters at a time


@click.command()
@click.option("--json", "as_json", is_flag=True)
def ps(as_json: bool) -> None:
    """Engines that wellfed started: starting, loading, serving, stopping, ended, or lost (it cannot be told here)."""
    from wellfed.launch import state
    from wellfed.launch.service import settled

    _release()
    records = state.records()
    running_engines = [settled(running) for running in records.running]
    for bad in records.unreadable:
        click.echo(tell("ps.warning", "warning: {message}", message=state.refused(bad).message), err=True)
    if as_json:
        entries = [_entry(running) for running in running_engines]
        bad_files = [asdict(bad) for bad in records.unreadable]
        document = {"schema": "wellfed.ps/1", "engines": entries, "unreadable": bad_files}
        click.echo(json.dumps(document, indent=1))
        return
    for running in running_engines:
        click.echo(_line(running))
    if not running_engines:
        click.echo(tell("ps.nothing-running", "nothing is running"), err=True)


def _entry(running: Running) -> dict[str, object]:
    """The record with what is true of it now; `alive` is whether its process runs."""
    why = running.why_lost
    return {
        **asdict(running),
        "alive": running.alive,
        "phase": running.status.value,
        "left_behind": list(running.outlived_by()),
        "why_lost": None if why is None else why.to_dict(),
    }


def _line(running: Running) -> str:
    pid = "?" if running.pid is None else running.pid
    parts = [
        running.name,
        term_words(running.status.value),
        tell("ps.pid", "pid {pid}", pid=pid),
        running.engine,
        running.url,
    ]
    if running.why_lost is not None:
        parts.append(f"({words(running.why_lost)})")
    if running.status is Phase.ENDED and (survivors := running.outlived_by()):
        parts.append(tell("ps.left-behind", "(left behind: {left})", left=listed(survivors)))
    if running.key_file:
        parts.append(tell("ps.key", "key in {key_file}", key_file=running.key_file))
    return printable("  ".join(map(str, parts)))


@click.command()
@click.argument("name")
@click.option("--follow", "-f", is_flag=True, help="Keep printing what is added.")
def logs(name: str, follow: bool) -> None:
    """The log of engine NAME."""
    from wellfed.launch import state
    from wellfed.launch.process import tail
    from wellfed.plain_file import ensure_file

    running = state.find(name)
    log = Path(running.log)
    click.echo(printable_lines(tail(log, 200_000)), nl=False)
    if not follow:
        return
    ensure_file(log)
    with log.open(errors="replace") as file:
        file.seek(0, 2)
        while running.alive:
            click.echo(printable_lines(file.read(_FOLLOWED)), nl=False)
            time.sleep(0.3)


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Stop all of them.")
@click.option("--grace", default=10.0, type=_GRACE, show_default=True, help="Seconds before it is killed.")
@click.option("--forget", is_flag=True, help="Forget a lost one, and touch no process.")
def stop(name: str | None, everything: bool, grace: float, forget: bool) -> None:
    """Stop engine NAME."""
    from wellfed.launch import state

    _release()
    if (name is None) == (not everything):
        raise click.UsageError(sentence("ps.name-engine-wellfed", "name an engine (`wellfed ps`), or give --all"))
    records = state.records()
    if not everything:
        _stop(state.find(str(name)), grace, forget)
        return
    failures: list[WellfedError] = [state.refused(bad) for bad in records.unreadable]
    for running in records.running:
        try:
            _stop(running, grace, forget)
        except WellfedError as error:
            failures.append(error)  # the others are stopped first
    for failure in failures[:-1]:
        click.echo(tell("ps.error", "error: {message}", message=failure.message), err=True)
    if failures:
        raise failures[-1]


def _stop(running: Running, grace: float, forget: bool) -> None:
    """Raises WellfedError for one that is still there, or may be."""
    from wellfed.launch import service, state

    if forget and running.why_lost is None and (running.alive or running.keeper_alive or running.left_behind()):
        raise BadInput(message("stop.forget", "{name} is not lost: stop it", name=running.name))
    if forget:
        state.forget(running)
        click.echo(tell("ps.forgotten", "{running} forgotten", running=running.name), err=True)
        return
    ended = running.status is Phase.ENDED and not running.left_behind()
    if not service.end(running, grace, _Waiting(running)):
        hint = message("stop.stays.hint", "it waits for the kernel: try `wellfed stop` again later")
        template = "{name} (pid {pid}) does not end, though it was killed"
        raise WellfedError(message("stop.stays", template, name=running.name, pid=str(running.pid)), hint)
    if ended:
        click.echo(tell("ps.had-ended", "{name} had ended", name=running.name), err=True)
    else:
        click.echo(tell("ps.stopped", "{name} stopped", name=running.name), err=True)


class _Waiting:
    """Says every few seconds that the end is still awaited."""

    def __init__(self, running: Running) -> None:
        self._running, self._next_s = running, 5.0

    def __call__(self, elapsed_s: float) -> None:
        if elapsed_s >= self._next_s:
            self._next_s += 5.0
            running = self._running
            click.echo(
                tell(
                    "ps.waiting-pid-end",
                    "waiting for {running} (pid {pid}) to end: {elapsed:.0f} s",
                    running=running.name,
                    pid=running.pid,
                    elapsed=elapsed_s,
                ),
                err=True,
            )


def _release() -> None:
    """Huge pages of runs that were killed go back to the system."""
    from wellfed.launch.pages import release_left_behind

    pages = release_left_behind()
    if pages:
        click.echo(
            tell("ps.gave-back-huge", "gave back {pages} huge pages that a killed run had reserved", pages=pages),
            err=True,
        )
