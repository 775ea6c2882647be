"""`wellfed.plan`: every sensible way to run a model on a machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellfed.errors import Misuse
from wellfed.frozen import dataclass
from wellfed.library import options
from wellfed.library.result import Result, Row
from wellfed.message import message, sentence
from wellfed.nouns.workload import Workload
from wellfed.planner.goal import Objective
from wellfed.planner.money import Rates
from wellfed.verbs import planning
from wellfed.verbs.planning import PlanOptions

if TYPE_CHECKING:
    from wellfed.nouns.plan import Plan
    from wellfed.planner.answer import Answer
    from wellfed.planner.sweep import MostUsers
    from wellfed.planner.which_cpu import WhichCpu
    from wellfed.verbs.cloud import CloudOffer
    from wellfed.verbs.next_steps import NextSteps, Question


@dataclass(frozen=True, slots=True, repr=False)
class Planned(Result):
    """The answer of `plan`. `most_users` is None unless `max_users` was wanted and somebody keeps the targets."""

    model: str
    request: PlanOptions
    answer: Answer
    top: int
    max_users: bool = False
    most_users: MostUsers | None = None
    rates: Rates = Rates()
    cpus: bool = False
    which_cpu: WhichCpu | None = None
    offers: tuple[CloudOffer, ...] = ()

    @property
    def best(self) -> Plan | None:
        """The best plan; None when nothing fits."""
        return self.answer.ranking.best

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The best `top` plans of different kinds."""
        return tuple(self.answer.ranking.best_of_each_kind()[: self.top])

    @property
    def satisfies(self) -> bool:
        """Whether anything fits, and meets the targets where there are any."""
        from wellfed.planner.search import meets_targets

        return self.best is not None and meets_targets(self.best) is not False

    @property
    def question(self) -> Question:
        """What was asked, from which the commands to type are written."""
        from wellfed.verbs.next_steps import Question
        from wellfed.verbs.restated import restated

        return Question(self.model, self.request.on, self.request.network, restated(self.request))

    def steps(self, plan: Plan) -> NextSteps:
        """What to type for a plan of this answer."""
        return self.question.steps(plan)

    def to_dict(self) -> dict[str, Any]:
        """The document of `wellfed plan --json`."""
        from wellfed.documents.answers import answer_json, most_users_json, which_cpu_json

        document = answer_json(self.answer, self.top, self.question, self.rates)
        if self.max_users:
            document["max_users"] = most_users_json(self.most_users)
        if self.cpus:
            document["cpus"] = None if self.which_cpu is None else which_cpu_json(self.which_cpu)
        return document

    def flat(self) -> list[Row]:
        """One row a plan, best first; `decode_tok_s` is one user's, `total_tok_s` that of all."""
        return [plan_row(plan) for plan in self.plans]

    def summary(self) -> str:
        """Model, verdict, and the best plan's speed with its interval."""
        name, verdict = self.answer.search.model.name, self.answer.verdict
        if self.best is None or verdict.kind is None:
            return sentence("planning.does-fit", "{name}: does not fit; {why}", name=name, why=verdict.why)
        return f"{name}: {verdict.kind.value}; {plan_line(self.best)}"


def plan_line(plan: Plan) -> str:
    """A plan in some words: what runs it, how, how fast."""
    from wellfed.planner.kinds import describe
    from wellfed.units import format_rate, format_seconds

    rate, layout = plan.estimate.decode_tok_s, plan.layout
    speed = sentence(
        "planning.tok-s-each",
        "{rate} tok/s each ({low} to {high})",
        rate=format_rate(rate.value),
        low=format_rate(rate.low),
        high=format_rate(rate.high),
    )
    first = format_seconds(plan.estimate.ttft_s.value)
    return sentence(
        "planning.first-token",
        "{engine} {quantisation}, {layout}: {speed}, first token in {first}",
        engine=layout.engine.value,
        quantisation=layout.quantisation.upper(),
        layout=describe(layout),
        speed=speed,
        first=first,
    )


def plan_row(plan: Plan) -> dict[str, Any]:
    """A plan as one flat row in base units."""
    from wellfed.planner.kinds import describe, kind_of
    from wellfed.planner.search import meets_targets

    estimate, layout = plan.estimate, plan.layout
    tightest = estimate.memory.tightest
    row: dict[str, Any] = {
        "engine": layout.engine.value,
        "quantisation": layout.quantisation,
        "placement": kind_of(layout).value,
        "layout": describe(layout),
        "fits": estimate.memory.fits,
        "spare_bytes": None if tightest is None else tightest.spare_bytes,
    }
    for name in ("ttft_s", "decode_tok_s", "total_tok_s"):
        quantity = getattr(estimate, name)
        row |= {name: quantity.value, f"{name}_low": quantity.low, f"{name}_high": quantity.high}
    return {**row, "limited_by": estimate.limited_by, "meets_targets": meets_targets(plan)}


def plan(
    model: str,
    *,
    on: str | None = None,
    nodes: int | None = None,
    network: str | None = None,
    vram_free: str | None = None,
    ram_free: str | None = None,
    carve_out: str | None = None,
    os: str | None = None,
    for_: Objective | str = Objective.BALANCED,
    workload: Workload | str = "chat",
    concurrency: int | None = None,
    rate: float | None = None,
    prompt: int | None = None,
    output: int | None = None,
    context: int | None = None,
    ttft: float | None = None,
    tpot: float | None = None,
    shared_prefix: int | None = None,
    quality: str | None = None,
    engine: options.Engines = (),
    quant: options.Names = (),
    kv_type: options.Names = (),
    set: options.Names = (),
    speculate: str | None = None,
    acceptance: float | None = None,
    lora: str | None = None,
    images: str | None = None,
    stream: bool = False,
    top: int = 6,
    max_users: bool = False,
    cpus: bool = False,
    prices: Path | None = None,
    price_hour: float | str | None = None,
    machine_price: float | None = None,
    years: float = 3.0,
    electricity: float | None = None,
    api_price: float | None = None,
    currency: str = "USD",
) -> Planned:
    """Every sensible way to run `model`: does it fit, how fast, what limits it; CPU, GPU or both.

    `on` is a machine in a line ("2x rtx 4090, ryzen 9 7950x, 64gb"), a TOML file, `build:NAME` or a snapshot; None is
    this machine. `ttft` (s) and `tpot` (ms for each token) are targets, `rate` is requests per second instead of
    `concurrency`, `set` pins settings by the engine's own flag names ("ubatch-size=2048"), `engine` may name a version
    ("vllm@0.17"), `lora` serves adapters ("4@64": four of rank 64), `images` stand in every prompt
    ("2@1920x1080"; "2@1100": of 1100 tokens each), `shared_prefix` tokens of every prompt are alike,
    `speculate` drafts (mtp, eagle, draft:MODEL, ngram). Prices (of hire an
    hour, or "cloud" for the cheapest offer; of the machine, a kWh, a million tokens of an API) give tokens' cost.
    `cpus` asks which CPU would do behind these GPUs, by a file of `prices` where one is given.
    Raises UnknownName for names in no catalogue, Misuse for options that do not go together, BadInput, Unsupported.
    """
    options.in_range("top", top, 1)
    if max_users and not (ttft or tpot):
        raise Misuse(message("plan.max-users-target", "--max-users needs a target: --ttft or --tpot"))
    request = plan_request(
        on=on, nodes=nodes, network=network, vram_free=vram_free, ram_free=ram_free,
        carve_out=carve_out, os=os, for_=for_,
        workload=workload, concurrency=concurrency, rate=rate, prompt=prompt, output=output, context=context,
        ttft=ttft, tpot=tpot, shared_prefix=shared_prefix, quality=quality, engine=engine, quant=quant,
        kv_type=kv_type, set=set, speculate=speculate, acceptance=acceptance, lora=lora, images=images,
        stream=stream,
    )  # fmt: skip
    offers = _offers(request) if str(price_hour).lower() == "cloud" else ()
    hire = offers[0].price_per_hour if offers else _hire(price_hour)
    rates = Rates(hire, electricity, machine_price, years, api_price, currency)
    answer = planning.plan(model, request)
    most = _most_users(answer) if max_users else None
    behind = _which_cpu(answer, prices) if cpus else None
    return Planned(model, request, answer, top, max_users, most, rates, cpus, behind, offers)


def _offers(request: PlanOptions) -> tuple[CloudOffer, ...]:
    """What the machine's GPUs cost at clouds now. Raises BadInput where gpuhunt cannot tell."""
    from wellfed.verbs import inputs
    from wellfed.verbs.cloud import cloud_offers

    return cloud_offers(inputs.machine(request.on, request.nodes, request.network))


def _hire(price_hour: float | str | None) -> float | None:
    """Raises Misuse for a price that is none; None where no cloud lists such a card."""
    if price_hour is None or str(price_hour).lower() == "cloud":
        return None
    return options.positive("price_hour", price_hour)


def _which_cpu(answer: Answer, prices: Path | None) -> WhichCpu | None:
    from wellfed.verbs.choosing import which

    return which(answer, prices)


def _most_users(answer: Answer) -> MostUsers | None:
    from wellfed.planner.sweep import most_users

    return most_users(answer.search)


def plan_request(
    *,
    on: str | None = None,
    nodes: int | None = None,
    network: str | None = None,
    vram_free: str | None = None,
    ram_free: str | None = None,
    carve_out: str | None = None,
    os: str | None = None,
    for_: Objective | str = Objective.BALANCED,
    quality: str | None = None,
    engine: options.Engines = (),
    quant: options.Names = (),
    kv_type: options.Names = (),
    set: options.Names = (),
    speculate: str | None = None,
    acceptance: float | None = None,
    lora: str | None = None,
    images: str | None = None,
    stream: bool = False,
    **load: Any,
) -> PlanOptions:
    """The keywords of `plan` as what is searched for; `load` as `options.workload` takes it."""
    options.in_range("nodes", nodes, 1, 512)
    objective = options.objective(for_)
    chosen, versions = options.engines(engine)
    open_load = load.get("concurrency") is None and load.get("rate") is None
    return PlanOptions(
        on=on,
        nodes=nodes,
        network=network,
        objective=objective,
        workload=options.workload(load.pop("workload", "chat"), **load),
        sweep=objective is Objective.THROUGHPUT and open_load,
        least_quality_bits=options.quality_bits(quality),
        engines=chosen,
        versions=versions,
        speculate=speculate,
        acceptance=acceptance,
        lora=lora,
        images=images,
        streams=stream,
        quantisations=options.several(quant),
        kv_types=options.several(kv_type),
        pins=options.several(set),
        vram_free=vram_free,
        ram_free=ram_free,
        carve_out=carve_out,
        system=None if os is None else options.one_of(os, options.SYSTEMS, "os"),
    )
