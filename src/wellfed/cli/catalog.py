"""`wellfed catalog`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from wellfed.cli.numbers import Integer
from wellfed.message import sentence
from wellfed.messages.language import language
from wellfed.messages.terms import term_words
from wellfed.messages.words import tell

if TYPE_CHECKING:
    from wellfed.catalog.models import Entry
    from wellfed.catalog.update import Update
    from wellfed.models.model import Model


@click.command()
@click.argument("kind", type=click.Choice(["gpus", "cpus", "models", "builds", "update"]))
@click.argument("search", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known of each, with its sources.")
@click.option("--most", type=Integer(1, 5000), default=100, show_default=True,
              help="update: how many of the most downloaded models of each task are read.")  # fmt: skip
@click.option("--hub", type=click.Choice(["huggingface", "modelscope"]), default="huggingface", show_default=True,
              help="update: whom to ask; HF_ENDPOINT and HF_TOKEN are honoured.")  # fmt: skip
def command(kind: str, search: str | None, as_json: bool, most: int, hub: str) -> None:
    """List what is known by name; with SEARCH, only names that contain it.

    `update` asks a hub for the newest configs of its most downloaded models and keeps what differs from the catalogue
    in the user's data folder, where it goes before what is bundled. Nothing else asks for these.
    """
    if kind == "update":
        if search is not None:
            raise click.UsageError(sentence("cli.catalog.update-takes-search", "update takes no SEARCH"))
        _update(most, hub, as_json)
        return
    wanted = None if search is None else _in_latin(kind, search).lower()
    rows = [row for row in _ROWS[kind]() if wanted is None or wanted in " ".join(map(str, row[1:])).lower()]
    from rich.cells import cell_len, set_cell_size

    if as_json:
        from dataclasses import asdict, is_dataclass

        entries = [asdict(row[0]) if is_dataclass(row[0]) and not isinstance(row[0], type) else row[0] for row in rows]
        click.echo(json.dumps({"schema": "wellfed.catalog/1", kind: entries}, indent=1, default=_plain))
        return
    table = [[term_words(str(cell)) for cell in row[1:]] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        click.echo("  ".join(set_cell_size(cell, width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    if not rows:
        raise click.ClickException(
            sentence("cli.catalog.no-match", "no {kind} match {search!r}", kind=kind, search=search)
        )


def _in_latin(kind: str, search: str) -> str:
    """A search in Chinese as the catalogue spells it: 昇腾 is ascend, 通义千问 is qwen."""
    if search.isascii():
        return search
    if kind == "models":
        from wellfed.catalog.chinese_names import in_latin

        return in_latin(search)
    from wellfed.written.spelling import plain_line

    return " ".join(plain_line(search).split())


def _update(most: int, hub: str, as_json: bool) -> None:
    import os
    from datetime import datetime

    from wellfed.catalog.hub_listing import HuggingFace, ModelScope
    from wellfed.catalog.update import update
    from wellfed.errors import BadInput

    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        raise BadInput(
            sentence("cli.catalog.hf-hub-offline", "HF_HUB_OFFLINE is set, and an update must ask a hub"),
            sentence("cli.catalog.unset-command", "unset it for this command"),
        )
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    client = ModelScope() if hub == "modelscope" else HuggingFace(endpoint, os.environ.get("HF_TOKEN"))
    result = update(client, most, datetime.now().astimezone().date())
    if as_json:
        click.echo(json.dumps(_update_document(result), indent=1))
    else:
        _say_update(result)


def _update_document(update: Update) -> dict[str, Any]:
    return {
        "schema": "wellfed.catalog.update/1",
        "new": update.new,
        "changed": update.changed,
        "unchanged": update.unchanged,
        "left_out": [{"repository": repository, "reason": reason.to_dict()} for repository, reason in update.left_out],
        "path": str(update.path) if update.path else None,
    }


def _say_update(update: Update) -> None:
    new, changed = tell("cli.catalog.new", "new"), tell("cli.catalog.changed", "changed")
    for word, identities in ((new, update.new), (changed, update.changed)):
        for identity in identities:
            click.echo(f"{word:8} {identity}")
    for repository, reason in update.left_out:
        click.echo(
            tell("cli.catalog.left-out", "left out {repository}: {reason}", repository=repository, reason=reason)
        )
    summary = tell(
        "cli.catalog.new-changed-known",
        "{count} new, {count2} changed, {unchanged} as known",
        count=len(update.new),
        count2=len(update.changed),
        unchanged=update.unchanged,
    )
    click.echo(summary + (f"; {update.path}" if update.path else ""))


def _plain(value: object) -> Any:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def _gpus() -> list[tuple[Any, ...]]:
    from wellfed.catalog.hardware import gpus
    from wellfed.units import format_bandwidth, format_bytes

    return [
        (gpu, gpu.id, gpu.name, format_bytes(gpu.memory_bytes), format_bandwidth(gpu.memory_bandwidth_bytes_per_s))
        for gpu in gpus()
    ]


def _cpus() -> list[tuple[Any, ...]]:
    from wellfed.catalog.hardware import cpus

    return [
        (
            cpu,
            cpu.id,
            cpu.name,
            tell("cli.catalog.cores", "{cores} cores", cores=cpu.cores),
            f"{cpu.memory_channels} x {cpu.memory_type}-{cpu.memory_mt_s[0]:.0f}",
            _rating(cpu),
        )
        for cpu in cpus()
    ]


def _rating(cpu: Any) -> str:
    """PassMark's single-thread rating; `~` before one that is derived from parts of the same core."""
    if cpu.single_thread_rating is None:
        return "?"
    rating = f"{'~' if cpu.single_thread_derived else ''}{cpu.single_thread_rating:.0f}"
    return tell("cli.catalog.single-thread", "{rating} single-thread", rating=rating)


def _models() -> list[tuple[Any, ...]]:
    """Every entry: models whose layers are known, those of published sizes only, and what is no language model."""
    from wellfed.catalog.model_tables import entry_ids
    from wellfed.catalog.models import entry

    return [_model_row(entry(identity)) for identity in entry_ids()]


def _model_row(facts: Entry) -> tuple[Any, ...]:
    from wellfed.catalog.models import by_id
    from wellfed.models.counts import counts

    built = by_id(facts.id) if facts.has_config else None
    parameters = counts(built).parameters if built else facts.parameters or facts.total_parameters
    shown = "?" if parameters is None else f"{parameters / 1e9:.3g}B"
    kind = facts.kind_of or facts.task.value
    return _model_facts(facts, built), facts.id, facts.name, shown, kind


def _model_facts(facts: Entry, built: Model | None) -> dict[str, Any]:
    from wellfed.models.counts import counts

    count = counts(built) if built else None
    return {
        "id": facts.id,
        "name": facts.name,
        "task": facts.task.value,
        "kind_of": facts.kind_of,
        "repository": facts.repository,
        "parameters": count.parameters if count else facts.parameters,
        "total_parameters": count.total if count else facts.total_parameters,
        "active_parameters": count.active if count else facts.active_parameters,
        "layers": len(built.layers) if built else None,
        "context_limit": built.context_limit if built else facts.context,
        "native_quantisation": built.native_quantisation if built else facts.native_quantisation,
        "aliases": list(facts.aliases),
        "tags": list(facts.tags),
        "sources": [f"{facts.source.text} ({facts.source.date})"],
    }


def _builds() -> list[tuple[Any, ...]]:
    from wellfed.written.machines import builds

    return [(build, f"build:{build.id}", build.name(language()), build.machine) for build in builds()]


_ROWS = {"gpus": _gpus, "cpus": _cpus, "models": _models, "builds": _builds}
