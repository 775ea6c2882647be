"""Sums of values of which some are not known (None)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Number = TypeVar("Number", int, float)


def total_of_known(values: Iterable[Number | None]) -> Number | None:
    """The sum of the values that are known; None where none is."""
    numbers = [value for value in values if value is not None]
    return sum(numbers) if numbers else None


def total_if_all_known(values: Iterable[Number | None]) -> Number | None:
    """The sum of all values; None as soon as one is unknown, or where there is no value."""
    numbers: list[Number] = []
    for value in values:
        if value is None:
            return None
        numbers.append(value)
    return sum(numbers) if numbers else None
