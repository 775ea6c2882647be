"""`wellfed completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from wellfed.message import sentence


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    For bash: wellfed completion bash > ~/.local/share/bash-completion/completions/wellfed
    """
    from wellfed.cli.main import cli

    completion = get_completion_class(shell)
    if completion is None:
        raise click.ClickException(sentence("completion.no-completion", "no completion for {shell}", shell=shell))
    click.echo(completion(cli, {}, "wellfed", "_WELLFED_COMPLETE").source())
