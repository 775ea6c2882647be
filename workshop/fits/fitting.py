"""Fits of few physical parameters to log errors, and their errors on groups left out. Deterministic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from wellfed.frozen import dataclass
from wellfed.nouns.calibration import Residual

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


Z80 = 1.2815515655446004  # standard normal quantile that leaves 10 % on each side


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: where the search starts (its physically plausible value), bounds, and how firmly it is held.

    `prior_sigma` is the width, in log units, of the belief that it is near `start`.
    """

    name: str
    start: float
    low: float
    high: float
    prior_sigma: float = 1.0


# From parameters by name to the predicted values of all rows.
Predict = Callable[[Mapping[str, float]], "Vector"]


def fit(
    parameters: Sequence[Parameter],
    predict: Predict,
    measured: Vector,
    weights: Vector | None = None,
    loss_scale: float = 0.15,
    begin: Mapping[str, float] | None = None,
    tolerance: float = 1e-8,
    heavy_tails: bool = False,
) -> dict[str, float]:
    """Parameters (searched in logs) that minimise the soft-L1 log error plus the priors.

    `heavy_tails`: errors scatter like Cauchy's, so that rows far off have little say, however light or heavy they are;
    weights then count rows (with soft L1 they scale errors, and light rows far off pull like squares).

    `begin` is where the search starts, when the solution of a similar fit is known; the priors stay where they are.
    `tolerance` ends the search: the relative gain in cost, or change of parameters, that is not worth another step.
    """
    import numpy as np
    from scipy.optimize import least_squares

    start = np.log([parameter.start for parameter in parameters])
    bounds = np.log([[p.low for p in parameters], [p.high for p in parameters]])
    widths = np.array([parameter.prior_sigma for parameter in parameters])
    scale = np.sqrt(np.ones(len(measured)) if weights is None else weights)

    def errors(x: Vector) -> Vector:
        predicted = predict(dict(zip([p.name for p in parameters], np.exp(x), strict=True)))
        row_errors = np.log(predicted / measured) / loss_scale
        of_rows = scale * _cauchy(row_errors) if heavy_tails else _soft(scale * row_errors)
        return np.concatenate([of_rows, (x - start) / widths])

    first = start if begin is None else np.log([begin[parameter.name] for parameter in parameters])
    settings = {"bounds": bounds, "x_scale": "jac", "max_nfev": 60, "ftol": tolerance, "xtol": tolerance}
    found = least_squares(errors, np.clip(first, bounds[0], bounds[1]), **settings)
    return dict(zip([p.name for p in parameters], np.exp(found.x).tolist(), strict=True))


def _soft(errors: Vector) -> Vector:
    """The root of twice the soft-L1 loss, with the errors' signs."""
    import numpy as np

    found: Vector = np.sign(errors) * np.sqrt(2 * (np.sqrt(1 + errors**2) - 1))
    return found


def _cauchy(errors: Vector) -> Vector:
    """The root of Cauchy's loss, with the errors' signs."""
    import numpy as np

    found: Vector = np.sign(errors) * np.sqrt(np.log1p(errors**2))
    return found


def doubts(
    parameters: Sequence[Parameter],
    predict: Predict,
    values: Mapping[str, float],
    weights: Vector,
    loss_scale: float = 0.15,
) -> dict[str, float]:
    """The log doubt of each fitted parameter: rows and priors together, from the slopes at the solution.

    A parameter that no row knows keeps its prior's width.
    """
    import numpy as np

    names, step = [parameter.name for parameter in parameters], 0.02
    base = np.log(predict(values))
    slopes = np.empty((len(base), len(names)))
    for place, name in enumerate(names):
        slopes[:, place] = (np.log(predict({**values, name: values[name] * (1 + step)})) - base) / np.log1p(step)
    scaled = slopes * (np.sqrt(weights) / loss_scale)[:, None]
    precision = scaled.T @ scaled + np.diag([1 / parameter.prior_sigma**2 for parameter in parameters])
    return dict(zip(names, np.sqrt(np.diag(np.linalg.inv(precision))).tolist(), strict=True))


def leave_one_group_out(
    parameters: Sequence[Parameter],
    predict: Predict,
    measured: Vector,
    groups: Sequence[str],
    weights: Vector | None = None,
    loss_scale: float = 0.15,
    begin: Mapping[str, float] | None = None,
    tolerance: float = 1e-8,
    heavy_tails: bool = False,
) -> Vector:
    """Predictions of every row by a fit that has seen no row of its group. `predict` gives all rows each time."""
    import numpy as np

    labels = np.array(groups)
    out = np.empty(len(measured))
    for group in sorted(set(groups)):
        held = labels == group
        masked = (np.ones(len(measured)) if weights is None else weights) * ~held
        found = fit(parameters, predict, measured, masked, loss_scale, begin, tolerance, heavy_tails)
        out[held] = predict(found)[held]
    return out


@dataclass(frozen=True, slots=True)
class Linear:
    """A fit near its solution: errors and their slopes, by row and parameter (in logs), and the priors' pull."""

    solution: Vector
    errors: Vector  # log predicted over measured
    slopes: Vector
    scale: Vector  # weight of each row, loss included
    pull: Vector  # of the priors: 1 / width^2
    start: Vector
    low: Vector
    high: Vector

    def without(self, rows: Vector) -> Vector:
        """The solution of a fit that has not seen `rows`, by one Gauss-Newton step."""
        import numpy as np

        weights = np.where(rows, 0.0, self.scale)
        hessian = (self.slopes.T * weights) @ self.slopes + np.diag(self.pull)
        gradient = self.slopes.T @ (weights * self.errors) + self.pull * (self.solution - self.start)
        found: Vector = np.clip(self.solution - np.linalg.solve(hessian, gradient), self.low, self.high)
        return found

    def doubts(self) -> Vector:
        """Standard deviation of each parameter's log: what rows and priors together leave open."""
        import numpy as np

        hessian = (self.slopes.T * self.scale) @ self.slopes + np.diag(self.pull)
        found: Vector = np.sqrt(np.diag(np.linalg.inv(hessian)))
        return found

    def rows_behind(self, least: float = 0.02) -> Vector:
        """How many rows change by more than `least` of a parameter's change, by parameter."""
        found: Vector = (abs(self.slopes) > least).sum(axis=0)
        return found


def linearised(
    parameters: Sequence[Parameter],
    predict: Predict,
    measured: Vector,
    solution: Mapping[str, float],
    weights: Vector | None = None,
    loss_scale: float = 0.15,
) -> Linear:
    """The slopes of all rows at a fit's solution, by small differences."""
    import numpy as np

    names = [parameter.name for parameter in parameters]
    at = np.log([solution[name] for name in names])

    def logs(x: Vector) -> Vector:
        found: Vector = np.log(predict(dict(zip(names, np.exp(x), strict=True))) / measured)
        return found

    errors, step = logs(at), 1e-4
    slopes = np.stack([(logs(at + step * unit) - errors) / step for unit in np.eye(len(names))], axis=1)
    weight = np.ones(len(measured)) if weights is None else weights
    scale = weight / loss_scale**2 / np.sqrt(1 + (errors / loss_scale) ** 2)
    pull = np.array([parameter.prior_sigma for parameter in parameters]) ** -2.0
    edges = np.log([[p.start, p.low, p.high] for p in parameters])
    return Linear(at, errors, slopes, scale, pull, edges[:, 0], edges[:, 1], edges[:, 2])


def leave_groups_out(
    linear: Linear, names: Sequence[str], predict: Predict, measured: Vector, groups: Sequence[str]
) -> Vector:
    """Predictions of every row by a fit that has seen no row of its group, by one step from the whole fit."""
    import numpy as np

    labels, out = np.array(groups), np.empty(len(measured))
    for group in sorted(set(groups)):
        rows = labels == group
        out[rows] = predict(dict(zip(names, np.exp(linear.without(rows)), strict=True)))[rows]
    return out


def residual(measured: Vector, predicted: Vector, groups: Sequence[str] | None = None) -> Residual:
    """Errors of predictions; sigma is the one whose 80 % interval covers 80 % of the rows.

    With `groups`, each weighs the root of its rows in sigma: what is predicted next is another group, but one row tells
    less of a group than many.
    """
    import numpy as np

    logs = np.log(predicted / measured)
    ape = np.abs(predicted / measured - 1)
    if groups is None:
        spread = float(np.quantile(np.abs(logs), 0.8))
    else:
        _, inverse, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
        spread = _weighted_quantile(np.abs(logs), np.asarray(sizes[inverse] ** -0.5, dtype=np.float64), 0.8)
    return Residual(
        rows=len(measured),
        sigma=round(max(spread / Z80, 0.01), 4),
        bias=round(float(np.median(logs)), 4),
        median_ape=round(float(np.median(ape)), 4),
        mape=round(float(np.mean(ape)), 4),
    )


def _weighted_quantile(values: Vector, weights: Vector, share: float) -> float:
    import numpy as np

    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][int(np.searchsorted(reached, share * reached[-1]))])
