"""Parts of docs/accuracy.md that need a fit: simple rivals on the same rows, one serving table from the other alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from fits.fitting import fit
from fits.measured import local_cases
from fits.serving import Fit, cases_of, parameters

from wellfed.accuracy.case import Case
from wellfed.catalog.calibration import bundled, with_old_builds
from wellfed.errors import WellfedError
from wellfed.hardware.parts import GpuSpec
from wellfed.perf.hybrid import split_works
from wellfed.perf.ops import Step

_HEAD = ["| class | rows | wellfed | one constant x bandwidth / bytes of a token | one constant x bandwidth / file |",
         "|---|---:|---:|---:|---:|"]  # fmt: skip


def rivals(folder: Path) -> list[str]:
    """Median errors of decode beside those of one constant per bandwidth, the constant fitted to the very same rows."""
    known = with_old_builds(bundled())
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for case in local_cases(folder):
        found = _of(case)
        if found is None:
            continue
        try:
            own = case.predict(known).value
        except WellfedError:
            continue
        rows.setdefault(case.cls, []).append((own / case.measured, found[0] / case.measured, found[1] / case.measured))
    lines = list(_HEAD)
    for cls, ratios in sorted(rows.items()):
        if len(ratios) >= 3:
            own, token, file = (list(column) for column in zip(*ratios, strict=True))
            cells = [f"{_off(own):.1%}", *(f"{_off(_scaled(one)):.1%}" for one in (token, file))]
            lines.append(f"| {cls} | {len(ratios)} | {' | '.join(cells)} |")
    return lines


def _of(case: Case) -> tuple[float, float] | None:
    """Bandwidth over the bytes that a token reads, and over the file, of a decode row on equal GPUs alone."""
    request = case.request
    if (
        request is None
        or case.metric != "decode_tok_s"
        or not case.cls.startswith(("llama.cpp GPU", "ik_llama.cpp GPU"))
    ):
        return None
    specs = [gpu.spec for gpu in request.machine.gpus]
    first = specs[0] if specs else None
    if not isinstance(first, GpuSpec) or any(spec != first for spec in specs):
        return None
    works = split_works(request, Step.decode(1, max(1.0, request.workload.mean_decode_context))).gpu
    read = sum(work.read_bytes + work.cache_bytes for work in works)
    rate = first.memory_bandwidth_bytes_per_s
    return (rate / read, rate / request.weights.total) if read else None


def _scaled(ratios: Sequence[float]) -> list[float]:
    middle = statistics.median(ratios)
    return [ratio / middle for ratio in ratios]


def _off(ratios: Sequence[float]) -> float:
    return statistics.median(abs(ratio - 1) for ratio in ratios)


def one_from_the_other(folder: Path) -> list[str]:
    """Median errors of each serving table, predicted by a fit that has seen the other alone."""
    lines = ["| rows of | fitted to | latency | rows | median error | bias |", "|---|---|---|---:|---:|---:|"]
    lines += _crossed(Fit(cases_of(folder)))
    return lines


def _crossed(all_rows: Fit) -> Iterator[str]:
    import numpy as np

    first = np.array([case.metric is not None and _campaign(case) for case in all_rows.cases])
    names = {True: "the vendors' campaign (2025)", False: "strangers' measurements (2025-26)"}
    for seen in (True, False):
        weights = all_rows.weights * (first == seen)
        values = fit(parameters(), all_rows.predict, all_rows.measured, weights, tolerance=1e-3, heavy_tails=True)
        predicted = all_rows.predict(values)
        for metric in ("tpot", "ttft"):
            chosen = np.array(
                [case.cls == f"serving {metric}" and not case.outlier for case in all_rows.cases]
            ) & (first != seen)  # fmt: skip
            ratio = predicted[chosen] / all_rows.measured[chosen]
            cells = [names[not seen], names[seen], metric.upper(), str(int(chosen.sum()))]
            cells += [f"{float(np.median(abs(ratio - 1))):.1%}", f"{float(np.median(ratio)) - 1:+.1%}"]
            yield f"| {' | '.join(cells)} |"


def _campaign(case: Case) -> bool:
    return case.request is not None and "tuned" in dict(case.request.layout.options)
