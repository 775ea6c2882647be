"""`wellfed check`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellfed.cli.naming import say_how_read
from wellfed.cli.numbers import Integer
from wellfed.cli.together import needs
from wellfed.errors import WellfedError
from wellfed.message import sentence
from wellfed.messages.words import tell, words
from wellfed.nouns.workload import PRESETS

if TYPE_CHECKING:
    from wellfed.hardware.machine import Machine
    from wellfed.verbs.checking import Checked


@click.command()
@click.option("--model", "-m", help="Price every fault for this model: a name, a GGUF file, a repository.")
@click.option("--workload", "-w", type=click.Choice(list(PRESETS)), default="chat", show_default=True)
@click.option("--users", "-u", type=Integer(1, 100_000), help="Price for so many users at a time.")
@click.option("--nodes", type=Integer(1, 512), help="Price for so many equal machines.")
@click.option("--network", metavar="RATE", help="Network between them, e.g. 400Gb.")
@click.option("--on", metavar="MACHINE", help="A machine in a line, a TOML file or build:NAME.")
@click.option("--from", "path", type=click.Path(path_type=Path), metavar="PATH",
              help="A snapshot, a pasted dump ('-': standard input), a folder of dumps, or a captured /sys and "
              "/proc.")  # fmt: skip
@click.option("--select", "-s", "only", multiple=True, metavar="ID", help="Only these checks; pcie-* is a group.")
@click.option("--ignore", "-i", multiple=True, metavar="ID", help="Not these.")
@click.option("--load", is_flag=True, help="Copy to the GPUs meanwhile, so that idle links show their true speed.")
@click.option("--all", "everything", is_flag=True, help="Show what passed and what was skipped, too.")
@click.option("--list", "listed", is_flag=True, help="List the checks and leave.")
@click.option("--fix", is_flag=True, help="Print a script with all fixes to review; nothing is changed.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML ('-': stdout).")
@click.option("--prometheus", type=click.Path(path_type=Path), metavar="FILE", help="Write a textfile ('-': stdout).")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(listed: bool, load: bool, **options: Any) -> None:
    """What is wrong between CPU, memory, PCIe, NUMA and GPUs, what it costs for MODEL, and how to fix it.

    Exits with 1 when anything warns or fails.
    """
    if listed:
        _list()
        return
    from wellfed.checks.outputs.summary import exit_code
    from wellfed.verbs import checking, inputs

    if options["as_json"] and options["fix"]:
        raise click.UsageError(
            sentence("cli.check.json-fix-exclude", "--json and --fix exclude each other: the fixes are in the JSON too")
        )
    if options["model"] is None:
        needs(("workload", "users"), "--model")
    if load and (options["on"] or options["path"]):
        raise click.UsageError(
            sentence(
                "cli.check.load-copies-gpus", "--load copies to the GPUs of this machine; leave out --on and --from"
            )
        )
    try:
        machine = checking.read_machine(options["on"], options["path"])
    except WellfedError as error:
        _write_error(options["junit"], error)
        raise
    if options["nodes"] or options["network"]:
        machine = inputs.joined(machine, options["nodes"], options["network"])
    if load:
        machine = _under_load(machine)
    workload = PRESETS[options["workload"]]
    if options["model"]:
        say_how_read(options["model"])
    if options["users"]:
        workload = replace(workload, concurrency=options["users"])
    checked = checking.check(machine, options["model"], workload, options["only"], options["ignore"])
    _show(checked, options)
    code = exit_code(checked.findings)
    if code:
        raise SystemExit(code)


def _write_error(path: Path | None, error: WellfedError) -> None:
    """A CI system reads why there was nothing to check in the file that it asked for."""
    if path is not None:
        from wellfed.checks.outputs.junit import junit_error

        _write(path, junit_error(error.kind, error.message, error.hint))


def _under_load(machine: Machine) -> Machine:
    from wellfed.bench.link import NoGpu
    from wellfed.verbs.checking import under_load

    try:
        return under_load(machine)
    except NoGpu as error:
        click.echo(
            tell("cli.check.looked-under-load", "not looked at under load: {message}", message=error.message), err=True
        )
        return machine


def _show(checked: Checked, options: dict[str, Any]) -> None:
    from wellfed.checks.outputs.junit import junit_xml
    from wellfed.checks.outputs.prometheus import prometheus_text

    written = [_write(options["junit"], junit_xml(checked.machine.name, checked.findings))]
    written.append(_write(options["prometheus"], prometheus_text(checked.findings)))
    if options["as_json"]:
        from wellfed.documents.findings import check_document

        click.echo(json.dumps(check_document(checked), indent=1))
    elif options["fix"]:
        from wellfed.checks.outputs.script import fix_script

        click.echo(words(fix_script(checked.findings)), nl=False)
    elif "-" not in written:
        from wellfed.cli.check_text import print_checked

        print_checked(checked, options["everything"])


def _write(path: Path | None, text: str) -> str | None:
    """Write to the file; `-` is stdout, and then findings for humans are not printed."""
    if path is None:
        return None
    if str(path) == "-":
        sys.stdout.write(text)
        return "-"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error
    return str(path)


def _list() -> None:
    from wellfed.checks.registry import ALL, foreign

    checks = (*ALL, *foreign())
    width = max(len(check.id) for check in checks)
    for check in checks:
        click.echo(f"{check.id.ljust(width)}  {check.code}  {words(check.title)}")
