"""What click itself says, in the language of whoever reads it. English needs none of this."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import click

from wellfed.cli.line_breaks import is_wide, pieces
from wellfed.message import Message, Sentence, message, sentence
from wellfed.messages.language import language
from wellfed.messages.words import template_of, words

_MODULES = ("core", "decorators", "exceptions", "formatting", "parser", "termui", "types")
_english = False  # while a document for programs is written


@cache
def _shown() -> Mapping[str, Message]:
    """Words that click shows where it makes them."""
    return _by_text(
        message("click.usage", "Usage:"),
        message("click.options", "Options"),
        message("click.commands", "Commands"),
        message("click.arguments", "Positional arguments"),
        message("click.default", "default: {default}"),
        message("click.required", "required"),
        message("click.dynamic", "(dynamic)"),
        message("click.variable", "env var: {var}"),
        message("click.deprecated", "deprecated"),
        message("click.help", "Show this message and exit."),
        message("click.version", "%(prog)s, version %(version)s"),
        message("click.aborted", "Aborted!"),
        message("click.continue", "Do you want to continue?"),
        message("click.again", "Repeat for confirmation"),
        message("click.error", "Error: {message}"),
        message("click.invalid-input", "Error: invalid input"),
        message("click.invalid", "Invalid value: {message}"),
        message("click.invalid-for", "Invalid value for {param_hint}: {message}"),
        message("click.missing-argument", "Missing argument"),
        message("click.missing-option", "Missing option"),
        message("click.missing-parameter", "Missing parameter"),
        message("click.missing-kind", "Missing {param_type}"),
        message("click.choose", "Choose from:\n\t{choices}"),
        message("click.near", "Did you mean {possibility}?"),
        message("click.nearest", "(Did you mean one of: {possibilities}?)"),
        message("click.unknown-error", "unknown error"),
        message("click.file", "file"),
        message("click.directory", "directory"),
        message("click.path", "path"),
    )


@cache
def _raised() -> Mapping[str, Message]:
    """Complaints that click makes in one place and shows in another."""
    return _by_text(
        message("click.no-option", "No such option {name!r}."),
        message("click.no-option-older", "No such option: {name}"),
        message("click.no-command", "No such command {name!r}."),
        message("click.missing-command", "Missing command."),
        message("click.no-file", "Could not open file {filename!r}: {message}"),
        message("click.no-value", "Option {name!r} does not take a value."),
        message("click.values", "Argument {name!r} takes {nargs} values."),
        message("click.iterable", "Value must be an iterable."),
        message("click.range", "{value} is not in the range {range}."),
        message("click.boolean", "{value!r} is not a valid boolean. Recognized values: {states}"),
        message("click.boolean-older", "{value!r} is not a valid boolean."),
        message("click.number", "{value!r} is not a valid {number_type}."),
        message("click.is-file", "{name} {filename!r} is a file."),
        message("click.is-directory", "{name} {filename!r} is a directory."),
        message("click.unreadable", "{name} {filename!r} is not readable."),
        message("click.unwritable", "{name} {filename!r} is not writable."),
        message("click.absent", "{name} {filename!r} does not exist."),
        message("click.extra", "Got unexpected extra argument ({args})"),
        message("click.extras", "Got unexpected extra arguments ({args})"),
        message("click.takes-one", "Takes {nargs} values but 1 was given."),
        message("click.takes", "Takes {nargs} values but {len} were given."),
        message("click.requires-one", "Option {name!r} requires an argument."),
        message("click.requires", "Option {name!r} requires {nargs} arguments."),
        message("click.choice-one", "{value!r} is not {choice}."),
        message("click.choice", "{value!r} is not one of {choices}."),
    )


@cache
def _kinds() -> Mapping[str, Sentence]:
    """What click calls the kinds of values."""
    kinds = (
        sentence("click.integer", "integer"),
        sentence("click.float", "float"),
        sentence("click.number-kind", "number"),
    )
    return {str(kind): kind for kind in kinds}


def _by_text(*messages: Message) -> Mapping[str, Message]:
    return {source.template: source for source in messages}


class _Template(str):
    """A complaint's template: filled in, it is still its message."""

    source: Message

    def format(self, *args: object, **values: object) -> Sentence:
        """As str's, with the message behind it."""
        return sentence(
            self.source.id, str(self), **{name: _kinds().get(str(value), value) for name, value in values.items()}
        )


def _translate(text: str) -> str:
    if _english or language() == "en":
        return text
    if text in _shown():
        return template_of(_shown()[text], language())
    if text not in _raised():
        return text
    template = _Template(text)
    template.source = _raised()[text]
    return template


def _translate_counted(singular: str, plural: str, count: int) -> str:
    return _translate(singular if count == 1 else plural)


@cache
def install() -> None:
    """Let click speak through the catalogue, and measure wide characters as wide. Once; English never."""
    for name in _MODULES:
        module: Any = importlib.import_module(f"click.{name}")
        if hasattr(module, "_"):
            module._ = _translate
        if hasattr(module, "ngettext"):
            module.ngettext = _translate_counted
    formatting: Any = importlib.import_module("click.formatting")
    formatting.term_len = columns
    formatting.wrap_text = wrap
    formatting.HelpFormatter.write_heading = _write_heading
    formatting.HelpFormatter.write_usage = _usage(formatting.HelpFormatter.write_usage)


def _write_heading(formatter: click.HelpFormatter, heading: str) -> None:
    """As click does, with the colon of the language."""
    formatter.write(f"{'':>{formatter.current_indent}}{heading}{words(message('joined.colon', ': '))}".rstrip() + "\n")


def _usage(plain: Callable[..., None]) -> Callable[..., None]:
    """As click does, with no blank behind a colon that brings its own."""

    def write(formatter: click.HelpFormatter, prog: str, args: str = "", prefix: str | None = None) -> None:
        head = _translate("Usage:")
        plain(formatter, prog, args, prefix if prefix is not None else head + " " * head.endswith(":"))

    return write


@contextmanager
def in_english() -> Iterator[None]:
    """What click says meanwhile is for programs."""
    global _english
    before, _english = _english, True
    try:
        yield
    finally:
        _english = before


def complaint(error: click.ClickException) -> tuple[str, str]:
    """What click complains of, in English and in words."""
    with in_english():
        english = _saying(error, str(error.message)).format_message()
    return english, _set(_saying(error, words(error.message)).format_message())


def _set(text: str) -> str:
    """Click ends and joins its complaints itself, in English marks."""
    if text.isascii():
        return text
    text = text.replace("。 ", "。")
    return text.removesuffix(".") + "。" if text.endswith("'.") else text


def _saying(error: click.ClickException, text: str) -> click.ClickException:
    translated = copy.copy(error)
    translated.__dict__["message"] = text
    return translated


def columns(text: str) -> int:
    """Places that a text takes on a terminal: two for a wide character, none for colours."""
    return sum(2 if is_wide(sign) else 1 for sign in click.unstyle(text))


def wrap(
    text: str, width: int = 78, initial_indent: str = "", subsequent_indent: str = "", preserve_paragraphs: bool = False
) -> str:
    """Lines no wider than `width` places."""
    if preserve_paragraphs:
        paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
        return "\n\n".join(wrap(paragraph, width, initial_indent, subsequent_indent) for paragraph in paragraphs)
    lines, line = [], initial_indent
    for piece in pieces(" ".join(text.split())):
        if columns((line + piece).rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line = subsequent_indent
        line += piece
    return "\n".join([*lines, line.rstrip()])
