"""The API key of `run` and `up`: from the environment or a file, so that no list of processes shows it."""

from __future__ import annotations

import stat
import sys
from typing import Any

import click
from click.core import ParameterSource

from wellfed.errors import BadInput
from wellfed.homes import expanded
from wellfed.message import sentence
from wellfed.messages.words import tell
from wellfed.plain_file import read_text
from wellfed.printable import printable

VARIABLE = "WELLFED_API_KEY"
_MOST_BYTES = 4096


def key_options() -> list[Any]:
    """The ways to give a key."""
    return [
        click.option("--api-key", envvar=VARIABLE, metavar="KEY", help=f"Key clients must send; better in {VARIABLE}."),
        click.option("--api-key-file", metavar="FILE", help="File with the key; - reads it from standard input."),
        click.option("--no-key", is_flag=True, help="Make no key for it: anybody on this machine may ask it."),
    ]


def with_key(options: dict[str, Any]) -> dict[str, Any]:
    """The options with the key in `api_key`, wherever it came from. Raises BadInput for a key nobody can send."""
    file = options.pop("api_key_file")
    context = click.get_current_context()
    on_line = context.get_parameter_source("api_key") is ParameterSource.COMMANDLINE
    if file is not None and on_line:
        raise click.UsageError(sentence("keys.api-key-api", "--api-key and --api-key-file: give one of them"), context)
    if options["no_key"] and (on_line or file is not None):
        raise click.UsageError(sentence("keys.no-key-key", "--no-key and a key: give one of them"), context)
    if options["no_key"]:
        return {**options, "api_key": None}
    if on_line:
        click.echo(
            tell(
                "keys.warning-everybody",
                "warning: everybody on this machine can read the key in `ps`: use {variable}",
                variable=VARIABLE,
            ),
            err=True,
        )
    key = options["api_key"] if file is None else _read(file)
    return {**options, "api_key": None if key is None else _sound(key)}


def _read(file: str) -> str:
    """The key in `file`, or on standard input."""
    if file == "-":
        return sys.stdin.readline(_MOST_BYTES).strip()
    try:
        path = expanded(file)
        text = read_text(path, _MOST_BYTES)
        mode = path.stat().st_mode
    except (OSError, BadInput) as error:
        why = error.message if isinstance(error, BadInput) else getattr(error, "strerror", None) or str(error)
        raise BadInput(
            sentence("keys.cannot-read-key", "cannot read the key in {file}: {why}", file=file, why=why),
            sentence("keys.give-file-one", "give a file of one line, the key"),
        ) from error
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        click.echo(
            tell("keys.warning-others-read", "warning: others can read {file}: chmod 600 {file}", file=printable(file)),
            err=True,
        )
    return text.strip()


def _sound(key: str) -> str:
    """A key that fits a header and an environment variable."""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        hint = tell(
            "keys.letters-digits-signs", "letters, digits and signs without spaces, in one line: openssl rand -hex 32"
        )
        raise BadInput(sentence("keys.api-key-empty", "the API key is empty or holds what clients cannot send"), hint)
    return key
