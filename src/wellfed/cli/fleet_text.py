"""A fleet for a terminal: builds, the odd machines, faults by what they cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.markup import escape

from wellfed.cli.console import colon, console, shown
from wellfed.message import Amount, counted, joined, listed, message, sentence
from wellfed.messages.terms import term_words, value_words, verdict_words
from wellfed.messages.words import tell, words
from wellfed.nouns.finding import Verdict
from wellfed.units import format_rate

if TYPE_CHECKING:
    from wellfed.fleet.checked import Fault, Fleet
    from wellfed.fleet.kinds import Build, Difference

_SHOWN = 6  # nodes named in one list


def print_fleet(fleet: Fleet, everything: bool = False) -> None:
    """What kinds there are, who differs in what, what is wrong on how many, who slows the others."""
    out = console()
    read = len(fleet.nodes) - len(fleet.unread)
    kinds = len(fleet.builds)
    template, templates = "[bold]{read} machines[/] of {count} build", "[bold]{read} machines[/] of {count} builds"
    if read:
        out.print(words(counted("fleet-text.machines", template, templates, kinds, read=str(read))))
    else:
        out.print(tell("fleet-text.no-machine", "[bold]no machine read[/]"))
    for node in fleet.unread:
        unread = tell("fleet-text.unread", "unread")
        out.print(f"[red]  {unread}[/]  {_name(fleet, node.label)}{colon()}{shown(node.why or '?')}")
    part = tell("fleet-text.in-part", "in part")
    for node in fleet.nodes:
        for note in node.notes:
            out.print(f"[yellow]  {part}[/]  {_name(fleet, node.label)}{colon()}{shown(note)}")
    for build in fleet.builds:
        _print_build(fleet, build, everything)
    _print_faults(fleet, everything)
    _print_speed(fleet, everything)


def _print_build(fleet: Fleet, build: Build, everything: bool) -> None:
    out = console()
    title = " · ".join(part for part in (build.product, build.cpus, build.gpu) if part and part != "-")
    out.print(f"\n[bold]{len(build.labels)}x[/] {escape(title)}")
    alike = (
        tell("fleet-text.alike", "{count} alike", count=len(build.equal))
        if build.equal
        else tell("fleet-text.none-like-another", "none like another")
    )
    out.print(
        f"  [green]{alike}[/]"
        + (tell("fleet-text.odd", ", [yellow]{count} odd[/]", count=len(build.odd)) if build.odd else "")
    )
    same: dict[tuple[Difference, ...], list[str]] = defaultdict(list)
    for odd in build.odd:
        same[odd.differences].append(odd.label)
    for differences, labels in sorted(same.items(), key=lambda item: (-len(item[1]), item[1])):
        out.print(tell("fleet-text.odd-ones", "  [yellow]odd[/]     {names}", names=_names(fleet, labels, everything)))
        few = differences if everything else differences[:_SHOWN]
        for difference in few:
            out.print(f"            {escape(_difference(difference))}")
        if len(differences) > len(few):
            out.print(
                tell(
                    "fleet-text.more-all",
                    "            [dim]and {count} more (--all)[/]",
                    count=len(differences) - len(few),
                )
            )
    for trait, values in build.mixed:
        builds = joined(
            ", ", (sentence("fleet-text.on", "{value} on {count}", value=v, count=n) for v, n in values[:4])
        )
        subject = f"{trait.subject} {term_words(trait.name)}"
        mixed = tell("fleet-text.mixed", "  [magenta]mixed[/]   ")
        out.print(f"{mixed}{escape(subject)}{colon()}{shown(builds)}")
    if build.untold:
        names = Counter(trait.name for trait in build.untold)
        out.print(
            tell(
                "fleet-text.told-so-compared",
                "  [dim]not told, so not compared: {names}[/]",
                names=escape(words(listed(map(term_words, names)))),
            )
        )


def _difference(difference: Difference) -> str:
    trait = difference.trait
    if difference.here is None:
        return tell(
            "fleet-text.there-usually",
            "{subject}: not there (usually {trait} {usual})",
            subject=trait.subject,
            trait=term_words(trait.name),
            usual=value_words(difference.usual or "?"),
        )
    if difference.usual is None:
        return tell(
            "fleet-text.usually-there",
            "{subject}: {trait} {here}, usually not there",
            subject=trait.subject,
            trait=term_words(trait.name),
            here=value_words(difference.here),
        )
    return tell(
        "fleet-text.usually",
        "{subject}: {trait} {here}, usually {usual}",
        subject=trait.subject,
        trait=term_words(trait.name),
        here=value_words(difference.here),
        usual=value_words(difference.usual),
    )


def _print_faults(fleet: Fleet, everything: bool) -> None:
    out = console()
    if not fleet.faults:
        out.print(tell("fleet-text.no-check", "\n[green]no check complains[/]"))
        return
    price = tell("fleet-text.for", " (for {fleet})", fleet=escape(fleet.model)) if fleet.model else ""
    out.print(tell("fleet-text.faults", "\n[bold]faults[/]{price}", price=price))
    width = max(len(fault.id) for fault in fleet.faults)
    for fault in fleet.faults:
        style = "bold red" if fault.verdict is Verdict.FAIL else "yellow"
        out.print(
            f"  [{style}]{verdict_words(fault.verdict)}[/]  {fault.id.ljust(width)}  "
            + tell("fleet-text.on-nodes", "on {count}: ", count=len(fault.labels))
            + f"{_names(fleet, fault.labels, everything)}{_cost(fault)}"
        )
        out.print(f"        [dim]{shown(fault.why)}[/]")
        if expense := _other_cost(fault):
            out.print(f"        {escape(expense)}")


def _cost(fault: Fault) -> str:
    """Speed, of one machine and of all; what else is lost stands below."""
    lost = fault.cost.decode_tok_s if fault.cost else 0.0
    if lost <= 0:
        return ""
    return tell(
        "fleet-text.tok-s-machine",
        "  [red]-{lost} tok/s a machine, -{lost2} in all[/]",
        lost=format_rate(lost),
        lost2=format_rate(lost * len(fault.labels)),
    )


def _other_cost(fault: Fault) -> str:
    if fault.cost is None:
        return ""
    from wellfed.cli.check_text import cost_text

    return cost_text(replace(fault.cost, decode_tok_s=0.0, note="", message=None))


def _print_speed(fleet: Fleet, everything: bool) -> None:
    """Who drags a group down, and from what speed."""
    few = fleet.slow if everything else fleet.slow[:_SHOWN]
    if not few:
        return
    nodes = fleet.group.nodes if fleet.group else 1
    head = message("fleet-text.drags", "a group of nodes waits at each step for its slowest:")
    if nodes > 1:
        head = message("fleet-text.drags-group", "a group of {count} nodes waits at each step for its slowest:",
                       count=nodes)  # fmt: skip
    console().print(f"\n[yellow]{shown(head)}[/]")
    for slow in few:
        line = message(
            "fleet-text.slow", "{node}: {rate} a user, its build usually {usual} ({share} less)",
            node=_plain(fleet, slow.node.label), rate=Amount(slow.node.decode_tok_s, "tok/s"),
            usual=Amount(slow.usual_tok_s, "tok/s"),
            share=f"{1 - (slow.node.decode_tok_s or 0.0) / slow.usual_tok_s:.0%}",
        )  # fmt: skip
        console().print(f"  {shown(line)}")
    if len(fleet.slow) > len(few):
        count = len(fleet.slow) - len(few)
        console().print(tell("fleet-text.slow-more", "  [dim]and {count} more (--all)[/]", count=count))


def _names(fleet: Fleet, labels: Sequence[str], everything: bool) -> str:
    few = labels if everything else labels[:_SHOWN]
    more = tell("fleet-text.more", " and {count} more", count=len(labels) - len(few)) if len(labels) > len(few) else ""
    return words(listed(_name(fleet, label) for label in few)) + more


def _name(fleet: Fleet, label: str) -> str:
    return escape(_plain(fleet, label))


def _plain(fleet: Fleet, label: str) -> str:
    name = fleet.names.get(label)
    return label if name in (None, label) else f"{label} ({name})"
