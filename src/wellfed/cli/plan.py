"""`wellfed plan`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellfed.cli.naming import say_how_read
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import PRESETS
from wellfed.planner.goal import QUALITY, Objective

if TYPE_CHECKING:
    from collections.abc import Callable

    from wellfed.nouns.plan import Plan
    from wellfed.planner.answer import Answer
    from wellfed.planner.sweep import MostUsers
    from wellfed.verbs import planning
    from wellfed.verbs.next_steps import NextSteps


class Positive(click.FloatRange):
    """A number above 0 that ends: neither nan nor inf."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does, then that."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number to plan with.", param, ctx)
        return number


POSITIVE = Positive(0, min_open=True)


@click.command()
@click.argument("model", required=False)
@click.option("--on", metavar="MACHINE", help="A machine in a line, a TOML file, build:NAME or a snapshot; "
              "without it: this machine.")  # fmt: skip
@click.option("--nodes", type=click.IntRange(1, 512), default=None, help="So many equal machines.")
@click.option("--network", metavar="RATE", help="Network between them, e.g. 400Gb.")
@click.option("--vram-free", metavar="SIZE[,SIZE...]", help="Free memory of every GPU, or of each.")
@click.option("--ram-free", metavar="SIZE", help="Free RAM.")
@click.option("--os", "system", type=click.Choice(["linux", "windows", "wsl2", "macos"]), help="What it runs.")
@click.option("--for", "objective", type=click.Choice([o.value for o in Objective]), default="balanced",
              show_default=True, help="What to rank by.")  # fmt: skip
@click.option("--workload", type=click.Choice(list(PRESETS)), default="chat", show_default=True)
@click.option("--concurrency", "-c", type=click.IntRange(1, 100_000), help="Users at a time.")
@click.option("--rate", type=POSITIVE, help="Requests per second instead of concurrency.")
@click.option("--prompt", type=click.IntRange(1), help="Prompt tokens.")
@click.option("--output", type=click.IntRange(1), help="Output tokens.")
@click.option("--context", type=click.IntRange(1), help="Longest context to make room for, in tokens.")
@click.option("--ttft", type=POSITIVE, help="Wanted time to first token, seconds.")
@click.option("--tpot", type=POSITIVE, help="Wanted time per output token, milliseconds.")
@click.option("--quality", type=click.Choice(list(QUALITY)), default=None,
              help="Coarsest weights to accept  [default: at-least-q4, lower only when nothing fits].")  # fmt: skip
@click.option("--engine", "-e", "engines", multiple=True, type=click.Choice([e.value for e in Engine]))
@click.option("--quant", "-q", "quantisations", multiple=True, metavar="TYPE", help="e.g. Q4_K_M, FP8; repeatable.")
@click.option("--kv-type", "kv_types", multiple=True, metavar="TYPE",
              help="KV cache, e.g. q8_0, fp8, q8_0/f16; `any` tries all  [default: the engine's own; coarser only when "
              "nothing fits].")  # fmt: skip
@click.option("--from-command", "command_line", metavar="LINE",
              help="Instead of MODEL: a command line that runs now; estimated as it is, and improved.")  # fmt: skip
@click.option("--set", "pins", multiple=True, metavar="KEY=VALUE",
              help="Pin a setting by the engine's own flag name, e.g. ubatch-size=2048.")  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=6, show_default=True, help="Plans to show.")
@click.option("--buy", is_flag=True, help="Design whole machines for MODEL instead: GPUs and what keeps them fed.")
@click.option("--prices", type=click.Path(path_type=Path), help="With --buy: a TOML file of part prices.")
@click.option("--budget", type=POSITIVE, help="With --buy and --prices: spend at most this.")
@click.option("--power", type=POSITIVE, help="With --buy: draw at most so many watts.")
@click.option("--max-users", is_flag=True, help="How many users at a time keep --ttft and --tpot.")
@click.option("--report", type=click.Path(path_type=Path), help="Also write the whole answer here (.html or .md).")
@click.option("--explain", is_flag=True, help="Show every term, assumption and source of the best plan.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(model: str | None, as_json: bool, top: int, explain: bool, **options: Any) -> None:
    """Every sensible way to run MODEL: does it fit, how fast, what limits it; CPU, GPU or both, and why.

    MODEL is a catalogue name (deepseek-r1, r1:70b, "qwen3 30b a3b q4_k_m"), a GGUF file, a folder or file with
    config.json, or a hub repository id. Exits with 1 when nothing fits, or nothing meets
    the targets or keeps up with the rate.
    """
    from wellfed.planner.search import meets_targets
    from wellfed.verbs import planning

    objective = Objective(options["objective"])
    asked = plan_options(options, objective)
    if options["command_line"] is not None:
        if model is not None:
            raise click.UsageError("--from-command names the model: leave MODEL out")
        _from_command(options["command_line"], asked, as_json)
        return
    if model is None:
        raise click.UsageError("Missing argument 'MODEL'.")
    if options["buy"]:
        _buy(model, asked, options, top, as_json)
        return
    if options["prices"] or options["budget"] or options["power"]:
        raise click.UsageError("--prices, --budget and --power go with --buy")
    if options["max_users"] and not (options["ttft"] or options["tpot"]):
        raise click.UsageError("--max-users needs a target: --ttft or --tpot")
    answer = planning.plan(model, asked)
    most = _most_users(answer) if options["max_users"] else None
    if options["report"]:
        from wellfed.cli.report import write_report

        write_report(options["report"], answer, top, _steps(model, asked))
    if as_json:
        from wellfed.cli.plan_json import answer_json, plan_json

        document = answer_json(answer, top, _steps(model, asked))
        if options["max_users"]:
            document["max_users"] = most and {
                "users": most.users,
                "at_least": most.at_least,
                "plan": plan_json(most.plan),
            }
        click.echo(json.dumps(document, indent=1))
    else:
        from wellfed.cli.plan_text import print_answer

        print_answer(answer, top, explain, _steps(model, asked))
        if options["max_users"]:
            from wellfed.cli.plan_text import print_most_users

            print_most_users(most)
    best = answer.ranking.best
    if best is None or meets_targets(best) is False:
        raise SystemExit(1)


def _from_command(line: str, request: planning.PlanOptions, as_json: bool) -> None:
    """Exit 1 where the command does not fit as it is."""
    from wellfed.verbs.from_command import from_command

    found = from_command(line, request)
    if as_json:
        from wellfed.cli.plan_json import plan_json

        best = found.better.ranking.best
        document = {
            "schema": "wellfed.from-command/1",
            "engine": found.command.engine.value,
            "model": found.plan.model.id,
            "as_it_is": plan_json(found.plan),
            "improved": None if best is None else plan_json(best),
            "changes": [change.to_dict() for change in found.changes],
        }
        click.echo(json.dumps(document, indent=1))
    else:
        from wellfed.cli.plan_text import print_as_it_is

        print_as_it_is(found)
    if found.fits is False:
        raise SystemExit(1)


def _most_users(answer: Answer) -> MostUsers | None:
    from wellfed.planner.sweep import most_users

    return most_users(answer.search)


def _steps(model: str, request: planning.PlanOptions) -> Callable[[Plan], NextSteps]:
    """What to type for a plan of this answer."""
    from wellfed.verbs.next_steps import next_steps

    return lambda plan: next_steps(model, plan, request.on, request.network)


def plan_options(options: dict[str, Any], objective: Objective) -> planning.PlanOptions:
    """What the command's parameters ask of `plan`."""
    from wellfed.verbs import planning

    return planning.PlanOptions(
        on=options["on"],
        nodes=options["nodes"],
        network=options["network"],
        objective=objective,
        workload=_workload(options),
        sweep=objective is Objective.THROUGHPUT and options["concurrency"] is None and options["rate"] is None,
        least_quality_bits=None if options["quality"] is None else QUALITY[options["quality"]],
        engines=tuple(Engine(name) for name in options["engines"]),
        quantisations=options["quantisations"],
        kv_types=options["kv_types"],
        pins=options["pins"],
        vram_free=options["vram_free"],
        ram_free=options["ram_free"],
        system=options["system"],
    )


def _buy(model: str, asked: planning.PlanOptions, options: dict[str, Any], top: int, as_json: bool) -> None:
    from wellfed.cli.market_text import market_json, print_market
    from wellfed.verbs import buying

    if options["on"]:
        raise click.UsageError("--buy designs a machine: leave --on out, or use `wellfed compare`")
    if options["budget"] and not options["prices"]:
        raise click.UsageError("--budget needs --prices: wellfed has no prices of its own")
    say_how_read(model)
    found = buying.buy(model, asked, options["prices"], options["budget"], options["power"], keep=top)
    if as_json:
        click.echo(json.dumps(market_json(found), indent=1))
    else:
        print_market(found, asked.workload)
    if not found.offers:
        raise SystemExit(1)


def _workload(options: dict[str, Any]) -> Any:
    from dataclasses import replace

    preset = PRESETS[options["workload"]]
    given = {
        "concurrency": options["concurrency"],
        "request_rate": options["rate"],
        "prompt_tokens": options["prompt"],
        "output_tokens": options["output"],
        "context_tokens": options["context"],
        "ttft_target_s": options["ttft"],
        "tpot_target_s": options["tpot"] / 1000 if options["tpot"] else None,
    }
    changed = replace(preset, **{name: value for name, value in given.items() if value is not None})
    needed = changed.depth_tokens + changed.prompt_tokens + changed.output_tokens
    if changed.context_tokens is not None and changed.context_tokens < needed:
        if options["context"] is not None:
            hint = f"the prompt and the output are {needed} tokens together"
            raise click.UsageError(f"--context {options['context']} is too short: {hint}")
        changed = replace(changed, context_tokens=needed)
    return changed
