"""Many cases of one kind: a few of them for everybody, all of them where nobody waits (`pytest -m slow`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def few(cases: Iterable[Any], every: int, name: Callable[[Any], str] = str) -> list[Any]:
    """The cases as parameters: each `every`-th as it is, the others marked `slow`."""
    return [
        pytest.param(case, id=name(case), marks=() if at % every == 0 else pytest.mark.slow)
        for at, case in enumerate(cases)
    ]


def few_rows(rows: Iterable[tuple[Any, ...]], every: int) -> list[Any]:
    """The same for cases of several arguments."""
    marks = pytest.mark.slow
    return [pytest.param(*row, marks=() if at % every == 0 else marks) for at, row in enumerate(rows)]
