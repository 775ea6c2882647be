"""What was measured, as tables, and progress while it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from wellfed.message import joined
from wellfed.messages.terms import term_words
from wellfed.messages.words import tell, words
from wellfed.units import format_bandwidth, format_rate

if TYPE_CHECKING:
    from rich.progress import Progress

    from wellfed.bench.link import Copy
    from wellfed.bench.load import Measurement, Spread
    from wellfed.bench.memory import MemoryReport
    from wellfed.bench.store import OwnCalibration


class Shown:
    """Progress of requests: a bar where somebody watches, lines elsewhere."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._task = bar.add_task("requests", total=None) if bar is not None else None

    def say(self, line: str) -> None:
        """Say on stderr what is measured next."""
        if self._bar is None or self._task is None:
            click.echo(line, err=True)
        else:
            self._bar.reset(self._task, description=line, total=None)

    def step(self, done: int, total: int) -> None:
        """Show on a terminal how many requests of a step are done."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)


@contextmanager
def progress() -> Iterator[Shown]:
    """Shows how far a benchmark is: live on a terminal, silent elsewhere."""
    from wellfed.cli.console import talk

    if not talk().is_terminal:
        yield Shown(None)
        return
    from rich.progress import Progress

    with Progress(console=talk(), transient=True) as bar:
        yield Shown(bar)


def padded(text: str, width: int) -> str:
    """Filled up with blanks; a wide character takes two places."""
    from rich.cells import cell_len

    return text + " " * max(0, width - cell_len(text))


def table_heads(*columns: tuple[str, int]) -> str:
    """Heads to the right of their columns; a wide character takes two places."""
    from rich.cells import cell_len

    return " ".join(" " * max(0, width - cell_len(text)) + text for text, width in columns)


def memory_text(report: MemoryReport) -> None:
    """A line per measurement; the matrix of nodes where there are several; the theory."""
    click.echo(
        table_heads(
            (tell("bench-text.threads", "threads"), 8),
            (tell("bench-text.cpu-node", "cpu node"), 9),
            (tell("bench-text.memory-node", "memory node"), 12),
            (tell("bench-text.read", "read"), 10),
            (tell("bench-text.copy", "copy"), 10),
            (tell("bench-text.triad", "triad"), 10),
        )
    )
    for point in report.points:
        cells = [format_bandwidth(point.bytes_per_s[name]) for name in ("read", "copy", "triad")]
        places = [
            tell("bench-text.any", "any") if node is None else str(node) for node in (point.cpu_node, point.memory_node)
        ]
        click.echo(f"{point.threads:>8} {places[0]:>9} {places[1]:>12} " + " ".join(f"{cell:>10}" for cell in cells))
    for line in (_theory(report), _clock(report), *_pages(report)):
        click.echo(line)
    text = "other programs meanwhile: {foreign_cores} cores"
    click.echo(tell("bench-text.other-programs", text, foreign_cores=format_rate(report.foreign_cores)))
    if report.doubt is not None:
        text = "doubted: {doubt}; predictions do not use it. Measure again when it is idle."
        click.echo(tell("bench-text.doubted-predictions", text, doubt=report.doubt), err=True)


def _theory(report: MemoryReport) -> str:
    theory = report.theoretical_bytes_per_s
    share = (
        ""
        if theory is None
        else tell("bench-text.reached", " ({report:.0%} of it reached)", report=report.best() / theory)
    )
    text = "theoretical {theory}{share}; {kernels}"
    shown = format_bandwidth(theory)
    return tell("bench-text.theoretical", text, theory=shown, share=share, kernels=report.kernels)


def _clock(report: MemoryReport) -> str:
    clock = (
        tell("bench-text.install-numba", "? (install numba to measure it)")
        if report.clock_hz is None
        else f"{report.clock_hz / 1e9:.2f} GHz"
    )
    return tell("bench-text.clock-all-cores", "clock with all cores at work: {clock}", clock=clock)


def _pages(report: MemoryReport) -> tuple[str, str]:
    """Huge pages: the system's setting, the share that the arrays had; what is read without them."""
    huge = (
        "?"
        if report.huge_share is None
        else tell("bench-text.arrays-above", "{huge_share:.0%} of the arrays above", huge_share=report.huge_share)
    )
    setting, small = report.transparent_huge_pages or "?", format_bandwidth(report.small_pages_bytes_per_s)
    text = "transparent huge pages: {transparent_huge_pages}; {huge}"
    return (
        tell("bench-text.transparent-huge", text, transparent_huge_pages=setting, huge=huge),
        tell("bench-text.read-all-threads", "read by all threads without them: {small_pages}", small_pages=small),
    )


def link_text(copies: Sequence[Copy]) -> None:
    """Print copies between GPU and RAM, a line for each direction."""
    for copy in copies:
        node = "?" if copy.node is None else copy.node
        where = (
            tell("bench-text.to-gpu", "to GPU {peer}", peer=copy.peer)
            if copy.peer is not None
            else tell("bench-text.node", "node {node}", node=node)
        )
        detour = tell("bench-text.through-host-memory", "  through host memory") if copy.direct is False else ""
        rate, direction = format_bandwidth(copy.bytes_per_s), padded(term_words(copy.direction), 16)
        click.echo(f"GPU {copy.gpu}  {padded(where, 9)} {direction} {rate}{detour}")


def engine_text(measurements: Sequence[Measurement]) -> None:
    """A line per concurrency: medians with the 5th and 95th percentile."""
    click.echo(
        table_heads(
            (tell("head.users", "users"), 6),
            (tell("bench-text.first-token", "first token"), 28),
            (tell("bench-text.per-token", "per token"), 26),
            (tell("bench-text.tok-s-per", "tok/s per user"), 15),
            (tell("bench-text.tok-s-total", "tok/s total"), 12),
            (tell("head.failed", "failed"), 7),
        )
    )
    for measurement in measurements:
        decode, total = format_rate(measurement.decode_tok_s), format_rate(measurement.total_tok_s)
        click.echo(
            f"{measurement.scenario.concurrency:>6} {_spread(measurement.ttft_s):>28} "
            f"{_spread(measurement.tpot_s):>26} {decode:>15} {total:>12} {measurement.failed:>7}"
        )
    for error in dict.fromkeys(error for measurement in measurements for error in measurement.errors):
        click.echo(tell("bench-text.failed", "failed: {error}", error=error), err=True)
    for line in filter(None, map(_doubts, measurements)):
        click.echo(line, err=True)


def _doubts(measurement: Measurement) -> str:
    """What of a measurement counts for less; empty when nothing does."""
    count, output_tokens = measurement.scenario.count, measurement.scenario.output_tokens
    parts = [
        tell(
            "bench-text.answers-ended-before",
            "{short} of {count} answers ended before {asked} tokens",
            short=measurement.short,
            count=count,
            asked=output_tokens,
        )
        if measurement.short
        else "",
        tell(
            "bench-text.came-burst-tell",
            "{bursts} came in a burst and tell no time per token",
            bursts=measurement.bursts,
        )
        if measurement.bursts
        else "",
        tell(
            "bench-text.claim-tokens-do",
            "{doubted} claim tokens that do not fit what came: pieces were counted",
            doubted=measurement.doubted,
        )
        if measurement.doubted
        else "",
        tell("bench-text.pieces-could-read", "{odd} pieces could not be read", odd=measurement.odd)
        if measurement.odd
        else "",
    ]
    doubts = joined("; ", filter(None, parts))
    return (
        tell(
            "bench-text.time",
            "{concurrency} at a time: {said}",
            concurrency=measurement.scenario.concurrency,
            said=doubts,
        )
        if doubts
        else ""
    )


def engine_svg(measurements: Sequence[Measurement]) -> str:
    """Throughput over concurrency."""
    from wellfed.cli.svg import bars

    return bars(
        tell("bench-text.tokens-s-all", "tokens/s, all users together"),
        [
            (tell("bench-text.users", "{concurrency} users", concurrency=m.scenario.concurrency), m.total_tok_s)
            for m in measurements
        ],
    )


def compare_text(calibration: OwnCalibration) -> None:
    """Predicted, measured, error; with the bundled calibration and with this machine's own."""
    click.echo(f"{calibration.machine}; {calibration.taken}")
    clock = (
        ""
        if calibration.memory.clock_hz is None
        else tell("bench-text.cores-ghz", "; cores at {clock:.2f} GHz", clock=calibration.memory.clock_hz / 1e9)
    )
    click.echo(
        tell(
            "bench-text.memory-read",
            "memory: {read} read{clock}",
            read=format_bandwidth(calibration.memory.read_bytes_per_s),
            clock=clock,
        )
    )
    if calibration.observations:
        click.echo(
            table_heads(
                ("", 58),
                (tell("head.measured", "measured"), 9),
                (tell("head.bundled", "bundled"), 9),
                (tell("head.error", "error"), 7),
                (tell("head.own", "own"), 9),
                (tell("head.error", "error"), 7),
            )
        )
    for observation in calibration.observations:
        cells = [format_rate(value) for value in (observation.measured, observation.bundled, observation.own)]
        before, after = observation.error(calibrated=False), observation.error(calibrated=True)
        click.echo(
            f"{padded(words(observation.what), 58)} {cells[0]:>9} {cells[1]:>9} {before:>+7.0%} "
            f"{cells[2]:>9} {after:>+7.0%}"
        )


def _spread(spread: Spread | None) -> str:
    return "?" if spread is None else f"{1e3 * spread.median:.1f} ({1e3 * spread.p05:.1f}-{1e3 * spread.p95:.1f}) ms"
