"""How far CPUs' and hybrids' predictions are off when a row's whole source is left out of the fit, source by source.

    python workshop/left_out.py TABLES [CLASS]

TABLES: the folder of the first tables; those of later years beside it are read too. A line for each source and CPU:
rows, median error, middle ratio of prediction to measurement, left out and fitted.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from fits.cpu import CLASSES, PARAMETERS, Rows, cases_of, fit_weights, starting
from fits.fitting import fit, leave_groups_out, linearised

from wellfed.accuracy.case import Case


def left_out(folder: Path) -> Iterator[tuple[Case, float, float]]:
    """Each case with its prediction by a fit without its source, and by the fit of all."""
    base, cases = starting(), cases_of(folder)
    rows, weights = Rows(cases, base), fit_weights(cases)

    def predict(values: Mapping[str, float]) -> Any:
        return rows.predict(base.with_parameters(values))

    found = fit(PARAMETERS, predict, rows.measured, weights, tolerance=1e-4)
    linear = linearised(PARAMETERS, predict, rows.measured, found, weights)
    names = [one.name for one in PARAMETERS]
    without = leave_groups_out(linear, names, predict, rows.measured, [case.source for case in cases])
    yield from zip(cases, without.tolist(), predict(found).tolist(), strict=True)


def lines(folder: Path, classes: tuple[str, ...]) -> Iterator[str]:
    """One for each class, source and CPU."""
    groups: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for case, without, within in left_out(folder):
        if case.cls in classes and case.request is not None:
            sockets = case.request.machine.sockets
            name = sockets[0].cpu.name if sockets and sockets[0].cpu else "?"
            groups[case.cls, case.source, f"{len(sockets)}x {name}"].append(
                (without / case.measured, within / case.measured)
            )
    for (cls, source, machine), ratios in sorted(groups.items()):
        out, fitted = zip(*ratios, strict=True)
        off = median(abs(one - 1) for one in out)
        words = f"{off:6.1%} off, x{median(out):.2f} left out, x{median(fitted):.2f} fitted"
        yield f"{cls:15} {len(out):4} rows {words}  {machine} | {source[:70]}"


if __name__ == "__main__":
    chosen = tuple(word for word in CLASSES if len(sys.argv) < 3 or sys.argv[2].lower() in word.lower())
    print("\n".join(lines(Path(sys.argv[1]), chosen)))
