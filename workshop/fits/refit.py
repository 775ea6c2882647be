"""Refit every part of the bundled calibration from a folder of measurement tables. Deterministic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import wellfed.catalog
from fits.fitting import Z80
from wellfed.catalog.calibration import bundled, dump, load
from wellfed.errors import BadInput
from wellfed.nouns.calibration import Calibration

_LEAST_ROWS = 30  # fewer say little of how often an interval holds
_FROM_70_TO_80 = Z80 / 1.0364333894937898  # normal quantiles that leave 10 % and 15 % on each side


def refit_all(folder: Path, told: Callable[[str], None] = lambda _: None) -> Iterator[tuple[str, str]]:
    """Fit, write into the package's data, and yield (name, errors left out) for each part."""
    if not any(folder.glob("*.csv")):
        raise BadInput(f"no measurement tables in {folder}", "give the folder that holds the CSV files")
    _ensure_tables(folder)
    target = Path(wellfed.catalog.__file__).parent / "data" / "calibration"
    for name, fit in _parts():
        told(f"fitting {name} ...")
        found = fit(folder)
        (target / f"{name}.json").write_text(dump(found))
        bundled.cache_clear()
        yield name, summary(found)
    told("widening intervals ...")
    yield from widen_all(folder)


def _ensure_tables(folder: Path) -> None:
    """Raises BadInput where a table is missing that a fit needs, before anything is fitted."""
    from fits import measured, memory, serving

    later = measured.folders(folder)
    kinds = (((folder,), memory.TABLES), (later, measured.LOCAL_TABLES), (later, serving.TABLES))
    missing = [
        names for places, names in kinds if not any((place / name).exists() for place in places for name in names)
    ]
    if missing:
        wanted = "; ".join(" or ".join(names) for names in missing)
        raise BadInput(f"{folder} lacks tables that the calibration is fitted on: {wanted}",
                       "the tables' columns: docs/accuracy.md")  # fmt: skip


def widen_all(folder: Path) -> Iterator[tuple[str, str]]:
    """Widen the 80 % intervals that hold fewer than 70 % of all rows, those that no fit took included."""
    target = Path(wellfed.catalog.__file__).parent / "data" / "calibration"
    least = _least_sigmas(folder, bundled())
    for path in sorted(target.glob("*.json")):
        part = load(path)
        wider = {
            name: replace(known, sigma=round(least[name] * _FROM_70_TO_80, 4))
            for name, known in part.residuals.items()
            if least.get(name, 0.0) > known.sigma
        }
        if wider:
            path.write_text(dump(replace(part, residuals={**part.residuals, **wider})))
            yield path.stem, "; ".join(f"{name}: sigma {one.sigma:.2f}" for name, one in sorted(wider.items()))
    bundled.cache_clear()


def _least_sigmas(folder: Path, calibration: Calibration) -> dict[str, float]:
    """By class of many rows, the sigma whose 80 % interval holds 70 % of them in all tables; outliers left out."""
    import numpy as np

    from fits.measured import folders
    from wellfed.accuracy.report import report
    from wellfed.accuracy.tables import interpreters, rows_of

    errors: dict[str, list[float]] = {}
    for table in sorted(table for place in folders(folder) for table in place.glob("*.csv")):
        try:
            found = report(str(table), rows_of(table), interpreters(), calibration)
        except BadInput:
            continue  # not a measurement table
        for one in found.scored:
            if one.case.metric != "oom" and not one.case.outlier and min(one.case.measured, one.predicted.value) > 0:
                errors.setdefault(one.case.cls, []).append(math.log(one.predicted.value / one.case.measured))
    many = {name: logs for name, logs in errors.items() if len(logs) >= _LEAST_ROWS}
    return {name: float(np.quantile(np.abs(logs), 0.7)) / Z80 for name, logs in many.items()}


def _parts() -> tuple[tuple[str, Callable[[Path], Calibration]], ...]:
    """In the order of their needs: a hybrid's CPU share is fitted with the GPU share known."""
    from fits import cpu, gpu, memory, old_builds, serving

    return (
        ("memory", memory.refit),
        ("llamacpp_gpu", gpu.refit),
        ("old/llamacpp_2024", old_builds.refit),
        ("cpu", cpu.refit),
        ("serving", serving.refit),
    )


def summary(found: Calibration) -> str:
    """Median errors by class, with whole groups left out of the fit."""
    words = [
        f"{name} {residual.median_ape:.1%} of {residual.rows} rows"
        for name, residual in sorted(found.residuals.items())
        if residual.median_ape is not None
    ]
    return "; ".join(words)
