"""`wellfed fleet watch` and `wellfed fleet history`: a fleet kept in sight, and compared over time."""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellfed.cli.numbers import Integer, Number
from wellfed.errors import BadInput
from wellfed.message import message, sentence
from wellfed.messages.words import words

if TYPE_CHECKING:
    from wellfed.fleet.exporters import Exporter

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--nodes",
    "nodes_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Addresses of exporters, one a line, each with a name if wanted ('-': stdin).",
)
@click.option("--ray", is_flag=True, help="One on each living node of the running Ray cluster.")
@click.option("--k8s", is_flag=True, help="The pods that --export daemonset starts.")
@click.option("--port", type=Integer(1, 65535), help="Of exporters named without one; default: 9907.")
@click.option("--db", type=_FILE, metavar="FILE", help="The history; default: fleet.sqlite in the state folder.")
@click.option("--every", type=Number(1, 3600), default=15.0, show_default=True, help="Seconds.")
@click.option("--jobs", "-j", type=Integer(1, 512), default=64, show_default=True, help="Nodes at a time.")
@click.option("--timeout", type=Number(0.1, 60), default=5.0, show_default=True, help="Seconds a node.")
@click.option("--keep", "days", type=Number(0.25, 3650), default=30.0, show_default=True, help="Days.")
@click.option(
    "--most",
    "most_mib",
    type=Integer(1, 1 << 20),
    default=2048,
    show_default=True,
    help="MiB that the history may take; what is oldest goes first.",
)
@click.option("--once", is_flag=True, help="One round, report and leave.")
@click.option("--for", "seconds", metavar="TIME", help="So long (10m, 8h), report and leave.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a round; with --once or --for, only the last.")
@click.option(
    "--export",
    type=click.Choice(["systemd", "daemonset", "rules", "dashboard"]),
    help="Print what starts the exporter on a node, Prometheus' rules or Grafana's dashboard.",
)
@click.option("--allow", multiple=True, metavar="NETWORK", help="With --export systemd: who may ask; repeatable.")
@click.option("--image", metavar="IMAGE", help="With --export daemonset: the image with wellfed in it.")
def watch(nodes_file: Path | None, ray: bool, k8s: bool, as_json: bool, once: bool, **options: Any) -> None:
    """Ask every node's `wellfed watch --export` again and again, and keep what they tell for `wellfed fleet history`.

    Exits with 1 when in the last round a node was silent or its watch named a fault.
    """
    if options["export"]:
        click.echo(words(_exported(options["export"], options["port"], options["allow"], options["image"])), nl=False)
        return
    from wellfed.verbs.fleet_watching import KeepOptions, Round, keep, round_document

    exporters = _exporters(nodes_file, ray, k8s, options["port"])
    seconds = _span(options["seconds"], "--for") if options["seconds"] else None
    chosen = KeepOptions(
        options["db"],
        options["every"],
        options["jobs"],
        options["timeout"],
        options["days"],
        options["most_mib"] << 20,
        seconds,
        1 if once else None,
    )
    brief = once or seconds is not None
    last: Round | None = None
    from wellfed.cli.fleet_watch_text import Changes, print_round

    changes = Changes()
    try:
        for last in keep(exporters, chosen):
            if as_json and not brief:
                click.echo(json.dumps(round_document(last)))
            elif not once:
                changes.tell(last)
    except KeyboardInterrupt:
        brief = False
    if last is None:
        return
    if as_json and brief:
        click.echo(json.dumps(round_document(last)))
    elif brief:
        print_round(last)
    if last.complaints:
        raise SystemExit(1)


def _exported(form: str, port: int | None, allowed: tuple[str, ...], image: str | None) -> str:
    from wellfed.fleet import exporting
    from wellfed.fleet.dashboard import dashboard
    from wellfed.fleet.exporters import PORT
    from wellfed.fleet.prometheus_rules import rules

    if (allowed and form != "systemd") or (image and form != "daemonset"):
        raise click.UsageError(
            sentence(
                "fleet-watch.export",
                "--{value} is not for --export {form}",
                value="image" if image else "allow",
                form=form,
            )
        )
    match form:
        case "systemd":
            return exporting.unit(allowed, port or PORT)
        case "daemonset":
            return exporting.daemonset(image or exporting.IMAGE, port or PORT)
        case "rules":
            return rules()
        case _:
            return dashboard()


def _exporters(nodes_file: Path | None, ray: bool, k8s: bool, port: int | None) -> tuple[Exporter, ...]:
    from wellfed.fleet import exporters

    if sum((nodes_file is not None, ray, k8s)) != 1:
        raise click.UsageError(
            sentence("fleet-watch.one-nodes-file", "one of --nodes FILE, --ray and --k8s says which nodes")
        )
    chosen = port or exporters.PORT
    if nodes_file is not None:
        path = Path("/dev/stdin") if str(nodes_file) == "-" else nodes_file
        return exporters.in_file(path, chosen)
    return exporters.of_ray(chosen) if ray else exporters.of_kubernetes(chosen)


@click.command()
@click.option(
    "--since",
    default="7d",
    show_default=True,
    metavar="TIME",
    help="So long ago (36h, 7d), a weekday (tuesday) or a date (2026-11-24).",
)
@click.option("--node", "nodes", multiple=True, help="Only this one; repeatable.")
@click.option("--db", type=_FILE, metavar="FILE", help="The history; default: fleet.sqlite in the state folder.")
@click.option("--all", "everything", is_flag=True, help="Also replicas of which there is nothing to tell.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def history(since: str, nodes: tuple[str, ...], db: Path | None, everything: bool, as_json: bool) -> None:
    """What became slower since when, and what changed with it; which replica is slower than its like; drivers' drift.

    Reads what `wellfed fleet watch` wrote. Exits with 1 when a replica is slower than it was or than its like, or a
    node is silent.
    """
    from wellfed.verbs.fleet_watching import history as compared
    from wellfed.verbs.fleet_watching import history_document

    comparison = compared(db, ago(since, time.time()), nodes)
    if as_json:
        click.echo(json.dumps(history_document(comparison), indent=1))
    else:
        from wellfed.cli.fleet_watch_text import print_history

        print_history(comparison, everything)
        sys.stdout.flush()
    if comparison.complaints:
        raise SystemExit(1)


def ago(text: str, now: float) -> float:
    """Seconds from what was named to `now`. Raises BadInput for what is no time, or one to come."""
    if _TIME.fullmatch(text.strip().lower()):
        return _span(text, "--since")
    word = text.strip().lower()
    today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = next(
        (
            today - timedelta(days=(today.weekday() - number) % 7 or 7)
            for number, day in enumerate(_DAYS)
            if len(word) >= 3 and day.startswith(word)
        ),
        None,
    )
    try:
        begin = begin or datetime.fromisoformat(text.strip())
        seconds = now - begin.timestamp()
    except (ValueError, OverflowError) as error:
        raise _no_time(text) from error
    if seconds <= 0:
        raise BadInput(message("since.future", "{text} is yet to come", text=text))
    return seconds


def _span(text: str, option: str) -> float:
    match = _TIME.fullmatch(text.strip().lower())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 1 <= seconds <= 3650 * 86400:
        raise BadInput(
            message("span.bad", "{option} {text}: no time", option=option, text=text),
            message("span.bad.hint", "a number with s, m, h, d or w, such as 36h"),
        )
    return seconds


def _no_time(text: str) -> BadInput:
    return BadInput(
        message("since.bad", "{text} is no time to begin at", text=text),
        message("since.bad.hint", "36h, 7d, tuesday or 2026-11-24"),
    )
