"""Refits the serving model's parameters to measured rows, and tells its errors on models and GPUs left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wellfed.accuracy.case import Case, read_table
from wellfed.accuracy.fitting import Parameter, fit, leave_one_group_out, residual
from wellfed.accuracy.rows_mlperf import interpret as interpret_throughput
from wellfed.accuracy.rows_serving import interpret
from wellfed.accuracy.serving_stack import Aggregated, Disaggregated
from wellfed.calibration import Calibration, Residual
from wellfed.errors import WellfedError
from wellfed.perf.serving.estimate import THROUGHPUT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

TABLES = ("serving.csv",)
THROUGHPUT_TABLES = ("mlperf.csv", "speed_misc.csv")
SPLIT = "serving disaggregated"
# How much a row of each class counts: times to first token scatter with the load generator's start, rows of
# disaggregated deployments leave half of them untold.
_WEIGHTS = {"serving tpot": 1.0, "serving ttft": 0.15, f"{SPLIT} tpot": 0.2, f"{SPLIT} ttft": 0.03}

_COMMON = (
    Parameter("bandwidth_fraction.w16", 0.85, 0.5, 0.97, 0.1),
    Parameter("bandwidth_fraction.w8", 0.85, 0.5, 0.97, 0.1),
    Parameter("bandwidth_fraction.w4", 0.75, 0.3, 0.97, 0.2),
    Parameter("cache_bandwidth_fraction", 0.6, 0.15, 0.95, 0.3),
    Parameter("score_compute_fraction", 0.5, 0.05, 1.5, 0.3),
    Parameter("compute_fraction.fp16", 0.65, 0.2, 0.95, 0.2),
    Parameter("compute_fraction.fp8", 0.6, 0.2, 0.95, 0.2),
    Parameter("compute_fraction.fp4", 0.45, 0.1, 0.95, 0.3),
    Parameter("compute_fraction.int8", 0.6, 0.2, 0.95, 0.2),
    Parameter("expert_compute_fraction", 0.8, 0.1, 1.2, 0.2),
    Parameter("expert_half_width", 500, 10, 5000, 1.0),
    Parameter("expert_tile_tokens", 8, 0.01, 128, 1.0),
    Parameter("expert_imbalance", 0.3, 0.001, 2, 1.0),
    Parameter("expert_spread", 0.8, 0.2, 1.0, 0.3),
    Parameter("reduce_s", 5e-6, 5e-7, 3e-5, 0.5),
    Parameter("reduce_hop_s", 1.5e-6, 1e-8, 1e-5, 0.7),
    Parameter("link_fraction", 0.5, 0.1, 1.0, 0.4),
    Parameter("exchange_s", 1.5e-5, 1e-6, 1e-4, 0.7),
    Parameter("burst_share", 0.1, 0.001, 1.0, 0.5),
    Parameter("prefill_wait_steps", 2.0, 0.01, 60, 0.5),
    Parameter("kv_transfer_fraction", 0.3, 0.01, 1.0, 1.0),
)
_BY_ENGINE = (
    Parameter("kernel_s", 2.5e-6, 5e-7, 1.5e-5, 0.4),
    Parameter("step_s", 5e-4, 1e-6, 1e-2, 0.8),
    Parameter("sequence_s", 1e-5, 1e-7, 2e-4, 1.0),
    Parameter("request_s", 0.03, 0.001, 0.5, 0.8),
    Parameter("group_wait_steps", 5, 0.1, 300, 1.0),
)
ENGINES = ("vllm", "sglang", "tensorrt-llm")


def parameters() -> tuple[Parameter, ...]:
    """All of them, with their calibration keys."""
    named = [(f"serving.{one.name}", one) for one in _COMMON]
    named += [(f"serving.{engine}.{one.name}", one) for engine in ENGINES for one in _BY_ENGINE]
    return tuple(Parameter(name, o.start, o.low, o.high, o.prior_sigma) for name, o in named)


def cases_of(folder: Path) -> list[Case]:
    """The latency rows of serving engines in the folder's tables."""
    found: list[Case] = []
    for name in TABLES:
        for row in read_table(folder / name):
            found += [one for one in interpret(row) or () if isinstance(one, Case)]
    return found


class Fit:
    """Cases as arrays, with what a fit needs of them."""

    def __init__(self, cases: Sequence[Case]) -> None:
        import numpy as np

        one, two = _kind(cases, split=False), _kind(cases, split=True)
        self.aggregated, self.disaggregated = Aggregated(one), Disaggregated(two)
        self.cases = [*one, *two]
        self.measured: Vector = np.array([case.measured for case in self.cases])
        self.weights: Vector = np.array([_WEIGHTS[case.cls] * (not case.outlier) for case in self.cases])

    def predict(self, values: Mapping[str, float]) -> Vector:
        """Milliseconds of all cases."""
        import numpy as np

        return np.concatenate([self.aggregated.predict(values), self.disaggregated.predict(values)])

    def fitted(self) -> dict[str, float]:
        """The parameters that suit all rows best."""
        return fit(parameters(), self.predict, self.measured, self.weights)

    def left_out(self, group: Callable[[Case], str]) -> Vector:
        """Every row's prediction by a fit that has seen no row of its group."""
        groups = [group(case) for case in self.cases]
        return leave_one_group_out(parameters(), self.predict, self.measured, groups, self.weights)

    def residuals(self, predicted: Vector) -> dict[str, Residual]:
        """Errors by class, outliers excepted."""
        import numpy as np

        found = {}
        for name in _WEIGHTS:
            chosen = np.array([case.cls == name and not case.outlier for case in self.cases])
            if chosen.any():
                found[name] = residual(self.measured[chosen], predicted[chosen])
        return found


def _kind(cases: Sequence[Case], split: bool) -> list[Case]:
    return [case for case in cases if case.cls.startswith(SPLIT) == split]


def model_and_gpu(case: Case) -> str:
    """The group of a row: a model on a GPU."""
    return case.group


def gpu_alone(case: Case) -> str:
    """The group of a row: a GPU."""
    return case.group.partition(" on ")[2]


def model_alone(case: Case) -> str:
    """The group of a row: a model."""
    return case.group.partition(" on ")[0]


def throughput_residuals(folder: Path, calibration: Calibration) -> dict[str, Residual]:
    """Errors of whole-system throughput by class. These rows are in no fit: all of them are left out."""
    import numpy as np

    found: dict[str, list[tuple[float, float]]] = {}
    for name in THROUGHPUT_TABLES:
        for row in read_table(folder / name):
            for case in interpret_throughput(row) or ():
                if isinstance(case, Case) and not case.outlier:
                    found.setdefault(case.cls, []).append((case.measured, _value(case, calibration)))
    pooled = {**found, THROUGHPUT: [pair for pairs in found.values() for pair in pairs]}
    columns = {cls: np.array([pair for pair in pairs if pair[1] > 0]) for cls, pairs in pooled.items()}
    return {cls: residual(pairs[:, 0], pairs[:, 1]) for cls, pairs in columns.items() if len(pairs)}


def _value(case: Case, calibration: Calibration) -> float:
    """The prediction, 0 where there is none because the model does not fit."""
    try:
        return case.predict(calibration).value
    except WellfedError:
        return 0.0


def refit(folder: Path) -> Calibration:
    """The serving calibration from the tables in `folder`; residuals are those of models on GPUs left out."""
    found = Fit(cases_of(folder))
    values = {name: float(f"{value:.5g}") for name, value in found.fitted().items()}
    source = "refit of serving.csv; sigmas with models on GPUs left out, those of throughput from rows never fitted"
    fitted = Calibration("serving", values, source=source)
    sigmas = found.residuals(found.left_out(model_and_gpu)) | throughput_residuals(folder, fitted)
    return replace(fitted, residuals=sigmas)
