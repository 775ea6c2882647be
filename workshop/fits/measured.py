"""The rows of all tables that a fit may take, folder by folder."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from wellfed.accuracy import rows_hybrid, rows_llamacpp
from wellfed.accuracy.case import Case, Outcome, Row
from wellfed.accuracy.tables import rows_of
from wellfed.errors import WellfedError

LOCAL_TABLES = ("gpu_llamacpp.csv", "speed_misc.csv", "hybrid_ik_llama.csv", "hybrid.csv", "local.csv", "cpu.csv")


def folders(folder: Path) -> tuple[Path, ...]:
    """`folder` and those beside it of the same name and a later year: `truth`, `truth_2026`."""
    later = sorted(path for path in folder.parent.glob(f"{folder.name}_20[0-9][0-9]") if path.is_dir())
    return (folder, *later)


@lru_cache(maxsize=2)
def local_cases(folder: Path, every: int = 1) -> tuple[Case, ...]:
    """Speeds of local engines of every table there is, one user at a time; outliers and misread rows left out.

    `every`: of each so many rows only one, for a look at a part of them.
    """
    rows = islice(_rows(folder), 0, None, every)
    return tuple(case for row in rows if not _patched(row) for case in _interpreted(row) if _fitted(case))


def _rows(folder: Path) -> Iterator[Row]:
    for place in folders(folder):
        for name in LOCAL_TABLES:
            if (place / name).exists():
                yield from rows_of(place / name)


def _patched(row: Row) -> bool:
    """Of a build with pull requests that no release had, as its version tells: reported, but nobody installs it."""
    return "+PR" in row.text("engine_version")


def _interpreted(row: Row) -> tuple[Case, ...]:
    found: tuple[Outcome, ...] | None
    try:
        found = rows_llamacpp.interpret(row)
        found = rows_hybrid.interpret(row) if found is None else found
    except WellfedError:
        return ()
    return tuple(one for one in found or () if isinstance(one, Case))


def _fitted(case: Case) -> bool:
    alone = case.request is not None and case.request.workload.concurrency == 1
    return case.metric != "oom" and not case.outlier and alone
