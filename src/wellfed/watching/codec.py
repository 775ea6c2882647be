"""Frozen dataclasses to JSON values and back, strictly: unknown fields, wrong types, NaN and infinity are refused."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """JSON values; fields that are None are left out, and so are numbers that are not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, to_json(getattr(value, field.name))) for field in fields(value))
        return {name: each for name, each in pairs if each is not None}
    if isinstance(value, tuple):
        return [to_json(each) for each in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def from_json(kind: type[T], value: Any) -> T:
    """A `kind` of JSON values. Raises ValueError that names the field."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{kind.__name__}: an object is wanted")
    known = _fields(kind)  # type: ignore[arg-type]
    strange = set(value) - set(known)
    if strange:
        raise ValueError(f"{kind.__name__} has no field {sorted(strange)[0]!r}")
    found = {name: _decoded(f"{kind.__name__}.{name}", known[name][0], each) for name, each in value.items()}
    missing = [name for name, (_, needed) in known.items() if needed and found.get(name) is None]
    if missing:
        raise ValueError(f"{kind.__name__} lacks {missing[0]!r}")
    return kind(**found)


@lru_cache(maxsize=64)
def _fields(kind: type[Any]) -> dict[str, tuple[Any, bool]]:
    hints = get_type_hints(kind)
    return {field.name: (hints[field.name], field.default is MISSING) for field in fields(kind)}


def _decoded(where: str, hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner = next(each for each in get_args(hint) if each is not type(None))
        return None if value is None else _decoded(where, inner, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: a list is wanted")
        return tuple(_decoded(where, get_args(hint)[0], each) for each in value)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value)
    return _scalar(where, hint, value)


def _scalar(where: str, hint: type[Any], value: Any) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError(f"{where}: {value} is no number")
        return float(value)
    if type(value) is hint:
        return value
    raise ValueError(f"{where}: {hint.__name__} is wanted, not {value!r}"[:200])
