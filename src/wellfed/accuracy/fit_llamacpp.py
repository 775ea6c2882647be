"""Refits the GPU rates of local engines from measurement tables. Deterministic; whole GPUs are left out for the errors.

The formulas are those of `perf.gpu_terms`: rows of one shape become arrays in the place of its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellfed.accuracy import rows_hybrid
from wellfed.accuracy.case import Case, Outcome, Row
from wellfed.accuracy.fitting import fit, leave_one_group_out, residual
from wellfed.accuracy.rows_llamacpp import interpret
from wellfed.accuracy.stages_llamacpp import START, Stage, stages
from wellfed.accuracy.tables import rows_of
from wellfed.calibration import Calibration, Residual
from wellfed.errors import WellfedError
from wellfed.estimate import Work
from wellfed.perf import hybrid
from wellfed.perf.gpu import GpuDevice, build_name, gpu_rates
from wellfed.perf.gpu_pass import Pass, pass_of, prompt_steps
from wellfed.perf.gpu_terms import Run, decode_terms, prompt_terms
from wellfed.perf.latent import as_run
from wellfed.perf.local import speed_class
from wellfed.perf.local_steps import gpu_shares, run_of
from wellfed.perf.ops import Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

TABLES = ("gpu_llamacpp.csv", "speed_misc.csv", "hybrid_ik_llama.csv", "hybrid.csv")
_GROUP_ROWS = 16  # a group of more rows, one rig's sweep, counts as this many
_CURRENT_SINCE = "2025-06-01"  # experts multiplied together, flash attention on tensor cores for most head sizes
_MISREAD = 4.0  # speeds so far from the start values did not run where the row seems to say


@dataclass(frozen=True, slots=True)
class Asked:
    """A case as its formula sees it."""

    case: Case
    phase: str
    asked: Pass
    device: GpuDevice
    run: Run
    build: str

    @property
    def shape(self) -> tuple[object, ...]:
        """What must be equal for cases to share arrays."""
        works = tuple((work.name, work.weight_type) for work in self.asked.works)
        flags = (self.asked.batched, self.asked.large_matrices, self.asked.latent)
        return (self.phase, self.run, self.build, self.device.vendor, self.device.architecture, works, flags)


def asked_of(case: Case) -> Asked:
    """The pass, GPU and run of a case's request."""
    request = case.request
    if request is None:
        raise ValueError("a case without a request cannot be fitted")
    phase = "decode" if case.metric == "decode_tok_s" else "prefill"
    share, workload = gpu_shares(request)[0], request.workload
    if phase == "decode":
        step, repeats = Step.decode(1, max(1.0, workload.mean_decode_context)), 1
    else:
        step, repeats = prompt_steps(workload.prompt_tokens, workload.depth_tokens, request.layout.ubatch_tokens)
    works = hybrid.split_works(request, step).gpu
    asked = pass_of(as_run(request.model, request.layout), range(len(request.model.layers)), works, step, repeats)
    return Asked(case, phase, asked, share.device, run_of(request.layout), build_name(request.layout))


@dataclass(frozen=True, slots=True)
class Stack:
    """Cases of one shape, with arrays for numbers, and where they stand among all."""

    first: Asked
    asked: Pass
    device: GpuDevice
    places: Vector


def stacked(cases: Sequence[Asked]) -> list[Stack]:
    """Cases by shape."""
    import numpy as np

    shapes: dict[tuple[object, ...], list[int]] = {}
    for place, one in enumerate(cases):
        shapes.setdefault(one.shape, []).append(place)
    return [
        Stack(
            cases[places[0]],
            _stack([cases[place].asked for place in places]),
            _stack([cases[place].device for place in places]),
            np.array(places),
        )
        for places in shapes.values()
    ]


def _stack(values: Sequence[Any]) -> Any:
    """One value like `values`, with an array wherever they hold numbers."""
    import numpy as np

    first = values[0]
    if isinstance(first, (int, float)) and not isinstance(first, bool):
        return np.array(values, dtype=float)
    if isinstance(first, tuple) and first and isinstance(first[0], Work):
        return tuple(_stack(column) for column in zip(*values, strict=True))
    if isinstance(first, (Pass, GpuDevice, Work)):
        return type(first)(**{f.name: _stack([getattr(value, f.name) for value in values]) for f in fields(first)})
    return first


def rate(stacks: Iterable[Stack], count: int, calibration: Calibration) -> Vector:
    """Tokens/s of every case under a calibration."""
    import numpy as np

    out = np.empty(count)
    for stack in stacks:
        first, device = stack.first, stack.device
        rates = gpu_rates(calibration, device.vendor, device.architecture, first.build)
        make = decode_terms if first.phase == "decode" else prompt_terms
        seconds = sum(term.seconds for term in make(stack.asked, device, rates, first.run))
        tokens = stack.asked.tokens * stack.asked.repeats if first.phase == "prefill" else 1.0
        out[stack.places] = tokens / seconds
    return out


@dataclass(frozen=True, slots=True)
class Fitted:
    """A stage's outcome: its part of the calibration and, row by row, the fit's and the left-out predictions."""

    stage: Stage
    cases: tuple[Asked, ...]
    parameters: Mapping[str, float]
    predicted: Vector
    left_out: Vector


def refit(folder: Path) -> Calibration:
    """The GPU calibration from the tables in `folder`; sigmas are those of whole GPUs left out."""
    parameters, found = fitted(cases_of(folder))
    source = f"refit of {', '.join(TABLES)}; sigmas with whole GPUs left out"
    rounded = {name: float(f"{value:.5g}") for name, value in parameters.items()}
    return Calibration("llamacpp-gpu", rounded, residuals(found), source)


def cases_of(folder: Path) -> list[Asked]:
    """Every speed that can be fitted, from the tables that exist."""
    rows: list[Row] = [row for name in TABLES if (folder / name).exists() for row in rows_of(folder / name)]
    outcomes = [outcome for row in rows for outcome in _interpreted(row)]
    cases = [one for one in outcomes if isinstance(one, Case) and one.metric != "oom" and not one.outlier]
    return _plausible([asked_of(case) for case in cases if "GPU" in case.cls])


def _interpreted(row: Row) -> tuple[Outcome, ...]:
    try:
        found = interpret(row)
        return (rows_hybrid.interpret(row) if found is None else found) or ()
    except WellfedError:
        return ()


def _plausible(cases: Sequence[Asked]) -> list[Asked]:
    """Cases that are not plainly of something else: the tables of threads do not always tell what ran where."""
    expected = rate(stacked(cases), len(cases), Calibration("start", dict(START)))
    return [
        one
        for one, speed in zip(cases, expected, strict=True)
        if one.build in ("may2024", "dec2023") or 1 / _MISREAD < one.case.measured / speed < _MISREAD
    ]


def fitted(cases: Sequence[Asked]) -> tuple[dict[str, float], list[Fitted]]:
    """All stages in order."""
    parameters = dict(START)
    found = []
    for stage in stages():
        chosen = [one for one in cases if _belongs(one, stage)]
        one = _fit_stage(stage, chosen, Calibration("fit", parameters))
        parameters.update(one.parameters)
        found.append(one)
    return parameters, found


def _belongs(one: Asked, stage: Stage) -> bool:
    request = one.case.request
    built = dict(request.layout.options).get("built") if request else None
    if one.build == "current" and built and built < _CURRENT_SINCE:
        return False
    return (
        one.device.vendor == stage.vendor
        and one.build in stage.builds
        and one.run.row_split == stage.row_split
        and stage.phase in (one.phase, "both")
    )


def _fit_stage(stage: Stage, cases: Sequence[Asked], base: Calibration) -> Fitted:
    import numpy as np

    stacks, measured = stacked(cases), np.array([one.case.measured for one in cases])

    def predict(values: Mapping[str, float]) -> Vector:
        return rate(stacks, len(cases), base.with_parameters(stage.expand(values, base.parameters)))

    if not cases:
        starts = {parameter.name: parameter.start for parameter in stage.parameters}
        return Fitted(stage, (), stage.expand(starts, base.parameters), measured, measured)
    values = fit(stage.parameters, predict, measured)
    groups = [group_of(one) for one in cases]
    left_out = (
        leave_one_group_out(stage.parameters, predict, measured, groups) if len(set(groups)) > 1 else predict(values)
    )
    return Fitted(stage, tuple(cases), stage.expand(values, base.parameters), predict(values), left_out)


def group_of(one: Asked) -> str:
    """The GPU, whatever the row calls it."""
    spec = one.case.request.machine.gpus[0].spec if one.case.request else None
    return spec.name if spec else one.case.group


def residuals(found: Iterable[Fitted]) -> dict[str, Residual]:
    """Errors with whole GPUs left out, by the classes that intervals are made of."""
    import numpy as np

    rows: dict[str, list[tuple[float, float, str]]] = {}
    for one in found:
        for asked, predicted in zip(one.cases, one.left_out, strict=True):
            if asked.case.request is not None:
                name = speed_class(asked.phase, asked.case.request, asked.device.vendor)
                rows.setdefault(name, []).append((asked.case.measured, float(predicted), group_of(asked)))
    return {
        name: residual(np.array([m for m, _, _ in told]), np.array([p for _, p, _ in told]), [g for _, _, g in told])
        for name, told in sorted(rows.items())
    }
