"""A plan over nodes for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from wellfed.cli.console import colon, console, shown
from wellfed.message import Amount, Message, counted, message
from wellfed.messages.words import tell, words
from wellfed.planner.kinds import describe
from wellfed.units import format_rate, format_seconds

if TYPE_CHECKING:
    from wellfed.fleet.disaggregation import Disaggregation
    from wellfed.fleet.replicas import Share
    from wellfed.fleet.simulate import Simulated
    from wellfed.verbs.fleet_planning import FleetPlan

_MOST_SPLITS = 3


def print_fleet_plan(plan: FleetPlan) -> None:
    """The answer in a sentence, each kind of replica, what a router and a trace say."""
    out = console()
    out.print(f"[bold]{escape(_headline(plan))}[/]")
    for kind in plan.kinds:
        if kind.why is not None:
            unused = tell("fleet-plan-text.not-used", "[yellow]not used[/]")
            unused_gpus = f"{kind.stock.count}x {escape(kind.stock.name)}"
            out.print(f"{unused}{colon()}{unused_gpus}{colon()}{shown(kind.why)}")
    for share in plan.deployment.shares:
        _print_share(share)
    if plan.deployment.shares:
        out.print()
    _print_idle(plan)
    _print_money(plan)
    _print_routing(plan)
    _print_splits(plan)
    if plan.network is not None and plan.network.assumed is not None:
        out.print(f"[dim]{escape(words(plan.network.assumed))}[/]")
    _print_simulated(plan)


def _print_splits(plan: FleetPlan) -> None:
    if plan.splits is None:
        return
    if not plan.splits:
        none = tell("disaggregated.none", "prefill and decode apart: no ratio is within the targets (over nodes it "
                    "needs --network)")  # fmt: skip
        console().print(f"[yellow]{escape(none)}[/]")
    for split in plan.splits[:_MOST_SPLITS]:
        console().print(escape(words(_split(split))))


def _split(split: Disaggregation) -> Message:
    """The ratio, what it takes, and against the same GPUs without it."""
    cell = split.cell
    same = cell.prefill.stock == cell.decode.stock
    placement = message("disaggregated.on", "on {machine}", machine=cell.prefill.stock.name)
    if not same:
        placement = message("disaggregated.over", "prefill on {first}, decode on {second}",
                        first=cell.prefill.stock.name, second=cell.decode.stock.name)  # fmt: skip
    against = message("disaggregated.alone", "without the split these GPUs are never within the targets")
    if split.gain is not None:
        against = message("disaggregated.against", "{factor} times what the same GPUs take together",
                          factor=f"{split.gain:.2f}")  # fmt: skip
    return message(
        "disaggregated.cell",
        "prefill and decode apart, {p} : {d} workers {where}: {rate} a cell of {nodes} nodes, {against}; cells needed: "
        "{needed}, there: {there}",
        p=cell.prefill_workers, d=cell.decode_workers, where=placement, rate=Amount(cell.requests_per_s, "req/s"),
        nodes=Amount(cell.nodes, ""), against=against, needed=split.cells, there=split.cells_there,
    )  # fmt: skip


def _headline(plan: FleetPlan) -> str:
    deployment = plan.deployment
    if not deployment.shares:
        return tell("fleet-plan-text.runs-none-these", "{plan} runs on none of these nodes", plan=plan.model)
    replicas = sum(share.replicas for share in deployment.shares)
    nodes = sum(share.nodes for share in deployment.shares)
    takes = message(
        "fleet-plan-text.takes", "{requests} requests/s ({tokens} tok/s)",
        requests=format_rate(deployment.requests_per_s), tokens=format_rate(_tokens(plan)),
    )  # fmt: skip
    layout = message(
        "fleet-plan-text.what", "{replicas} on {nodes}",
        replicas=_count(replicas, "replica"), nodes=_count(nodes, "node"),
    )  # fmt: skip
    if deployment.rate is None:
        single, many = "{what} takes {takes}", "{what} take {takes}"
        return words(counted("fleet-plan-text.take", single, many, replicas, what=layout, takes=takes))
    if deployment.short:
        single = "{what} takes {takes}: {short} requests/s too few"
        many = "{what} take {takes}: {short} requests/s too few"
        short = format_rate(deployment.short)
        return words(counted("fleet-plan-text.too-few", single, many, replicas, what=layout, takes=takes, short=short))
    single = "{what} carries {rate} requests/s{spare}; it could take {takes}"
    many = "{what} carry {rate} requests/s{spare}; they could take {takes}"
    rate, spare = format_rate(deployment.rate), _spare(deployment.spare)
    return words(
        counted("fleet-plan-text.carry", single, many, replicas, what=layout, rate=rate, spare=spare, takes=takes)
    )


def _spare(lost: int) -> Message | str:
    if not lost:
        return ""
    return message("fleet-plan-text.even-lost", " even with {lost} lost", lost=_count(lost, "replica"))


def _count(number: int, noun: str) -> Message:
    match noun:
        case "replica":
            return counted("fleet-plan-text.replicas", "{count} replica", "{count} replicas", number)
        case "node":
            return counted("fleet-plan-text.node-count", "{count} node", "{count} nodes", number)
        case _:
            return counted("fleet-plan-text.gpus", "{count} GPU", "{count} GPUs", number)


def _tokens(plan: FleetPlan) -> float:
    return sum(share.replicas * share.capacity.tokens_per_s for share in plan.deployment.shares)


def _print_share(share: Share) -> None:
    """A kind of replica: how many on what, laid out how, and what each takes."""
    out = console()
    head = message(
        "fleet-plan-text.share", "{replicas} of {nodes}: {machine}", replicas=_count(share.replicas, "replica"),
        nodes=_count(share.capacity.nodes, "node"), machine=share.stock.name,
    )  # fmt: skip
    out.print(f"\n[bold]{shown(head)}[/]")
    layout, estimate = share.capacity.plan.layout, share.capacity.plan.estimate
    out.print(f"  {escape(', '.join((layout.engine.value, layout.quantisation, words(describe(layout)))))}")
    mark = " p99" if share.capacity.p99 else ""
    share_line = message(
        "fleet-plan-text.each", "{rate} requests/s each, {running} running; TTFT {ttft}, TPOT {tpot}",
        rate=format_rate(share.capacity.requests_per_s), running=f"{estimate.running:.0f}",
        ttft=format_seconds(estimate.ttft_s.value) + mark, tpot=format_seconds(estimate.tpot_s.value) + mark,
    )  # fmt: skip
    out.print(f"  {shown(share_line)}")


def _print_idle(plan: FleetPlan) -> None:
    """Nodes without work, GPUs of a node that its replica does not use."""
    used = {share.stock: share for share in plan.deployment.shares}
    for kind in plan.kinds:
        share = used.get(kind.stock)
        idle = kind.stock.count - (share.nodes if share else 0)
        if idle and kind.capacities:
            console().print(
                tell(
                    "fleet-plan-text.idle",
                    "[dim]{count} idle: {stock}[/]",
                    count=_count(idle, "node"),
                    stock=escape(kind.stock.name),
                )
            )
        if share is not None:
            gpus = len(kind.machine.gpus) * share.capacity.nodes - share.capacity.plan.layout.gpus
            if gpus:
                console().print(
                    tell(
                        "fleet-plan-text.each-replica-idle",
                        "[yellow]{count} of each replica idle: {stock}[/]",
                        count=_count(gpus, "GPU"),
                        stock=escape(kind.stock.name),
                    )
                )


def _print_money(plan: FleetPlan) -> None:
    deployment = plan.deployment
    per_million = deployment.price_per_million(plan.workload.output_tokens)
    if deployment.price_hour is not None and per_million is not None:
        load = (
            tell("fleet-plan-text.rate", "at that rate")
            if deployment.rate
            else tell("fleet-plan-text.when-all-used", "when all of it is used")
        )
        console().print(
            tell(
                "fleet-plan-text.hour-per-million",
                "{price_hour:,.2f} an hour; {per_million:,.3f} per million answered tokens {load}",
                price_hour=deployment.price_hour,
                per_million=per_million,
                load=load,
            )
        )


def _print_routing(plan: FleetPlan) -> None:
    turns = plan.routing
    if turns is None:
        return
    console().print(
        tell(
            "fleet-plan-text.router-knows",
            "a router that knows prefixes: {aware} requests/s; one that does not: {unaware} (earlier "
            "turns are found one time in {replicas})",
            aware=format_rate(turns.aware),
            unaware=format_rate(turns.unaware),
            replicas=turns.replicas,
        )
    )
    if turns.needed is not None and turns.needed > turns.replicas:
        needed = _count(turns.needed, "replica")
        console().print(
            tell("fleet-plan-text.unaware-needs", "  behind one that does not, the rate needs {needed}", needed=needed)
        )


def _print_simulated(plan: FleetPlan) -> None:
    outcome = plan.simulated
    if outcome is None:
        return
    took = tell(
        "fleet-plan-text.requests",
        "{requests:,} requests in {seconds}",
        requests=outcome.requests,
        seconds=format_seconds(outcome.seconds),
    )
    console().print(
        tell(
            "fleet-plan-text.trace-tok-s",
            "the trace ({took}): {tokens} tok/s",
            took=took,
            tokens=format_rate(outcome.tokens_per_s),
        )
    )
    if plan.blind is None:
        console().print(f"  {shown(_waits(outcome))}{_late(outcome)}")
        return
    for way, simulated in (
        (message("fleet-plan-text.aware", "a router that knows prefixes"), outcome),
        (message("fleet-plan-text.blind", "one that does not"), plan.blind),
    ):
        line = message(
            "fleet-plan-text.router", "{way}: {share} of prompt tokens found; {waits}",
            way=way, share=f"{simulated.cached_share:.0%}", waits=_waits(simulated),
        )  # fmt: skip
        console().print(f"  {shown(line)}{_late(simulated)}")


def _waits(simulated: Simulated) -> Message:
    ttft, tpot = (
        message(
            "fleet-plan-text.spread", "mean {mean}, p90 {p90}, p99 {p99}",
            mean=format_seconds(values[0]), p90=format_seconds(values[1]), p99=format_seconds(values[2]),
        )
        for values in (simulated.ttft_s, simulated.tpot_s)
    )  # fmt: skip
    return message("fleet-plan-text.waits", "TTFT {ttft}; TPOT {tpot}", ttft=ttft, tpot=tpot)


def _late(simulated: Simulated) -> str:
    return tell("fleet-plan-text.late", "; [yellow]{share:.1%} late[/]", share=simulated.late) if simulated.late else ""
