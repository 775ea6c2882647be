"""Facts derived from a model or its weights, kept as long as the same object is asked about again.

Models and weights are large values: hashing one costs more than the arithmetic it would save, and planners ask
thousands of times about the same object, so identity is what counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_SIZE = 64


def per_object(derive: Callable[[T], R]) -> Callable[[T], R]:
    """`derive` with its last results remembered by the identity of the argument."""
    results: dict[int, tuple[T, R]] = {}

    def remembered(item: T) -> R:
        cached = results.get(id(item))
        if cached is not None and cached[0] is item:
            return cached[1]
        if len(results) >= _SIZE:
            results.clear()
        result = derive(item)
        results[id(item)] = (item, result)
        return result

    return remembered
