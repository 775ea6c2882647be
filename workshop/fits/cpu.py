"""Refits the CPU's and the hybrids' parameters to measured rows.

Every row becomes arrays of its works, so that all rows are predicted at once by `perf.cpu.work_seconds`; what the GPUs
take is constant here. A test holds these predictions against `perf.estimate`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fits.fitting import Z80, Parameter, fit, leave_groups_out, linearised, residual
from fits.measured import local_cases
from wellfed.accuracy.case import Case
from wellfed.catalog.calibration import bundled
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.nouns.calibration import Calibration, Fact, Residual
from wellfed.nouns.estimate import Work
from wellfed.nouns.layout import Layout
from wellfed.nouns.plan import Request
from wellfed.perf.cpu import CpuRates, elements_of, rates_for, share_bandwidth, work_seconds
from wellfed.perf.gpu_pass import prompt_steps
from wellfed.perf.hybrid import (
    copied_bytes_per_s,
    micro_batch,
    pinned,
    ram_bytes_per_s,
    raw_link_bytes_per_s,
    split_works,
    threads_of,
)
from wellfed.perf.kernels import cpu_engine
from wellfed.perf.local import Times, latencies, local_times
from wellfed.perf.numa import CpuShare, cpu_share
from wellfed.perf.ops import RECURRENT, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_TOLERANCE = 1e-4
_MISREAD = 3.5  # speeds so far from the start values did not run where the row seems to say
CLASSES = ("CPU decode", "CPU prefill", "hybrid decode", "hybrid prefill")

PARAMETERS = (
    Parameter("cpu.bandwidth_fraction", 0.75, 0.4, 0.95, 0.1),
    Parameter("cpu.measured_fraction", 0.9, 0.6, 1.05, 0.1),
    Parameter("cpu.core_bytes_per_cycle", 8.0, 3.0, 14.0, 0.3),
    Parameter("cpu.dies.core_bytes_per_cycle", 6.0, 2.0, 14.0, 0.4),
    Parameter("cpu.mesh.core_bytes_per_cycle", 1.5, 0.7, 4.0, 0.4),
    Parameter("cpu.expert_fraction", 0.75, 0.3, 1.0, 0.2),
    Parameter("cpu.op_us", 6.0, 1.0, 40.0, 0.5),
    Parameter("cpu.barrier_ns", 3.0, 0.5, 10.0, 0.5),
    Parameter("cpu.llama.cpp.barrier_ns", 3.0, 0.5, 20.0, 0.5),
    Parameter("cpu.float.unpack_per_cycle", 14.0, 6.0, 30.0, 0.3),
    Parameter("cpu.plain.unpack_per_cycle", 14.0, 6.0, 30.0, 0.3),
    Parameter("cpu.k.unpack_per_cycle", 9.0, 4.0, 20.0, 0.3),
    Parameter("cpu.iqk.unpack_per_cycle", 7.5, 3.0, 15.0, 0.3),
    Parameter("cpu.codebook2.unpack_per_cycle", 5.0, 2.0, 10.0, 0.3),
    Parameter("cpu.codebook3.unpack_per_cycle", 3.7, 1.5, 8.0, 0.3),
    Parameter("cpu.trellis.unpack_per_cycle", 2.5, 1.0, 5.0, 0.3),
    Parameter("cpu.llama.cpp.unpack_fraction", 1.0, 0.5, 1.5, 0.2),
    Parameter("cpu.llama.cpp.x86.vector_ops_per_cycle", 3.0, 1.5, 4.5, 0.2),
    Parameter("cpu.avx2.unpack_width", 0.7, 0.3, 1.0, 0.2),
    Parameter("cpu.sse.unpack_width", 0.045, 0.01, 0.2, 0.5),
    Parameter("cpu.neon_base.unpack_width", 0.08, 0.02, 0.4, 0.5),
    Parameter("cpu.riscv.unpack_width", 0.013, 0.003, 0.1, 0.5),
    Parameter("cpu.avx2.macs_per_cycle", 15.0, 5.0, 40.0, 0.3),
    Parameter("cpu.avx512.macs_per_cycle", 15.0, 5.0, 40.0, 0.3),
    Parameter("cpu.avx512_vnni.macs_per_cycle", 26.0, 10.0, 80.0, 0.3),
    Parameter("cpu.neon.macs_per_cycle", 30.0, 10.0, 80.0, 0.3),
    Parameter("cpu.amx.macs_per_cycle", 60.0, 15.0, 300.0, 0.5),
    Parameter("cpu.float_macs_per_cycle", 8.0, 3.0, 16.0, 0.3),
    Parameter("cpu.neon.float_macs_per_cycle", 22.0, 8.0, 40.0, 0.3),
    Parameter("cpu.tile_rows", 64.0, 16.0, 256.0, 0.5),
    Parameter("cpu.avx2.llama.cpp.macs_per_cycle", 18.0, 8.0, 32.0, 0.2),
    Parameter("cpu.avx2.llama.cpp.float_macs_per_cycle", 11.5, 5.0, 16.0, 0.2),
    Parameter("cpu.llama.cpp.blas.tile_rows", 6.0, 2.0, 32.0, 0.4),
    Parameter("cpu.ik_llama.cpp.old.tile_rows", 9.0, 3.0, 32.0, 0.4),
    Parameter("cpu.ktransformers.tile_rows", 16.0, 2.0, 128.0, 0.5),
    Parameter("cpu.attention_macs_per_cycle", 6.0, 2.0, 60.0, 0.5),
    Parameter("cpu.wide.attention_macs_per_cycle", 12.0, 2.0, 60.0, 0.5),
    Parameter("cpu.ik_llama.cpp.early.attention_macs_per_cycle", 4.0, 1.0, 20.0, 0.5),
    Parameter("cpu.cache_per_cycle", 0.7, 0.1, 4.0, 0.5),
    Parameter("cpu.state_macs_per_cycle", 2.0, 0.2, 20.0, 0.7),
    Parameter("cpu.interleave_factor", 0.7, 0.4, 1.5, 0.2),
    Parameter("cpu.duplicate_factor", 1.45, 1.0, 2.0, 0.15),
    Parameter("cpu.unbound_factor", 0.28, 0.1, 0.8, 0.3),
    Parameter("cpu.oversubscribed_power", 0.6, 0.1, 1.5, 0.3),
    Parameter("cpu.sockets_power", 0.4, 0.05, 1.5, 0.4),
    Parameter("cpu.huge_pages_factor", 1.1, 0.9, 1.3, 0.1),
    Parameter("hybrid.crossing_us", 25.0, 3.0, 200.0, 0.5),
    Parameter("hybrid.link_fraction", 0.8, 0.4, 0.95, 0.15),
    Parameter("hybrid.ktransformers.link_fraction", 0.55, 0.2, 0.95, 0.3),
    Parameter("hybrid.copy_passes", 3.0, 1.0, 5.0, 0.3),
)
# Held at plausible values: no row tells them apart. Pairs: what
# llama.cpp's one-query attention does beside the products of each head and key (conversion, exp, rescaling): with it,
# a cache of 128-wide FP16 heads is read at an eighth of the bandwidth that its weights are read at.
FIXED = {
    "cpu.pair_cycles": 0.0,
    "cpu.llama.cpp.pair_cycles": 70.0,
    "cpu.llama.cpp.cache_per_cycle": 8.0,  # what converting a head's values costs is in its pairs
    "cpu.llama.cpp.tile_rows": 1.0,
    "cpu.avx2.llama.cpp.unpack_width": 1.0,
    "cpu.unpack_fraction": 1.0,
    "cpu.unpack_width": 1.0,
    "cpu.macs_per_cycle": 15.0,
    "cpu.sse.macs_per_cycle": 1.0,
    "cpu.neon_base.macs_per_cycle": 3.0,
    "cpu.riscv.macs_per_cycle": 0.2,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Works that share their rates: a kind of weights under one share of one machine."""

    work: Work
    share: CpuShare
    machine: Machine
    layout: Layout


class Rows:
    """Measured rows as arrays: their CPU works, what the GPUs add, what crosses the link."""

    def __init__(self, cases: Sequence[Case], calibration: Calibration) -> None:
        import numpy as np

        self.cases = list(cases)
        self.kinds: dict[object, int] = {}
        self.representatives: list[Kind] = []
        found = [self._row(case, calibration) for case in cases]
        self.tokens = np.array([row[0] for row in found])
        self.repeats = np.array([row[1] for row in found])
        self.gpu_s = np.array([row[2] for row in found])
        self.streamed, self.links, self.ram = (np.array([row[3][place] for row in found]) for place in range(3))
        self.pinned = np.array([pinned(case.request.layout) if case.request else False for case in cases])
        self.crossings = np.array([row[4] for row in found])
        works = [(index, *cells) for index, row in enumerate(found) for cells in row[5]]
        columns = list(zip(*works, strict=True))
        self.row_of = np.array(columns[0], dtype=int)
        self.kind_of = np.array(columns[1], dtype=int)
        self.numbers = [np.array(column, dtype=float) for column in columns[2:]]
        self.measured = np.array([case.measured for case in self.cases])

    def _row(
        self, case: Case, calibration: Calibration
    ) -> tuple[float, int, float, tuple[float, float, float], int, list[tuple[float, ...]]]:
        request = case.request
        assert request is not None  # noqa: S101 - interpret always gives one
        step, repeats, tokens = measured_step(request, case.metric)
        split = split_works(request, step)
        times = local_times(request, calibration)
        terms = times.decode if case.metric == "decode_tok_s" else times.prefill
        gpu_s = math.fsum(term.seconds for term in terms if term.device not in ("cpu", "pcie"))
        link = (split.streamed_bytes, raw_link_bytes_per_s(request.machine), ram_bytes_per_s(request.machine))
        share = cpu_share(request.machine, request.layout, threads_of(request.layout, step)) if split.cpu else None
        works = [self._work(work, share, request) for work in split.cpu] if share else []
        spoken = tokens / _over_the_request(times, request) if case.whole_request else tokens
        return spoken, repeats, gpu_s, link, split.crossings, works

    def _work(self, work: Work, share: CpuShare, request: Request) -> tuple[float, ...]:
        layout = request.layout
        how = (cpu_engine(layout), layout.numa, layout.huge_pages, dict(layout.options).get("built", ""))
        what = (work.name in ("routed experts", RECURRENT) and work.name, work.mix, bool(work.read_bytes))
        key = (what, how, share, len(request.machine.sockets))
        if key not in self.kinds:
            self.kinds[key] = len(self.representatives)
            self.representatives.append(Kind(work, share, request.machine, layout))
        read = work.read_bytes + work.cache_bytes
        return self.kinds[key], read, elements_of(work, layout), work.flops / 2, work.lone_pairs, work.launches

    def predict(self, calibration: Calibration) -> Vector:
        """Tokens per second of every row."""
        import numpy as np

        bandwidths: dict[tuple[object, ...], float] = {}
        remembered = cast(Calibration, _Remembered(calibration))
        rates = [_rates(kind, remembered, bandwidths) for kind in self.representatives]
        arrays: dict[str, Any] = {
            name: np.array([getattr(one, name) for one in rates])[self.kind_of]
            for name in CpuRates.__dataclass_fields__
        }
        numbers: list[Any] = self.numbers
        read, elements, macs, pairs, launches = numbers
        *_, seconds = work_seconds(read, elements, macs, pairs, launches, CpuRates(**arrays))
        cpu_s = np.bincount(self.row_of, weights=seconds, minlength=len(self.tokens))
        links, ram = cast(Any, self.links), cast(Any, self.ram)
        rates_of = [copied_bytes_per_s(links, ram, kept, calibration) for kept in (False, True)]
        step_s = cpu_s + self.streamed / np.where(self.pinned, rates_of[1], rates_of[0])
        step_s += self.crossings * calibration.value("hybrid", "crossing_us") * 1e-6
        speeds: Vector = self.tokens / (self.gpu_s + self.repeats * step_s)
        return speeds


def _over_the_request(times: Times, request: Request) -> float:
    """How much longer than its answer's steps a request is, for rows that time the whole of it."""
    first, each = latencies(times, request.workload)
    return 1 + first / (request.workload.output_tokens * each)


class _Remembered:
    """A calibration that looks every path up once."""

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._known: dict[tuple[str, ...], float] = {}

    def value(self, *path: str) -> float:
        found = self._known.get(path)
        if found is None:
            found = self._known[path] = self._calibration.value(*path)
        return found


def _rates(kind: Kind, calibration: Calibration, bandwidths: dict[tuple[object, ...], float]) -> CpuRates:
    layout = kind.layout
    key = (kind.share, layout.numa, layout.huge_pages, len(kind.machine.sockets))
    if key not in bandwidths:
        bandwidths[key] = share_bandwidth(kind.share, kind.machine, layout, calibration)
    return rates_for(kind.work, kind.share, bandwidths[key], layout, calibration)


def measured_step(request: Request, metric: str) -> tuple[Step, int, float]:
    """The step a row measures, how often it is repeated, and the tokens it makes."""
    workload = request.workload
    if metric == "decode_tok_s":
        return Step.decode(1, max(1.0, workload.mean_decode_context)), 1, 1.0
    tokens = max(1, workload.prompt_tokens)
    step, repeats = prompt_steps(tokens, workload.depth_tokens, micro_batch(request.layout))
    return step, repeats, float(tokens)


def cases_of(folder: Path, every: int = 1) -> list[Case]:
    """The rows that CPUs have a part in, of all tables; of each `every` rows one."""
    chosen = [case for case in local_cases(folder, every) if case.cls in CLASSES]
    expected = Rows(chosen, starting()).predict(starting())
    return [
        case for case, speed in zip(chosen, expected, strict=True) if 1 / _MISREAD < case.measured / speed < _MISREAD
    ]


def starting() -> Calibration:
    """The calibration before a row is seen, beside what the GPUs' fit found."""
    return bundled().with_parameters({**FIXED, **{one.name: one.start for one in PARAMETERS}})


def row_weights(cases: Sequence[Case]) -> Vector:
    """Groups count by the root of their rows, so that one long table does not decide."""
    import numpy as np

    sizes: dict[str, int] = {}
    for case in cases:
        sizes[case.group] = sizes.get(case.group, 0) + 1
    return np.array([sizes[case.group] ** -0.5 for case in cases])


def fit_weights(cases: Sequence[Case]) -> Vector:
    """The same, with less trust in rows whose hardware is doubtful: intervals must cover those too, fits need not."""
    import numpy as np

    trust: Vector = np.array([_trust(case) for case in cases])
    return row_weights(cases) * trust


def _trust(case: Case) -> float:
    """Rows that do not tell how a many-channel machine is filled, or name it elsewhere, say little of its bandwidth."""
    machine = case.request.machine if case.request else None
    many = machine is not None and any((one.channels or 0) > 2 for one in machine.sockets)
    doubtful = machine is not None and machine.assumptions and many
    return 0.3 if doubtful or "other posts" in case.group else 1.0


def refit(folder: Path) -> Calibration:
    """The calibration of CPUs and hybrids from the tables in `folder`; residuals are of groups left out."""
    base = starting()
    cases = cases_of(folder)
    rows, weights = Rows(cases, base), fit_weights(cases)

    def predict(values: Mapping[str, float]) -> Vector:
        return rows.predict(base.with_parameters(values))

    found = fit(PARAMETERS, predict, rows.measured, weights, tolerance=_TOLERANCE)
    linear = linearised(PARAMETERS, predict, rows.measured, found, weights)
    names = [parameter.name for parameter in PARAMETERS]
    left_out = leave_groups_out(linear, names, predict, rows.measured, [case.source for case in cases])
    learnt = zip(PARAMETERS, linear.doubts(), linear.rows_behind(), strict=True)
    facts = {
        one.name: Fact("fitted" if doubt < 0.8 * one.prior_sigma else "prior", int(count), round(float(doubt), 3))
        for one, doubt, count in learnt
    }
    return Calibration(
        id="cpu",
        parameters={**FIXED, **{name: float(f"{value:.5g}") for name, value in found.items()}},
        residuals=residuals_of(cases, rows.measured, left_out, row_weights(cases)),
        source="rows of llama.cpp, ik_llama.cpp and KTransformers on CPUs; errors with whole sources left out",
        facts=facts | {name: Fact("prior", source="assumed") for name in FIXED},
    )


def residuals_of(cases: Sequence[Case], measured: Vector, predicted: Vector, weights: Vector) -> dict[str, Residual]:
    """Errors by class; sigma covers 80 % of the weighted rows, so that one long thread does not narrow intervals."""
    import numpy as np

    found = {}
    for name in CLASSES:
        mine = np.array([case.cls == name for case in cases])
        if not mine.any():
            continue
        errors = np.abs(np.log(predicted[mine] / measured[mine]))
        order = np.argsort(errors)
        shares = np.cumsum(weights[mine][order]) / weights[mine].sum()
        widest = float(errors[order][int(np.searchsorted(shares, 0.8))])
        sigma = round(max(widest / Z80, 0.01), 4)
        found[name] = replace(residual(measured[mine], predicted[mine]), sigma=sigma)
    return found
