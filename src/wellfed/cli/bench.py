"""`wellfed bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellfed.cli.numbers import Integer, Number, Tokens
from wellfed.errors import BadInput
from wellfed.message import Message, sentence
from wellfed.messages.words import tell, words

if TYPE_CHECKING:
    from wellfed.verbs.calibrating import Options


@click.group()
def command() -> None:
    """Measure memory, links and engines; calibrate predictions with what was measured."""


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_out = click.option("--out", type=click.Path(path_type=Path), help="Also write the JSON here.")


@command.command()
@_json
@_out
@click.option("--mib", default=256, show_default=True, type=Integer(1), help="Of each array, MiB per thread.")
def memory(as_json: bool, out: Path | None, mib: int) -> None:
    """DRAM bandwidth by threads and NUMA nodes, beside the theoretical."""
    from wellfed.cli.bench_text import memory_text
    from wellfed.verbs import inputs, measuring

    _emit("memory", measuring.memory(inputs.machine(), mib * 2**20, _say), as_json, memory_text, out)


@command.command()
@_json
@_out
def link(as_json: bool, out: Path | None) -> None:
    """Host-device copies per GPU and NUMA node, pinned, both directions; copies between GPUs."""
    from wellfed.cli.bench_text import link_text
    from wellfed.verbs import inputs, measuring

    _emit("link", measuring.link(inputs.machine(), _say), as_json, link_text, out)


@command.command()
@click.argument("url", default="http://127.0.0.1:8080")
@click.option("--model", help="The model's name at the endpoint  [default: the first it lists].")
@click.option("--concurrency", "-c", multiple=True, type=Integer(1), default=(1,), show_default=True)
@click.option("--prompt", default=512, show_default=True, type=Tokens(1), help="Tokens.")
@click.option("--output", default=128, show_default=True, type=Tokens(2), help="Tokens.")
@click.option("--requests", type=Integer(1), help="Requests per concurrency  [default: 4 per user, at least 8].")
@click.option("--seed", default=0, show_default=True)
@click.option("--api-key", envvar="WELLFED_API_KEY", help="Better through the variable WELLFED_API_KEY.")
@click.option("--timeout", "timeout_s", default=600.0, show_default=True, type=Number(1), help="Of one, s.")
@_json
@_out
@click.option("--svg", type=click.Path(path_type=Path), help="Write a chart of throughput over concurrency.")
def engine(url: str, as_json: bool, out: Path | None, svg: Path | None, **options: Any) -> None:
    """TTFT, TPOT and throughput of any OpenAI-compatible endpoint. Exits with 1 when requests failed."""
    from wellfed.cli.bench_text import engine_svg, engine_text, progress
    from wellfed.verbs import measuring

    with progress() as shown:
        measurements = measuring.engine(url, measuring.EngineOptions(**options), shown.say, shown.step)
    _emit("engine", measurements, as_json, engine_text, out)
    if svg is not None:
        from wellfed.bench.store import write

        write(svg, engine_svg(measurements))
    if any(measurement.failed for measurement in measurements):
        raise SystemExit(1)


@command.command()
@click.argument("models", nargs=-1)
@click.option("--mib", default=256, show_default=True, type=Integer(0), help="Arrays of the memory part; 0 = none.")
@click.option("--requests", default=3, show_default=True, type=Integer(1), help="Of each scenario; medians count.")
@click.option("--threads", "-t", type=Integer(1), help="Of the engine, instead of one per idle core.")
@_json
def calibrate(models: tuple[str, ...], mib: int, requests: int, threads: int | None, as_json: bool) -> None:
    """Measure memory and MODELS (`demo`, GGUF files) on this machine; `plan`, `check` and `run` then use it."""
    from wellfed.verbs import calibrating

    options: Options = calibrating.Options(models, mib * 2**20, requests, threads)
    calibration = calibrating.calibrate(options, _say)
    path = calibrating.keep(calibration)
    _compare(as_json)
    _say(tell("cli.bench.kept", "kept in {path}", path=path))


@command.command()
@_json
def compare(as_json: bool) -> None:
    """This machine's calibration: predicted, measured, error, before and after it."""
    _compare(as_json)


def _compare(as_json: bool) -> None:
    from wellfed.bench import store
    from wellfed.cli.bench_text import compare_text

    calibration = store.own_calibration()
    if calibration is None:
        raise BadInput(
            sentence("cli.bench.machine-calibration", "this machine has no calibration"),
            sentence("cli.bench.wellfed-bench", "`wellfed bench calibrate demo` makes one"),
        )
    if as_json:
        click.echo(json.dumps(store.document("compare", calibration), indent=1))
    else:
        compare_text(calibration)


def _emit(kind: str, result: Any, as_json: bool, text: Any, out: Path | None = None) -> None:
    from wellfed.bench import store

    rendered = json.dumps(store.document(kind, result), indent=1)
    click.echo(rendered) if as_json else text(result)
    if out is not None:
        store.write(out, rendered + "\n")
    try:
        store.save(kind, result)
    except BadInput as error:  # it has been shown: only the next command misses it
        _say(tell("cli.bench.warning-kept", "warning: not kept: {message}", message=error.message))


def _say(line: str | Message) -> None:
    click.echo(words(line), err=True)
