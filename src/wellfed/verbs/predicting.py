"""Measurement tables held against the estimate, and the fit of its few parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from wellfed.errors import BadInput
from wellfed.message import message
from wellfed.verbs import inputs

if TYPE_CHECKING:
    from wellfed.accuracy.report import Report


def accuracy(table: Path, calibration_file: Path | None = None) -> Report:
    """Predict every row of a measurement table. Raises BadInput when it is not one."""
    from wellfed.accuracy.report import report
    from wellfed.accuracy.tables import interpreters, rows_of
    from wellfed.catalog.calibration import with_old_builds

    calibration = with_old_builds(inputs.calibration(calibration_file))
    return report(str(table), rows_of(table), interpreters(), calibration)


def refit(folder: Path, say: Callable[[str], None] = lambda _: None) -> Iterator[tuple[str, str]]:
    """Refit the bundled calibration from the tables in `folder` and write it; yields what was fitted and how well.

    The fits stand beside the package in a checkout (`workshop/fits`), not in what is installed from a wheel. Raises
    BadInput where they, or what they need, are not there.
    """
    try:
        from fits.refit import refit_all
    except ImportError as error:
        raise BadInput(
            message("refit.not-here", "the calibration is fitted in a checkout of wellfed: {why}", why=str(error)),
            message("refit.not-here.hint", "clone the repository and install it there with `pip install -e '.[dev]'`"),
        ) from error
    yield from refit_all(folder, say)
