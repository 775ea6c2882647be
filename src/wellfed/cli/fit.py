"""`wellfed fit`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from wellfed.cli.numbers import Integer
from wellfed.messages.words import tell

if TYPE_CHECKING:
    from rich.table import Table

    from wellfed.planner.fit import Fit

_USES = ["chat", "code", "agent", "rag", "long"]


@click.command()
@click.option("--on", metavar="MACHINE", help="A machine as `plan` takes it; without it: this machine.")
@click.option(
    "--for", "use", type=click.Choice(_USES), default="chat", show_default=True, help="What it is wanted for."
)
@click.option("--benchmark", metavar="NAME", help="Rank by this one, e.g. RULER for rag and long.")
@click.option("--top", type=Integer(1), default=10, show_default=True, help="Models to show.")
@click.option("--all", "whole_families", is_flag=True, help="Every model, not the best one of each family.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(on: str | None, use: str, benchmark: str | None, top: int, whole_families: bool, as_json: bool) -> None:
    """Which models this machine serves well, best first: quality for the use, speed, first token, context.

    Exits with 1 when no model of the catalogue fits.
    """
    from wellfed.verbs import fitting

    answer = fitting.fit(on, use, top, whole_families, benchmark=benchmark)
    if as_json:
        from wellfed.documents.fittings import fit_json

        click.echo(json.dumps(fit_json(answer), indent=1))
    else:
        print_fit(answer, on)
    if not answer.rows:
        raise SystemExit(1)


def print_fit(answer: Fit, on: str | None) -> None:
    """Print the models that fit a machine, a row each, and how many were estimated."""
    from rich.markup import escape

    from wellfed.cli.console import console

    console().print(fit_table(answer))
    counts = tell(
        "fit.models-estimated",
        "{looked_at} of {known} models estimated",
        looked_at=answer.looked_at,
        known=answer.catalogued,
    )
    line = tell("fit.line", "{order}. {counts}", order=quality_line(answer), counts=counts)
    console().print(f"[dim]{escape(line)}[/]")
    if answer.rows:
        words = f"wellfed plan {answer.rows[0].model_id}" + (f" --on '{on}'" if on else "")
        head = tell("fit.next", "[dim]next:[/] ")
        console().print(f"{head}{escape(words)}", soft_wrap=True)


def quality_line(answer: Fit) -> str:
    """What the column of quality says, and the order of the rows."""
    figure = next((row.quality for row in answer.rows if row.quality), None)
    if figure is None:
        return tell(
            "fit.no-figure-quality",
            "{use}: no figure of quality for these; quick ones first, larger ones first",
            use=answer.use.name,
        )
    return tell(
        "fit.quick-ones-first",
        "{use}: quick ones first, then slow ones worth the wait, by {benchmark} ({date}) less the published loss of "
        "quantised weights; ? = no figure",
        use=answer.use.name,
        benchmark=figure.benchmark,
        date=figure.date,
    )


def fit_table(answer: Fit) -> Table:
    """The models as a table, a row each."""
    from rich.markup import escape
    from rich.table import Table

    from wellfed.units import format_rate, format_seconds

    table = Table(box=None, header_style="dim", pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    heads = (
        (tell("head.model", "model"), False),
        (tell("head.quality", "quality"), True),
        (tell("head.weights", "weights"), False),
        (tell("head.engine", "engine"), False),
        ("tok/s", True),
        ("TTFT", True),
        (tell("head.context", "context"), True),
    )
    for number, (head, right) in enumerate(heads):
        table.add_column(head, justify="right" if right else "left", no_wrap=number > 0, overflow="fold")
    for row in answer.rows:
        estimate = row.plan.estimate
        table.add_row(
            escape(row.plan.model.name),
            "?" if row.quality is None else f"{row.score:.4g}",
            row.plan.layout.quantisation.upper(),
            row.plan.layout.engine.value,
            format_rate(estimate.decode_tok_s.value) + ("" if row.quick else tell("fit.slow", " slow")),
            format_seconds(estimate.ttft_s.value),
            "?" if row.max_context is None else f"{row.max_context:,}",
        )
    return table
