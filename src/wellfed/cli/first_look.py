"""`wellfed` alone: one screen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from wellfed.cli.numbers import Integer
from wellfed.messages.words import tell

if TYPE_CHECKING:
    from wellfed.nouns.finding import Finding
    from wellfed.verbs.first_look import FirstLook

_USES = ["chat", "code", "agent", "rag", "long"]


def show() -> None:
    """Ask on a terminal (never in a pipe), look, and print."""
    from wellfed.verbs.first_look import first_look

    use, users = _use_and_users() if sys.stdin.isatty() and sys.stdout.isatty() else ("chat", 1)
    print_look(first_look(use, users))


def _use_and_users() -> tuple[str, int]:
    use = click.prompt(tell("first-look.what", "What for"), type=click.Choice(_USES), default="chat", err=True)
    users = click.prompt(
        tell("first-look.users-time", "Users at a time"), type=Integer(1, 100_000), default=1, err=True
    )
    click.echo(tell("first-look.looking-machine", "looking at this machine ..."), err=True)
    return use, users


def print_look(look: FirstLook) -> None:
    """The machine, its faults, what fits best, what to type."""
    from wellfed.cli.console import console
    from wellfed.cli.fit import fit_table, quality_line
    from wellfed.documents.machine_line import machine_line
    from wellfed.messages.language import language
    from wellfed.messages.words import phrase, words
    from wellfed.verbs.first_look import SHOWN

    out = console()
    out.print(f"[bold]{phrase('look.machine', 'this machine')}[/]")
    out.print(f"  {escape(words(machine_line(look.machine)))}")
    if look.faults:
        out.print(f"\n[bold]{phrase('look.faults', 'what holds it back')}[/]")
        for finding in look.faults[:SHOWN]:
            out.print(f"  {escape(fault_line(finding))}")
        left = len(look.faults) - SHOWN
        if left > 0:
            more = phrase("look.more-faults", "and {count} more: wellfed check", count=left)
            out.print(f"  [dim]{escape(more)}[/]")
    if look.fit.rows:
        head = phrase("look.fits", "what fits best ({use}, {users} at a time)", use=look.use, users=look.users)
        out.print(f"\n[bold]{escape(head)}[/]")
        out.print(fit_table(look.fit))
        out.print(f"[dim]{escape(quality_line(look.fit))}[/]")
    else:
        none = phrase("look.fits-none", "no model of the catalogue fits this machine")
        out.print(f"\n[bold red]{escape(none)}[/]")
    out.print(f"\n[bold]{phrase('look.next', 'to go on')}[/]")
    for line in look.commands:
        out.print(f"  {escape(line)}", soft_wrap=True)
    out.print(f"[dim]{phrase('look.help', 'all commands: wellfed --help')}[/]")
    if language() != "en":  # whoever reads a translated guide wants to know what of it is right
        text = "the usual buying advice, held against the figures: wellfed serve --open, page /claims"
        out.print(f"[dim]{escape(phrase('look.claims', text))}[/]")


def fault_line(finding: Finding) -> str:
    """A fault in a line, with its price where it has one."""
    from wellfed.cli.check_text import cost_text
    from wellfed.messages.words import words

    price = cost_text(finding.cost) if finding.cost else ""
    why = words(finding.message or finding.why)
    if not price:
        return tell("first-look.fault", "{id}: {why}", id=finding.id, why=why)
    return tell("first-look.fault-price", "{id}: {why} ({price})", id=finding.id, why=why, price=price)
