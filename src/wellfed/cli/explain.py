"""`wellfed explain`."""

from __future__ import annotations

import json

import click

from wellfed.errors import UnknownName
from wellfed.message import listed
from wellfed.messages.glossary import GlossaryEntry, entries, look_up
from wellfed.messages.words import tell


@click.command()
@click.argument("term", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the terms as JSON, in every language.")
def command(term: tuple[str, ...], as_json: bool) -> None:
    """What a term means (TTFT, TP, KV cache, NUMA ...), in any language that the glossary has; without TERM: all.

    The id or code of a check, of a diagnosis of `wellfed watch` or of a fault tells that fault: why it matters, what
    mends it, how it is priced, and by what it is seen on a machine at rest and in an engine at work.
    """
    from wellfed.cli.explain_text import print_faults
    from wellfed.messages.language import language
    from wellfed.verbs.explaining import document, explained

    words = " ".join(term)
    faults = explained(words) if term else ()
    chosen = _terms(words, needed=not faults) if term else entries()
    if as_json:
        rows = [
            {"id": entry.id, "names": entry.names, "texts": entry.texts, "also": list(entry.also)} for entry in chosen
        ]
        glossary = {"schema": "wellfed.glossary/1", "terms": rows, "faults": [document(fault) for fault in faults]}
        click.echo(json.dumps(glossary, indent=1, ensure_ascii=False))
        return
    if chosen:
        click.echo("\n\n".join(_shown(entry, language()) for entry in chosen))
    print_faults(faults, after_terms=bool(chosen))


def _terms(words: str, needed: bool) -> tuple[GlossaryEntry, ...]:
    try:
        return (look_up(words),)
    except UnknownName:
        if needed:
            raise
        return ()


def _shown(entry: GlossaryEntry, language: str) -> str:
    others = [name for key, name in entry.names.items() if key != language and name != entry.name(language)]
    also = [*others, *entry.also[:3]]
    head = (
        tell("explain.also", "{name}  ({also})", name=entry.name(language), also=listed(also))
        if also
        else entry.name(language)
    )
    return f"{head}\n  {entry.text(language)}"
