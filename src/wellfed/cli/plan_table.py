"""The plans as a table that never folds a row: where the terminal is narrow, columns and intervals make room."""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from wellfed.cli.console import console
from wellfed.engines.usual import can_be_started
from wellfed.frozen import dataclass
from wellfed.messages.terms import limit_words
from wellfed.messages.words import phrase, words
from wellfed.nouns.estimate import Quantity
from wellfed.nouns.plan import Plan
from wellfed.planner.kinds import describe
from wellfed.planner.search import missed_targets
from wellfed.units import format_bytes, format_rate, format_seconds

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A head and how a plan fills it; `droppable`: the lower, the sooner it makes room (0: never)."""

    head: str
    cell: Callable[[Plan], str]
    right: bool = False
    droppable: int = 0


def plans_table(plans: tuple[Plan, ...], width: int | None = None) -> Table:
    """One row for each plan within `width` columns (the terminal's): first what limits goes (it is said below the
    table), then intervals, then spare memory, then the layout's own words are cut last of all.
    """
    room = width or console().width
    several = _several(plans)
    columns = next(
        (chosen for chosen in _narrowing(several) if _needed(chosen, plans) <= room), tuple(_narrowing(several))[-1]
    )
    table = Table(box=None, header_style="dim", pad_edge=False, show_edge=False, padding=(0, _GAP, 0, 0))
    for column in columns:
        table.add_column(column.head, justify="right" if column.right else "left", no_wrap=True, overflow="fold")
    for plan in plans:
        table.add_row(*(column.cell(plan) for column in columns), style="bold" if plan is plans[0] else None)
    return table


def plain_rows(plans: tuple[Plan, ...]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The heads and cells of all columns, without colours: for files, where width is no matter."""
    columns = _columns(_several(plans), intervals=True)
    rows = [tuple(Text.from_markup(column.cell(plan)).plain for column in columns) for plan in plans]
    return tuple(column.head for column in columns), rows


def _several(plans: tuple[Plan, ...]) -> bool:
    return any(plan.workload.concurrency > 1 or plan.workload.request_rate is not None for plan in plans)


def _narrowing(several: bool) -> tuple[tuple[Column, ...], ...]:
    """The columns, with ever less in them."""
    full, short = _columns(several, intervals=True), _columns(several, intervals=False)
    return (
        full,
        _narrower(full, 1),
        _narrower(short, 1),
        _narrower(short, 2),
        _narrower(short, 3),
    )


def _narrower(columns: tuple[Column, ...], level: int) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.droppable == 0 or column.droppable > level)


def _needed(columns: tuple[Column, ...], plans: tuple[Plan, ...]) -> int:
    widths = [
        max(cell_len(column.head), *(cell_len(Text.from_markup(column.cell(plan)).plain) for plan in plans))
        for column in columns
    ]
    return sum(widths) + _GAP * len(widths)


def _columns(several: bool, intervals: bool) -> tuple[Column, ...]:
    rate = _range if intervals else _value
    speeds: tuple[Column, ...] = (
        Column("tok/s", lambda plan: rate(plan.estimate.decode_tok_s) + _late(plan, "tpot"), True),
    )
    if several:
        speeds = (
            Column(phrase("table.users", "users"), _users, True),
            Column(
                phrase("table.rate-each", "tok/s each"),
                lambda plan: format_rate(plan.estimate.decode_tok_s.value) + _late(plan, "tpot"),
                True,
            ),
            Column(phrase("table.rate-all", "tok/s all"), lambda plan: rate(plan.estimate.total_tok_s), True),
        )
    return (
        Column(phrase("table.engine", "engine"), lambda plan: plan.layout.engine.value),
        Column(phrase("table.weights", "weights"), lambda plan: plan.layout.quantisation.upper()),
        Column(phrase("table.layout", "layout"), _layout, False, 3),
        Column(phrase("table.spare", "spare"), _spare, True, 2),
        Column("TTFT", lambda plan: format_seconds(plan.estimate.ttft_s.value) + _late(plan, "ttft"), True),
        *speeds,
        Column(phrase("table.limit", "limited by"), lambda plan: limit_words(plan.estimate.limited_by), False, 1),
    )


def _users(plan: Plan) -> str:
    """Users at a time; under a request rate, how many run on average."""
    if plan.workload.request_rate is None:
        return f"{plan.workload.concurrency:,}"
    return f"{plan.estimate.running:,.0f}"


def _layout(plan: Plan) -> str:
    if can_be_started(plan.machine, plan.layout):
        return words(describe(plan.layout))
    return phrase("table.estimate-only", "{layout} (estimate only)", layout=describe(plan.layout))


def _spare(plan: Plan) -> str:
    tightest = plan.estimate.memory.tightest
    return "?" if tightest is None else format_bytes(tightest.spare_bytes)


def _late(plan: Plan, target: str) -> str:
    late = any(missed.target == target for missed in missed_targets(plan))
    return f" [red]{phrase('table.late', 'late')}[/]" if late else ""


def _value(quantity: Quantity) -> str:
    return format_rate(quantity.value)


def _range(quantity: Quantity) -> str:
    return f"{format_rate(quantity.value)} [dim]({format_rate(quantity.low)}-{format_rate(quantity.high)})[/]"
