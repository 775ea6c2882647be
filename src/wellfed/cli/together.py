"""Options of one command line that need each other, or exclude each other: what would be ignored is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import click
from click.core import ParameterSource

from wellfed.message import listed, sentence


def options_given(names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Options that this command line itself gives, as they are written; of `names` alone, where there are some."""
    context = click.get_current_context()
    wanted = None if names is None else frozenset(names)
    return tuple(
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        and parameter.name is not None
        and (wanted is None or parameter.name in wanted)
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    )


def needs(names: Iterable[str], *others: str) -> None:
    """Refuse those of `names` that are given: they mean nothing without one of the options `others`."""
    options = options_given(names)
    if options:
        text = "{options}: only with {others}"
        raise click.UsageError(sentence("cli.together.needs", text, options=listed(options), others=listed(others)))


def excludes(option: str, allowed: Collection[str]) -> None:
    """Refuse whatever is given beside `option` but the parameters `allowed`: it would change nothing."""
    context = click.get_current_context()
    names = [parameter.name for parameter in context.command.params if parameter.name is not None]
    options = tuple(name for name in options_given(name for name in names if name not in allowed) if name != option)
    if options:
        text = "{options}: not with {option}"
        raise click.UsageError(sentence("cli.together.excludes", text, options=listed(options), option=option))


def apart(*names: str) -> None:
    """Refuse two of `names` at once."""
    options = options_given(names)
    if len(options) > 1:
        text = "{options}: give one of them"
        raise click.UsageError(sentence("cli.together.apart", text, options=listed(options)))


def ending(option: str, path: object, *endings: str) -> None:
    """Refuse a file whose name says another format than what would be written; `-` is standard output."""
    name = str(path)
    if path is None or name == "-" or name.lower().endswith(endings):
        return
    text = "{option} {name}: the file's name must end in {endings}"
    raise click.UsageError(
        sentence("cli.together.ending", text, option=option, name=repr(name), endings=listed(endings))
    )
