"""Refits local engines on GPUs, today's builds, from measurement tables. Deterministic.

One fit of decode and one of prefill over all vendors, back ends and chips, then ik_llama.cpp's. Whole sources are left
out for the errors; whole chips and whole back ends for what is said of those that no row tells of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fits.fitting import Z80, Parameter, fit, leave_groups_out, linearised, residual
from fits.gpu_rows import GpuCase, GpuRows, gpu_cases
from fits.gpu_stages import Stage, priors, stages
from fits.measured import local_cases
from wellfed.accuracy.case import Case
from wellfed.frozen import dataclass
from wellfed.nouns.calibration import Calibration, Fact, Residual
from wellfed.nouns.layout import Engine
from wellfed.perf.doubt import vendor_key
from wellfed.perf.gpu_rates import OLD_BUILDS
from wellfed.perf.local import NEW_BACK_END, NEW_CHIP, speed_class, support_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_LOSS_SCALE = 0.12
_MISREAD = 5.0  # speeds so far from the start values did not run where the row seems to say
_LEAST_ROWS = 20  # of a class to have a width of its own, which few sources pool with that of all
_FEW_SOURCES = 8  # whose errors say as much of the next one as those of all classes together
_LEARNT = 0.8  # a doubt below this share of the prior's: the rows told something


@dataclass(frozen=True, slots=True)
class Fitted:
    """A stage's outcome, row by row: the fit's predictions, and those with its source, chip or back end left out."""

    stage: Stage
    cases: tuple[GpuCase, ...]
    parameters: Mapping[str, float]
    facts: Mapping[str, Fact]
    predicted: Vector
    without_source: Vector
    without_chip: Vector
    without_back_end: Vector


def refit(folder: Path) -> Calibration:
    """The calibration of local engines on GPUs from the tables in `folder` and its later years."""
    parameters, found = fitted(cases_of(local_cases(folder)))
    facts = {name: Fact("prior", source="assumed") for name in parameters}
    for outcome in found:
        facts |= outcome.facts
    rounded = {name: float(f"{value:.5g}") for name, value in parameters.items()}
    source = "rows of llama.cpp and ik_llama.cpp on GPUs; errors with whole sources left out"
    return Calibration("llamacpp-gpu", rounded, residuals(found), source, facts, support(found))


def cases_of(cases: Iterable[Case]) -> list[GpuCase]:
    """Those of today's builds that are not plainly of something else: tables do not always tell what ran where."""
    chosen = [one for one in gpu_cases(cases) if one.build not in OLD_BUILDS and not one.run.row_split]
    expected = GpuRows(chosen).predict(Calibration("start", priors()))
    return [
        one for one, speed in zip(chosen, expected, strict=True) if 1 / _MISREAD < one.case.measured / speed < _MISREAD
    ]


def fitted(cases: Sequence[GpuCase]) -> tuple[dict[str, float], list[Fitted]]:
    """All stages in order."""
    parameters, found = priors(), []
    for stage in stages(one.device.architecture for one in cases):
        chosen = [one for one in cases if one.build in stage.builds and one.phase == stage.phase]
        if chosen:
            outcome = _fit_stage(stage, chosen, Calibration("fit", parameters))
            parameters.update(outcome.parameters)
            found.append(outcome)
    return parameters, found


def row_weights(cases: Sequence[GpuCase]) -> Vector:
    """A source counts by the root of its rows, so that one rig's sweep does not decide; a collection is one source."""
    import numpy as np

    names = [one.case.source.split()[0] if "/" in one.case.source.split()[0] else one.case.source for one in cases]
    counts = Counter(names)
    return np.array([counts[name] ** -0.5 for name in names])


def _fit_stage(stage: Stage, cases: Sequence[GpuCase], base: Calibration) -> Fitted:
    rows, weights = GpuRows(cases), row_weights(cases)
    told = _told(stage.parameters, cases)

    def predict(values: Mapping[str, float]) -> Vector:
        return rows.predict(base.with_parameters(values))

    values = fit(told, predict, rows.measured, weights, _LOSS_SCALE, tolerance=1e-5)
    linear = linearised(told, predict, rows.measured, values, weights, _LOSS_SCALE)
    names = [parameter.name for parameter in told]

    def without(groups: Sequence[str]) -> Vector:
        return leave_groups_out(linear, names, predict, rows.measured, groups)

    facts = {
        parameter.name: Fact(
            "fitted" if doubt < _LEARNT * parameter.prior_sigma else "prior", int(count), round(float(doubt), 3)
        )
        for parameter, doubt, count in zip(told, linear.doubts(), linear.rows_behind(), strict=True)
    }
    return Fitted(
        stage,
        tuple(cases),
        values,
        facts,
        predict(values),
        without([one.case.source for one in cases]),
        without([one.device.architecture for one in cases]),
        without([f"{one.device.vendor} {one.device.back_end}" for one in cases]),
    )


def _told(parameters: Sequence[Parameter], cases: Sequence[GpuCase]) -> tuple[Parameter, ...]:
    """Parameters that some row depends on: those of back ends and chips without one stay as they are."""
    back_ends = {one.device.back_end.value for one in cases}
    back_ends |= {f"{one.device.back_end.value}.{one.device.vendor}" for one in cases}
    chips = {one.device.architecture for one in cases}
    return tuple(parameter for parameter in parameters if _depends(parameter.name, back_ends, chips))


def _depends(name: str, back_ends: set[str], chips: set[str]) -> bool:
    scope, _, rest = name.partition(".")
    inner = rest.rpartition(".")[0]
    if scope == "chip":
        return inner in chips
    if scope == "pair":
        return inner in back_ends
    return inner in back_ends or inner in ("", "ik", "ik.early")


def support(found: Iterable[Fitted]) -> dict[str, int]:
    """Measured rows by phase, back end and chip, today's llama.cpp, and by vendor."""
    counts: Counter[str] = Counter()
    for outcome in found:
        counts.update(support_key(one.phase, one.device, one.build) for one in outcome.cases)
        counts.update(vendor_key(one.device.vendor, Engine.LLAMA_CPP) for one in outcome.cases)
    return dict(counts)


def residuals(found: Iterable[Fitted]) -> dict[str, Residual]:
    """Errors with whole sources left out, by class; and over all, with whole chips and whole back ends left out."""
    import numpy as np

    rows: dict[str, list[tuple[float, float, str]]] = {}
    seen: dict[str, list[float]] = {}

    def add(name: str, one: GpuCase, predicted: float) -> None:
        rows.setdefault(name, []).append((one.case.measured, float(predicted), one.case.source))

    for outcome in found:
        for place, one in enumerate(outcome.cases):
            if one.case.request is None:
                continue
            name = speed_class(one.phase, one.case.request)
            add(name, one, outcome.without_source[place])
            seen.setdefault(name, []).append(abs(float(np.log(outcome.predicted[place] / one.case.measured))))
            if one.build == "current":
                add(f"llama.cpp GPU {one.phase}, current builds, any", one, outcome.without_source[place])
                add(f"llama.cpp GPU {one.phase}, {NEW_CHIP}", one, outcome.without_chip[place])
                add(f"llama.cpp GPU {one.phase}, {NEW_BACK_END}", one, outcome.without_back_end[place])
    made = {
        name: residual(
            np.array([m for m, _, _ in errors]), np.array([p for _, p, _ in errors]), [s for *_, s in errors]
        )
        for name, errors in sorted(rows.items())
    }
    kept = {name: one for name, one in made.items() if one.rows >= _LEAST_ROWS or name.startswith("ik")}
    for name, errors in seen.items():
        phase = "decode" if " decode" in name else "prefill"
        every = kept.get(f"llama.cpp GPU {phase}, current builds, any")
        if name in kept and every is not None:
            sources = len({source for *_, source in rows[name]})
            least = float(np.quantile(errors, 0.8)) / Z80
            of_one_project = name.startswith("ik")
            pooled = _pooled(kept[name], sources, every.sigma, least)
            kept[name] = _between(kept[name], least) if of_one_project else pooled
    return kept


def _between(of_class: Residual, seen: float) -> Residual:
    """Threads of one project, mostly of its author's machines: the next is half seen, half left out."""
    return replace(of_class, sigma=round((of_class.sigma * seen) ** 0.5, 4))


def _pooled(of_class: Residual, sources: int, every: float, least: float) -> Residual:
    """A class of few sources says little of the next one's error: its sigma, pooled in logs with that of all rows.

    Never less than what the rows that were fitted are off by.
    """
    share = sources / (sources + _FEW_SOURCES)
    sigma = of_class.sigma**share * every ** (1 - share)
    return replace(of_class, sigma=round(max(sigma, least), 4))
