"""Facts derived from a model, its weights, a machine or a calibration, kept while the same object is asked about again.

These are large values: hashing one costs more than the arithmetic it would save, and planners ask thousands of times
about the same object, so identity is what counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

_SIZE = 64  # objects whose facts are kept, assumed enough for one search


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


def per_pair(derive: Callable[[S, T], R]) -> Callable[[S, T], R]:
    """`derive` with its last results remembered by the identities of both arguments."""
    results: dict[tuple[int, int], tuple[S, T, R]] = {}

    def remembered(first: S, second: T) -> R:
        key = (id(first), id(second))
        cached = results.get(key)
        if cached is not None and cached[0] is first and cached[1] is second:
            return cached[2]
        if len(results) >= _SIZE:
            results.clear()
        result = derive(first, second)
        results[key] = (first, second, result)
        return result

    return remembered


def per_object_and_values(derive: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[T, P], R]:
    """`derive` with its results remembered by the identity of the first argument and the values of the others."""

    @per_object
    def results_of(item: T) -> dict[tuple[object, ...], R]:
        return {}

    def remembered(item: T, /, *values: P.args, **named: P.kwargs) -> R:
        results, key = results_of(item), (*values, *named.items())
        if key not in results:
            results[key] = derive(item, *values, **named)
        return results[key]

    return remembered
