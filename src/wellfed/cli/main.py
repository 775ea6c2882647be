"""`wellfed`: commands are imported only when they are called, so that help and planning start fast."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, TextIO, cast

import click

from wellfed import __version__
from wellfed.errors import WellfedError
from wellfed.message import Message, joined, sentence
from wellfed.printable import Guarded, printable_lines

# name: (module:command, help of one line)
COMMANDS: Mapping[str, tuple[str, str]] = {
    "plan": ("wellfed.cli.plan:command", "Does it fit, how fast, what limits it: CPU, GPU or both."),
    "fit": ("wellfed.cli.fit:command", "Which models this machine serves well."),
    "compare": ("wellfed.cli.compare:command", "The same model on several machines, side by side."),
    "check": ("wellfed.cli.check:command", "Does this machine feed its GPUs? Faults, priced for a model, with fixes."),
    "topology": ("wellfed.cli.topology:command", "Sockets, channels, PCIe hops, GPUs and links, drawn."),
    "snapshot": ("wellfed.cli.snapshot:command", "Capture this machine, without names and serials."),
    "run": ("wellfed.cli.run:command", "Start it, bound to the right hardware; awaited and proven."),
    "up": ("wellfed.cli.up:command", "Start it, ask once, compare with the prediction."),
    "bench": ("wellfed.cli.bench:command", "Measure memory, links and engines."),
    "watch": ("wellfed.cli.watch:command", "It is slow now: why?"),
    "ps": ("wellfed.cli.ps:ps", "Engines that wellfed started."),
    "logs": ("wellfed.cli.ps:logs", "The log of an engine."),
    "stop": ("wellfed.cli.ps:stop", "Stop an engine."),
    "fleet": ("wellfed.cli.fleet:command", "Many machines: gathered, compared, checked, planned."),
    "accuracy": ("wellfed.cli.accuracy:command", "Hold predictions against a table of measurements."),
    "resolve": ("wellfed.cli.resolve:command", "Which model is meant by a name, and how large it is."),
    "catalog": ("wellfed.cli.catalog:command", "GPUs, CPUs, models and builds that are known by name."),
    "explain": ("wellfed.cli.explain:command", "What a term means."),
    "serve": ("wellfed.serve.command:serve", "A page for people, a REST API for programs, tools for agents."),
    "mcp": ("wellfed.serve.command:mcp", "Tools for agents over standard input and output."),
    "completion": ("wellfed.cli.completion:command", "Print the shell completion script."),
}


class LazyGroup(click.Group):
    """A group whose commands live in modules that are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command if _is_english() else _translated(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, from COMMANDS alone: help imports none of them."""
        from wellfed.messages.words import phrase

        with formatter.section(phrase("click.commands", "Commands")):
            formatter.write_dl([(name, _help(text)) for name, (_, text) in COMMANDS.items()])

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does, in words."""
        click.Group.format_help(self if _is_english() else cast(LazyGroup, _translated(self)), ctx, formatter)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click does; what click itself says is in words, too."""
        if not _is_english():
            from wellfed.cli.click_words import install

            install()
        return super().main(*args, **kwargs)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest names when there is no such command."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise _no_command(args)
        return super().resolve_command(ctx, args)


def _no_command(args: list[str]) -> WellfedError:
    """The error for a first word that is no command; `help plan` and `version` are options here."""
    from wellfed.errors import BadInput, UnknownName, nearest

    name, of_command = args[0], args[1:2] if args[1:2] and args[1] in COMMANDS else []
    if name in ("help", "version"):
        option = " ".join(["wellfed", *of_command, f"--{name}"]) if name == "help" else "wellfed --version"
        text = sentence("cli.main.unknown-command", "unknown command: {name!r}", name=name)
        return BadInput(text, sentence("cli.main.option-instead", "type `{option}`", option=option))
    return UnknownName("command", name, nearest(name, COMMANDS))


def _is_english() -> bool:
    from wellfed.messages.language import language

    return language() == "en"


def _translated(command: click.Command) -> click.Command:
    from wellfed.cli.help_words import translated

    return translated(command)


def _help(text: str) -> str:
    if _is_english():
        return text
    from wellfed.cli.help_words import help_words

    return help_words(text)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="wellfed")
@click.pass_context
def cli(context: click.Context) -> None:
    """Is your GPU well fed?

    Plan, check, start and measure open models on your own hardware. Without a command: this machine on one screen, its
    faults, what fits it best, and what to type.
    """
    if context.invoked_subcommand is None:
        from wellfed.cli.first_look import show

        show()


def _say_of_language() -> None:
    """One line where WELLFED_LANG names a language that there is not."""
    if "WELLFED_LANG" in os.environ:
        from wellfed.messages.language import complaint

        language_complaint = complaint()
        if language_complaint is not None:
            click.echo(printable_lines(str(language_complaint)), err=True)


def main() -> None:
    """Run the command line: exit 0 when all is well, 1 for findings or no fit, 2 for errors of use or of the tool."""
    out = _guard_streams()
    _say_of_language()
    try:
        sys.exit(cli.main(args=[_text(word) for word in sys.argv[1:]], standalone_mode=False) or 0)
    except WellfedError as error:
        if error.details:
            click.echo(printable_lines(error.details), err=True)
        fail(error.message, hint=error.hint or _see_help(error), code=error.exit_code, kind=error.kind)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "wellfed"
        fail(*_complaint(error), hint=_help_of(path), kind="usage")
    except click.ClickException as error:
        fail(*_complaint(error), hint=_help_of(_command_path()))
    except (click.Abort, KeyboardInterrupt):
        fail(sentence("error.interrupted", "interrupted"), code=130)
    except SystemExit:
        if sys.stdout is not out:  # click met a closed pipe and put its own stream there: the reader had enough
            sys.exit(0)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        subject = error.filename or sentence("error.input-output", "input/output")
        fail(joined(": ", (subject, error.strerror or str(error))))
    except Exception as error:  # the last line of defence: a user sees no traceback
        if os.environ.get("WELLFED_DEBUG"):
            raise
        template = "internal error: {name}: {error}"
        problem = sentence("error.internal", template, name=type(error).__name__, error=error)
        fail(problem, hint=sentence("error.report", "WELLFED_DEBUG=1 shows where; please report it"))


def _see_help(error: WellfedError) -> Message | str | None:
    """Where an error of use brings no advice of its own: the command's help."""
    return _help_of(_command_path()) if error.exit_code == 2 and error.kind != "error" else None


def _help_of(path: str) -> Message | str:
    return sentence("error.see-help", "see `{path} --help`", path=path)


def _command_path() -> str:
    """The command as it was called, without options and arguments: wellfed fleet plan."""
    first, *rest = [*sys.argv[1:], ""]
    inner = rest[:1] if first in ("bench", "fleet") and rest[0].isalpha() else []
    return " ".join(["wellfed", *([first] if first in COMMANDS else []), *inner])


def _guard_streams() -> TextIO:
    """Both streams so that they show ? for what a terminal without UTF-8 lacks, and pass no stranger's controls on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = cast(TextIO, Guarded(sys.stdout)), cast(TextIO, Guarded(sys.stderr))
    return sys.stdout


def _text(word: str) -> str:
    """An argument as UTF-8, whatever the locale made of its bytes; paths that are not stay as they are."""
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeError:
        return word


def _complaint(error: click.ClickException) -> tuple[str, str | None]:
    """What click complains of, in English and, where that is another, in the reader's language."""
    if _is_english():
        return error.format_message(), None
    from wellfed.cli.click_words import complaint

    return complaint(error)


def fail(
    message: str | Message,
    shown: str | None = None,
    *,
    hint: str | Message | None = None,
    code: int = 2,
    kind: str = "error",
) -> None:
    """Say on stderr what happened and what to do, and leave; with --json as an object on stdout too, in English.

    `shown`: the message in words, where it is no message of ours.
    """
    from wellfed.messages.words import phrase, words

    arguments = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    if "--json" in arguments:
        error = {"kind": kind, "message": str(message), "hint": None if hint is None else str(hint)}
        click.echo(json.dumps({"error": error}, ensure_ascii=False))
    colon = phrase("joined.colon", ": ")
    label = click.style(phrase("error.label", "error"), fg="red", bold=True)
    click.echo(f"{label}{colon}{printable_lines(shown or words(message))}", err=True)
    if hint:
        label = click.style(phrase("error.hint", "hint"), fg="cyan", bold=True)
        click.echo(f"{label}{colon}{printable_lines(words(hint))}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
