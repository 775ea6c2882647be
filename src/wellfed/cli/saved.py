"""`--save NAME` and `--use NAME`: a command's machine and load kept in wellfed.toml, and taken from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from wellfed.message import message

F = TypeVar("F", bound="Callable[..., Any]")
_SAID = (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP, ParameterSource.ENVIRONMENT)


def use_option(function: F) -> F:
    """`--use NAME`: what is kept under the name stands where the command line says nothing else."""
    return click.option(
        "--use",
        metavar="NAME",
        is_eager=True,
        expose_value=False,
        callback=_use,
        shell_complete=_names,
        help="Machine and load as kept by --save NAME; options beside it win.",
    )(function)


def save_option(function: F) -> F:
    """`--save NAME`: keep the machine and load of this command line."""
    return click.option(
        "--save", metavar="NAME", help="Keep this machine and load in wellfed.toml, for --use NAME and --on NAME."
    )(function)


def _use(context: click.Context, parameter: click.Parameter, name: str | None) -> None:
    if name is None:
        return
    from wellfed.written.saved import options_of

    options = options_of(name)
    by_option = {_option(parameter): parameter.name for parameter in context.command.params}
    defaults = {by_option[key]: value for key, value in options.items() if key in by_option}
    context.default_map = {**(context.default_map or {}), **defaults}


def _option(parameter: click.Parameter) -> str:
    return next((text.removeprefix("--") for text in parameter.opts if text.startswith("--")), "")


def _names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    from wellfed.errors import WellfedError
    from wellfed.written.saved import saved

    try:
        return [CompletionItem(name) for name in saved() if name.startswith(incomplete)]
    except WellfedError:
        return []


def keep(name: str) -> None:
    """Save what this command line says of machine and load; tells where."""
    from wellfed.messages.words import words
    from wellfed.written.saved import save

    path = save(name, _options_given(click.get_current_context()))
    done = message("saved.done", "{name} is kept in {path}: --use {name} takes it, --on {name} its machine",
                   name=name, path=str(path))  # fmt: skip
    click.echo(words(done), err=True)


def _options_given(context: click.Context) -> Mapping[str, Any]:
    from wellfed.written.saved import KEYS

    return {
        option: context.params[parameter.name or ""]
        for parameter in context.command.params
        if (option := _option(parameter)) in KEYS
        and parameter.name is not None
        and context.get_parameter_source(parameter.name) in _SAID
        and context.params.get(parameter.name) is not None
    }
