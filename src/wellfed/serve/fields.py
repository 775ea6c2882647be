"""The fields of a request are the long options of its command: one declaration, the command's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Annotated, Any, Literal

import click
from pydantic import BaseModel, ConfigDict, Field, create_model

from wellfed.cli.main import COMMANDS

LONGEST_TEXT = 20_000
MOST_VALUES = 64
# Options that act on this machine, open or write files, or change what is printed: doors of a terminal alone.
_NOT_OFFERED = frozenset(
    {"json", "fix", "load", "list", "chart", "report", "save", "use", "explain", "png", "svg", "help"}
)


@cache
def command(name: str) -> click.Command:
    """A command of the command line by its words: "plan", "fleet plan"."""
    first, *subcommands = name.split()
    module, _, attribute = COMMANDS[first][0].partition(":")
    resolved: click.Command = getattr(import_module(module), attribute)
    for word in subcommands:
        resolved = resolved.commands[word]  # type: ignore[attr-defined]
    return resolved


@cache
def fields(name: str) -> Mapping[str, click.Parameter]:
    """The fields of a command: its arguments, and its long options with underscores."""
    by_name: dict[str, click.Parameter] = {}
    for parameter in command(name).params:
        if isinstance(parameter.type, (click.Path, click.File)) or not parameter.expose_value:
            continue
        if isinstance(parameter, click.Argument):
            by_name[parameter.name or "value"] = parameter
            continue
        long = max((opt for opt in parameter.opts if opt.startswith("--")), key=len, default=None)
        if long is not None and long.removeprefix("--") not in _NOT_OFFERED:
            by_name[long.removeprefix("--").replace("-", "_")] = parameter
    return by_name


@cache
def request_model(name: str, **more: Any) -> type[BaseModel]:
    """The request of a command as a pydantic model: types, bounds, choices and help from the command's declaration."""
    described: dict[str, Any] = {}
    for field, parameter in fields(name).items():
        kind = _kind(parameter)
        help_text = getattr(parameter, "help", None)
        required = isinstance(parameter, click.Argument) and parameter.required
        default = ... if required else None
        described[field] = (kind if required else kind | None, Field(default, description=help_text))
    config = ConfigDict(extra="forbid", title=f"{name.title().replace(' ', '')}Request")
    return create_model(f"{name.title().replace(' ', '')}Request", __config__=config, **described)


def words(name: str, request_values: Mapping[str, Any]) -> tuple[str, ...]:
    """The command line that a request is: `--json`, its options, then `--` and its arguments."""
    options: list[str] = []
    arguments: list[str] = []
    for field, parameter in fields(name).items():
        value = request_values.get(field)
        if value is None:
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        if isinstance(parameter, click.Argument):
            arguments += [str(value_of_many) for value_of_many in values]
            continue
        option = next(opt for opt in parameter.opts if opt.startswith("--"))
        if isinstance(parameter, click.Option) and parameter.is_flag:
            options += [option] if value else []
        else:
            options += [word for value_of_many in values for word in (option, _written(value_of_many))]
    return (*name.split(), "--json", *options, "--", *arguments)


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and value == int(value) and abs(value) < 1e15 else str(value)


def _kind(parameter: click.Parameter) -> Any:
    kind: Any
    match parameter.type:
        case click.Choice() as choice:
            kind = Literal[tuple(str(choice_text) for choice_text in choice.choices)]
        case click.IntRange() as span:
            kind = Annotated[int, Field(ge=span.min, le=span.max)]
        case click.FloatRange() as span:
            least, above = (None, span.min) if span.min_open else (span.min, None)
            kind = Annotated[float, Field(gt=above, ge=least, le=span.max, allow_inf_nan=False)]
        case click.types.BoolParamType():
            kind = bool
        case click.types.IntParamType():
            kind = int
        case click.types.FloatParamType():
            kind = Annotated[float, Field(allow_inf_nan=False)]
        case _:
            kind = Annotated[str, Field(max_length=LONGEST_TEXT)]
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return bool
    if parameter.multiple if isinstance(parameter, click.Option) else parameter.nargs == -1:
        return kind | Annotated[list[kind], Field(max_length=MOST_VALUES)]
    return kind
