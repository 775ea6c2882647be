"""`wellfed fleet export`: nodes in the words of Kubernetes and Slurm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellfed.cli.numbers import Number
from wellfed.errors import BadInput
from wellfed.message import counted, message
from wellfed.messages.words import words

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMS = ("nfd", "node-features", "slurm-gres", "slurm-nodes", "slurm-topology", "slurm-health")


@click.command()
@click.argument("form", type=click.Choice(_FORMS))
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Where files go; "
              "without it, one is printed.")  # fmt: skip
@click.option("--switch", "switches", multiple=True, metavar="NAME=NODES",
              help="With slurm-topology: a leaf switch, e.g. leaf1=node-[0001-0016]; repeatable.")  # fmt: skip
@click.option("--days", type=Number(0.01, 3650), help="With nfd: how long the labels hold.")
@click.option("--namespace", default="node-feature-discovery", show_default=True, help="With node-features.")
def export(form: str, folder: Path | None, out: Path | None, **options: Any) -> None:
    """What the nodes in FOLDER are (snapshots; without it, this machine), for the scheduler that is there.

    nfd: a feature file for a node's features.d. node-features: objects for a whole fleet. slurm-gres, -nodes,
    -topology: gres.conf, NodeName lines, topology.conf. slurm-health: a HealthCheckProgram that drains a node which is
    not as its build usually is.
    """
    from wellfed.fleet.handover.slurm_files import unfolded
    from wellfed.verbs.fleet_handover import NodeOptions, node_export

    switches = tuple(
        (name, unfolded(nodes)) for name, _, nodes in (text.partition("=") for text in options["switches"])
    )
    texts = node_export(form, folder, NodeOptions(switches, options["days"], options["namespace"]))
    files = {name: words(text) for name, text in texts.items()}
    if out is not None:
        _write(files, out)
        single, many = "{count} file in {folder}", "{count} files in {folder}"
        click.echo(words(counted("fleet-export.files", single, many, len(files), folder=str(out))))
        return
    if len(files) > 1:
        raise BadInput(
            message("fleet-export.many", "{count} nodes, each with a file of its own", count=len(files)),
            message("fleet-export.many.hint", "--out FOLDER writes them"),
        )
    click.echo("".join(files.values()), nl=False)


def _write(files: Mapping[str, str], out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = out / name
            path.write_text(text, encoding="utf-8")
            if name.endswith(".sh"):
                path.chmod(0o755)
    except OSError as error:
        raise click.FileError(str(out), error.strerror) from error
