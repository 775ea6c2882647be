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
    found = comparing.compare(machines, model, planning.PlanOptions(workload=load, quantisations=quantisations))
    if svg is not None or png is not None:
        from wellfed.cli.svg import bars, bars_png

        rows = [(one.machine.name, 0.0 if one.plan is None else one.plan.estimate.total_tok_s.value) for one in found]
        title = tell("compare.tokens-per-second", "{model}: tokens per second", model=model)
        if svg is not None:
            _write(svg, bars(title, rows).encode())
        if png is not None:
            _write(png, bars_png(title, rows))
    if as_json:
        from wellfed.documents.comparison import compare_json

        click.echo(json.dumps(compare_json(found), indent=1))
    else:
        _print(found)
    if all(one.plan is None for one in found):
        raise SystemExit(1)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error


def _print(found: list[Compared]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from wellfed.cli.console import console, shown
    from wellfed.planner.kinds import describe
    from wellfed.units import format_rate, format_seconds

    most = max((one.plan.estimate.total_tok_s.value for one in found if one.plan), default=1.0)
    for letter, one in zip(_LETTERS, found, strict=False):
        console().print(f"[bold]{letter}[/] {escape(one.machine.name)}")
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    power, weakest = tell("head.power", "power"), tell("compare.weakest-part", "weakest part")
    for name in ("", tell("head.plan", "plan"), "TTFT", "tok/s", "", power, "tok/J", weakest):
        table.add_column(
            name, justify="right" if name in ("TTFT", "tok/s", power, "tok/J") else "left", overflow="fold"
        )
    for letter, one in zip(_LETTERS, found, strict=False):
        watts = "?" if one.power.total_w is None else f"{one.power.total_w:.0f} W"
        if one.plan is None:
            table.add_row(letter, f"[red]{shown(one.why)}[/]", "", "", "", watts, "", "")
            continue
        rate, layout = one.plan.estimate.total_tok_s.value, one.plan.layout
        weak = one.weakest
        table.add_row(
            letter,
            f"{layout.engine} {layout.quantisation.upper()}, {words(describe(layout))}",
            format_seconds(one.plan.estimate.ttft_s.value),
            format_rate(rate),
            "█" * max(1, round(10 * rate / most)),
            watts,
            "?" if one.tokens_per_joule is None else f"{one.tokens_per_joule:.3g}",
            tell("compare.none", "none")
            if weak is None
            else tell(
                "compare.x-buys-x",
                "{part} (x{factor:g} buys x{gain:.2f})",
                part=term_words(weak.part),
                factor=weak.factor,
                gain=weak.gain,
            ),
        )
    console().print(table)
    for letter, one in zip(_LETTERS[1:], found[1:], strict=False):
        worth = one.worth(found[0])
        if worth is not None:
            console().print(
                tell(
                    "compare.gives-many-tokens",
                    "[dim]{letter} gives as many tokens/s for the money as A at {worth:.2f} x A's price[/]",
                    letter=letter,
                    worth=worth,
                )
            )
