"""Frozen dataclasses to JSON values and back, strictly: unknown fields, wrong types, NaN and infinity are refused."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Decoder = Callable[[Any], Any]


def to_json(value: Any) -> Any:
    """JSON values; fields that are None are left out, and so are numbers that are not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, to_json(getattr(value, field.name))) for field in fields(value))
        return {name: item for name, item in pairs if item is not None}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def from_json(kind: type[T], value: Any) -> T:
    """A `kind` of JSON values. Raises ValueError that names the field."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{kind.__name__}: an object is wanted")
    decoders, needed = _fields(kind)  # type: ignore[arg-type]
    if not value.keys() <= decoders.keys():
        raise ValueError(f"{kind.__name__} has no field {sorted(value.keys() - decoders.keys())[0]!r}")
    values = {name: decoders[name](field_value) for name, field_value in value.items()}
    for name in needed:
        if values.get(name) is None:
            raise ValueError(f"{kind.__name__} lacks {name!r}")
    return kind(**values)


@lru_cache(maxsize=64)
def _fields(kind: type[Any]) -> tuple[dict[str, Decoder], tuple[str, ...]]:
    """What reads each field, and those without a default."""
    hints = get_type_hints(kind)
    decoders = {field.name: _decoder(f"{kind.__name__}.{field.name}", hints[field.name]) for field in fields(kind)}
    return decoders, tuple(field.name for field in fields(kind) if field.default is MISSING)


def _decoder(field_path: str, hint: Any) -> Decoder:
    """Reads a value of that type; `where` names it in errors."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner_type = next(member for member in get_args(hint) if member is not type(None))
        inner, plain = _decoder(field_path, inner_type), inner_type if inner_type in (int, str, bool) else None

        def perhaps(value: Any) -> Any:
            return value if value is None or type(value) is plain else inner(value)

        return perhaps
    if origin is tuple:
        item = _decoder(field_path, get_args(hint)[0])

        def listed(value: Any) -> Any:
            if not isinstance(value, list):
                raise ValueError(f"{field_path}: a list is wanted")
            return tuple([item(member) for member in value])

        return listed
    if is_dataclass(hint) and isinstance(hint, type):
        return partial(from_json, hint)
    return _number(field_path) if hint is float else _exactly(field_path, hint)


def _number(field_path: str) -> Decoder:
    def number(value: Any) -> float:
        if type(value) is float and -math.inf < value < math.inf:
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise ValueError(f"{field_path}: {value} is no number")
            return float(value)
        raise ValueError(f"{field_path}: float is wanted, not {value!r}"[:200])

    return number


def _exactly(field_path: str, hint: type[Any]) -> Decoder:
    def same(value: Any) -> Any:
        if type(value) is hint:
            return value
        raise ValueError(f"{field_path}: {hint.__name__} is wanted, not {value!r}"[:200])

    return same
