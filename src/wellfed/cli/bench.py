"""`wellfed bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from wellfed.bench.link import Copy
    from wellfed.bench.load import Measurement, Spread
    from wellfed.bench.memory import MemoryReport


@click.group()
def command() -> None:
    """Measure memory, links and engines."""


@command.command()
@click.option("--json", "as_json", is_flag=True)
@click.option("--mib", default=256, show_default=True, help="Size of each array, MiB per thread.")
def memory(as_json: bool, mib: int) -> None:
    """DRAM bandwidth by threads and NUMA nodes, beside the theoretical."""
    from wellfed import api, api_bench

    report = api_bench.memory(api.machine(), mib * 2**20, _say)
    _emit("memory", report, as_json, _memory_text)


@command.command()
@click.option("--json", "as_json", is_flag=True)
def link(as_json: bool) -> None:
    """Host-device copies per GPU and NUMA node, pinned, both directions."""
    from wellfed import api, api_bench

    _emit("link", api_bench.link(api.machine(), _say), as_json, _link_text)


@command.command()
@click.argument("url", default="http://127.0.0.1:8080")
@click.option("--model", default="default", help="The model's name at the endpoint.")
@click.option("--concurrency", "-c", multiple=True, type=click.IntRange(1), default=(1,), show_default=True)
@click.option("--prompt", default=512, show_default=True, type=click.IntRange(1))
@click.option("--output", default=128, show_default=True, type=click.IntRange(2))
@click.option("--requests", type=click.IntRange(1), help="Requests per concurrency  [default: 4 per user, at least 8].")
@click.option("--seed", default=0, show_default=True)
@click.option("--api-key", envvar="WELLFED_API_KEY")
@click.option("--json", "as_json", is_flag=True)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the JSON here.")
def engine(url: str, as_json: bool, out: Path | None, **options: Any) -> None:
    """TTFT, TPOT and throughput of any OpenAI-compatible endpoint."""
    from wellfed import api_bench

    found = api_bench.engine(url, api_bench.EngineOptions(**options), _say)
    _emit("engine", found, as_json, _engine_text, out)


def _emit(kind: str, result: Any, as_json: bool, text: Any, out: Path | None = None) -> None:
    from wellfed.bench import store

    store.save(kind, result)
    rendered = json.dumps(store.document(kind, result), indent=1)
    if out is not None:
        store.write(out, rendered + "\n")
    click.echo(rendered) if as_json else text(result)


def _memory_text(report: MemoryReport) -> None:
    from wellfed.units import format_bandwidth

    click.echo(f"{'threads':>8} {'cpu node':>9} {'memory node':>12} {'read':>10} {'copy':>10} {'triad':>10}")
    for point in report.points:
        cells = [format_bandwidth(point.bytes_per_s[name]) for name in ("read", "copy", "triad")]
        where = ["any" if node is None else str(node) for node in (point.cpu_node, point.memory_node)]
        click.echo(f"{point.threads:>8} {where[0]:>9} {where[1]:>12} " + " ".join(f"{cell:>10}" for cell in cells))
    theory = format_bandwidth(report.theoretical_bytes_per_s)
    click.echo(f"theoretical {theory}; transparent huge pages: {report.transparent_huge_pages or '?'}")


def _link_text(copies: list[Copy]) -> None:
    from wellfed.units import format_bandwidth

    for copy in copies:
        node = "?" if copy.node is None else copy.node
        click.echo(f"GPU {copy.gpu}  node {node}  {copy.direction:<16} {format_bandwidth(copy.bytes_per_s)}")


def _engine_text(measurements: list[Measurement]) -> None:
    click.echo(
        f"{'users':>6} {'first token':>22} {'per token':>22} {'tok/s per user':>15} {'tok/s total':>12} {'failed':>7}"
    )
    for one in measurements:
        rate = "?" if one.decode_tok_s is None else f"{one.decode_tok_s:.1f}"
        click.echo(
            f"{one.scenario.concurrency:>6} {_spread(one.ttft_s):>22} {_spread(one.tpot_s):>22} {rate:>15} "
            f"{one.total_tok_s:>12.1f} {one.failed:>7}"
        )


def _spread(spread: Spread | None) -> str:
    return "?" if spread is None else f"{1e3 * spread.median:.1f} ({1e3 * spread.p05:.1f}-{1e3 * spread.p95:.1f}) ms"


def _say(line: str) -> None:
    click.echo(line, err=True)
