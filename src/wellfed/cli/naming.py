"""How a model's name was read, said before anything is done with it."""

from __future__ import annotations

import click


def say_how_read(name: str) -> None:
    """On stderr, where the name was not read exactly: the model it is taken for, and why. Raises as `plan`."""
    from wellfed.verbs import inputs

    for assumption in inputs.model(name).assumptions:
        if assumption.reading:
            click.echo(f"{click.style('name', fg='yellow')}: {assumption.text} ({assumption.reason})", err=True)
