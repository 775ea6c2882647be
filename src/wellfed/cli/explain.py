"""`wellfed explain`."""

from __future__ import annotations

import json

import click

from wellfed.message import listed
from wellfed.messages.glossary import GlossaryEntry, entries, look_up
from wellfed.messages.words import tell


@click.command()
@click.argument("term", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the terms as JSON, in every language.")
def command(term: tuple[str, ...], as_json: bool) -> None:
    """What a term means (TTFT, TP, KV cache, NUMA ...), in any language that the glossary has; without TERM: all."""
    from wellfed.messages.language import language

    chosen = (look_up(" ".join(term)),) if term else entries()
    if as_json:
        rows = [
            {"id": entry.id, "names": entry.names, "texts": entry.texts, "also": list(entry.also)} for entry in chosen
        ]
        click.echo(json.dumps({"schema": "wellfed.glossary/1", "terms": rows}, indent=1, ensure_ascii=False))
        return
    click.echo("\n\n".join(_shown(entry, language()) for entry in chosen))


def _shown(entry: GlossaryEntry, language: str) -> str:
    others = [name for key, name in entry.names.items() if key != language and name != entry.name(language)]
    also = [*others, *entry.also[:3]]
    head = (
        tell("explain.also", "{name}  ({also})", name=entry.name(language), also=listed(also))
        if also
        else entry.name(language)
    )
    return f"{head}\n  {entry.text(language)}"
