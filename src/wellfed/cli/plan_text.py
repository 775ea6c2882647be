"""A plan's answer for a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.markup import escape
from rich.table import Table

from wellfed.cli.console import console
from wellfed.cli.machine_text import machine_line
from wellfed.engines.usual import can_be_started
from wellfed.estimate import DeviceMemory, Quantity, Term, total_seconds
from wellfed.models.model import Model
from wellfed.plan import Plan
from wellfed.planner.answer import Answer
from wellfed.planner.kinds import describe
from wellfed.planner.search import missed_targets
from wellfed.planner.upgrades import Upgrade
from wellfed.provenance import Assumption
from wellfed.units import format_bytes, format_rate, format_seconds
from wellfed.verbs.next_steps import NextSteps, disk_line
from wellfed.workload import Workload


def print_answer(answer: Answer, top: int, explain: bool, steps: Callable[[Plan], NextSteps]) -> None:
    """Verdict, the best plans, what limits, what would help, why others are out."""
    out = console()
    search = answer.search
    out.print(f"[bold]{escape(model_line(search.model))}[/]")
    out.print(f"on {escape(machine_line(search.machine))}")
    for reading in readings(search.machine.assumptions + answer.assumptions):
        out.print(f"[yellow]note:[/] {escape(reading)}")
    out.print(f"[dim]{_workload_line(search.workload, search.sweep)}[/]")
    _print_verdict(answer)
    plans = answer.ranking.best_of_each_kind()[:top]
    if plans:
        out.print(_plans_table(plans))
        _print_limits(plans[0])
        _print_steps(steps(plans[0]))
    else:
        _print_way_out(answer)
    _print_upgrades(answer.upgrades)
    _print_refused(answer)
    if explain and plans:
        print_ledgers(plans[0])
        _print_host(answer)
    _print_assumptions(answer, plans[0] if plans else None, explain)


def _print_host(answer: Answer) -> None:
    """What the CPU costs, and what holds it down."""
    cost = answer.host
    if cost is None:
        return
    console().print("\n[bold]the host[/]")
    console().print(f"  {escape(str(cost.told()))}")
    console().print(f"  [dim]one core: {cost.ratio:.2f} of a Ryzen 9 7950X's, {cost.fastest_ratio:.2f} at best[/]")
    for cause, left in cost.speed.losses:
        console().print(f"  [dim]{escape(cause.value)}: {left:.0%} is left[/]")


def model_line(model: Model) -> str:
    """Name, size, layers, context."""
    size = f"{_count(model.parameters)} parameters"
    if model.is_moe:
        size += f", {_count(model.active_parameters)} active"
    return f"{model.name}: {size}, {len(model.layers)} layers, context {model.context_limit:,}"


def _count(parameters: int) -> str:
    return f"{parameters / 1e12:.2f}T" if parameters >= 1e12 else f"{parameters / 1e9:.3g}B"


def _workload_line(workload: Workload, sweep: bool) -> str:
    users = f"{workload.concurrency} at a time" if workload.request_rate is None else f"{workload.request_rate:g}/s"
    return (
        f"{workload.name}: {'any concurrency' if sweep else users}, {workload.prompt_tokens:,} prompt + "
        f"{workload.output_tokens:,} output tokens, room for {workload.context:,}"
    )


def _print_verdict(answer: Answer) -> None:
    verdict = answer.verdict
    if verdict.kind is None:
        console().print(f"\n[bold red]does not fit[/]: {escape(verdict.why)}")
    else:
        console().print(f"\n[bold green]{verdict.kind.value}[/]: {escape(verdict.why)}")


_WRAPPED = {"layout": 7, "limited by": 9}  # may break, at so many columns
_ROOMY = 110  # columns from which every column stands unbroken


def _plans_table(plans: tuple[Plan, ...]) -> Table:
    """One row for each plan. With several users on a narrow terminal, spare memory and intervals make room."""
    table = Table(box=None, header_style="dim", pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    several = any(plan.workload.concurrency > 1 for plan in plans)
    narrow = several and console().width < _ROOMY
    names = [name for name in _columns(several) if not (narrow and name == "spare")]
    for name in names:
        right = name in {"spare", "users", "TTFT"} or name.startswith("tok/s")
        header = name.replace(" ", "\n", 1) if narrow else name
        table.add_column(
            header, justify="right" if right else "left", no_wrap=name not in _WRAPPED, min_width=_WRAPPED.get(name)
        )
    for plan in plans:
        cells = _cells(plan, several, narrow)
        table.add_row(*(cells[name] for name in names), style="bold" if plan is plans[0] else None)
    return table


def _columns(several: bool) -> tuple[str, ...]:
    speeds = ("users", "TTFT", "tok/s each", "tok/s all") if several else ("TTFT", "tok/s")
    return ("engine", "weights", "layout", "spare", *speeds, "limited by")


def _cells(plan: Plan, several: bool, narrow: bool) -> dict[str, str]:
    estimate, tightest = plan.estimate, plan.estimate.memory.tightest
    late = {missed.target: " [red]late[/]" for missed in missed_targets(plan)}
    late_tpot = late.get("tpot", "")
    total = format_rate(estimate.total_tok_s.value) if narrow else _range(estimate.total_tok_s)
    return {
        "engine": plan.layout.engine.value,
        "weights": plan.layout.quantisation.upper(),
        "layout": describe(plan.layout) + ("" if can_be_started(plan.machine, plan.layout) else " (estimate only)"),
        "spare": "?" if tightest is None else format_bytes(tightest.spare_bytes),
        "users": f"{plan.workload.concurrency:,}",
        "TTFT": format_seconds(estimate.ttft_s.value) + late.get("ttft", ""),
        "tok/s": _range(estimate.decode_tok_s) + late_tpot,
        "tok/s each": format_rate(estimate.decode_tok_s.value) + late_tpot,
        "tok/s all": total,
        "limited by": estimate.limited_by,
    }


def _range(quantity: Quantity) -> str:
    return f"{format_rate(quantity.value)} [dim]({format_rate(quantity.low)}-{format_rate(quantity.high)})[/]"


def _print_limits(plan: Plan) -> None:
    memory = plan.estimate.memory
    words = []
    if memory.tightest is not None:
        needed, device = memory.tightest.needed_bytes, memory.tightest
        words.append(
            f"tightest: {device.device} holds {format_bytes(needed)} of {format_bytes(device.available_bytes)}"
        )
    if memory.max_context is not None:
        words.append(f"context up to {memory.max_context:,} tokens")
    if memory.max_sequences is not None:
        words.append(f"room for {memory.max_sequences:,} such user{'' if memory.max_sequences == 1 else 's'} at a time")
    if plan.estimate.ttft_p99_s is not None:
        words.append(f"one request in a hundred waits {format_seconds(plan.estimate.ttft_p99_s)} for its first token")
    if plan.estimate.load_s is not None:
        words.append(f"loads in {format_seconds(plan.estimate.load_s)} from the page cache")
    console().print(f"\n{'; '.join(words)}")


def _print_way_out(answer: Answer) -> None:
    """What is short, term by term, and what would fit instead."""
    miss = answer.ranking.near_miss
    if miss is None:
        return
    for device in miss.memory.devices:
        if (device.spare_bytes or 0) < 0:
            console().print(_memory_table(device))
            break
    if answer.levers:
        console().print("\n[bold]what would fit[/], least loss first")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    for lever in answer.levers:
        plan = lever.plan
        rate = f"{_range(plan.estimate.decode_tok_s)} tok/s"
        table.add_row(escape(str(lever.change)), f"{plan.layout.engine.value} {plan.layout.quantisation.upper()}", rate)
    console().print(table)


def _print_steps(steps: NextSteps) -> None:
    """What to type now; commands are never folded, so that they can be copied."""
    if not steps.steps:
        return
    console().print("\n[bold]what to type[/]")
    for step in steps.steps:
        console().print(f"  [dim]# {escape(str(step.what))}[/]")
        console().print(f"  {escape(step.command)}", soft_wrap=True)
    if steps.downloads is not None:
        console().print(f"  [dim]{escape(str(disk_line(steps.downloads)))}[/]")


def _print_upgrades(upgrades: tuple[Upgrade, ...]) -> None:
    if not upgrades:
        return
    console().print("\n[bold]next upgrade[/]")
    for upgrade in upgrades[:4]:
        if upgrade.gain == float("inf"):
            text = f"it would run: {format_rate(upgrade.plan.estimate.decode_tok_s.value)} tokens/s"
        elif upgrade.finer is not None:
            rate = format_rate(upgrade.plan.estimate.decode_tok_s.value)
            text = f"room for finer weights: {upgrade.finer.upper()} at {rate} tokens/s"
        elif max(upgrade.gain, upgrade.ttft_gain) < 1.02:
            text = "changes nothing"
        else:
            text = f"tokens/s x{_times(upgrade.gain)}, first token {_times(upgrade.ttft_gain)}x as soon"
        console().print(f"  {escape(upgrade.change)}: {text}")


def _times(gain: float) -> str:
    return f"{gain:.2f}" if gain < 10 else f"{gain:.0f}"


def _print_refused(answer: Answer) -> None:
    if answer.ranking.refused:
        same: dict[str, list[str]] = {}
        for refusal in answer.ranking.refused:
            same.setdefault(refusal.reason, []).append(refusal.what)
        reasons = "; ".join(f"{', '.join(who)}: {reason}" for reason, who in same.items())
        console().print(f"\n[dim]{answer.ranking.considered} layouts considered. Out: {escape(reasons)}[/]")
    else:
        console().print(f"\n[dim]{answer.ranking.considered} layouts considered[/]")


def readings(assumptions: tuple[Assumption, ...]) -> tuple[str, ...]:
    """What was taken of several things that the words could mean, each once, to stand above the answer."""
    told = (f"{each.text} ({each.reason})" if each.reason else each.text for each in assumptions if each.reading)
    return tuple(dict.fromkeys(told))


def _print_assumptions(answer: Answer, best: Plan | None, explain: bool) -> None:
    found = answer.assumptions + (best.estimate.assumptions if best else ())
    found = tuple(assumption for assumption in found if not assumption.reading)
    if not found:
        return
    if not explain:
        console().print(f"[dim]assumed: {escape('; '.join(assumption.text for assumption in found[:4]))}[/]")
        return
    console().print("\n[bold]assumptions[/]")
    for assumption in found:
        reason = f" ({assumption.reason})" if assumption.reason else ""
        console().print(f"  {escape(assumption.text + reason)}")


def print_ledgers(plan: Plan) -> None:
    """Every term of memory and time."""
    console().print("\n[bold]memory[/]")
    for device in _distinct_devices(plan.estimate.memory.devices):
        console().print(_memory_table(device))
    console().print("\n[bold]one decode step[/]")
    console().print(_time_table(plan.estimate.decode))
    console().print("\n[bold]the prompt[/]")
    console().print(_time_table(plan.estimate.prefill))
    if plan.estimate.calibration:
        console().print(f"[dim]calibration: {escape(plan.estimate.calibration)}[/]")
    _print_sources(plan)


def _print_sources(plan: Plan) -> None:
    """Where the figures of the parts and the model come from."""
    told = [(gpu.spec.name, gpu.spec.sources) for gpu in plan.machine.gpus[:1] if gpu.spec]
    told += [(socket.cpu.name, socket.cpu.sources) for socket in plan.machine.sockets[:1] if socket.cpu]
    told.append((plan.model.name, plan.model.sources))
    console().print("\n[bold]sources[/]")
    for name, sources in told:
        for source in sources:
            console().print(f"  {escape(name)}: {escape(source.text)} [dim]({source.date or 'no date'})[/]")


def _distinct_devices(devices: tuple[DeviceMemory, ...]) -> list[DeviceMemory]:
    """Devices with equal ledgers are shown once."""
    seen: dict[tuple[object, ...], DeviceMemory] = {}
    for device in devices:
        key = tuple((term.name, round(term.bytes)) for term in device.terms)
        seen.setdefault(key, device)
    return list(seen.values())


def _memory_table(device: DeviceMemory) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row(
        f"[bold]{device.device}[/]", format_bytes(device.needed_bytes), f"of {format_bytes(device.available_bytes)}"
    )
    for term in sorted(device.terms, key=lambda term: -term.bytes):
        table.add_row(f"  {escape(term.name)}", format_bytes(term.bytes), f"[dim]{escape(term.note)}[/]")
    return table


def _time_table(terms: tuple[Term, ...]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    whole = total_seconds(terms) or 1.0
    for term in terms:
        share = term.seconds / whole
        bar = "█" * round(20 * share)
        table.add_row(
            f"  {escape(term.name)}", escape(term.device), format_seconds(term.seconds), f"{share:.0%}", bar,
            f"[dim]{escape(term.limited_by)}[/]",
        )  # fmt: skip
    table.add_row("  [bold]sum[/]", "", format_seconds(whole))
    return table
