"""A plan's answer for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from wellfed.cli.console import colon, console, shown
from wellfed.cli.naming import taken
from wellfed.cli.plan_ledgers import memory_table, print_ledgers
from wellfed.cli.plan_table import plans_table
from wellfed.documents.machine_line import machine_line
from wellfed.message import Amount, Message, counted, joined, listed, message
from wellfed.messages.terms import limit_words
from wellfed.messages.words import phrase, words
from wellfed.models.model import Model
from wellfed.nouns.plan import Plan
from wellfed.nouns.workload import Workload
from wellfed.planner.answer import Answer
from wellfed.planner.goal import order_words
from wellfed.planner.kinds import describe
from wellfed.planner.money import NOTHING_PAID, Rates, money, power_caps
from wellfed.planner.replicas import idle_words, replicas
from wellfed.planner.search import meets_targets
from wellfed.planner.start import start_words
from wellfed.planner.tiers import tier_words, tiers
from wellfed.planner.upgrades import Upgrade
from wellfed.provenance import Assumption
from wellfed.units import format_rate
from wellfed.verbs.next_steps import NextSteps, Question, disk_line

if TYPE_CHECKING:
    from wellfed.planner.sweep import MostUsers
    from wellfed.planner.which_cpu import WhichCpu
    from wellfed.verbs.from_command import AsItIs


def print_answer(answer: Answer, top: int, explain: bool, question: Question, rates: Rates = NOTHING_PAID) -> None:
    """Verdict, the best plans, what limits, what would help, why others are out."""
    out = console()
    search = answer.search
    out.print(f"[bold]{escape(model_line(search.model))}[/]")
    out.print(escape(phrase("plan.on", "on {machine}", machine=words(machine_line(search.machine)))))
    print_notes(search.machine.assumptions + answer.assumptions)
    out.print(f"[dim]{workload_line(search.workload, search.sweep)}[/]")
    _print_verdict(answer)
    plans = answer.ranking.best_of_each_kind()[:top]
    if plans:
        out.print(plans_table(plans))
        if len(plans) > 1:
            out.print(f"[dim]{escape(words(order_words(search.goal, meets_targets(plans[0]) is not None)))}[/]")
        _print_limits(plans[0])
        if answer.ranking.drafting is not None:
            out.print(escape(words(answer.ranking.drafting)))
        if search.workload.shared_prefix_tokens:
            _print_tiers(plans[0])
        copies = replicas(search, plans[0])
        if copies is not None:
            out.print(escape(words(copies.sentence())))
        if rates.paid or explain:
            _print_money(answer, plans[0], rates, explain)
        _print_steps(question.steps(plans[0]))
    else:
        _print_way_out(answer)
        _print_steps(question.ways_out(answer.levers))
    _print_upgrades(answer.upgrades)
    _print_refused(answer)
    if explain and plans:
        print_ledgers(plans[0])
        _print_host(answer)
    _print_assumptions(answer, plans[0] if plans else None, explain)


def _print_money(answer: Answer, plan: Plan, rates: Rates, explain: bool) -> None:
    """Energy and cost of the best plan; with `explain` what a power cap would cost."""
    cost_lines = money(plan, rates).sentences()
    if not cost_lines:
        return
    console().print(f"\n[bold]{phrase('money.head', 'money and energy')}[/]")
    for cost_line in cost_lines:
        console().print(f"  {escape(words(cost_line))}")
    for capped in power_caps(answer.search, plan) if explain else ():
        line = phrase(
            "money.cap", "capped at {watts} W: {rate} of the tokens/s, first token x{ttft}, {joules} J a token",
            watts=f"{capped.watts_each:.0f}", rate=f"{capped.total_share:.1%}", ttft=f"{capped.ttft_times:.2f}",
            joules="?" if capped.joules_per_token is None else f"{capped.joules_per_token:.3g}",
        )  # fmt: skip
        console().print(f"  [dim]{escape(line)}[/]")


def _print_tiers(plan: Plan) -> None:
    """Where the common prefix may wait, and when a copy of it is quicker than computing it."""
    for tier in tiers(plan):
        flag = f"  ({tier.flag})" if tier.flag else ""
        console().print(f"  {escape(words(tier_words(tier)) + flag)}")


def _print_host(answer: Answer) -> None:
    """What the CPU costs, and what holds it down."""
    cost = answer.host
    if cost is None:
        return
    console().print(f"\n[bold]{phrase('plan.host', 'the host')}[/]")
    console().print(f"  {escape(words(cost.sentence()))}")
    core = phrase(
        "plan.host-core", "one core: {ratio} of a Ryzen 9 7950X's, {best} at best",
        ratio=f"{cost.ratio:.2f}", best=f"{cost.fastest_ratio:.2f}",
    )  # fmt: skip
    console().print(f"  [dim]{escape(core)}[/]")
    for cause, left in cost.speed.losses:
        host_line = phrase("plan.host-left", "{cause}: {share} is left", cause=cause.value, share=f"{left:.0%}")
        console().print(f"  [dim]{escape(host_line)}[/]")


def print_which_cpu(which_cpu: WhichCpu | None) -> None:
    """The CPU to put the GPUs behind, and what the next weaker one loses."""
    console().print(f"\n[bold]{phrase('plan.cpus', 'which CPU')}[/]")
    if which_cpu is None:
        none = phrase("plan.cpus.none", "no choice: no plan on cards, or their CPU comes with them")
        console().print(f"  {escape(none)}")
        return
    for line in which_cpu.sentences():
        console().print(f"  {escape(words(line))}")


def model_line(model: Model) -> str:
    """Name, size, layers, context."""
    if not model.is_moe:
        return phrase(
            "plan.model", "{name}: {size} parameters, {layers} layers, context {context}",
            name=model.name, size=_count(model.parameters), layers=len(model.layers), context=model.context_limit,
        )  # fmt: skip
    return phrase(
        "plan.model-moe", "{name}: {size} parameters, {active} active, {layers} layers, context {context}",
        name=model.name, size=_count(model.parameters), active=_count(model.active_parameters),
        layers=len(model.layers), context=model.context_limit,
    )  # fmt: skip


def _count(parameters: int) -> str:
    return f"{parameters / 1e12:.2f}T" if parameters >= 1e12 else f"{parameters / 1e9:.3g}B"


def workload_line(workload: Workload, sweep: bool) -> str:
    """The load in a line: users or rate, lengths, targets."""
    if sweep:
        users = phrase("plan.users-any", "any concurrency")
    elif workload.request_rate is None:
        users = phrase("plan.users", "{count} at a time", count=workload.concurrency)
    else:
        users = phrase("plan.rate", "{rate} requests a second", rate=f"{workload.request_rate:g}")
    line = phrase(
        "plan.workload", "{name}: {users}, {prompt} prompt + {output} output tokens, room for {context}",
        name=workload.name, users=users, prompt=workload.prompt_tokens, output=workload.output_tokens,
        context=workload.context,
    )  # fmt: skip
    return words(joined("; ", (line, *_targets(workload))))


def _targets(workload: Workload) -> Iterator[str]:
    """What was asked for, in the units in which it was understood."""
    first, tpot_s = workload.ttft_target_s, workload.tpot_target_s
    if first is not None:
        yield phrase("plan.wanted-first", "first token within {seconds}", seconds=Amount(first, "s"))
    if tpot_s is not None:
        rate = Amount(1 / tpot_s, "tok/s")
        yield phrase("plan.wanted-each", "a token every {seconds} ({rate})", seconds=Amount(tpot_s, "s"), rate=rate)


def _print_verdict(answer: Answer) -> None:
    verdict = answer.verdict
    reasons = shown(joined("; ", (words(reason) for reason in verdict.reasons)))
    if verdict.kind is None:
        console().print(f"\n[bold red]{phrase('plan.no-fit', 'does not fit')}[/]{colon()}{reasons}")
    else:
        console().print(f"\n[bold green]{verdict.kind.value}[/]{colon()}{reasons}")


def _print_limits(plan: Plan) -> None:
    console().print(f"\n{shown(joined('; ', (words(limit) for limit in limits(plan))))}")


def limits(plan: Plan) -> tuple[Message, ...]:
    """What the best plan is short of: the tightest device, the room, the wait, loading."""
    memory, estimate, limit_lines = plan.estimate.memory, plan.estimate, []
    if memory.tightest is not None:
        device = memory.tightest
        needed, available = Amount(device.needed_bytes, "B"), Amount(device.available_bytes, "B")
        text = "tightest: {device} holds {needed} of {available}"
        limit_lines.append(message("plan.tightest", text, device=device.device, needed=needed, available=available))
    limit_lines.append(message("plan.limited", "limited by {limit}", limit=limit_words(estimate.limited_by)))
    if memory.max_context is not None:
        limit_lines.append(message("plan.max-context", "context up to {tokens} tokens", tokens=memory.max_context))
    if memory.max_sequences is not None and plan.workload.request_rate is None:
        single, many = "room for {count} such user at a time", "room for {count} such users at a time"
        limit_lines.append(counted("plan.max-users", single, many, memory.max_sequences))
    if estimate.ttft_p99_s is not None:
        text = "one request in a hundred waits {seconds} for its first token"
        limit_lines.append(message("plan.p99", text, seconds=Amount(estimate.ttft_p99_s, "s")))
    idle = idle_words(plan)
    if idle is not None:
        limit_lines.append(idle)
    starting = start_words(plan)
    if starting is not None:
        limit_lines.append(starting)
    return tuple(limit_lines)


def print_most_users(most: MostUsers | None) -> None:
    """How many users keep the targets, and on which plan."""
    if most is None:
        console().print(f"\n{phrase('plan.most-users-none', 'not even one user keeps the targets')}")
        return
    engine, weights, layout = most.plan.layout.engine.value, most.plan.layout.quantisation, describe(most.plan.layout)
    described = f"{engine} {weights.upper()}, {words(layout)}"
    if most.at_least:
        text = message("plan.most-users-at-least", "{count} users and more keep the targets ({plan})",
                       count=most.users, plan=described)  # fmt: skip
    else:
        text = message("plan.most-users", "up to {count} users at a time keep the targets ({plan})",
                       count=most.users, plan=described)  # fmt: skip
    line = words(text)
    console().print(f"\n[bold]{escape(line)}[/]")


def print_as_it_is(as_it_is: AsItIs) -> None:
    """A command line as an estimate, what it is short of, and what the best plan does otherwise."""
    out, plan = console(), as_it_is.plan
    out.print(f"[bold]{escape(model_line(plan.model))}[/]")
    out.print(escape(phrase("plan.on", "on {machine}", machine=words(machine_line(plan.machine)))))
    head = phrase("command.head", "as it is")
    if as_it_is.fits is False:
        head = phrase("command.no-fit", "as it is: does not fit")
    best = as_it_is.better.ranking.best
    out.print(f"\n[bold]{head}[/]")
    out.print(plans_table((plan,)))
    out.print(shown(joined("; ", (words(limit) for limit in limits(plan)))))
    for device in plan.estimate.memory.devices:
        if (device.spare_bytes or 0) < 0:
            out.print(memory_table(device))
    if best is not None:
        out.print(f"\n[bold]{phrase('command.better', 'the best plan with this engine')}[/]")
        out.print(plans_table((best,)))
    for change in as_it_is.changes:
        out.print(f"  {escape(words(change))}")


def _print_way_out(answer: Answer) -> None:
    """What is short, term by term, and what would fit instead."""
    miss = answer.ranking.near_miss
    if miss is None:
        return
    for device in miss.memory.devices:
        if (device.spare_bytes or 0) < 0:
            console().print(memory_table(device))
            break
    if answer.levers:
        console().print(f"\n[bold]{phrase('plan.levers', 'what would fit, least loss first')}[/]")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    for lever in answer.levers:
        plan = lever.plan
        rate = f"{format_rate(plan.estimate.decode_tok_s.value)} tok/s"
        table.add_row(
            escape(words(lever.change)), f"{plan.layout.engine.value} {plan.layout.quantisation.upper()}", rate
        )
    console().print(table)


def _print_steps(steps: NextSteps) -> None:
    """What to type now; commands are never folded, so that they can be copied."""
    if not steps.steps:
        return
    console().print(f"\n[bold]{phrase('plan.type', 'what to type')}[/]")
    for step in steps.steps:
        console().print(f"  [dim]# {escape(words(step.purpose))}[/]")
        console().print(f"  {escape(step.command)}", soft_wrap=True)
    if steps.downloads is not None:
        console().print(f"  [dim]{escape(words(disk_line(steps.downloads)))}[/]")


def _print_upgrades(upgrades: tuple[Upgrade, ...]) -> None:
    worthwhile = [(upgrade, gained) for upgrade in upgrades if (gained := gain(upgrade)) is not None]
    if not worthwhile:
        return
    console().print(f"\n[bold]{phrase('plan.upgrade', 'next upgrade')}[/]")
    for upgrade, gained in worthwhile[:4]:
        console().print(f"  {shown(upgrade.change)}{colon()}{shown(gained)}")


def gain(upgrade: Upgrade) -> Message | None:
    """What an upgrade buys; None where it changes nothing, or slows the answers down."""
    rate = Amount(upgrade.plan.estimate.decode_tok_s.value, "tok/s")
    if upgrade.gain == float("inf"):
        return message("upgrade.runs", "it would run: {rate}", rate=rate)
    if upgrade.finer is not None:
        text = "room for finer weights: {weights} at {rate}"
        return message("upgrade.finer", text, weights=upgrade.finer.upper(), rate=rate)
    if max(upgrade.gain, upgrade.ttft_gain) < 1.02 or upgrade.gain < 0.98:
        return None
    text = "tokens/s x{rate}, first token {first}x as soon"
    return message("upgrade.faster", text, rate=_times(upgrade.gain), first=_times(upgrade.ttft_gain))


def _times(gain: float) -> str:
    return f"{gain:.2f}" if gain < 10 else f"{gain:.0f}"


def _print_refused(answer: Answer) -> None:
    counted_line = phrase("plan.considered", "{count} layouts considered", count=answer.ranking.considered)
    if not answer.ranking.refused:
        console().print(f"\n[dim]{counted_line}[/]")
        return
    same: dict[str, list[str]] = {}
    for refusal in answer.ranking.refused:
        same.setdefault(words(refusal.reason), []).append(words(refusal.subject))
    reasons = words(joined("; ", (listed(who) + colon() + reason for reason, who in same.items())))
    out = phrase("plan.out", "{considered}. Out: {reasons}", considered=counted_line, reasons=reasons)
    console().print(f"\n[dim]{escape(out)}[/]")


def print_notes(assumptions: tuple[Assumption, ...]) -> None:
    """What was read in one of several ways, or taken without a word: above every answer."""
    for reading in readings(assumptions):
        console().print(f"[yellow]{phrase('plan.note', 'note')}{colon()}[/]{escape(reading)}")


def readings(assumptions: tuple[Assumption, ...]) -> tuple[str, ...]:
    """What was taken of several things that the words could mean, each once, to stand above the answer."""
    shown_readings = (taken(assumption) for assumption in assumptions if assumption.reading)
    return tuple(dict.fromkeys(shown_readings))


def _print_assumptions(answer: Answer, best: Plan | None, explain: bool) -> None:
    assumptions = answer.assumptions + (best.estimate.assumptions if best else ())
    assumptions = tuple(assumption for assumption in assumptions if not assumption.reading)
    if not assumptions:
        return
    if not explain:
        texts = words(joined("; ", (words(assumption.text) for assumption in assumptions[:4])))
        console().print(f"[dim]{escape(phrase('plan.assumed', 'assumed: {texts}', texts=texts))}[/]")
        return
    console().print(f"\n[bold]{phrase('plan.assumptions', 'assumptions')}[/]")
    for assumption in assumptions:
        console().print(f"  {escape(taken(assumption))}")
