"""The best plan's ledgers: every term of memory and time, and where the figures come from."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from wellfed.cli.console import console
from wellfed.messages.terms import limit_words, term_words
from wellfed.messages.words import phrase, words
from wellfed.nouns.estimate import DeviceMemory, Term, total_seconds
from wellfed.nouns.plan import Plan
from wellfed.units import format_bytes, format_seconds


def print_ledgers(plan: Plan) -> None:
    """Every term of memory and time."""
    console().print(_head(phrase("ledger.memory", "memory")))
    for device in _distinct_devices(plan.estimate.memory.devices):
        console().print(memory_table(device))
    console().print(_head(phrase("ledger.step", "one decode step")))
    console().print(_time_table(plan.estimate.decode))
    console().print(_head(phrase("ledger.prompt", "the prompt")))
    console().print(_time_table(plan.estimate.prefill))
    if plan.estimate.calibration:
        console().print(
            f"[dim]{escape(phrase('ledger.calibration', 'calibration: {name}', name=plan.estimate.calibration))}[/]"
        )
    _print_sources(plan)


def _print_sources(plan: Plan) -> None:
    """Where the figures of the parts and the model come from."""
    catalogued = [(gpu.spec.name, gpu.spec.sources) for gpu in plan.machine.gpus[:1] if gpu.spec]
    catalogued += [(socket.cpu.name, socket.cpu.sources) for socket in plan.machine.sockets[:1] if socket.cpu]
    catalogued.append((plan.model.name, plan.model.sources))
    console().print(_head(phrase("ledger.sources", "sources")))
    for name, sources in catalogued:
        for source in sources:
            date = source.date or phrase("ledger.no-date", "no date")
            console().print(f"  {escape(name)}: {escape(source.text)} [dim]({date})[/]")


def _distinct_devices(devices: tuple[DeviceMemory, ...]) -> list[DeviceMemory]:
    """Devices with equal ledgers are shown once."""
    seen: dict[tuple[object, ...], DeviceMemory] = {}
    for device in devices:
        key = tuple((term.name, round(term.bytes)) for term in device.terms)
        seen.setdefault(key, device)
    return list(seen.values())


def memory_table(device: DeviceMemory) -> Table:
    """One device's memory, term by term, largest first."""
    table = Table(box=None, show_header=False, pad_edge=False)
    available = phrase("ledger.of", "of {bytes}", bytes=format_bytes(device.available_bytes))
    table.add_row(f"[bold]{device.device}[/]", format_bytes(device.needed_bytes), available)
    for term in sorted(device.terms, key=lambda term: -term.bytes):
        table.add_row(
            f"  {escape(term_words(term.name))}", format_bytes(term.bytes), f"[dim]{escape(words(term.note))}[/]"
        )
    return table


def _time_table(terms: tuple[Term, ...]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    total_s = total_seconds(terms) or 1.0
    for term in terms:
        share = term.seconds / total_s
        bar = "█" * round(20 * share)
        name, limit = escape(term_words(term.name)), escape(limit_words(term.limited_by))
        cells = (escape(term.device), format_seconds(term.seconds), f"{share:.0%}", bar, f"[dim]{limit}[/]")
        table.add_row(f"  {name}", *cells)
    table.add_row(f"  [bold]{phrase('ledger.sum', 'sum')}[/]", "", format_seconds(total_s))
    return table


def _head(text: str) -> str:
    return f"\n[bold]{text}[/]"
