"""How a model's name was read, said before anything is done with it."""

from __future__ import annotations

import click

from wellfed.cli.console import colon
from wellfed.messages.words import tell, words
from wellfed.provenance import Assumption


def taken(assumption: Assumption) -> str:
    """What was taken, and why, in words."""
    if not assumption.reason:
        return words(assumption.text)
    return tell("naming.taken", "{text} ({reason})", text=assumption.text, reason=assumption.reason)


def say_how_read(name: str) -> None:
    """On stderr, where the name was not read exactly: the model it is taken for, and why. Raises as `plan`."""
    from wellfed.verbs import inputs

    for assumption in inputs.model(name).assumptions:
        if assumption.reading:
            label = click.style(tell("naming.name", "name"), fg="yellow")
            click.echo(label + colon() + taken(assumption), err=True)
