"""Help of commands and options in the language of whoever reads it: English where they are declared."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator

import click

from wellfed.message import Message
from wellfed.messages.words import phrase, words

CONTEXT = "help"  # of every entry of the catalogue: the same text is the same everywhere


def key(text: str) -> str:
    """A help text as the catalogue has it: each paragraph in one line."""
    return "\n\n".join(" ".join(each.split()) for each in inspect.cleandoc(text).split("\n\n"))


def help_words(text: str) -> str:
    """A help text in words."""
    return words(Message(CONTEXT, _escaped(key(text))))


def every_help(command: click.Command) -> Iterator[str]:
    """What the catalogue has to have, of a command and those below it."""
    texts = [command.help, command.short_help, command.epilog]
    texts += [each.help for each in command.params if isinstance(each, click.Option)]
    yield from (_escaped(key(text)) for text in texts if text)
    if isinstance(command, click.Group):
        context = click.Context(command)
        below = (command.get_command(context, name) for name in command.list_commands(context))
        for each in below:
            yield from every_help(each) if each else ()


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def translated(command: click.Command) -> click.Command:
    """A copy of a command, and of those below it, whose help is in words."""
    made = copy.copy(command)
    made.params = [_option(each) for each in command.params]
    made.__dict__["options_metavar"] = phrase("click.metavar.options", "[OPTIONS]")
    made.__dict__["_help_option"] = None  # click keeps it once it has been made, in whatever language
    for name in ("help", "short_help", "epilog"):
        text = getattr(made, name)
        if text:
            setattr(made, name, help_words(text))
    if isinstance(made, click.Group):
        made.subcommand_metavar = phrase("click.metavar.commands", "COMMAND [ARGS]...")
        made.commands = {name: translated(each) for name, each in made.commands.items()}
    return made


def _option(parameter: click.Parameter) -> click.Parameter:
    if not isinstance(parameter, click.Option):
        return parameter
    made = copy.copy(parameter)
    made.help = help_words(parameter.help) if parameter.help else None
    if parameter.metavar is None and not parameter.is_flag:
        made.metavar = _kinds().get(parameter.type.name)
    return made


def _kinds() -> dict[str, str]:
    """What stands for an option's value, by the names of click's types."""
    return {
        "text": phrase("click.metavar.text", "TEXT"),
        "integer": phrase("click.metavar.integer", "INTEGER"),
        "float": phrase("click.metavar.float", "NUMBER"),
        "number": phrase("click.metavar.float", "NUMBER"),
    }
