"""A plan with what is known of the program that starts it, of the cores that are idle, and of its prompt cache."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wellfed.engines import embedded
from wellfed.engines.placement import binding, threads
from wellfed.engines.prompt_cache import prompt_cache_bytes
from wellfed.errors import BadInput
from wellfed.hardware.machine import Machine, Origin
from wellfed.launch.programs import Program
from wellfed.message import sentence
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Plan, Request
from wellfed.verbs import inputs
from wellfed.verbs.commands import READS_GGUF

if TYPE_CHECKING:
    from wellfed.nouns.calibration import Calibration


def as_started(
    plan: Plan, program: Program, asked_threads: int | None = None, elsewhere: bool = False
) -> tuple[Plan, tuple[str, ...]]:
    """The plan with what is known of the program, its threads and its prompt cache; estimated anew. And warnings."""
    layout = plan.layout
    if plan.layout.engine is Engine.LLAMA_CPP and program.origin == "embedded":
        layout = replace(layout, options=(*layout.options, *embedded.options()))
    count, warnings = _threads(plan.machine, layout, asked_threads, elsewhere)
    layout = replace(layout, threads=count)
    plan = _with_others(plan, elsewhere)
    fresh = layout == plan.layout and plan.machine.os.others_running is None
    return _with_prompt_cache(plan if fresh else estimated(plan, layout)), warnings


def _with_others(plan: Plan, elsewhere: bool) -> Plan:
    """The plan on the machine with the other programs that want its cores now; on this machine alone."""
    if elsewhere or plan.machine.origin is not Origin.LIVE or plan.layout.engine not in READS_GGUF:
        return plan
    from wellfed.launch.cores import running_threads

    system = replace(plan.machine.os, others_running=running_threads())
    return replace(plan, machine=replace(_with_clock(plan.machine), os=system))


def _with_clock(machine: Machine) -> Machine:
    """The machine with the clock that its cores keep now, where neither a name nor a benchmark tells one."""
    from wellfed.bench.burst import burst_clock_hz

    named = all(socket.cpu is not None and not socket.cpu.stands_for_unknown for socket in machine.sockets)
    if machine.measured_clock_hz is not None or named:
        return machine
    return replace(machine, measured_clock_hz=burst_clock_hz())


def _with_prompt_cache(plan: Plan) -> Plan:
    """The plan with a bound on the prompts that llama.cpp's server keeps in RAM."""
    if plan.layout.engine not in READS_GGUF or plan.layout.prompt_cache_bytes is not None:
        return plan
    cache_bytes = prompt_cache_bytes(plan.estimate.memory, plan.workload.concurrency)
    return plan if cache_bytes is None else estimated(plan, replace(plan.layout, prompt_cache_bytes=cache_bytes))


def estimated(plan: Plan, layout: Layout, calibration: Calibration | None = None) -> Plan:
    """The plan with another layout, under the machine's calibration or another one."""
    from wellfed.perf.estimate import estimate

    request = Request(plan.machine, plan.model, plan.weights, layout, plan.workload)
    chosen = calibration or inputs.calibration(machine=plan.machine)
    return replace(plan, layout=layout, estimate=estimate(request, chosen))


def _ensure_at_most(requested: int | None, machine: Machine) -> None:
    """Raises BadInput for more threads than the machine has: they would take turns, and all wait at each barrier."""
    sockets = [socket.threads or socket.cores for socket in machine.sockets]
    most = sum(count for count in sockets if count is not None)
    if requested is not None and sockets and None not in sockets and requested > most:
        raise BadInput(
            sentence("as-started.threads", "{asked} threads: the machine has {most}", asked=requested, most=most),
            sentence("as-started.threads.hint", "without --threads it is one per idle core"),
        )


def _threads(
    machine: Machine, layout: Layout, requested: int | None, elsewhere: bool
) -> tuple[int | None, tuple[str, ...]]:
    """Threads as asked, else one per core of the binding, and on this machine never more than cores are idle."""
    _ensure_at_most(requested, machine)
    bound = binding(machine, layout)
    planned = requested or threads(machine, layout, bound)
    if (
        layout.engine not in READS_GGUF
        or planned is None
        or requested
        or elsewhere
        or machine.origin is not Origin.LIVE
    ):
        return planned, ()
    from wellfed.launch.cores import idle_cores, threads_now

    idle = idle_cores(bound.cpus)
    count = threads_now(planned, idle)
    if count == planned:
        return planned, ()
    line = sentence(
        "as-started.other-programs-keep",
        "other programs keep cores busy ({idle:.1f} idle): {count} threads instead of {planned}; see --threads",
        idle=idle,
        count=count,
        planned=planned,
    )
    return count, (line,)
