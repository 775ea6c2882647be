"""`wellfed ps`, `logs` and `stop`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click


@click.command()
@click.option("--json", "as_json", is_flag=True)
def ps(as_json: bool) -> None:
    """Engines that wellfed started."""
    from wellfed.launch import state

    _release()
    known = list(state.listed())
    if as_json:
        entries = [{**asdict(running), "alive": running.alive} for running in known]
        click.echo(json.dumps({"schema": "wellfed.ps/1", "engines": entries}, indent=1))
        return
    for running in known:
        status = "running" if running.alive else "ended"
        click.echo(f"{running.name}  {status}  pid {running.pid}  {running.engine}  {running.url}")
    if not known:
        click.echo("nothing is running", err=True)


@click.command()
@click.argument("name")
@click.option("--follow", "-f", is_flag=True, help="Keep printing what is added.")
def logs(name: str, follow: bool) -> None:
    """The log of engine NAME."""
    from wellfed.launch import state
    from wellfed.launch.process import tail

    running = state.find(name)
    click.echo(tail(Path(running.log), 200_000), nl=False)
    if not follow:
        return
    with Path(running.log).open(errors="replace") as file:
        file.seek(0, 2)
        while running.alive:
            click.echo(file.read(), nl=False)
            time.sleep(0.3)


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Stop all of them.")
@click.option("--grace", default=10.0, show_default=True, help="Seconds before it is killed.")
def stop(name: str | None, everything: bool, grace: float) -> None:
    """Stop engine NAME."""
    from wellfed.launch import service, state

    _release()
    if name is None and not everything:
        raise click.UsageError("name an engine (`wellfed ps`), or give --all")
    chosen = list(state.listed()) if everything else [state.find(str(name))]
    for running in chosen:
        if not service.end(running, grace):
            raise click.ClickException(f"{running.name} (pid {running.pid}) does not end")
        click.echo(f"{running.name} stopped", err=True)


def _release() -> None:
    """Huge pages of runs that were killed go back to the system."""
    from wellfed.launch.pages import release_left_behind

    pages = release_left_behind()
    if pages:
        click.echo(f"gave back {pages} huge pages that a killed run had reserved", err=True)
