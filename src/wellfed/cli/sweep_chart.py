"""A plan swept over context and over users, drawn: in the terminal, or as SVG."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import message
from wellfed.messages.words import phrase
from wellfed.nouns.estimate import Quantity
from wellfed.planner.sweep import over_context, over_users
from wellfed.units import format_rate

if TYPE_CHECKING:
    from wellfed.nouns.plan import Plan
    from wellfed.planner.answer import Answer
    from wellfed.planner.search import Search

_COLOUR = "#4878a8"
_ROWS = 14


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is drawn: tokens/s with their 80 % intervals at each x (tokens of context, or users)."""

    head: str
    xs: tuple[int, ...]
    rates: tuple[Quantity, ...]


def sweeps(search: Search, plan: Plan) -> tuple[Sweep, ...]:
    """Tokens/s of each over context, tokens/s of all over users; what has one point only is left out."""
    contexts, users = over_context(search, plan), over_users(search, plan)
    swept = (
        Sweep(
            phrase("report.over-context", "tokens/s over context"),
            tuple(point.x for point in contexts),
            tuple(point.decode_tok_s for point in contexts),
        ),
        Sweep(
            phrase("report.over-users", "tokens/s of all over users"),
            tuple(point.x for point in users),
            tuple(point.total_tok_s for point in users),
        ),
    )
    return tuple(sweep for sweep in swept if len(sweep.xs) > 1)


def print_charts(answer: Answer) -> None:
    """Draw the best plan's sweeps in the terminal. Raises BadInput without the `chart` extra."""
    plan = answer.ranking.best
    if plan is None:
        return
    try:
        import plotext
    except ImportError as error:
        problem = message("chart.extra", "drawing in the terminal needs plotext")
        raise BadInput(
            problem, message("chart.extra.hint", "pip install 'wellfed[chart]', or --chart FILE.svg")
        ) from error
    from wellfed.cli.console import console

    for sweep in sweeps(answer.search, plan):
        click.echo()
        click.echo(_drawn(plotext, sweep, min(100, console().width)))


def _drawn(plot: Any, sweep: Sweep, width: int) -> str:
    """A line over evenly spaced points (they stand at powers), the interval's ends as dots; no colours."""
    places = list(range(len(sweep.xs)))
    plot.clear_figure()
    plot.theme("clear")
    plot.plotsize(width, _ROWS)
    plot.title(sweep.head)
    plot.ylim(0, None)
    plot.scatter(places, [rate.low for rate in sweep.rates], marker="·")
    plot.scatter(places, [rate.high for rate in sweep.rates], marker="·")
    plot.plot(places, [rate.value for rate in sweep.rates], marker="braille")
    plot.xticks(places, [f"{x:,}" for x in sweep.xs])
    return "\n".join(line.rstrip() for line in plot.uncolorize(plot.build()).splitlines())


def write_chart(path: Path, answer: Answer) -> None:
    """Both sweeps as one SVG file. Raises BadInput for another ending and for a place that cannot be written."""
    if path.suffix.lower() != ".svg":
        problem = message("chart.form", "{path} is not .svg", path=str(path))
        raise BadInput(
            problem, message("chart.form.hint", "name the file chart.svg; --chart alone draws in the terminal")
        )
    plan = answer.ranking.best
    drawn = sweeps(answer.search, plan) if plan is not None else ()
    parts = [
        f'<text x="0" y="{_HEIGHT * n + 16}" font-weight="bold">{escape(sweep.head)}</text>'
        f'<svg y="{_HEIGHT * n + 20}" width="900" height="225">{_line(sweep)}</svg>'
        for n, sweep in enumerate(drawn)
    ]
    size = f'viewBox="0 0 900 {_HEIGHT * max(1, len(drawn))}"'
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(message("report.unwritable", "cannot write {path}: {why}", path=str(path), why=why)) from error


_HEIGHT = 260


def line_svg(sweep: Sweep) -> str:
    """One sweep as an SVG element: a line with its 80 % interval."""
    head = escape(sweep.head)
    return f'<svg viewBox="0 0 900 225" width="100%" role="img" aria-label="{head}">{_line(sweep)}</svg>'


def _line(sweep: Sweep) -> str:
    """Points are spaced evenly, since they stand at powers."""
    most = max(rate.high for rate in sweep.rates) or 1.0
    place = [(60 + 800 * n / (len(sweep.rates) - 1), rate) for n, rate in enumerate(sweep.rates)]
    line = " ".join(f"{x:.0f},{_y(rate.value, most):.0f}" for x, rate in place)
    above = [f"{x:.0f},{_y(rate.high, most):.0f}" for x, rate in place]
    below = [f"{x:.0f},{_y(rate.low, most):.0f}" for x, rate in reversed(place)]
    ticks = "".join(
        f'<text x="{x:.0f}" y="218" text-anchor="middle">{shown:,}</text>'
        for (x, _), shown in zip(place, sweep.xs, strict=True)
    )
    marks = "".join(
        f'<circle cx="{x:.0f}" cy="{_y(rate.value, most):.0f}" r="3" fill="{_COLOUR}">'
        f"<title>{format_rate(rate.value)}</title></circle>"
        for x, rate in place
    )
    scale = f'<text x="50" y="14" text-anchor="end">{format_rate(most)}</text>'
    scale += '<text x="50" y="200" text-anchor="end">0</text>'
    return (
        f'<polygon points="{" ".join([*above, *below])}" fill="{_COLOUR}" opacity=".2"/>'
        f'<polyline points="{line}" fill="none" stroke="{_COLOUR}" stroke-width="2"/>{marks}{ticks}{scale}'
    )


def _y(value: float, most: float) -> float:
    return 200 - 190 * value / most
