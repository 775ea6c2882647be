"""Whole machines for a model, for a terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from wellfed.cli.console import colon, console, shown
from wellfed.documents.machine_line import machine_line
from wellfed.messages.terms import term_words
from wellfed.messages.words import phrase, tell, words
from wellfed.nouns.workload import Workload
from wellfed.planner.cooling import cooling_words
from wellfed.planner.kinds import describe, kind_of
from wellfed.planner.market import Market, Offer
from wellfed.planner.search import missed_targets
from wellfed.planner.sensitivity import Sensitivity
from wellfed.units import format_bytes, format_rate, format_seconds


def print_market(market: Market, workload: Workload) -> None:
    """The offers as a table, then what the parts of the first are worth."""
    out = console()
    if not market.offers:
        _print_none(market)
        return
    out.print(_table(market))
    if market.ranked_by is not None:
        out.print(f"[dim]{escape(words(market.ranked_by))}[/]")
    for line in dict.fromkeys(cooling_words(offer.machine) for offer in market.offers):
        if line is not None:
            out.print(f"[yellow]{escape(words(line))}[/]")
    out.print(
        tell(
            "market-text.machines-considered",
            "\n[dim]{machines} machines considered, {feasible} estimated in full that can do it[/]",
            machines=market.machines,
            feasible=market.feasible,
        )
    )
    _print_best(market.offers[0])
    print_sensitivities(market.weakest)
    if market.offers[0].price is None:
        reason = shown(market.offers[0].price_reason)
        out.print(tell("market-text.price-unknown", "[dim]price: ? ({reason})[/]", reason=reason))


def _print_none(market: Market) -> None:
    text = "[bold red]none of {machines} machines can do it[/] within what was asked"
    console().print(tell("market-text.none-machines-do", text, machines=market.machines))
    if market.nearest is not None:
        console().print(escape(_nearest(market.nearest, market.currency)))


def _print_best(offer: Offer) -> None:
    console().print(f"\n[bold]{escape(offer.machine.name)}[/]{colon()}{shown(machine_line(offer.machine))}")
    for line in offer.cpu.sentences() if offer.cpu is not None else ():
        console().print(f"  {escape(words(line))}")


def _table(market: Market) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    price = tell("head.price", "price {currency}", currency=market.currency).rstrip()
    heads = (
        (tell("head.machine", "machine"), "left"),
        ("CPU", "left"),
        (tell("head.ram", "RAM"), "right"),
        (tell("head.plan", "plan"), "left"),
        ("TTFT", "right"),
        (phrase("table.rate-each", "tok/s each"), "right"),
        (phrase("table.rate-all", "tok/s all"), "right"),
        (tell("head.power", "power"), "right"),
        (price, "right"),
    )
    for head, side in heads:
        table.add_column(head, justify="left" if side == "left" else "right", no_wrap=side == "right", overflow="fold")
    for offer in market.offers:
        table.add_row(*_cells(offer), style="bold" if offer is market.offers[0] else None)
    return table


def _nearest(offer: Offer, currency: str) -> str:
    """The way out: what the least machine that can do it costs and draws."""
    price = "?" if offer.price is None else f"{offer.price:,.0f} {currency}"
    power = "?" if offer.power_w is None else f"{offer.power_w:.0f} W"
    text = "the nearest that can: {machine}; price {price}, power {power}"
    return tell("market-text.nearest", text, machine=machine_line(offer.machine), price=price, power=power)


def print_sensitivities(sensitivities: tuple[Sensitivity, ...]) -> None:
    """What each part, half as good again, would buy."""
    for sensitivity in sensitivities:
        if sensitivity.limits:
            text = tell(
                "market-text.tokens-s-x",
                "tokens/s x{gain:.2f}, first token {ttft_gain:.2f}x as soon",
                gain=sensitivity.gain,
                ttft_gain=sensitivity.ttft_gain,
            )
        else:
            text = tell("market-text.changes-nothing", "changes nothing")
        console().print(f"  {escape(term_words(sensitivity.part))} x{sensitivity.factor:g}{colon()}{text}")


def _cells(offer: Offer) -> list[str]:
    estimate, layout = offer.plan.estimate, offer.plan.layout
    late = f" [red]{phrase('table.late', 'late')}[/]" if missed_targets(offer.plan) else ""
    return [
        escape(offer.machine.name),
        escape(_cpu(offer)),
        format_bytes(offer.machine.memory_bytes),
        f"{kind_of(layout)}, {layout.engine} {layout.quantisation.upper()}, {words(describe(layout))}",
        format_seconds(estimate.ttft_s.value) + late,
        format_rate(estimate.decode_tok_s.value),
        format_rate(estimate.total_tok_s.value),
        "?" if offer.power_w is None else f"{offer.power_w:.0f} W",
        "?" if offer.price is None else f"{offer.price:,.0f}",
    ]


def _cpu(offer: Offer) -> str:
    names = [socket.cpu.name if socket.cpu else "?" for socket in offer.machine.sockets]
    return f"{len(names)}x {names[0]}" if len(names) > 1 else "".join(names)
