"""Fit a few parameters of the speed model to what one machine was measured to do; the rest stays as bundled.

Least squares on log errors, with each parameter held near its bundled value: what the measurements say nothing of
does not move. Coordinates are searched in turn with shrinking steps: deterministic, and without a library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from wellfed.bench.store import MemoryFigures, Observation, OwnCalibration
from wellfed.frozen import dataclass
from wellfed.nouns.calibration import Calibration, Residual

_MEASUREMENT_SIGMA, _PARAMETER_SIGMA = 0.04, 0.35  # logs: repeatability of a measurement, doubt about a parameter
_TOLERANCE = 3.0  # sigmas from which a measurement begins to count as disturbed
_FIRST_STEP, _LAST_STEP = 0.4, 0.005  # of a parameter's logarithm: where the search begins and ends
_LEAST_SIGMA = 0.08  # few measurements: their spread says little of what the next one will be off


@dataclass(frozen=True, slots=True)
class Measured:
    """One measured speed, and how a calibration would predict it. `kind` is a class of residuals."""

    what: str
    kind: str
    unit: str
    value: float
    predict: Callable[[Calibration], float]


def fitted(base: Calibration, keys: Mapping[str, float], measured: Sequence[Measured]) -> dict[str, float]:
    """Values for `keys` (key -> bundled value) under which predictions meet measurements."""
    logs = dict.fromkeys(keys, 0.0)

    def values() -> dict[str, float]:
        return {key: keys[key] * math.exp(shift) for key, shift in logs.items()}

    def loss() -> float:
        calibration = base.with_parameters(values())
        misfit = sum(_misfit(math.log(m.predict(calibration) / m.value)) for m in measured)
        return misfit + sum((shift / _PARAMETER_SIGMA) ** 2 for shift in logs.values())

    best, step = loss(), _FIRST_STEP
    while step > _LAST_STEP and measured:
        improved = False
        for key in keys:
            for sign in (step, -step):
                logs[key] += sign
                tried = loss()
                if tried < best:
                    best, improved = tried, True
                    break
                logs[key] -= sign
        step = step if improved else step / 2
    return values()


def _misfit(error: float) -> float:
    """Squared while small, then ever flatter (Cauchy's): one disturbed measurement must not bend all the others."""
    return _TOLERANCE**2 * math.log1p((error / _MEASUREMENT_SIGMA / _TOLERANCE) ** 2)


def machine_calibration(
    identity: str,
    memory: MemoryFigures,
    base: Calibration,
    keys: Mapping[str, float],
    measured: Sequence[Measured],
    source: str,
) -> OwnCalibration:
    """The machine's calibration: fitted values, their residuals by class, and every observation that made it."""
    parameters = fitted(base, keys, measured)
    after = base.with_parameters(parameters)
    observations = tuple(
        Observation(
            measurement.what, measurement.unit, measurement.value, measurement.predict(base), measurement.predict(after)
        )
        for measurement in measured
    )
    kinds = sorted({measurement.kind for measurement in measured})
    residuals = {
        kind: _residual([o for o, m in zip(observations, measured, strict=True) if m.kind == kind]) for kind in kinds
    }
    fitted_parameters = parameters if measured else {}
    return OwnCalibration(
        identity, memory, Calibration("this-machine", fitted_parameters, residuals, source), observations
    )


def _residual(observations: Sequence[Observation]) -> Residual:
    logs = [math.log(observation.own / observation.measured) for observation in observations]
    spread = math.sqrt(sum(log**2 for log in logs) / len(logs))
    errors = sorted(abs(observation.error(calibrated=True)) for observation in observations)
    return Residual(
        rows=len(logs),
        sigma=round(max(_LEAST_SIGMA, spread), 4),
        bias=round(sum(logs) / len(logs), 4),
        median_ape=round(errors[len(errors) // 2], 4),
        mape=round(sum(errors) / len(errors), 4),
    )
