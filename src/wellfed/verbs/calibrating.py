"""`bench calibrate`: measure memory and a model on this machine, fit, keep; later predictions start from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from wellfed.bench.calibrate import Measured, machine_calibration
from wellfed.bench.store import MemoryFigures, OwnCalibration, identity, save, save_calibration
from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.launch.process import free_port
from wellfed.launch.service import end, serve
from wellfed.message import listed, sentence
from wellfed.nouns.calibration import Calibration, Watched
from wellfed.planner.kinds import Kind, kind_of
from wellfed.verbs import inputs, measuring
from wellfed.verbs.as_started import estimated
from wellfed.verbs.bringing_up import measured
from wellfed.verbs.running import Prepared, RunOptions, Told, prepare

if TYPE_CHECKING:
    from wellfed.bench.load import Measurement
    from wellfed.bench.memory import MemoryReport
    from wellfed.nouns.plan import Plan

# (prompt, output) tokens: decode with a short context, prefill, decode behind a long one.
SCENARIOS = ((32, 64), (512, 8), (1536, 32))
_CONTEXT = 2048


@dataclass(frozen=True, slots=True)
class Options:
    """`memory_bytes`: of each array and thread; 0 leaves memory out. `requests`: of each scenario."""

    models: tuple[str, ...] = ()
    memory_bytes: int = 256 * 2**20
    requests: int = 3
    threads: int | None = None
    program: str | None = None


def calibrate(options: Options, say: Told = lambda _: None) -> OwnCalibration:
    """Measure and fit; nothing is written. Raises WellfedError where memory or a model cannot be measured."""
    from wellfed.catalog.calibration import bundled

    ready = [_prepared(model, options, say) for model in options.models]  # a name that is wrong costs no measurement
    memory = _memory(options, say)
    machine = memory.of(inputs.machine())
    measured: list[Measured] = []
    keys: dict[str, float] = {}
    for prepared in ready:
        prepared = replace(prepared, plan=replace(prepared.plan, machine=machine))
        measured += _measured(prepared, options.requests, say)
        keys |= parameters(prepared.plan, bundled())
    source = sentence(
        "calibrating.bench-memory",
        "bench memory; {models}",
        models=listed(options.models) or sentence("calibrating.no-model", "no model"),
    )
    return machine_calibration(identity(machine), memory, bundled(), keys, measured, source)


def _prepared(model: str, options: Options, say: Told) -> Prepared:
    """A launch on the CPU, not started. Raises WellfedError where the model cannot be had or wants a GPU."""
    run = RunOptions(context=_CONTEXT, port=free_port(), threads=options.threads, program=options.program)
    prepared = prepare(model, run, say)
    if kind_of(prepared.plan.layout) is not Kind.CPU:
        raise WellfedError(
            sentence("calibrating.only-plans-cpu", "only plans on the CPU can be calibrated yet"),
            sentence("calibrating.gpu-predictions-keep", "GPU predictions keep the bundled values"),
        )
    return prepared


def keep(calibration: OwnCalibration) -> str:
    """Write this machine's calibration; returns the file's path."""
    return str(save_calibration(calibration))


def _memory(options: Options, say: Told) -> MemoryFigures:
    if not options.memory_bytes:
        return MemoryFigures()
    report = measuring.memory(inputs.machine(), options.memory_bytes, say)
    save("memory", report)
    if report.doubt is not None:
        say(
            sentence(
                "calibrating.memory-used-measure",
                "memory: {doubt}: not used; measure again when the machine is idle (`wellfed bench memory`)",
                doubt=report.doubt,
            )
        )
        return MemoryFigures()
    return figures(report)


def figures(report: MemoryReport) -> MemoryFigures:
    """What predictions take from a report."""
    return MemoryFigures(report.best(), report.small_pages_bytes_per_s, report.clock_hz)


def _measured(prepared: Prepared, requests: int, say: Told) -> list[Measured]:
    """Each scenario's prefill and decode speed. The engine is gone afterwards."""
    service = serve(prepared.spec, prepared.plan.model.id, timeout_s=1800)
    try:
        observations = []
        for prompt, output in SCENARIOS:
            say(
                sentence(
                    "calibrating.prompt-tokens-answer",
                    "{plan}: {prompt} prompt tokens, {output} to answer",
                    plan=prepared.plan.model.id,
                    prompt=prompt,
                    output=output,
                )
            )
            observations += observed(prepared.plan, measured(prepared, prompt, output, requests))
        return observations
    finally:
        end(service.running)


def observed(plan: Plan, measurement: Measurement) -> list[Measured]:
    """What one scenario tells: the prefill rate of prompts that are long enough, the decode rate behind them."""
    workload = replace(
        plan.workload,
        concurrency=1,
        prompt_tokens=max(1, round(measurement.prompt_tokens)),
        output_tokens=max(1, round(measurement.output_tokens)),
    )
    asked_for = replace(plan, workload=workload)
    setting = sentence(
        "calibrating.prompt-tokens",
        "{plan} {quantisation}, {prompt_tokens} prompt tokens",
        plan=plan.model.id,
        quantisation=plan.weights.quantisation.upper(),
        prompt_tokens=workload.prompt_tokens,
    )
    rows = []
    if measurement.prefill_tok_s and workload.prompt_tokens >= 256:
        rows.append(
            Measured(
                sentence("calibrating.prefill", "prefill, {what}", what=setting),
                "CPU prefill",
                "tok/s",
                measurement.prefill_tok_s,
                _predicts(asked_for, False),
            )
        )
    if measurement.decode_tok_s and workload.output_tokens >= 16:
        rows.append(
            Measured(
                sentence("calibrating.decode", "decode, {what}", what=setting),
                "CPU decode",
                "tok/s",
                measurement.decode_tok_s,
                _predicts(asked_for, True),
            )
        )
    return rows


def _predicts(plan: Plan, decode: bool) -> Callable[[Calibration], float]:
    """Decode rate, or prompt tokens over time to first token, as a calibration predicts it."""

    def predict(calibration: Calibration) -> float:
        estimate = estimated(plan, plan.layout, calibration).estimate
        return estimate.decode_tok_s.value if decode else plan.workload.prompt_tokens / estimate.ttft_s.value

    return predict


# What a machine's own kernels, cores and memory differ in from those that the bundled values were fitted to.
_FITTED = frozenset(
    {"measured_fraction", "bandwidth_fraction", "core_bytes_per_cycle", "unpack_fraction", "vector_ops_per_cycle",
     "macs_per_cycle", "float_macs_per_cycle", "attention_macs_per_cycle", "cache_per_cycle", "pair_cycles",
     "tile_rows", "expert_fraction", "op_us"}
)  # fmt: skip


def parameters(plan: Plan, base: Calibration) -> dict[str, float]:
    """The parameters that a CPU plan's speed is computed from, by their most special keys, with their bundled values.

    They are those that an estimate looks up, so that a change of the model needs none here.
    """
    watched = Watched.of(base)
    estimated(plan, plan.layout, watched)
    paths = {path for path in watched.paths_read if path[0] == "cpu" and path[-1] in _FITTED}
    return {".".join(path): value for path in sorted(paths) if (value := base.value(*path)) > 0}
