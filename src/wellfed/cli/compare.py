"""`wellfed compare`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wellfed.cli.naming import say_how_read
from wellfed.cli.numbers import Integer
from wellfed.cli.together import ending
from wellfed.messages.terms import term_words
from wellfed.messages.words import tell, words
from wellfed.nouns.workload import PRESETS

if TYPE_CHECKING:
    from rich.table import Table

    from wellfed.planner.compare import Compared


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@click.command()
@click.argument("machines", nargs=-1, required=True)
@click.option("--model", "-m", required=True, help="The model to run on each.")
@click.option("--workload", type=click.Choice(list(PRESETS)), default="chat", show_default=True)
@click.option("--concurrency", "-c", type=Integer(1, 100_000))
@click.option("--quant", "-q", "quantisations", multiple=True, metavar="TYPE")
@click.option("--svg", type=click.Path(path_type=Path), help="Also draw the comparison here (SVG).")
@click.option("--png", type=click.Path(path_type=Path), help="The same as PNG (needs the `png` extra).")
@click.option("--json", "as_json", is_flag=True)
def command(
    machines: tuple[str, ...],
    model: str,
    workload: str,
    concurrency: int | None,
    quantisations: tuple[str, ...],
    svg: Path | None,
    png: Path | None,
    as_json: bool,
) -> None:
    """The same MODEL on several MACHINES, side by side: speed, power, tokens per joule, the weakest part of each.

    wellfed compare "4x rtx 4090" "2x a100 80gb" build:mac-studio --model r1:70b
    """
    from wellfed.verbs import comparing, planning

    ending("--svg", svg, ".svg")
    ending("--png", png, ".png")
    say_how_read(model)
    load = PRESETS[workload] if concurrency is None else replace(PRESETS[workload], concurrency=concurrency)
    compared = comparing.compare(machines, model, planning.PlanOptions(workload=load, quantisations=quantisations))
    if svg is not None or png is not None:
        from wellfed.cli.svg import bars, bars_png

        rows = [
            (row.machine.name, 0.0 if row.plan is None else row.plan.estimate.total_tok_s.value) for row in compared
        ]
        title = tell("compare.tokens-per-second", "{model}: tokens per second", model=model)
        if svg is not None:
            _write(svg, bars(title, rows).encode())
        if png is not None:
            _write(png, bars_png(title, rows))
    if as_json:
        from wellfed.documents.comparison import compare_json

        click.echo(json.dumps(compare_json(compared), indent=1))
    else:
        _print(compared)
    if all(row.plan is None for row in compared):
        raise SystemExit(1)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error


def _print(compared: list[Compared]) -> None:
    from rich.markup import escape

    from wellfed.cli.console import console

    for letter, entry in zip(_LETTERS, compared, strict=False):
        console().print(f"[bold]{letter}[/] {escape(entry.machine.name)}")
    console().print(_table(compared))
    for letter, entry in zip(_LETTERS[1:], compared[1:], strict=False):
        worth = entry.worth(compared[0])
        if worth is not None:
            text = "[dim]{letter} gives as many tokens/s for the money as A at {worth:.2f} x A's price[/]"
            console().print(tell("compare.gives-many-tokens", text, letter=letter, worth=worth))


def _table(compared: list[Compared]) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    power, weakest = tell("head.power", "power"), tell("compare.weakest-part", "weakest part")
    for name in ("", tell("head.plan", "plan"), "TTFT", "tok/s", "", power, "tok/J", weakest):
        table.add_column(
            name, justify="right" if name in ("TTFT", "tok/s", power, "tok/J") else "left", overflow="fold"
        )
    most = max((entry.plan.estimate.total_tok_s.value for entry in compared if entry.plan), default=1.0)
    for letter, entry in zip(_LETTERS, compared, strict=False):
        table.add_row(letter, *_cells(entry, most))
    return table


def _cells(entry: Compared, most: float) -> tuple[str, ...]:
    """A machine's row; `most`: tokens/s of the fastest, whose bar is the longest."""
    from wellfed.cli.console import shown
    from wellfed.planner.kinds import describe
    from wellfed.units import format_rate, format_seconds

    watts = "?" if entry.power.total_w is None else f"{entry.power.total_w:.0f} W"
    if entry.plan is None:
        return (f"[red]{shown(entry.why)}[/]", "", "", "", watts, "", "")
    rate, layout = entry.plan.estimate.total_tok_s.value, entry.plan.layout
    return (
        f"{layout.engine} {layout.quantisation.upper()}, {words(describe(layout))}",
        format_seconds(entry.plan.estimate.ttft_s.value),
        format_rate(rate),
        "█" * max(1, round(10 * rate / most)),
        watts,
        "?" if entry.tokens_per_joule is None else f"{entry.tokens_per_joule:.3g}",
        _weakest(entry),
    )


def _weakest(entry: Compared) -> str:
    weak = entry.weakest
    if weak is None:
        return tell("compare.none", "none")
    text = "{part} (x{factor:g} buys x{gain:.2f})"
    return tell("compare.x-buys-x", text, part=term_words(weak.part), factor=weak.factor, gain=weak.gain)
