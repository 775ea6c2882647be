"""Whole machines for a model, for a terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from wellfed.cli.console import console
from wellfed.documents.machine_line import machine_line
from wellfed.messages.words import words
from wellfed.nouns.workload import Workload
from wellfed.planner.kinds import describe, kind_of
from wellfed.planner.market import Market, Offer
from wellfed.planner.search import missed_targets
from wellfed.planner.sensitivity import Sensitivity
from wellfed.units import format_rate, format_seconds


def print_market(market: Market, workload: Workload) -> None:
    """The offers as a table, then what the parts of the first are worth."""
    out = console()
    if not market.offers:
        out.print(f"[bold red]none of {market.machines} machines can do it[/] within what was asked")
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("machine", "plan", "TTFT", "tok/s all", "power", "price"):
        table.add_column(name, justify="left" if name in ("machine", "plan") else "right")
    for offer in market.offers:
        table.add_row(*_cells(offer), style="bold" if offer is market.offers[0] else None)
    out.print(table)
    out.print(f"\n[dim]{market.machines} machines considered, {market.feasible} estimated in full that can do it[/]")
    best = market.offers[0]
    out.print(f"\n[bold]{escape(best.machine.name)}[/]: {escape(machine_line(best.machine))}")
    if best.cpu is not None:
        for said in best.cpu.told():
            out.print(f"  {escape(words(said))}")
    print_sensitivities(market.weakest)
    if best.price is None:
        out.print(f"[dim]price: ? ({escape(best.price_reason)})[/]")


def print_sensitivities(found: tuple[Sensitivity, ...]) -> None:
    """What each part, half as good again, would buy."""
    for one in found:
        if one.limits:
            text = f"tokens/s x{one.gain:.2f}, first token {one.ttft_gain:.2f}x as soon"
        else:
            text = "changes nothing"
        console().print(f"  {one.part} x{one.factor:g}: {text}")


def _cells(offer: Offer) -> list[str]:
    estimate, layout = offer.plan.estimate, offer.plan.layout
    late = " [red]late[/]" if missed_targets(offer.plan) else ""
    return [
        escape(offer.machine.name),
        f"{kind_of(layout)}, {layout.engine} {layout.quantisation.upper()}, {describe(layout)}",
        format_seconds(estimate.ttft_s.value) + late,
        format_rate(estimate.total_tok_s.value),
        "?" if offer.power_w is None else f"{offer.power_w:.0f} W",
        "?" if offer.price is None else f"{offer.price:,.0f}",
    ]
