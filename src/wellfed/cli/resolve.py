"""`wellfed resolve`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from wellfed.cli.console import colon
from wellfed.cli.naming import taken
from wellfed.errors import BadInput
from wellfed.message import joined, sentence
from wellfed.messages.terms import term_words
from wellfed.messages.words import tell, words

if TYPE_CHECKING:
    from wellfed.resolution import Refused, Resolved


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--hub", type=click.Choice(["huggingface", "modelscope"]), is_flag=False, flag_value="huggingface",
              help="Ask this hub for owner/name that nothing here explains  [alone: huggingface].")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def command(names: tuple[str, ...], hub: str | None, as_json: bool) -> None:
    """What wellfed understands by a model's NAME: which model, its size, format and bytes, or why it is refused.

    A NAME is what `plan` takes: an id of a hub, a catalogue name, an Ollama tag, a GGUF file, a folder; a format may
    follow ("GLM-4.7-Flash Q8_0"). `-` reads names from standard input, one a line. Exits with 1 when any is refused.
    """
    from wellfed.resolution import Refused, resolve, to_json

    answers = resolve(_lines(names), hub)
    if as_json:
        click.echo(json.dumps(to_json(answers), ensure_ascii=False, indent=1))
    else:
        for answer in answers:
            _print(answer)
    if any(isinstance(answer, Refused) for answer in answers):
        raise SystemExit(1)


_MOST_BYTES = 16 << 20


def _lines(names: tuple[str, ...]) -> list[str]:
    """The names, with those of standard input in place of `-`."""
    lines: list[str] = []
    for name in names:
        lines += _from_stdin() if name == "-" else [name]
    return lines


def _from_stdin() -> list[str]:
    content = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise BadInput(
            sentence("resolve.more-mib-names", "more than {most_bytes} MiB of names", most_bytes=_MOST_BYTES >> 20),
            sentence("resolve.one-name-line", "one name a line"),
        )
    coding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    lines = content.decode(coding, errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _print(answer: Resolved | Refused) -> None:
    from wellfed.resolution import Refused

    if isinstance(answer, Refused):
        refused = click.style(tell("resolve.refused", "refused"), fg="red")
        kind, reason = term_words(answer.kind), words(answer.message)
        click.echo(
            tell(
                "resolve.no",
                "{text}: {refused} ({kind}): {reason}",
                text=answer.text,
                refused=refused,
                kind=kind,
                reason=reason,
            )
        )
        if answer.hint:
            click.echo(tell("resolve.hint", "  hint: {hint}", hint=answer.hint))
        return
    name, how = click.style(answer.name, bold=True), term_words(answer.how)
    click.echo(tell("resolve.yes", "{text}: {name} ({id}), {how}", text=answer.text, name=name, id=answer.id, how=how))
    click.echo("  " + words(joined("; ", _figures(answer))))
    for assumption in answer.assumptions:
        click.echo(tell("resolve.assumed", "  assumed: {assumption}", assumption=taken(assumption)))


def _figures(answer: Resolved) -> list[str]:
    from wellfed.units import format_bytes

    size = "?" if answer.weight_bytes is None else format_bytes(answer.weight_bytes)
    if answer.weight_bytes_range:
        low, high = answer.weight_bytes_range
        size += tell("resolve.range", " ({low} to {high})", low=format_bytes(low), high=format_bytes(high))
    if answer.loaded_bytes is not None:
        size += tell(
            "resolve.which-loaded",
            ", of which {loaded_bytes} are loaded",
            loaded_bytes=format_bytes(answer.loaded_bytes),
        )
    count = tell("resolve.parameters", "{parameters} parameters", parameters=_count(answer.parameters))
    if answer.total_parameters != answer.parameters:
        count += tell(
            "resolve.all-repository",
            " ({total_parameters} with all that is in the repository)",
            total_parameters=_count(answer.total_parameters),
        )
    if answer.active_parameters != answer.parameters:
        count += tell(
            "resolve.active", ", {active_parameters} active", active_parameters=_count(answer.active_parameters)
        )
    context = "?" if answer.context is None else f"{answer.context:,}"
    return [
        term_words(answer.task),
        count,
        tell("resolve.context-size", "context {context}", context=context),
        f"{words(answer.format or '?')}{colon()}{size}",
    ]


def _count(parameters: int | None) -> str:
    if parameters is None:
        return "?"
    return f"{parameters / 1e12:.2f}T" if parameters >= 1e12 else f"{parameters / 1e9:.4g}B"
