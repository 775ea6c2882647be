"""`wellfed fleet`: many machines gathered, compared and checked."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOENT
from os import strerror
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellfed.cli.console import colon
from wellfed.cli.fleet_export import export
from wellfed.cli.fleet_watch import history, watch
from wellfed.cli.numbers import Duration, Integer, Number, PerSecond, Tokens
from wellfed.cli.plan import MONEY
from wellfed.errors import BadInput
from wellfed.message import joined, message, sentence
from wellfed.messages.words import tell, words
from wellfed.nouns.workload import PRESETS

if TYPE_CHECKING:
    from wellfed.fleet.checked import Group
    from wellfed.fleet.gather import Outcome
    from wellfed.fleet.means import Means
    from wellfed.verbs.fleet_planning import FleetOptions


_WIPE = "\r\033[K"  # the line that moves


@click.group()
def command() -> None:
    """Many machines: are they put together alike and right, and what will a model do on them?"""


command.add_command(watch)
command.add_command(history)
command.add_command(export)


@command.command()
@click.argument("nodes", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Where snapshots go.")
@click.option("--nodes-file", type=click.Path(path_type=Path), metavar="FILE", help="Nodes, one a line ('-': stdin).")
@click.option("--slurm", is_flag=True, help="By srun, one task a node; without NODES all that sinfo lists.")
@click.option("--partition", metavar="NAME", help="Slurm's partition.")
@click.option("--kubernetes", is_flag=True, help="From the DaemonSet that --export daemonset writes.")
@click.option("--ray", is_flag=True, help="By tasks with node affinity in a running Ray cluster.")
@click.option("--via", metavar="COMMAND", help="By a command that gives the script to the node {}, e.g. "
              "'docker exec -i {} sh -s'.")  # fmt: skip
@click.option("--jobs", "-j", type=Integer(1, 512), default=16, show_default=True, help="Nodes at a time.")
@click.option("--timeout", type=Number(1, 3600), default=120.0, show_default=True, help="Seconds a node.")
@click.option("--names", is_flag=True, help="Name the files by node; else node-0001 and on, and the names stay here.")
@click.option("--refresh", is_flag=True, help="Ask nodes again whose snapshot is there.")
@click.option("--print-script", is_flag=True, help="Print the one program that runs on a node, and leave.")
@click.option("--export", type=click.Choice(["daemonset"]), help="Print the manifest that gathers in Kubernetes.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome of each node as JSON.")
def snapshot(nodes: tuple[str, ...], print_script: bool, export: str | None, as_json: bool, **options: Any) -> None:
    """Gather the raw texts of NODES: by SSH with your own config, or as the options say.

    On a node one POSIX-sh script runs, sent over standard input: no Python, no install, no root. A node that fails
    costs only itself; gathering again goes on with those that are missing. Exits with 1 when any node is missing.
    """
    if print_script:
        from wellfed.fleet.script import script

        click.echo(script(), nl=False)
        return
    if export:
        from wellfed.fleet.manifest import daemonset

        click.echo(daemonset(), nl=False)
        return
    if options["out"] is None:
        raise click.UsageError(
            sentence("cli.fleet.out-folder-missing", "--out FOLDER is missing: where the snapshots go")
        )
    chosen, means = _reached(nodes, options)
    from wellfed.fleet.gather import Gathering, gather

    how = Gathering(options["out"], options["jobs"], options["timeout"], options["names"], options["refresh"])
    with _ended_as_by_interrupt():
        if options["ray"]:
            from wellfed.fleet.by_ray import gather_by_ray

            outcomes = gather_by_ray(chosen, how, _progress(as_json))
        else:
            outcomes = gather(chosen, means, how, _progress(as_json))
    _say(outcomes, options["out"], as_json)
    if any(outcome.file is None for outcome in outcomes):
        raise SystemExit(1)


@contextmanager
def _ended_as_by_interrupt() -> Iterator[None]:
    """Told to end, it ends what runs for nodes first."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _reached(nodes: tuple[str, ...], options: dict[str, Any]) -> tuple[tuple[str, ...], Means]:
    from wellfed.fleet.means import (
        Command,
        Kubernetes,
        Slurm,
        Ssh,
        ensure_names,
        kubernetes_pods,
        nodes_in,
        slurm_nodes,
    )

    ways = [name for name in ("slurm", "kubernetes", "ray", "via") if options[name]]
    if len(ways) > 1:
        raise click.UsageError(
            sentence(
                "cli.fleet.one-way-nodes",
                "--{ways} and --{ways2}: one way to the nodes, not two",
                ways=ways[0],
                ways2=ways[1],
            )
        )
    if options["partition"] and not options["slurm"]:
        raise click.UsageError(sentence("cli.fleet.partition-slurm-give", "--partition is Slurm's: give --slurm, too"))
    names = (*nodes, *(nodes_in(options["nodes_file"]) if options["nodes_file"] else ()))
    chosen = ensure_names(names)
    if options["kubernetes"]:
        pods = kubernetes_pods()
        missing = [node for node in chosen if node not in pods]
        if missing:
            raise BadInput(message("fleet.no-pod", "no gathering pod runs on {node}", node=missing[0]))
        return chosen or tuple(sorted(pods)), Kubernetes(pods)
    if options["slurm"]:
        return chosen or slurm_nodes(options["partition"]), Slurm(options["partition"])
    if not chosen and not options["ray"]:
        raise BadInput(
            message("fleet.no-nodes", "no node is named"),
            message("fleet.no-nodes.hint", "host names, --nodes-file FILE, --slurm, --kubernetes or --ray"),
        )
    return chosen, Command.of(options["via"]) if options["via"] is not None else Ssh()


def _state(outcome: Outcome) -> str:
    if outcome.file is None:
        return tell("cli.fleet.missing", "missing")
    return tell("cli.fleet.part", "in part")


def _progress(quiet: bool) -> Any:
    """A line that moves on a terminal; what has no snapshot, or only a part of one, stays to be read."""
    moving = sys.stderr.isatty() and not quiet

    def report(outcome: Outcome, number: int, total: int) -> None:
        if not quiet and (outcome.file is None or outcome.partial):
            why = colon() + words(outcome.why) if outcome.why else ""
            click.echo(f"{_WIPE if moving else ''}[{number}/{total}] {outcome.node} {_state(outcome)}{why}", err=True)
        if moving:
            gathered = tell("cli.fleet.gathered", "gathered {number} of {total}", number=number, total=total)
            click.echo(f"{_WIPE}{gathered}", nl=number == total, err=True)

    return report


def _say(outcomes: tuple[Outcome, ...], folder: Path, as_json: bool) -> None:
    if as_json:
        click.echo((folder / "fleet.json").read_text(encoding="utf-8"))
        return
    gathered = [outcome for outcome in outcomes if outcome.file]
    unchanged = sum(outcome.from_before for outcome in gathered)
    partial = sum(outcome.partial for outcome in gathered)
    parts = [
        tell(
            "cli.fleet.nodes",
            "{count} of {count2} nodes in {folder}",
            count=len(gathered),
            count2=len(outcomes),
            folder=folder,
        )
    ]
    parts += [tell("cli.fleet.from-before", "{kept} from before", kept=unchanged)] if unchanged else []
    parts += [tell("cli.fleet.only-part", "{partial} only in part", partial=partial)] if partial else []
    click.echo(words(joined(", ", parts)))
    if len(gathered) < len(outcomes):
        click.echo(tell("cli.fleet.again", "the same command asks again for those that are missing"))
    if gathered:
        click.echo(tell("cli.fleet.next-wellfed-fleet", "next: wellfed fleet check {folder}", folder=folder))


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--model", "-m", help="Price every fault for this model.")
@click.option("--workload", "-w", type=click.Choice(list(PRESETS)), default="chat", show_default=True)
@click.option("--group", type=Integer(2, 1024), help="Nodes that one copy of the model may span: "
              "speeds are of such groups, and who drags one down is named.")  # fmt: skip
@click.option("--network", metavar="RATE", help="Between the nodes of a group, as for fleet plan; without it, what "
              "their ports tell.")  # fmt: skip
@click.option("--workers", type=Integer(1, 256), help="Processes that read snapshots; default: one a core.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML ('-': stdout).")
@click.option("--prometheus", type=click.Path(path_type=Path), metavar="FILE", help="Write a textfile ('-': stdout).")
@click.option("--all", "everything", is_flag=True, help="Name every node in every list.")
@click.option("--json", "as_json", is_flag=True, help="Print the fleet as JSON.")
def check(
    folder: Path, junit: Path | None, prometheus: Path | None, as_json: bool, everything: bool, **options: Any
) -> None:
    """Are the machines of FOLDER alike and right? Builds, the odd ones and in what, faults with their price.

    FOLDER holds snapshots (`wellfed fleet snapshot`, `wellfed snapshot`) or dumps, one file or folder a node. Exits
    with 1 when a machine is odd or unread, or a check warns or fails.
    """
    from wellfed.verbs.fleets import fleet_check, fleet_document

    def report(number: int, total: int) -> None:
        if sys.stderr.isatty() and (number % 20 == 0 or number == total):
            click.echo(
                tell("cli.fleet.read", "\rread {number} of {total}", number=number, total=total),
                nl=number == total,
                err=True,
            )

    if options["model"]:
        from wellfed.cli.naming import say_how_read

        say_how_read(options["model"])
    for path in (junit, prometheus):
        _ensure_place(path)
    workload = PRESETS[options["workload"]]
    group = _group(options["model"], options["group"], options["network"])
    fleet = fleet_check(folder, options["model"], workload, report, options["workers"], group)
    written = []
    if junit:
        from wellfed.fleet.outputs import fleet_junit

        written.append(_write(junit, fleet_junit(fleet)))
    if prometheus:
        from wellfed.fleet.outputs import fleet_prometheus

        written.append(_write(prometheus, fleet_prometheus(fleet)))
    if as_json:
        click.echo(json.dumps(fleet_document(fleet), indent=1))
    elif "-" not in written:
        from wellfed.cli.fleet_text import print_fleet

        print_fleet(fleet, everything)
    if fleet.unread or fleet.faults or any(build.odd for build in fleet.builds):
        raise SystemExit(1)


def _group(model: str | None, nodes: int | None, rate: str | None) -> Group | None:
    from wellfed.fleet.checked import Group
    from wellfed.fleet.network import network

    if nodes is None and rate is not None:
        raise click.UsageError(sentence("cli.fleet.network-group", "--network is between nodes of a --group"))
    if nodes is not None and model is None:
        raise click.UsageError(sentence("cli.fleet.group-model", "--group is of a --model"))
    return None if nodes is None else Group(nodes, network(rate) if rate is not None else None)


def _ensure_place(path: Path | None) -> None:
    """Raises where a report could not be written: that is told before the work, not after it."""
    if path is not None and str(path) != "-" and not path.parent.is_dir():
        raise click.FileError(str(path), strerror(ENOENT))


def _write(path: Path, text: str) -> str:
    if str(path) == "-":
        click.echo(text, nl=False)
        return "-"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error
    return str(path)


@command.command()
@click.argument("model")
@click.option("--machines", multiple=True, metavar="COUNT=MACHINE",
              help="So many nodes of a kind: '3=8x h200, 2x xeon 8480+'; repeatable.")  # fmt: skip
@click.option("--snapshots", type=click.Path(path_type=Path), metavar="FOLDER", help="The nodes gathered there.")
@click.option("--network", metavar="RATE", help="Between nodes, e.g. 400Gb, or "
              "'400g x8 rails, 2:1, 16 a leaf'.")  # fmt: skip
@click.option("--workload", "-w", type=click.Choice(list(PRESETS)), default="chat", show_default=True)
@click.option("--prompt", type=Tokens(1), help="Prompt tokens.")
@click.option("--output", type=Tokens(1), help="Output tokens.")
@click.option("--context", type=Tokens(1), help="Longest context to make room for, in tokens.")
@click.option("--depth", type=Tokens(0), help="Tokens of earlier turns, in the cache of the replica that had them.")
@click.option("--rate", type=PerSecond(), help="Requests per second to carry; without it: what all nodes take.")
@click.option("--ttft", type=Duration("s"), help="Wanted time to first token, seconds.")
@click.option("--tpot", type=Duration("ms"), help="Wanted time per output token, milliseconds.")
@click.option("--p99", is_flag=True, help="Hold the targets for 99 of 100 requests, not on average.")
@click.option("--spare", type=Integer(0, 64), default=0, show_default=True, help="Replicas that may be lost: 1 is N+1.")
@click.option("--price-hour", "prices_hour", type=MONEY, multiple=True, help="Of a node, for each --machines.")
@click.option("--engine", "-e", "engines", multiple=True, type=click.Choice(["vllm", "sglang"]))
@click.option("--quant", "-q", "quantisations", multiple=True, metavar="TYPE", help="e.g. FP8; repeatable.")
@click.option("--trace", type=click.Path(path_type=Path), metavar="CSV",
              help="Requests (arrival_s, prompt_tokens, output_tokens; conversation, "
              "where known) to send through the replicas.")  # fmt: skip
@click.option("--disaggregate", is_flag=True, help="Also: prefill and decode on workers of their own, in which ratio.")
@click.option("--export",
              type=click.Choice(["kubernetes", "dra", "kserve", "llm-d", "dynamo", "ray-serve", "keda", "hpa"]),
              help="Write the replicas down for what will run or scale them, and stop.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan(model: str, as_json: bool, export: str | None, **options: Any) -> None:
    """How many replicas of MODEL a load needs on these nodes, and what they cost.

    A replica spans the fewest nodes that hold the model within the targets. Exits with 1 where the rate is not carried.
    """
    from wellfed.cli.naming import say_how_read
    from wellfed.verbs.fleet_planning import fleet_plan, fleet_plan_document

    say_how_read(model)
    answer = fleet_plan(model, _fleet_options(options))
    if export:
        from wellfed.verbs.fleet_handover import plan_export

        click.echo(words(plan_export(answer, export)), nl=False)
    elif as_json:
        click.echo(json.dumps(fleet_plan_document(answer), indent=1))
    else:
        from wellfed.cli.fleet_plan_text import print_fleet_plan

        print_fleet_plan(answer)
    if not answer.meets:
        raise SystemExit(1)


def _fleet_options(options: dict[str, Any]) -> FleetOptions:
    from dataclasses import replace

    from wellfed.nouns.layout import Engine
    from wellfed.verbs.fleet_planning import FleetOptions

    workload = PRESETS[options["workload"]]
    fields = {"prompt": "prompt_tokens", "output": "output_tokens", "context": "context_tokens",
              "depth": "depth_tokens", "ttft": "ttft_target_s"}  # fmt: skip
    targets = {field: options[name] for name, field in fields.items() if options[name] is not None}
    if options["tpot"] is not None:
        targets["tpot_target_s"] = options["tpot"] / 1000
    workload = replace(workload, **targets)
    if workload.context_tokens is not None and options["context"] is None:
        needed = workload.depth_tokens + workload.prompt_tokens + workload.output_tokens
        workload = replace(workload, context_tokens=max(workload.context_tokens, needed))
    return FleetOptions(
        machines=tuple(_counted(text) for text in options["machines"]),
        snapshots=options["snapshots"],
        network=options["network"],
        workload=workload,
        rate=options["rate"],
        spare=options["spare"],
        p99=options["p99"],
        prices_hour=options["prices_hour"],
        engines=tuple(Engine(name) for name in options["engines"]),
        quantisations=options["quantisations"],
        trace=options["trace"],
        disaggregate=options["disaggregate"],
    )


def _counted(text: str) -> tuple[int, str]:
    count, sign, line = text.partition("=")
    if not sign or not count.strip().isascii() or not count.strip().isdecimal() or not 1 <= int(count) <= 100_000:
        raise BadInput(
            message("fleet.counted", "{text}: a count (1 to 100,000) and a machine are wanted", text=text),
            message("fleet.counted.hint", "such as --machines '3=8x h200, 2x xeon 8480+'"),
        )
    return int(count), line.strip()
