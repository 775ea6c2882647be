"""`wellfed run`."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from wellfed.cli.engine_option import EngineVersion
from wellfed.cli.keys import key_options, with_key
from wellfed.cli.numbers import Duration, Integer, Number, PerSecond, Tokens
from wellfed.cli.saved import use_option
from wellfed.cli.together import apart, needs
from wellfed.message import Message, joined, sentence
from wellfed.messages.words import tell, words
from wellfed.nouns.workload import PRESETS
from wellfed.planner.goal import QUALITY, Objective

if TYPE_CHECKING:
    from wellfed.launch.service import Service
    from wellfed.verbs.running import Prepared

_EXPORTS = ["script", "systemd", "compose", "kubernetes", "slurm", "ray", "ollama", "lmstudio", "llama-swap"]


def _for_engine(context: click.Context, _: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    """Words after `--`. A first word that is no flag was meant for us."""
    if words and not words[0].startswith("-"):
        raise click.UsageError(
            sentence(
                "cli.run.unexpected-argument",
                "unexpected argument {words!r}; flags for the engine go after --",
                words=words[0],
            ),
            context,
        )
    return words


def run_options(function: Any) -> Any:
    """The options that `run` and `up` share."""
    for option in reversed([*_what_is_run(), *_how_it_answers()]):
        function = option(function)
    return function


def _what_is_run() -> list[Any]:
    """The model, its files, what is asked of it and what it may take."""
    return [
        click.argument("model"),
        click.argument("extra", metavar="[-- FLAGS]", nargs=-1, type=click.UNPROCESSED, callback=_for_engine),
        click.option("--quant", "-q", metavar="TYPE", help="Weights, e.g. Q4_K_M; without it: the best plan's."),
        click.option("--engine", "-e", type=EngineVersion(as_text=True), metavar="ENGINE[@VERSION]"),
        click.option("--program", metavar="PATH", help="The engine's program, instead of the one found."),
        click.option("--repo", metavar="ID", help="Hub repository of the model's files."),
        click.option(
            "--hub",
            type=click.Choice(["huggingface", "modelscope"]),
            default="huggingface",
            show_default=True,
            help="Where to fetch from; HF_ENDPOINT names a mirror of the first.",
        ),
        click.option("--concurrency", "-c", type=Integer(1, 4096), default=1, show_default=True),
        click.option("--rate", type=PerSecond(), help="Requests per second instead of concurrency."),
        click.option("--ttft", type=Duration("s"), help="Wanted time to first token, seconds."),
        click.option("--tpot", type=Duration("ms"), help="Wanted time per output token, milliseconds."),
        click.option("--context", type=Tokens(256), help="Tokens each user has room for."),
        click.option(
            "--for",
            "objective",
            type=click.Choice([o.value for o in Objective]),
            default="balanced",
            show_default=True,
            help="What to rank by.",
        ),
        click.option("--workload", type=click.Choice(list(PRESETS)), default="chat", show_default=True),
        click.option("--prompt", type=Tokens(1), help="Prompt tokens."),
        click.option("--output", type=Tokens(1), help="Output tokens."),
        click.option("--shared-prefix", type=Tokens(1), metavar="TOKENS", help="Tokens that every prompt begins with."),
        click.option("--quality", type=click.Choice(list(QUALITY)), default=None, help="Coarsest weights to accept."),
        click.option("--set", "pins", multiple=True, metavar="KEY=VALUE", help="Pin a setting, as `plan --set`."),
        click.option("--kv-type", "kv_types", multiple=True, metavar="TYPE", help="KV cache, e.g. q8_0, fp8."),
        click.option("--speculate", metavar="HOW", help="How tokens are drafted, as `plan --speculate`."),
        click.option(
            "--acceptance", type=Number(0, 1, min_open=True), help="How often one drafted token is right, e.g. 0.7."
        ),
        click.option("--stream", is_flag=True, help="Experts that memory does not hold are read from disk."),
        click.option("--lora", metavar="N[@RANK]", help="Adapters beside the model, as `plan --lora`."),
        click.option("--images", metavar="N[@WxH]", help="Pictures in every prompt, as `plan --images`."),
        click.option("--vram-free", metavar="SIZE[,SIZE...]", help="Free memory of every GPU, or of each."),
        click.option("--ram-free", metavar="SIZE", help="Free RAM."),
        click.option("--threads", "-t", type=Integer(1), help="Instead of one per idle core."),
    ]


def _how_it_answers() -> list[Any]:
    """Where the engine listens, who may ask, how long it may take to load."""
    return [
        click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
        click.option("--port", type=Integer(1, 65535), default=8080, show_default=True),
        *key_options(),
        click.option("--insecure", is_flag=True, help="Allow an address that others can reach without a key."),
        click.option("--timeout", type=Number(1), default=1800, show_default=True, help="Seconds to load."),
    ]


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """The options as `RunOptions` has them."""
    quality = options.pop("quality")
    return {
        **options,
        "objective": Objective(options["objective"]),
        "least_quality_bits": None if quality is None else QUALITY[quality],
    }


@click.command()
@use_option
@run_options
@click.option("--on", metavar="MACHINE", help="With --dry-run or --export: another machine, as `plan` takes it.")
@click.option("--nodes", type=Integer(1, 512), default=None, help="With --on: so many equal machines.")
@click.option("--network", metavar="RATE", help="With --nodes: network between them, e.g. 400Gb.")
@click.option("--carve-out", metavar="SIZE[,SIZE]", help="Of an AMD APU's memory, as `plan --carve-out`.")
@click.option("--os", "system", type=click.Choice(["linux", "windows", "wsl2", "macos"]), help="What it runs.")
@click.option("--dry-run", is_flag=True, help="Print exactly what would run, and stop.")
@click.option("--export", type=click.Choice(_EXPORTS), help="Write the launch down for where it will live, and stop.")
@click.option("--detach", "-d", is_flag=True, help="Leave it running; see `wellfed ps`, `logs`, `stop`.")
@click.option("--restart", is_flag=True, help="Start it again when it dies, with growing pauses.")
@click.option("--huge-pages", is_flag=True, help="Reserve explicit huge pages for it (needs root); given back at stop.")
def command(
    model: str, dry_run: bool, export: str | None, detach: bool, restart: bool, huge_pages: bool, **options: Any
) -> None:
    """Plan MODEL on this machine, then serve it: bound to the right cores and memory, awaited, proven.

    MODEL is a GGUF file, a catalogue name, or `demo` for a small model from the package index. FLAGS go to the engine
    as they are.
    """
    from wellfed.verbs import running

    _together(options, detach and (restart or huge_pages), written=dry_run or export is not None)
    end_on_signals()
    options = with_key(chosen(options))
    wish = running.RunOptions(
        **options, huge_pages=huge_pages, fetch=not (dry_run or export), elsewhere=export is not None
    )
    prepared = running.prepare(model, wish, say)
    if dry_run or export:
        _print_launch(prepared, export, keyed=bool(wish.api_key or wish.no_key or wish.insecure))
        raise SystemExit(0 if prepared.fits else 1)
    print_prepared(prepared)
    failure = running.run(
        prepared,
        options["timeout"],
        detach=detach,
        restart=restart,
        progress=lambda elapsed: loading(elapsed, prepared.plan.estimate.load_s),
        started=print_service,
        say=say,
    )
    if failure is not None:
        raise failure


def _together(options: Mapping[str, Any], left_alone: bool, written: bool) -> None:
    """Refuse options that do not go together. `left_alone`: a detached engine is to be looked after; `written`: the
    launch is written down only.
    """
    if left_alone:
        raise click.UsageError(
            sentence(
                "cli.run.restart-huge-pages",
                "--restart and --huge-pages need wellfed to stay: they cannot go with --detach",
            )
        )
    hardware_options = [name for name in ("vram_free", "ram_free", "carve_out", "system") if options[name]]
    if hardware_options and not options["on"]:
        raise click.UsageError(
            sentence("cli.run.free-on", "--vram-free, --ram-free, --carve-out and --os are of the machine of --on")
        )
    if (options["on"] or options["nodes"] or options["network"]) and not written:
        raise click.UsageError(
            sentence(
                "cli.run.nodes-network-write",
                "--on, --nodes and --network write it down only: add --dry-run or --export FORM",
            )
        )
    apart("concurrency", "rate")
    if not options["on"]:
        needs(("nodes", "network"), "--on")


def _print_launch(prepared: Prepared, export: str | None, keyed: bool) -> None:
    """What would run, or the file that runs it elsewhere."""
    from wellfed.verbs import running

    for line in prepared.warnings:
        say(sentence("cli.run.warning", "warning: {line}", line=line))
    print_downloads(prepared)
    if export:
        click.echo(words(running.exported(prepared, export)), nl=False)
        return
    if not keyed:
        text = "without --dry-run, a key is made for it, in its environment (--no-key: none)"
        say(sentence("cli.run.without-dry-run", text))
    click.echo(prepared.spec.command_line())


def print_downloads(prepared: Prepared) -> None:
    """What would be fetched."""
    from wellfed.verbs.next_steps import disk_line

    if prepared.downloads is not None:
        say(disk_line(prepared.downloads))


def print_prepared(prepared: Prepared) -> None:
    """What was decided, before it happens."""
    from wellfed.planner.kinds import describe, kind_of
    from wellfed.units import format_rate

    plan = prepared.plan
    rate = plan.estimate.decode_tok_s
    say(
        sentence(
            "cli.run.expected-tokens-s",
            "{plan} {quantisation} on {layout} ({layout2}), {origin}; expected {rate} tokens/s ({low}-{high})",
            plan=plan.model.name,
            quantisation=plan.layout.quantisation.upper(),
            layout=kind_of(plan.layout),
            layout2=describe(plan.layout),
            origin=prepared.program.origin,
            rate=format_rate(rate.value),
            low=format_rate(rate.low),
            high=format_rate(rate.high),
        )
    )
    for note in prepared.spec.notes:
        say(joined("", ("  ", note)))
    for line in prepared.warnings:
        say(sentence("cli.run.warning-2", "  warning: {line}", line=line))


def print_service(service: Service, talk: bool = False) -> None:
    """Where it answers (on stderr when it is only `talk`), and the proof of its placement."""
    from wellfed.engines.spec import ranges
    from wellfed.units import format_bytes

    if sys.stderr.isatty():
        say("")
    placement, spec = service.placement, service.engine.spec
    cpus = "?" if placement.cpus is None else ranges(placement.cpus)
    parts = [
        tell("cli.run.may-run-cpus", "may run on CPUs {cpus}", cpus=cpus),
        tell("cli.run.holds", "holds {resident_bytes}", resident_bytes=format_bytes(placement.resident_bytes)),
    ]
    share = placement.share_on(spec.binding.nodes) if spec.binding.nodes else None
    if share is not None:
        parts.append(
            tell("cli.run.node", "{share:.0%} of it on node {nodes}", share=share, nodes=ranges(spec.binding.nodes))
        )
    if placement.huge_bytes:
        parts.append(
            tell("cli.run.huge-pages", "{huge_bytes} in huge pages", huge_bytes=format_bytes(placement.huge_bytes))
        )
    say(
        sentence(
            "cli.run.ready-after-s",
            "ready after {load:.1f} s; the engine {parts}",
            load=service.load_s,
            parts=joined(", ", parts),
        )
    )
    click.echo(f"{service.running.url}/v1", err=talk)
    if service.running.key_file:
        say(
            sentence(
                "cli.run.clients-need-key",
                'clients need its key: export OPENAI_API_KEY="$(cat {key_file})"',
                key_file=shlex.quote(service.running.key_file),
            )
        )


def end_on_signals() -> None:
    """SIGTERM and a closed terminal end us as Ctrl-C does: through every `finally`, so that the engine goes too."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _terminated)


def _terminated(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def loading(elapsed: float, expected: float | None) -> None:
    """Show how long an engine loads already, where a terminal watches."""
    if not sys.stderr.isatty():
        return
    of = tell("cli.run.about", " of about {expected:.0f}", expected=expected) if expected else ""
    click.echo(tell("cli.run.loading-s", "\rloading: {elapsed:.0f}{of} s ", elapsed=elapsed, of=of), nl=False, err=True)


def say(line: str | Message) -> None:
    """Talk goes to stderr."""
    click.echo(words(line), err=True)
