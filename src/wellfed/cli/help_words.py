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
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def help_words(text: str) -> str:
    """A help text in words."""
    return words(Message(CONTEXT, _escaped(key(text))))


def every_help(command: click.Command) -> Iterator[str]:
    """What the catalogue has to have, of a command and those below it."""
    texts = [command.help, command.short_help, command.epilog]
    texts += [option.help for option in command.params if isinstance(option, click.Option)]
    yield from (_escaped(key(text)) for text in texts if text)
    if isinstance(command, click.Group):
        context = click.Context(command)
        below = (command.get_command(context, name) for name in command.list_commands(context))
        for subcommand in below:
            yield from every_help(subcommand) if subcommand else ()


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def translated(command: click.Command) -> click.Command:
    """A copy of a command, and of those below it, whose help is in words."""
    copied = copy.copy(command)
    copied.params = [_option(option) for option in command.params]
    copied.__dict__["options_metavar"] = phrase("click.metavar.options", "[OPTIONS]")
    copied.__dict__["_help_option"] = None  # click keeps it once it has been made, in whatever language
    for name in ("help", "short_help", "epilog"):
        text = getattr(copied, name)
        if text:
            setattr(copied, name, help_words(text))
    if isinstance(copied, click.Group):
        copied.subcommand_metavar = phrase("click.metavar.commands", "COMMAND [ARGS]...")
        copied.commands = {name: translated(subcommand) for name, subcommand in copied.commands.items()}
    return copied


def _option(parameter: click.Parameter) -> click.Parameter:
    if not isinstance(parameter, click.Option):
        return parameter
    copied = copy.copy(parameter)
    copied.help = help_words(parameter.help) if parameter.help else None
    if parameter.metavar is None and not parameter.is_flag:
        copied.metavar = _kinds().get(parameter.type.name)
    return copied


def _kinds() -> dict[str, str]:
    """What stands for an option's value, by the names of click's types."""
    return {
        "text": phrase("click.metavar.text", "TEXT"),
        "integer": phrase("click.metavar.integer", "INTEGER"),
        "float": phrase("click.metavar.float", "NUMBER"),
        "number": phrase("click.metavar.float", "NUMBER"),
    }
