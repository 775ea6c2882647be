"""`wellfed plan`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellfed.cli.engine_option import EngineVersion
from wellfed.cli.money import Hourly, Money, currency
from wellfed.cli.numbers import Duration, Integer, Number, PerSecond, Tokens
from wellfed.cli.saved import keep, save_option, use_option
from wellfed.cli.together import apart, excludes, needs
from wellfed.library import planning as library
from wellfed.message import sentence
from wellfed.nouns.training import TRAINER_ALIASES, Method, Optimizer, Precision, Recipe, Shard, Trainer
from wellfed.nouns.workload import PRESETS
from wellfed.planner.goal import QUALITY, Objective

if TYPE_CHECKING:
    from wellfed.verbs.planning import PlanOptions


POSITIVE, MONEY = Number(0, min_open=True), Money(0, min_open=True)


@click.command()
@click.argument("model", required=False)
@use_option
@click.option("--on", metavar="MACHINE", help="A machine in a line, a TOML file, build:NAME or a snapshot; "
              "without it: this machine.")  # fmt: skip
@click.option("--nodes", type=Integer(1, 512), default=None, help="So many equal machines.")
@click.option("--network", metavar="RATE", help="Network between them, e.g. 400Gb.")
@click.option("--vram-free", metavar="SIZE[,SIZE...]", help="Free memory of every GPU, or of each.")
@click.option("--ram-free", metavar="SIZE", help="Free RAM.")
@click.option("--carve-out", metavar="SIZE[,SIZE]",
              help="Of an AMD APU's memory: what the BIOS gives to graphics, what these may map besides.")  # fmt: skip
@click.option("--os", "system", type=click.Choice(["linux", "windows", "wsl2", "macos"]), help="What it runs.")
@click.option("--for", "objective", type=click.Choice([o.value for o in Objective]), default="balanced",
              show_default=True, help="What to rank by.")  # fmt: skip
@click.option("--workload", type=click.Choice(list(PRESETS)), default="chat", show_default=True)
@click.option("--concurrency", "-c", type=Integer(1, 100_000), help="Users at a time.")
@click.option("--rate", type=PerSecond(), help="Requests per second instead of concurrency; 300/min too.")
@click.option("--prompt", type=Tokens(1), help="Prompt tokens.")
@click.option("--output", type=Tokens(1), help="Output tokens.")
@click.option("--context", type=Tokens(1), help="Longest context to make room for, in tokens; 32k is 32,768.")
@click.option("--ttft", type=Duration("s"), help="Wanted time to first token, seconds; 500ms too.")
@click.option("--tpot", type=Duration("ms"), help="Wanted time per output token, milliseconds.")
@click.option("--shared-prefix", type=Tokens(1), metavar="TOKENS",
              help="So many tokens of every prompt are alike, e.g. a system prompt.")  # fmt: skip
@click.option("--images", metavar="N[@WxH]",
              help="Pictures in every prompt, e.g. 2, 2@1920x1080, or 2@1100 of 1100 tokens each.")  # fmt: skip
@click.option("--quality", type=click.Choice(list(QUALITY)), default=None,
              help="Coarsest weights to accept  [default: at-least-q4, lower only when nothing fits].")  # fmt: skip
@click.option("--engine", "-e", "engines", multiple=True, type=EngineVersion(), metavar="ENGINE[@VERSION]",
              help="e.g. vllm, vllm@0.17, llama.cpp@b9842, llama.cpp@2026-07; repeatable.")  # fmt: skip
@click.option("--quant", "-q", "quantisations", multiple=True, metavar="TYPE", help="e.g. Q4_K_M, FP8; repeatable.")
@click.option("--kv-type", "kv_types", multiple=True, metavar="TYPE",
              help="KV cache, e.g. q8_0, fp8, q8_0/f16; `any` tries all  [default: the engine's own; coarser only when "
              "nothing fits].")  # fmt: skip
@click.option("--from-command", "command_line", metavar="LINE",
              help="Instead of MODEL: a command line that runs now, a script, a compose file or manifest "
              "FILE.yaml[#SERVICE], a FILE.service, a Modelfile, pid:PID, KoboldCpp's FILE.kcpps; estimated as it is, "
              "and improved.")  # fmt: skip
@click.option("--set", "pins", multiple=True, metavar="KEY=VALUE",
              help="Pin a setting by the engine's own flag name, e.g. ubatch-size=2048.")  # fmt: skip
@click.option("--speculate", metavar="HOW",
              help="Draft tokens: mtp, eagle, draft:MODEL, ngram, each with @TOKENS; none  [default: the model's own "
              "prediction layers, where they help].")  # fmt: skip
@click.option("--acceptance", type=Number(0, 1, min_open=True),
              help="How often one drafted token is right, e.g. 0.7.")  # fmt: skip
@click.option("--lora", metavar="N[@RANK]", help="Serve so many adapters beside the model, e.g. 4@64.")
@click.option("--stream", is_flag=True, help="Experts that memory does not hold are read from disk (llama.cpp).")
@click.option("--train", type=click.Choice([m.value for m in Method]), help="Fine-tune MODEL instead of serving it.")
@click.option(
    "--sequence", type=Tokens(16), default=2048, show_default=True, help="With --train: tokens of a sequence."
)
@click.option("--batch", type=Integer(1), default=16, show_default=True, help="With --train: sequences of a step.")
@click.option("--micro-batch", type=Integer(1), help="With --train: sequences at a time on a GPU.")
@click.option("--optimizer", type=click.Choice([o.value for o in Optimizer]), default="adamw", show_default=True,
              help="With --train.")  # fmt: skip
@click.option("--precision", type=click.Choice([p.value for p in Precision]), default="bf16", show_default=True,
              help="With --train.")  # fmt: skip
@click.option("--rank", type=Integer(1, 4096), default=16, show_default=True, help="With --train: of adapters.")
@click.option("--train-embeddings", is_flag=True, help="With --train: input and output embedding too.")
@click.option("--train-experts", is_flag=True, help="With --train: adapters on routed experts too.")
@click.option("--shard", type=click.Choice([s.value for s in Shard]), help="With --train: ZeRO or FSDP over the GPUs.")
@click.option("--checkpointing/--no-checkpointing", default=None, help="With --train: activations computed again.")
@click.option("--offload/--no-offload", default=None, help="With --train: the optimizer on the CPU.")
@click.option("--chunked-loss", is_flag=True, help="With --train: logits never whole in memory.")
@click.option("--gpus", type=Integer(1, 4096), help="With --train: so many GPUs.")
@click.option("--trainer", type=click.Choice([*(t.value for t in Trainer), *TRAINER_ALIASES]),
              help="With --train: whose code  [default: transformers; mlx on Apple].")  # fmt: skip
@click.option("--recipe", type=click.Choice([r.value for r in Recipe]), default="sft", show_default=True,
              help="With --train: what the loss is made of.")  # fmt: skip
@click.option("--dora", is_flag=True, help="With --train: adapters with magnitudes.")
@click.option("--train-layers", type=Integer(1), help="With --train: adapters on the last so many layers alone.")
@click.option("--offload-activations", is_flag=True, help="With --train: layers' inputs wait in RAM.")
@click.option("--update-in-backward", is_flag=True, help="With --train: gradients are dropped one by one.")
@click.option("--whole-loading", is_flag=True, help="With --train: every rank reads the whole model into RAM.")
@click.option("--divide", metavar="KIND=N", multiple=True,
              help="With --train: tp=2, pp, cp, ep: ranks for a layer, the layers, sequences, experts.")  # fmt: skip
@click.option("--top", type=Integer(1), default=6, show_default=True, help="Plans to show.")
@click.option("--buy", is_flag=True, help="Design whole machines for MODEL instead: GPUs and what keeps them fed.")
@click.option("--cpus", is_flag=True, help="Which CPU to put the best plan's GPUs behind, and what weaker ones lose.")
@click.option("--prices", type=click.Path(path_type=Path),
              help="With --buy or --cpus: a TOML file of prices; example:usd, example:cny.")  # fmt: skip
@click.option("--budget", type=MONEY, help="With --buy and --prices: spend at most this.")
@click.option("--power", type=POSITIVE, help="With --buy: draw at most so many watts.")
@click.option("--max-users", is_flag=True, help="How many users at a time keep --ttft and --tpot.")
@click.option("--price-hour", type=Hourly(), metavar="PRICE",
              help="What an hour costs; cloud: the cheapest of gpuhunt.")  # fmt: skip
@click.option("--machine-price", type=MONEY, help="What the machine costs, written off over --years.")
@click.option("--years", type=POSITIVE, default=3.0, show_default=True, help="Of writing off.")
@click.option("--electricity", type=MONEY, metavar="PRICE", help="Price of a kWh.")
@click.option("--api-price", type=MONEY, metavar="PRICE", help="What an API asks for a million output tokens.")
@click.option("--currency", default="USD", show_default=True, help="Of all these prices.")
@save_option
@click.option("--chart", is_flag=False, flag_value="-", metavar="[FILE.svg]",
              help="Also draw tokens/s over context and over users: here, or into a file.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path), help="Also write the whole answer here (.html or .md).")
@click.option("--explain", is_flag=True, help="Show every term, assumption and source of the best plan.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(model: str | None, as_json: bool, top: int, explain: bool, **options: Any) -> None:
    """Every sensible way to run MODEL: does it fit, how fast, what limits it; CPU, GPU or both, and why.

    MODEL is a catalogue name (deepseek-r1, r1:70b, "qwen3 30b a3b q4_k_m"), a GGUF file, a folder or file with
    config.json, or a hub repository id. Exits with 1 when nothing fits, or nothing meets
    the targets or keeps up with the rate.
    """
    _together(options, as_json)
    if options["save"] is not None:
        keep(options["save"])
        if model is None and options["command_line"] is None:
            return
    if options["command_line"] is not None:
        if model is not None:
            raise click.UsageError(
                sentence("cli.plan.from-command-names", "--from-command names the model: leave MODEL out")
            )
        _from_command(options["command_line"], plan_options(options), as_json)
        return
    if model is None:
        raise click.UsageError(sentence("cli.plan.missing-argument", "Missing argument 'MODEL'."))
    if options["train"]:
        _train(model, options, top, explain, as_json)
        return
    if options["buy"]:
        _buy(model, plan_options(options), options, top, as_json)
        return
    prices = {name: options[name] for name in _PRICES}
    prices["currency"] = currency(click.get_current_context(), options["currency"])
    wishes = {name: options[name] for name in ("max_users", "cpus")}
    planned = library.plan(model, **_keywords(options), **prices, **wishes, top=top, prices=options["prices"])
    _write_files(planned, options, top)
    if as_json:
        click.echo(json.dumps(planned.to_dict(), indent=1))
    else:
        _print_plans(planned, options, top, explain)
    if not planned.satisfies:
        raise SystemExit(1)


def _write_files(planned: library.Planned, options: Mapping[str, Any], top: int) -> None:
    """Offers on stderr, the report, the chart."""
    for offer in planned.offers:
        spot = ", spot" if offer.spot else ""
        price = f"{offer.price_per_hour:.2f} USD/h"
        click.echo(f"{offer.provider} {offer.instance} ({offer.location}{spot}): {price}", err=True)
    if options["report"]:
        from wellfed.cli.report import write_report

        write_report(options["report"], planned.answer, top, planned.question)
    if options["chart"] not in (None, "-"):
        from wellfed.cli.sweep_chart import write_chart

        write_chart(Path(options["chart"]), planned.answer)


def _print_plans(planned: library.Planned, options: Mapping[str, Any], top: int, explain: bool) -> None:
    from wellfed.cli.plan_text import print_answer, print_most_users, print_which_cpu

    print_answer(planned.answer, top, explain, planned.question, planned.rates)
    if options["chart"] == "-":
        from wellfed.cli.sweep_chart import print_charts

        print_charts(planned.answer)
    if options["cpus"]:
        print_which_cpu(planned.which_cpu)
    if options["max_users"]:
        print_most_users(planned.most_users)


# Keywords of the library by the parameters of click, where these differ.
_KEYWORD = {
    "system": "os", "objective": "for_", "engines": "engine", "quantisations": "quant", "kv_types": "kv_type",
    "pins": "set",
}  # fmt: skip
_PRICES = ("price_hour", "machine_price", "years", "electricity", "api_price", "currency")
_TRAINING = (
    "train", "sequence", "batch", "micro_batch", "optimizer", "precision", "rank", "train_embeddings", "train_experts",
    "shard", "checkpointing", "offload", "chunked_loss", "gpus", "trainer", "recipe", "dora", "train_layers",
    "offload_activations", "update_in_backward", "whole_loading", "divide",
)  # fmt: skip
_HERE = (
    "command_line",
    "buy",
    "prices",
    "budget",
    "power",
    "max_users",
    "cpus",
    "report",
    "chart",
    "save",
    *_TRAINING,
    *_PRICES,
)  # not of the search


_PLACE = ("model", "on", "nodes", "network", "vram_free", "ram_free", "system", "top", "save", "use", "as_json")
_OF_ANSWER = ("report", "chart", "explain", "max_users", "cpus", *_PRICES)  # of a ranked answer alone


def _together(options: dict[str, Any], as_json: bool) -> None:
    """Refuse what the rest of the command line leaves without a meaning."""
    apart("concurrency", "rate")
    if options["train"]:
        excludes("--train", {*_PLACE, *_TRAINING, "explain", "quantisations"})
    else:
        needs([name for name in _TRAINING if name != "train"], "--train")
    if options["buy"]:
        _apart_from("--buy", ("command_line", *_OF_ANSWER))
    else:
        needs(("budget", "power"), "--buy")
    if not (options["buy"] or options["cpus"]):
        needs(("prices",), "--buy", "--cpus")
    if options["command_line"] is not None:
        _apart_from("--from-command", _OF_ANSWER)
    if options["machine_price"] is None:
        needs(("years",), "--machine-price")
    if not any(options[name] for name in ("price_hour", "machine_price", "electricity")):
        needs(("api_price",), "--price-hour", "--machine-price", "--electricity")
    if as_json and options["chart"] == "-":
        apart("as_json", "chart")


def _apart_from(option: str, names: Iterable[str]) -> None:
    """Refuse any of `names` beside `option`."""
    every = {parameter.name for parameter in click.get_current_context().command.params if parameter.name is not None}
    excludes(option, every - set(names))


def _keywords(options: dict[str, Any]) -> dict[str, Any]:
    return {_KEYWORD.get(name, name): value for name, value in options.items() if name not in _HERE}


def plan_options(options: dict[str, Any]) -> PlanOptions:
    """The planner's options from the command's own."""
    return library.plan_request(**_keywords(options))


def _train(model: str, options: dict[str, Any], top: int, explain: bool, as_json: bool) -> None:
    """Exit 1 where nothing fits."""
    from wellfed.cli.train_options import train_options
    from wellfed.cli.train_text import print_train, train_json
    from wellfed.verbs.training import train

    answer = train(model, train_options(options))
    if as_json:
        click.echo(json.dumps(train_json(answer, top), indent=1))
    else:
        print_train(answer, top, explain)
    if answer.best is None:
        raise SystemExit(1)


def _from_command(line: str, request: PlanOptions, as_json: bool) -> None:
    """Exit 1 where the command does not fit as it is."""
    from wellfed.verbs.from_command import from_command

    read = from_command(line, request)
    if as_json:
        from wellfed.documents.answers import as_it_is_json

        click.echo(json.dumps(as_it_is_json(read), indent=1))
    else:
        from wellfed.cli.plan_text import print_as_it_is

        print_as_it_is(read)
    if read.fits is False:
        raise SystemExit(1)


def _in_one_currency(prices: Path | None) -> None:
    """Raises UsageError where a budget is not in the currency of the prices."""
    from wellfed.catalog.prices import load_prices

    there = load_prices(prices).currency if prices else ""
    if (requested := currency(click.get_current_context(), there)) != there:
        raise click.UsageError(
            sentence(
                "cli.plan.currencies",
                "--budget is in {said}, the prices of --prices are in {there}: give both in one currency",
                said=requested,
                there=there,
            )
        )


def _buy(model: str, request: PlanOptions, options: dict[str, Any], top: int, as_json: bool) -> None:
    from wellfed.verbs import buying

    if options["on"]:
        raise click.UsageError(
            sentence(
                "cli.plan.buy-designs-machine", "--buy designs a machine: leave --on out, or use `wellfed compare`"
            )
        )
    if options["budget"] and not options["prices"]:
        raise click.UsageError(
            sentence("cli.plan.budget-needs-prices", "--budget needs --prices: a file, or example:usd, example:cny")
        )
    _in_one_currency(options["prices"])
    from wellfed.cli.naming import say_how_read

    say_how_read(model)
    market = buying.buy(model, request, options["prices"], options["budget"], options["power"], keep=top)
    if as_json:
        from wellfed.documents.market import market_json

        click.echo(json.dumps(market_json(market), indent=1))
    else:
        from wellfed.cli.market_text import print_market

        print_market(market, request.workload)
    if not market.offers:
        raise SystemExit(1)
