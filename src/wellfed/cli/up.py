"""`wellfed up`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from wellfed.cli.bench_text import padded, table_heads
from wellfed.cli.keys import with_key
from wellfed.cli.run import chosen, end_on_signals, loading, print_prepared, print_service, run_options, say
from wellfed.messages.words import tell, words

if TYPE_CHECKING:
    from wellfed.verbs.bringing_up import Comparison, Report

SCHEMA = "wellfed.up/1"


@click.command()
@run_options
@click.option("--keep", "--detach", "-d", "keep", is_flag=True, help="Leave it running; see `wellfed ps`, `stop`.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(model: str, keep: bool, as_json: bool, **options: Any) -> None:
    """Check, plan, start, ask once, and hold what was measured against what was predicted.

    MODEL is a GGUF file, a catalogue name, or `demo` for a small model from the package index. The engine is stopped
    again unless --keep is given. FLAGS go to the engine as they are.
    """
    from wellfed.verbs import bringing_up, running

    end_on_signals()
    prepared = running.prepare(model, running.RunOptions(**with_key(chosen(options))), say)
    print_prepared(prepared)
    report = bringing_up.up(
        prepared,
        options["timeout"],
        keep,
        progress=lambda elapsed: loading(elapsed, prepared.plan.estimate.load_s),
        started=lambda service: print_service(service, talk=True),
        say=say,
    )
    if as_json:
        click.echo(json.dumps(report_json(report), indent=1))
    else:
        print_report(report)


def print_report(report: Report) -> None:
    """The comparison as a table."""
    heads = (
        ("", 0),
        (tell("head.predicted", "predicted"), 48),
        (tell("head.measured", "measured"), 11),
        (tell("head.error", "error"), 8),
    )
    click.echo(table_heads(*heads))
    for row in report.rows:
        error = "?" if row.error is None else f"{row.error:+.1%}"
        click.echo(f"{padded(words(row.quantity), 22)}{_range(row):>26}{shown(row.measured, row.unit):>12}{error:>9}")
    for line in report.outside():
        click.echo(words(line))
    for message in report.measurement.errors:
        click.echo(tell("up.failed", "failed: {message}", message=message), err=True)
    if report.url:
        click.echo(f"{report.url}/v1")


def _range(row: Comparison) -> str:
    if row.predicted is None:
        return "?"
    value, low, high = (shown(x, row.unit) for x in (row.predicted.value, row.predicted.low, row.predicted.high))
    if row.predicted.low == row.predicted.high:
        return value
    return tell("up.range", "{value} ({low} to {high})", value=value, low=low, high=high)


def shown(value: float | None, unit: str) -> str:
    """A quantity in a human's unit."""
    from wellfed.units import format_bytes, format_rate, format_seconds

    match unit:
        case "B":
            return format_bytes(value)
        case "s":
            return format_seconds(value)
        case _:
            return f"{format_rate(value)} {unit}"


def report_json(report: Report) -> dict[str, Any]:
    """The document of `wellfed up --json`."""
    plan = report.prepared.plan
    return {
        "schema": SCHEMA,
        "model": plan.model.id,
        "engine": plan.layout.engine.value,
        "quantisation": plan.layout.quantisation,
        "threads": plan.layout.threads,
        "command": report.prepared.spec.command_line(),
        "warnings": list(report.prepared.warnings),
        "url": report.url,
        "prompt_tokens": report.measurement.prompt_tokens,
        "output_tokens": report.measurement.output_tokens,
        "outside": [line.to_dict() for line in report.outside()],
        "rows": [
            {
                "what": row.quantity,
                "unit": row.unit,
                "predicted": row.predicted.value if row.predicted else None,
                "low": row.predicted.low if row.predicted else None,
                "high": row.predicted.high if row.predicted else None,
                "measured": row.measured,
                "error": row.error,
            }
            for row in report.rows
        ],
    }
