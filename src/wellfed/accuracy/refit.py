"""Refit every part of the bundled calibration from a folder of measurement tables. Deterministic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import wellfed.catalog
from wellfed.calibration import Calibration
from wellfed.catalog.calibration import bundled, dump
from wellfed.errors import BadInput


def refit_all(folder: Path, told: Callable[[str], None] = lambda _: None) -> Iterator[tuple[str, str]]:
    """Fit, write into the package's data, and yield (name, errors left out) for each part."""
    if not any(folder.glob("*.csv")):
        raise BadInput(f"no measurement tables in {folder}", "give the folder that holds the CSV files")
    target = Path(wellfed.catalog.__file__).parent / "data" / "calibration"
    for name, fit in _parts():
        told(f"fitting {name} ...")
        found = fit(folder)
        (target / f"{name}.json").write_text(dump(found))
        bundled.cache_clear()
        yield name, summary(found)


def _parts() -> tuple[tuple[str, Callable[[Path], Calibration]], ...]:
    """In the order of their needs: a hybrid's CPU share is fitted with the GPU share known."""
    from wellfed.accuracy import fit_cpu, fit_llamacpp, fit_memory, fit_serving

    return (
        ("memory", fit_memory.refit),
        ("llamacpp_gpu", fit_llamacpp.refit),
        ("cpu", fit_cpu.refit),
        ("serving", fit_serving.refit),
    )


def summary(found: Calibration) -> str:
    """Median errors by class, with whole groups left out of the fit."""
    words = [
        f"{name} {residual.median_ape:.1%} of {residual.rows} rows"
        for name, residual in sorted(found.residuals.items())
        if residual.median_ape is not None
    ]
    return "; ".join(words)
