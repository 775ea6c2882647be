"""Many cases of one kind: a few of them for everybody, all of them where nobody waits (`pytest -m slow`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any, TypeVar

import pytest

from wellfed.errors import WellfedError

Case = TypeVar("Case")


def few(cases: Iterable[Any], every: int, name: Callable[[Any], str] = str) -> list[Any]:
    """The cases as parameters: each `every`-th as it is, the others marked `slow`."""
    return [
        pytest.param(case, id=name(case), marks=() if at % every == 0 else pytest.mark.slow)
        for at, case in enumerate(cases)
    ]


def few_rows(
    rows: Iterable[tuple[Any, ...]], every: int, name: Callable[[tuple[Any, ...]], str | None] = lambda row: None
) -> list[Any]:
    """The same for cases of several arguments."""
    marks = pytest.mark.slow
    return [pytest.param(*row, id=name(row), marks=() if at % every == 0 else marks) for at, row in enumerate(rows)]


def shares(cases: Sequence[Case], count: int) -> list[Any]:
    """The cases dealt out to `count` tests: the first as it is, the others marked `slow`."""
    marks = pytest.mark.slow
    return [pytest.param(cases[at::count], id=f"{at + 1}of{count}", marks=marks if at else ()) for at in range(count)]


def checkered(rows: Iterable[Any], columns: Iterable[Any]) -> list[Any]:
    """Every row with every column: as on a chessboard, the white fields as they are and the black ones marked `slow`."""
    fields = product(enumerate(rows), enumerate(columns))
    return [
        pytest.param(row, column, marks=pytest.mark.slow if (y + x) % 2 else ()) for (y, row), (x, column) in fields
    ]


def holds_for_all(check: Callable[[Case], None], cases: Iterable[Case]) -> None:
    """One test for cases in their thousands, where a test apiece would cost more than what it checks.

    Raises AssertionError that tells of every case that fails.
    """
    failures = [failure for case in cases if (failure := _failure(check, case))]
    assert not failures, f"{len(failures)} fail:\n" + "\n".join(failures[:20])


def _failure(check: Callable[[Case], None], case: Case) -> str:
    try:
        check(case)
    except (AssertionError, WellfedError, LookupError, TypeError, ValueError) as error:
        return f"{getattr(case, 'id', case)}: {error or type(error).__name__}"
    return ""
