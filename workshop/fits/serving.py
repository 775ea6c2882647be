"""Refits the serving model's parameters to measured rows, and tells its errors on models and GPUs left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fits.fitting import Parameter, doubts, fit, leave_one_group_out, residual
from fits.serving_stack import Aggregated, Disaggregated
from wellfed.accuracy.case import Case, Outcome, Row, read_table
from wellfed.accuracy.rows_mlperf import interpret as interpret_throughput
from wellfed.accuracy.rows_serving import interpret
from wellfed.errors import WellfedError
from wellfed.nouns.calibration import Calibration, Fact, Residual
from wellfed.perf.doubt import vendor_key
from wellfed.perf.serving.doubt import kind_measured, nearness, sources_key
from wellfed.perf.serving.estimate import THROUGHPUT
from wellfed.perf.serving.formats import gpu_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

TABLES = ("serving.csv",)
THROUGHPUT_TABLES = ("mlperf.csv", "speed_misc.csv")
SPLIT = "serving disaggregated"
# How much a row of each class counts: times to first token scatter with the load generator's start, rows of
# disaggregated deployments leave half of them untold.
_WEIGHTS = {"serving tpot": 1.0, "serving ttft": 0.25, f"{SPLIT} tpot": 0.25, f"{SPLIT} ttft": 0.06}
_LEAST = 0.35  # what a row of the largest source counts
_CROWD = 25  # rows of one source that count whole; of more, as many as their root says

_COMMON = (
    Parameter("bandwidth_fraction.w16", 0.82, 0.5, 0.93, 0.05),
    Parameter("bandwidth_fraction.w8", 0.82, 0.5, 0.93, 0.05),
    Parameter("bandwidth_fraction.w4", 0.82, 0.3, 0.93, 0.08),
    Parameter("cache_bandwidth_fraction", 0.65, 0.15, 0.93, 0.2),
    Parameter("score_compute_fraction", 0.5, 0.05, 0.93, 0.3),
    Parameter("compute_fraction.fp16", 0.58, 0.2, 0.93, 0.1),
    Parameter("compute_fraction.fp8", 0.52, 0.2, 0.93, 0.1),
    Parameter("compute_fraction.fp8-tiles", 0.45, 0.2, 0.93, 0.15),
    Parameter("compute_fraction.fp4", 0.52, 0.1, 0.93, 0.1),
    Parameter("compute_fraction.unpacked", 0.45, 0.1, 0.93, 0.2),
    Parameter("expert_compute_fraction", 0.8, 0.1, 1.0, 0.15),
    Parameter("expert_half_width", 300, 10, 5000, 0.5),
    Parameter("expert_tile_tokens", 8, 0.01, 128, 0.5),
    Parameter("expert_imbalance", 0.3, 0.001, 2, 0.5),
    Parameter("expert_spread", 0.75, 0.2, 1.0, 0.15),
    Parameter("kernel_s", 3.2e-6, 5e-7, 1.5e-5, 0.02),
    Parameter("hidden_share", 0.8, 0.2, 0.95, 0.05),
    Parameter("reduce_s", 7e-6, 5e-7, 3e-5, 0.3),
    Parameter("reduce_hop_s", 1.2e-6, 1e-8, 1e-5, 0.5),
    Parameter("link_fraction", 0.45, 0.1, 0.93, 0.3),
    Parameter("bus_fraction", 0.75, 0.1, 0.93, 0.15),
    Parameter("exchange_s", 1e-5, 1e-6, 1e-4, 0.7),
    Parameter("clumping", 0.5, 0.02, 3.0, 0.5),
    Parameter("in_step_prompts", 1.5, 0.1, 20.0, 0.1),
    Parameter("step_s", 1.2e-3, 1e-6, 1e-2, 0.15),
    Parameter("sequence_s", 8e-6, 1e-7, 2e-4, 0.5),
    Parameter("request_s", 0.008, 0.001, 0.1, 0.3),
    Parameter("frontend_s", 1.5e-3, 1e-4, 1e-2, 0.2),
)
_BY_ENGINE = (
    Parameter("kernel_share", 1.0, 0.3, 2.0, 0.04),
    Parameter("launch_s", 4e-5, 2e-6, 1e-4, 0.3),
    Parameter("prefill_wait_steps", 1.5, 0.01, 30, 0.4),
    Parameter("group_wait_steps", 5, 0.1, 300, 1.0),
)
# Factors of kinds of devices on the common values: near 1 unless rows say otherwise.
_KINDS = ("ampere", "ada", "hopper", "blackwell-gddr", "lpddr", "gddr", "amd", "cdna3", "huawei", "halved")
_FACTORS = (
    Parameter("memory_factor", 1.0, 0.3, 1.2, 0.05),
    Parameter("compute_factor", 1.0, 0.2, 2.0, 0.1),
    Parameter("kernel_factor", 1.0, 0.3, 6.0, 0.2),
)
# Left at 1: large chips of one maker reach the same share of their peaks, and a slower source is the source's matter.
# Memory reads alike everywhere but where rows say otherwise.
_TIED = frozenset(
    {"compute_factor.hopper", "compute_factor.cdna3", "compute_factor.blackwell-gddr", "compute_factor.ada"}
    | {"kernel_factor.halved", "kernel_factor.gddr"}
    | {f"memory_factor.{kind}" for kind in ("ampere", "ada", "lpddr", "gddr", "amd", "cdna3", "halved", "huawei")}
)
# GeForce cards' data sheets count FP16 with FP32 sums at half the rate: they reach more of it than server parts do.
_STARTS = {"compute_factor.halved": 1.4, "kernel_factor.amd": 2.0, "kernel_factor.huawei": 2.5}
# Held: no row, or six, tells them; handing over is what rows that tell their workers leave at low load.
FIXED = {
    "serving.expert_bandwidth_fraction": 1.0,
    "serving.compute_fraction.int8": 0.5,
    "serving.compute_fraction.fp8-amd": 0.41,  # as FP16's
    "serving.handover_s": 0.1,
    "serving.kv_transfer_fraction": 0.34,
    "serving.sglang.group_wait_steps": 5.0,
    "serving.vllm.group_wait_steps": 5.0,
}
# What launching takes under another framework than CUDA's.
_LAUNCHED = (Parameter("launch_factor.huawei", 2.0, 0.5, 10.0, 0.5),)
# What vendors' tuning gains over what people install: of kernels for the matrix units, of their number, of reads.
_TUNED = (
    Parameter("compute_factor.tuned", 1.1, 0.8, 1.6, 0.1),
    Parameter("kernel_factor.tuned", 0.95, 0.5, 1.5, 0.03),
    Parameter("memory_factor.tuned", 1.0, 0.8, 1.2, 0.03),
)
ENGINES = ("vllm", "sglang", "tensorrt-llm")
_SUBMITTED = "serving.compute_factor.submitted"
_SUBMISSIONS = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)  # how much more of the peak such submissions may reach
_NEAR = (
    "tuned",
    "tuned waiting",
    "few sources",
    "alone",
    "alone experts",
    "shared",
    "crowded",
    "at once",
    "near",
    "far",
)
_TOLERANCE, _ROUGH = 1e-5, 1e-3  # of the whole fit, and of those that leave rows out and start where it ended
_SCALE = 0.15  # of errors' logs, from which on rows lose their say
_MOVED = 0.9  # of a prior's width: a parameter whose doubt is more is its prior
_SOURCE = "serving tables"
_ALONE, _FOLDS = 10_000, 6  # rows of a unit that is left out by itself; fits that leave the others out
_OWN_GROUP = 1000  # rows of one source from which its models on GPUs are left out one by one


def parameters() -> tuple[Parameter, ...]:
    """All of them, with their calibration keys."""
    named = [(f"serving.{one.name}", one) for one in _COMMON]
    named += [(f"serving.{engine}.{one.name}", one) for engine in ENGINES for one in _BY_ENGINE]
    kinds = [(f"{one.name}.{kind}", one) for kind in _KINDS for one in _FACTORS]
    kinds = [(name, replace(one, start=_STARTS.get(name, one.start))) for name, one in kinds if name not in _TIED]
    named += [(f"serving.{name}", one) for name, one in kinds]
    named += [(f"serving.{one.name}", one) for one in (*_LAUNCHED, *_TUNED)]
    return tuple(Parameter(name, o.start, o.low, o.high, o.prior_sigma) for name, o in named if name not in FIXED)


def folders(folder: Path) -> list[Path]:
    """The folder and those beside it that continue it: tables, tables_2026 ..."""
    later = sorted(path for path in folder.resolve().parent.glob(f"{folder.resolve().name}_*") if path.is_dir())
    return [folder, *later]


def cases_of(folder: Path) -> list[Case]:
    """The latency rows of serving engines in the tables of the folder and of those that continue it."""
    found: list[Case] = []
    for path in (each / name for each in folders(folder) for name in TABLES if (each / name).exists()):
        for row in read_table(path):
            found += [one for one in interpreted(row) if isinstance(one, Case)]
    return found


def interpreted(row: Row) -> tuple[Outcome, ...]:
    """What a row gives, nothing where its names are not understood."""
    try:
        return interpret(row) or ()
    except WellfedError:
        return ()


class Fit:
    """Cases as arrays, with what a fit needs of them."""

    def __init__(self, cases: Sequence[Case]) -> None:
        import numpy as np

        one, two = _kind(cases, split=False), _kind(cases, split=True)
        names = {parameter.name for parameter in parameters()} | set(FIXED)
        self.aggregated, self.disaggregated = Aggregated(one, names), Disaggregated(two, names)
        self.cases = [*one, *two]
        self._by_kind: dict[str, list[str]] = {}
        self.measured: Vector = np.array([case.measured for case in self.cases])
        crowd = Counter(case.source for case in self.cases)
        self.weights: Vector = np.array(
            [
                _WEIGHTS[case.cls] * (not case.outlier) * min(1.0, max(_LEAST, (_CROWD / crowd[case.source]) ** 0.5))
                for case in self.cases
            ]
        )

    def predict(self, values: Mapping[str, float]) -> Vector:
        """Milliseconds of all cases."""
        import numpy as np

        values = {**FIXED, **values}
        return np.concatenate([self.aggregated.predict(values), self.disaggregated.predict(values)])

    def fitted(self) -> dict[str, float]:
        """The parameters that suit all rows best."""
        return fit(parameters(), self.predict, self.measured, self.weights, tolerance=_TOLERANCE, heavy_tails=True)

    def left_out(self, group: Callable[[Case], str], begin: Mapping[str, float]) -> Vector:
        """Every row's prediction by a fit that has seen no row of its group; searches begin at the whole fit's end."""
        groups = [group(case) for case in self.cases]
        return leave_one_group_out(
            parameters(), self.predict, self.measured, groups, self.weights, begin=begin, tolerance=_ROUGH,
            heavy_tails=True,
        )  # fmt: skip

    def facts(self, values: Mapping[str, float]) -> dict[str, Fact]:
        """What is known of each parameter: from how many rows, give or take what."""
        import numpy as np

        off = np.log(self.predict(values) / self.measured) / _SCALE
        given = doubts(parameters(), self.predict, values, self.weights / (1 + off**2), _SCALE)
        rows = Counter(self.aggregated.rows_by_parameter()) + Counter(self.disaggregated.rows_by_parameter())
        found = {}
        for one in parameters():
            moved = rows[one.name] > 0 and given[one.name] < _MOVED * one.prior_sigma
            origin = "fitted" if moved else "prior"
            found[one.name] = Fact(origin, rows[one.name], round(given[one.name], 3), _SOURCE)
        return found

    def residuals(self, predicted: Vector, seen: Vector, values: Mapping[str, float]) -> dict[str, Residual]:
        """Errors by class, outliers excepted; of latencies also by how near the rows are to those of other sources.

        `predicted` by fits that leave sources out, a sixth of the rows at a time, `seen` by the whole fit. One more
        source is missed by less than a sixth of them, so the doubt is the geometric mean of both.
        """
        import numpy as np

        found = {}
        names = np.array([case.cls if not case.outlier else "" for case in self.cases])
        crowds = dict(zip(map(id, self.aggregated.cases), self.aggregated.crowds({**FIXED, **values}), strict=True))
        near = np.array([self._nearness(case, float(crowds.get(id(case), 0.0))) for case in self.cases])
        for name in _WEIGHTS:
            for kind, chosen in [("", names == name), *((f" {k}", (names == name) & (near == k)) for k in _NEAR)]:
                if chosen.any() and not (kind and name.startswith(SPLIT)):
                    out, whole = (residual(self.measured[chosen], one[chosen]) for one in (predicted, seen))
                    found[f"{name}{kind}"] = replace(out, sigma=round((out.sigma * whole.sigma) ** 0.5, 4))
        return found

    def support(self) -> dict[str, int]:
        """Rows by engine and kind of GPU, and by vendor."""
        known = [case.request for case in self.cases if case.request and not case.outlier]
        vendors = Counter(vendor_key(gpu_of(one.machine).vendor, one.layout.engine) for one in known)
        pairs = {(sources_key(c.request), c.source) for c in self.cases if c.request and not c.outlier}
        sources = Counter(key for key, _ in pairs)
        return dict(Counter(kind_measured(one) for one in known) + vendors + sources)

    def _nearness(self, case: Case, crowd: float) -> str:
        """Of a row as if its own source were not known."""
        if case.request is None:
            return ""
        others = [one for one in self._sources(kind_measured(case.request)) if one != case.source]
        sources = set(self._sources(sources_key(case.request))) - {case.source}
        return nearness(case.request, case.metric[:4], len(others), len(sources), crowd)

    def _sources(self, key: str) -> list[str]:
        """The sources of the rows of a kind, or of a vendor, row by row."""
        if not self._by_kind:
            for case in self.cases:
                if case.request and not case.outlier:
                    for name in (kind_measured(case.request), sources_key(case.request)):
                        self._by_kind.setdefault(name, []).append(case.source)
        return self._by_kind.get(key, [])


def _held() -> dict[str, Fact]:
    return {name: Fact("prior", source="assumed") for name in FIXED}


def _kind(cases: Sequence[Case], split: bool) -> list[Case]:
    return [case for case in cases if case.cls.startswith(SPLIT) == split]


def units(cases: Sequence[Case]) -> Callable[[Case], str]:
    """What is left out together: a source; of one with very many rows, a model on a GPU. Small ones share a fit."""
    crowd = Counter(case.source for case in cases)

    def unit(case: Case) -> str:
        return case.source if crowd[case.source] < _OWN_GROUP else f"{case.source}: {case.group}"

    sizes = Counter(unit(case) for case in cases)
    small = sorted(name for name, size in sizes.items() if size < _ALONE)
    folds = {name: f"fold {place % _FOLDS}" for place, name in enumerate(small)}
    return lambda case: folds.get(unit(case), unit(case))


def with_submitted(folder: Path, calibration: Calibration) -> Calibration:
    """The calibration with what submissions to a comparison reach beyond tuned servers: one factor for all of them."""
    import numpy as np

    cases = [
        case
        for row in read_table(folder / THROUGHPUT_TABLES[0])
        for case in interpret_throughput(row) or ()
        if isinstance(case, Case) and not case.outlier and case.cls in {"MLPerf offline", "MLPerf server"}
    ]
    errors = {}
    for factor in _SUBMISSIONS:
        tried = calibration.with_parameters({_SUBMITTED: factor})
        pairs = [(case.measured, _value(case, tried)) for case in cases]
        errors[factor] = float(np.median([abs(np.log(value / measured)) for measured, value in pairs if value]))
    best = min(errors, key=errors.__getitem__)
    fact = Fact("fitted", len(cases), 0.05, "rows of a comparison of submissions")
    return replace(calibration.with_parameters({_SUBMITTED: best}), facts={**calibration.facts, _SUBMITTED: fact})


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
    """The serving calibration from the tables in `folder` and those that continue it (`folders`).

    Residuals are those of sources left out, of the largest source those of models on GPUs left out.
    """
    found = Fit(cases_of(folder))
    whole = found.fitted()
    values = FIXED | {one.name: float(f"{whole[one.name]:.5g}") for one in parameters()}
    source = "refit of serving.csv; sigmas with sources left out; MLPerf rows choose one factor and their own sigmas"
    fitted = with_submitted(folder, Calibration("serving", values, source=source, facts=found.facts(whole) | _held()))
    left_out, seen = found.left_out(units(found.cases), whole), found.predict(whole)
    sigmas = found.residuals(left_out, seen, whole) | throughput_residuals(folder, fitted)
    return replace(fitted, residuals=sigmas, support=found.support())
