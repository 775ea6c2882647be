"""`up`: a planned launch started, asked once, and held against its prediction."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from wellfed.asking.address import Address
from wellfed.bench.load import Measurement, Scenario, Target, measure
from wellfed.bench.neighbours import Neighbours
from wellfed.frozen import dataclass
from wellfed.launch.proof import group_placement
from wellfed.launch.service import Service, end, serve
from wellfed.message import Amount, Message, message, sentence
from wellfed.nouns.estimate import Estimate, Quantity
from wellfed.perf.numa import cpu_share
from wellfed.planner.kinds import Kind, kind_of
from wellfed.planner.start import starts_of
from wellfed.verbs import inputs
from wellfed.verbs.running import Prepared, Told

if TYPE_CHECKING:
    from wellfed.hardware.machine import Machine
    from wellfed.nouns.plan import Plan

PROMPT_TOKENS, OUTPUT_TOKENS = 512, 64  # of the request that a prediction is held against
BUSY = 0.3  # of the cores
_LEAST_LEFT = 0.1  # of the cores: less is no reading


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prediction beside its measurement. `quantity`: which it is of, as it is shown ("decode"); units: s, tok/s, B.
    None: not measured, or not predicted.
    """

    quantity: str
    unit: str
    predicted: Quantity | None
    measured: float | None

    @property
    def outside(self) -> bool:
        """Whether the measurement lies outside a range that was stated; loading may be quicker, and memory less."""
        if self.predicted is None or self.measured is None or self.predicted.low == self.predicted.high:
            return False
        return not self.predicted.low <= self.measured <= self.predicted.high

    @property
    def error(self) -> float | None:
        """0.1: the prediction is 10 % too high."""
        if self.predicted is None or not self.measured:
            return None
        return self.predicted.value / self.measured - 1


@dataclass(frozen=True, slots=True)
class Report:
    """What `up` found. `url` is None when the engine was stopped again."""

    prepared: Prepared
    rows: tuple[Comparison, ...]
    measurement: Measurement
    url: str | None
    load: float | None = None  # threads of others that wanted a core meanwhile, per core; None: not told

    def outside(self) -> tuple[Message, ...]:
        """Each measurement that lies outside its stated range, and why it may."""
        rows = [row for row in self.rows if row.outside]
        remarks = [message("up.outside", "{what} lies outside the stated range", what=row.quantity) for row in rows]
        if rows and self.load is not None and self.load > BUSY:
            remarks.append(message(
                "up.busy", "other work kept {load} of the cores busy: repeat it when they are idle",
                load=Amount(min(self.load, 1.0), "%"),
            ))  # fmt: skip
        elif rows and self.load is not None:
            remarks.append(
                message("up.idle", "the cores were idle: `wellfed bench calibrate` makes the next prediction fit")
            )
        elif rows:
            remarks.append(message("up.calibrate", "`wellfed bench calibrate` makes the next prediction fit"))
        return tuple(remarks)


def up(
    prepared: Prepared,
    timeout_s: float,
    keep: bool = False,
    progress: Callable[[float], None] = lambda _: None,
    started: Callable[[Service], None] = lambda _: None,
    say: Told = lambda _: None,
) -> Report:
    """Start, warm, ask, compare; then stop, unless `keep`. Whatever goes wrong, nothing is left running."""
    service = serve(prepared.spec, prepared.plan.model.id, timeout_s, keep, progress)
    succeeded = False
    try:
        started(service)
        prompt, output = _lengths(prepared.plan)
        say(
            sentence(
                "bringing-up.asking-once-prompt",
                "asking once: {prompt} prompt tokens, {output} to answer",
                prompt=prompt,
                output=output,
            )
        )
        with Neighbours(service.engine.pid) as neighbours:
            measurement = measured(prepared, prompt, output)
        machine = beside(prepared.plan, neighbours.cores)
        rows = compared(replace(prepared.plan, machine=machine), measurement, service)
        succeeded = True
        return Report(prepared, rows, measurement, service.running.url if keep else None, _others_per_core(machine))
    finally:
        if not (keep and succeeded):
            end(service.running)


def beside(plan: Plan, others_cores: float | None) -> Machine:
    """The plan's machine with the threads of others that made it wait while it was asked: the load may have changed.

    All that run take turns. Others that took c of n cores, beside an engine's t threads that found too few left, wanted
    c x t / (n - c) of them. As the machine was, where nothing was told.
    """
    machine = plan.machine
    if others_cores is None or machine.os.others_running is None:
        return machine
    share = cpu_share(machine, plan.layout)
    cores = share.cores + share.light_cores
    left = max(_LEAST_LEFT * cores, cores - others_cores)
    others = others_cores * max(1.0, min(share.threads, cores) / left)
    return replace(machine, os=replace(machine.os, others_running=others))


def _others_per_core(machine: Machine) -> float | None:
    """Threads of others that want a core, per core: as counted in the prediction, else by a look now.

    The load averages of the system would name as busy for a minute what has ended.
    """
    from wellfed.launch.cores import running_threads

    others = machine.os.others_running
    if others is None:
        others = running_threads()
    return None if others is None else others / (os.cpu_count() or 1)


def _lengths(plan: Plan) -> tuple[int, int]:
    room = plan.workload.context
    return min(PROMPT_TOKENS, room // 2), min(OUTPUT_TOKENS, room // 4)


def measured(prepared: Prepared, prompt: int, output: int, requests: int = 1) -> Measurement:
    """Requests of one user, one after the other, after a short one that warms the engine."""
    endpoint = prepared.spec.endpoint
    target = Target(Address(endpoint.url, endpoint.api_key), prepared.plan.model.id)
    return measure(target, Scenario(1, prompt, output, requests))


def predicted(plan: Plan, prompt: float, output: float) -> Estimate:
    """The estimate of one user's request of these lengths, under the plan's layout."""
    from wellfed.nouns.plan import Request
    from wellfed.perf.estimate import estimate

    workload = replace(
        plan.workload,
        concurrency=1,
        prompt_tokens=max(1, round(prompt)),
        output_tokens=max(1, round(output)),
        context_tokens=plan.workload.context,
    )
    request = Request(plan.machine, plan.model, plan.weights, plan.layout, workload)
    return estimate(request, inputs.calibration(machine=plan.machine))


def compared(plan: Plan, measurement: Measurement, service: Service) -> tuple[Comparison, ...]:
    """Time to first token, decode rate, load time and resident memory, predicted and measured."""
    expected = predicted(plan, measurement.prompt_tokens, measurement.output_tokens)
    ttft = measurement.ttft_s.median if measurement.ttft_s else None
    load = next((start.ready_s for start in starts_of(plan)), None)
    rows = [
        Comparison("time to first token", "s", expected.ttft_s, ttft),
        Comparison("decode", "tok/s", expected.decode_tok_s, measurement.decode_tok_s),
        Comparison("load", "s", load, service.load_s),
    ]
    if kind_of(plan.layout) is Kind.CPU:
        ram = next((device.resident_bytes for device in plan.estimate.memory.devices if device.device == "ram"), None)
        resident = group_placement(service.engine.pid).resident_bytes
        rows.append(Comparison("resident memory", "B", None if ram is None else Quantity.exact(ram), resident))
    return tuple(rows)
