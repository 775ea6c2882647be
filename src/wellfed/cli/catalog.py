"""`wellfed catalog`."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command()
@click.argument("kind", type=click.Choice(["gpus", "cpus", "models", "builds"]))
@click.argument("search", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known of each, with its sources.")
def command(kind: str, search: str | None, as_json: bool) -> None:
    """List what is known by name; with SEARCH, only names that contain it."""
    rows = [row for row in _ROWS[kind]() if search is None or search.lower() in " ".join(map(str, row[1:])).lower()]
    if as_json:
        from dataclasses import asdict, is_dataclass

        entries = [asdict(row[0]) if is_dataclass(row[0]) and not isinstance(row[0], type) else row[0] for row in rows]
        click.echo(json.dumps({"schema": "wellfed.catalog/1", kind: entries}, indent=1, default=_plain))
        return
    widths = [max((len(str(row[n])) for row in rows), default=0) for n in range(1, len(rows[0]) if rows else 1)]
    for row in rows:
        cells = (str(cell).ljust(width) for cell, width in zip(row[1:], widths, strict=True))
        click.echo("  ".join(cells).rstrip())
    if not rows:
        raise click.ClickException(f"no {kind} match {search!r}")


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
            f"{cpu.cores} cores",
            f"{cpu.memory_channels} x {cpu.memory_type}-{cpu.memory_mt_s[0]:.0f}",
        )
        for cpu in cpus()
    ]


def _models() -> list[tuple[Any, ...]]:
    from wellfed.catalog.models import by_id, model_ids

    found = [by_id(identity) for identity in model_ids()]
    return [(_model_facts(one), one.id, one.name, f"{one.parameters / 1e9:.3g}B") for one in found]


def _model_facts(model: Any) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "parameters": model.parameters,
        "active_parameters": model.active_parameters,
        "layers": len(model.layers),
        "context_limit": model.context_limit,
        "native_quantisation": model.native_quantisation,
        "aliases": list(model.aliases),
        "sources": [f"{source.text} ({source.date})" for source in model.sources],
    }


def _builds() -> list[tuple[Any, ...]]:
    from wellfed.written.machines import builds

    return [(build, f"build:{build.id}", build.title, build.machine) for build in builds()]


_ROWS = {"gpus": _gpus, "cpus": _cpus, "models": _models, "builds": _builds}
