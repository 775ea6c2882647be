"""`wellfed snapshot`."""

from __future__ import annotations

from pathlib import Path

import click

from wellfed.messages.words import tell, words


@click.command()
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--quiet", "-q", is_flag=True, help="Do not list what could not be read.")
def command(out: Path, quiet: bool) -> None:
    """Write what wellfed reads of this machine to OUT (.tar.gz or .tar.zst), as raw texts.

    Serial numbers, UUIDs, MAC addresses, host and user names are left out. Needs no root; what root would add is said.
    `wellfed check --from OUT` and `wellfed topology --from OUT` read it anywhere.
    """
    from wellfed.verbs.checking import snapshot

    size, gaps = snapshot(out)
    click.echo(f"{out}: {size / 1024:.0f} KiB")
    if gaps and not quiet:
        click.echo(tell("snapshot.not-in-it", "not in it:"), err=True)
        for gap in gaps:
            click.echo(f"  {words(gap)}", err=True)
