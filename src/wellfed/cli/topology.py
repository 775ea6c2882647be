"""`wellfed topology`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wellfed.cli.together import apart, ending
from wellfed.messages.words import tell

if TYPE_CHECKING:
    from rich.tree import Tree

    from wellfed.hardware.machine import Machine
    from wellfed.topology.picture import Box

_STYLES = {"machine": "bold", "socket": "bold cyan", "memory": "green", "gpu": "bold magenta", "nic": "cyan"}


@click.command()
@click.option("--on", metavar="MACHINE", help="A machine in a line, a TOML file or build:NAME.")
@click.option("--from", "path", type=click.Path(path_type=Path), metavar="PATH",
              help="A snapshot, a pasted dump, a folder of dumps, or a captured /sys and /proc.")  # fmt: skip
@click.option("--svg", "svg_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the picture as SVG ('-': stdout).")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print all that is known of the machine as JSON.")
def command(on: str | None, path: Path | None, svg_file: Path | None, as_json: bool) -> None:
    """Draw sockets, memory channels, PCIe hops with their speeds, GPUs and links; faults in red."""
    from wellfed.verbs import checking

    ending("--svg", svg_file, ".svg")
    if as_json and svg_file is not None:
        apart("as_json", "svg_file")
    machine = checking.read_machine(on, path)
    if as_json:
        from wellfed.topology.to_json import topology_json

        click.echo(json.dumps(topology_json(machine), indent=1, default=sorted))
        return
    drawn = checking.draw(machine)
    if svg_file is not None:
        from wellfed.topology.svg import svg

        _write(svg_file, svg(drawn))
        return
    from wellfed.cli.console import console

    console().print(_tree(drawn))
    if on is None and path is None:
        _print_cross_check(machine)


def _print_cross_check(machine: Machine) -> None:
    """Whether hwloc, where it is installed, counts the same."""
    from wellfed.cli.console import console
    from wellfed.topology.crosscheck import cross_check

    cross_checked = cross_check(machine)
    if cross_checked.reason is not None:
        console().print(
            tell("topology.compared-hwloc", "[dim]not compared with hwloc: {reason}[/]", reason=cross_checked.reason)
        )
    elif not cross_checked.differences:
        console().print(
            tell(
                "topology.hwloc-counts-same",
                "[dim]hwloc counts the same packages, cores, hardware threads and NUMA nodes[/]",
            )
        )
    for name, (ours, theirs) in cross_checked.differences.items():
        console().print(
            tell(
                "topology.hwloc-counts-we",
                "[yellow]hwloc counts {theirs} {name}, we count {ours}[/]",
                theirs=theirs,
                name=name,
                ours=ours,
            )
        )


def _tree(box: Box, above: Tree | None = None) -> Tree:
    from rich.tree import Tree

    branch = Tree(_label(box)) if above is None else above.add(_label(box))
    for child in box.children:
        _tree(child, branch)
    return branch


def _label(box: Box) -> str:
    from rich.markup import escape

    from wellfed.cli.console import shown

    style = "red" if box.faults else _STYLES.get(box.kind, "default")
    faults = f"  [red]✗ {escape(', '.join(box.faults))}[/]" if box.faults else ""
    return f"[{style}]{shown(box.title)}[/] [dim]{shown(box.detail)}[/]{faults}"


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error
