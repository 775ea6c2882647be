"""Requests as their commands have them: one declaration of the options, click's, read as types of the API.

A field is the long option of the command; its type, range, choices and help are those of the option. What names a
file of the machine has no field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import click
from pydantic import BaseModel, ConfigDict, Field, create_model

MOST_CHARACTERS = 4096  # of a text
MOST_ITEMS = 64  # of a list


def request_type(
    name: str, command: click.Command, *, without: Sequence[str] = (), extra: Mapping[str, Any] | None = None
) -> type[BaseModel]:
    """The fields of a command, without those that are named, with `extra` ones as pydantic declares them."""
    declared: dict[str, Any] = {
        field: _declared(parameter)
        for parameter in command.params
        if (field := long_name(parameter)) not in without and not isinstance(parameter.type, click.Path)
    }
    made: type[BaseModel] = create_model(
        name, __config__=ConfigDict(extra="forbid", strict=True), __doc__=_first_line(command),
        **declared, **(extra or {}),
    )  # fmt: skip
    return made


def long_name(parameter: click.Parameter) -> str:
    """`--kv-type` is `kv_type`; an argument has its own name."""
    if isinstance(parameter, click.Option):
        longest = max(parameter.opts, key=len)
        return longest.lstrip("-").replace("-", "_")
    return parameter.name or ""


def parameters(command: click.Command) -> dict[str, str]:
    """The name of each field in the command's own function."""
    return {long_name(parameter): parameter.name or "" for parameter in command.params}


def _declared(parameter: click.Parameter) -> tuple[Any, Any]:
    kind = _kind(parameter.type)
    help_text = getattr(parameter, "help", None)
    if parameter.multiple or parameter.nargs != 1:
        least = 1 if parameter.required else 0
        listed = Annotated[list[kind], Field(min_length=least, max_length=MOST_ITEMS, description=help_text)]  # type: ignore[valid-type]
        return (listed, ... if parameter.required else Field(default_factory=list))
    if isinstance(parameter.type, click.types.BoolParamType):
        return (Annotated[bool, Field(description=help_text)], False)
    if parameter.required:
        return (Annotated[kind, Field(description=help_text)], ...)
    default = parameter.default if isinstance(parameter.default, (str, int, float)) else None
    optional = kind if default is not None else kind | None
    return (Annotated[optional, Field(description=help_text)], default)


def _kind(kind: Any) -> Any:
    match kind:
        case click.Choice():
            return Literal[tuple(str(choice) for choice in kind.choices)]
        case click.IntRange():
            return Annotated[int, Field(**_limits(kind))]
        case click.FloatRange():
            return Annotated[float, Field(allow_inf_nan=False, strict=False, **_limits(kind))]
        case click.types.IntParamType():
            return int
        case click.types.FloatParamType():
            return Annotated[float, Field(allow_inf_nan=False, strict=False)]
        case _:
            return Annotated[str, Field(max_length=MOST_CHARACTERS)]


def _limits(kind: Any) -> dict[str, Any]:
    least, most = kind.min, kind.max
    limits: dict[str, Any] = {}
    if least is not None:
        limits["gt" if kind.min_open else "ge"] = least
    if most is not None:
        limits["lt" if kind.max_open else "le"] = most
    return limits


def _first_line(command: click.Command) -> str:
    return (command.help or "").strip().partition("\n")[0]
