"""What a running engine should do: its plan made again, with the layout that its command line shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wellfed.engines import embedded
from wellfed.errors import Unsupported, WellfedError
from wellfed.faults.fault import MENDED
from wellfed.faults.registry import ALL as FAULTS
from wellfed.faults.registry import of_behaviour
from wellfed.message import sentence
from wellfed.nouns.layout import CPU_ONLY, Engine, Layout
from wellfed.nouns.workload import PRESETS
from wellfed.verbs import inputs, planning
from wellfed.watching.trace import Mended, Promise

if TYPE_CHECKING:
    from wellfed.hardware.machine import Machine
    from wellfed.nouns.calibration import Calibration
    from wellfed.nouns.plan import Plan, Request


def promise(model: str, concurrency: int = 1, engine: str | None = None, command: Sequence[str] = ()) -> Promise:
    """What a plan for `model` on this machine promises, laid out as `command` asks.

    What is free now does not matter: the engine holds its memory already. Raises what `plan` raises.
    """
    plan = running_plan(model, concurrency, engine, command)
    return promised(plan, inputs.calibration(machine=plan.machine))


def running_plan(model: str, concurrency: int, engine: str | None, command: Sequence[str]) -> Plan:
    """The best plan of the engine, changed to what the command line decides otherwise, and estimated anew."""
    from wellfed.checks.pricing import as_is
    from wellfed.checks.registry import select
    from wellfed.planner.answer import answer

    engine_names = {member.value for member in Engine}
    options = planning.PlanOptions(
        workload=replace(PRESETS["chat"], concurrency=concurrency),
        engines=(Engine(engine),) if engine in engine_names else (),
    )
    machine = at_rest(as_is(inputs.machine(), select()))
    search, assumptions = planning.search(model, options, machine)
    best = answer(search, assumptions, with_upgrades=False).ranking.best
    if best is None:
        search = replace(search, goal=replace(search.goal, least_quality_bits=0.0))
        best = answer(search, assumptions, with_upgrades=False).ranking.best
    if best is None:
        raise Unsupported(
            sentence("promises.no-plan-fits", "no plan of {model} fits this machine", model=model),
            sentence("promises.wellfed-plan-tells", "`wellfed plan` tells by how much"),
        )
    return _estimated(replace(best, layout=as_started(best.layout, command)), search.calibration)


def at_rest(machine: Machine) -> Machine:
    """The machine with nothing running: what is free now is not told."""
    return replace(
        machine,
        os=replace(machine.os, memory_free_bytes=None),
        gpus=tuple(replace(gpu, memory_free_bytes=None) for gpu in machine.gpus),
        numa_nodes=tuple(replace(node, memory_free_bytes=None) for node in machine.numa_nodes),
    )


def promised(plan: Plan, calibration: Calibration) -> Promise:
    """A plan's figures as watch keeps them."""
    from wellfed.perf.traffic import decode_traffic

    estimate = plan.estimate
    rate, traffic = estimate.decode_tok_s, decode_traffic(_request(plan), calibration, estimate.running)
    return Promise(
        decode_tok_s=rate.value,
        decode_low_tok_s=rate.low,
        decode_high_tok_s=rate.high,
        limited_by=estimate.limited_by,
        prefill_tok_s=estimate.prefill_tok_s.value,
        total_tok_s=estimate.total_tok_s.value,
        bytes_per_token=None if traffic is None else traffic.step_bytes,
        memory_bytes_per_s=None if traffic is None else traffic.bytes_per_s,
        memory="" if traffic is None else traffic.memory,
        running=estimate.running,
        mended=mended(plan, calibration),
        source=f"plan of {plan.model.id}, {plan.layout.quantisation}, {plan.layout.engine.value}",
    )


def mended(plan: Plan, calibration: Calibration) -> tuple[Mended, ...]:
    """The plan on a machine without faults of its own that watch sees at work; only where that makes it faster."""
    from wellfed.checks.pricing import as_is, difference
    from wellfed.checks.pricing import mended as repaired
    from wellfed.checks.registry import select

    everything, mended_rules = select(), []
    now = as_is(plan.machine, everything)
    for rule, ids in mending().items():
        machine = as_is(repaired(plan.machine, [check for check in everything if check.id in ids]), everything)
        if machine in (now, plan.machine):
            continue
        try:
            better = _estimated(replace(plan, machine=machine), calibration)
        except WellfedError:
            continue
        cost = difference(plan.estimate, better.estimate)
        if cost.decode_tok_s > 0 or cost.prefill_tok_s > 0:
            rates = better.estimate.decode_tok_s.value, better.estimate.prefill_tok_s.value
            mended_rules.append(Mended(rule, *rates))
    return tuple(mended_rules)


def mending() -> Mapping[str, frozenset[str]]:
    """The checks whose repair lifts what a diagnosis sees, by diagnosis: those of its faults that have a price."""
    return {
        id: frozenset(state for fault in of_behaviour(id) if fault.price is MENDED for state in fault.states)
        for id in dict.fromkeys(id for fault in FAULTS for id in fault.behaviours)
    }


def as_started(layout: Layout, command: Sequence[str]) -> Layout:
    """The layout with what the engine's own command line decides otherwise."""
    if embedded.MODULE in command:
        layout = replace(layout, options=tuple(dict((*layout.options, *embedded.options())).items()))
    if threads := _option(command, "--threads", "-t"):
        layout = replace(layout, threads=threads)
    if _option(command, "--n-gpu-layers", "-ngl") == 0:
        layout = replace(layout, offload=CPU_ONLY, gpus=0)
    if sequences := _option(command, "--parallel", "-np", "--max-num-seqs"):
        layout = replace(layout, max_sequences=sequences)
    return layout


def _option(command: Sequence[str], *names: str) -> int | None:
    for index, word in enumerate(command):
        name, _, value = word.partition("=")
        if name in names:
            value = value or (command[index + 1] if index + 1 < len(command) else "")
            return int(value) if value.isascii() and value.isdecimal() else None
    return None


def _estimated(plan: Plan, calibration: Calibration) -> Plan:
    from wellfed.perf.estimate import estimate

    return replace(plan, estimate=estimate(_request(plan), calibration))


def _request(plan: Plan) -> Request:
    from wellfed.nouns.plan import Request

    return Request(plan.machine, plan.model, plan.weights, plan.layout, plan.workload)
