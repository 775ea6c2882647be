"""Refits llama.cpp's builds of 2023 and 2024, which measured tables are of and nobody installs today. Deterministic.

Their values are a file of their own that only `accuracy` loads. Whole GPUs are left out for the errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fits.fitting import fit, leave_groups_out, linearised, residual
from fits.gpu_rows import GpuCase, GpuRows, gpu_cases
from fits.measured import local_cases
from fits.old_builds_stages import START, Stage, stages
from wellfed.accuracy.case import Case
from wellfed.frozen import dataclass, replace
from wellfed.nouns.calibration import Calibration, Residual
from wellfed.perf.gpu_rates import OLD_BUILDS
from wellfed.perf.local import speed_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A stage's outcome: its part of the calibration and, row by row, the fit's and the left-out predictions."""

    stage: Stage
    cases: tuple[GpuCase, ...]
    parameters: Mapping[str, float]
    predicted: Vector
    left_out: Vector


def refit(folder: Path) -> Calibration:
    """The calibration of old builds from the tables in `folder`."""
    parameters, found = fitted(cases_of(local_cases(folder)))
    rounded = {name: float(f"{value:.5g}") for name, value in parameters.items()}
    return Calibration("llamacpp-2024", rounded, residuals(found), "May 2024 and December 2023 tables, GPUs left out")


def cases_of(cases: Iterable[Case]) -> list[GpuCase]:
    """Those of old builds."""
    return [one for one in gpu_cases(cases) if one.build in OLD_BUILDS]


def fitted(cases: Sequence[GpuCase]) -> tuple[dict[str, float], list[Fitted]]:
    """All stages in order."""
    parameters = dict(START)
    found = []
    for stage in stages():
        chosen = [one for one in cases if _belongs(one, stage)]
        outcome = _fit_stage(stage, chosen, Calibration("fit", parameters))
        parameters.update(outcome.parameters)
        found.append(outcome)
    return parameters, found


def _belongs(one: GpuCase, stage: Stage) -> bool:
    return (
        one.device.vendor == stage.vendor
        and one.build in stage.builds
        and one.run.row_split == stage.row_split
        and stage.phase in (one.phase, "both")
    )


def _fit_stage(stage: Stage, cases: Sequence[GpuCase], base: Calibration) -> Fitted:
    rows = GpuRows(cases)

    def predict(values: Mapping[str, float]) -> Vector:
        return rows.predict(base.with_parameters(stage.expand(values, base.parameters)))

    if not cases:
        starts = {parameter.name: parameter.start for parameter in stage.parameters}
        return Fitted(stage, (), stage.expand(starts, base.parameters), rows.measured, rows.measured)
    values = fit(stage.parameters, predict, rows.measured, tolerance=1e-5)
    linear = linearised(stage.parameters, predict, rows.measured, values)
    names = [parameter.name for parameter in stage.parameters]
    left_out = leave_groups_out(linear, names, predict, rows.measured, [group_of(one) for one in cases])
    return Fitted(stage, tuple(cases), stage.expand(values, base.parameters), predict(values), left_out)


def group_of(one: GpuCase) -> str:
    """The GPU, whatever the row calls it."""
    spec = one.case.request.machine.gpus[0].spec if one.case.request else None
    return spec.name if spec else one.case.group


def residuals(found: Iterable[Fitted]) -> dict[str, Residual]:
    """Errors with whole GPUs left out, by the classes that intervals are made of.

    Rows count alike, and the doubt is the geometric mean of those left out and those seen: what is asked of such builds
    next is another row of the same few tables.
    """
    import numpy as np

    rows: dict[str, list[tuple[float, float, float]]] = {}
    for outcome in found:
        for one, seen, left_out in zip(outcome.cases, outcome.predicted, outcome.left_out, strict=True):
            if one.case.request is not None:
                name = speed_class(one.phase, one.case.request)
                rows.setdefault(name, []).append((one.case.measured, float(seen), float(left_out)))
    columns = {name: np.array(errors).T for name, errors in sorted(rows.items())}
    return {name: _doubt(*errors) for name, errors in columns.items()}


def _doubt(measured: Vector, seen: Vector, left_out: Vector) -> Residual:
    out, whole = residual(measured, left_out), residual(measured, seen)
    return replace(out, sigma=round((out.sigma * whole.sigma) ** 0.5, 4))
