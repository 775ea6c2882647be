"""What the readers of quantisation settings share: numbers under a key, groups, names of integer formats."""

from __future__ import annotations

from collections.abc import Mapping

Settings = Mapping[str, object]


def number_of(settings: Settings, key: str, default: float) -> float:
    """The number under `key`; `default` where there is none."""
    value = settings.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def integer_of(settings: Settings, key: str, default: int) -> int:
    """The number under `key` without its fraction; `default` where there is none."""
    return int(number_of(settings, key, default))


def integer_format(bits: int) -> str:
    """The quantisation id of integers of so many bits: int4."""
    return f"int{bits}"


def group_size(settings: Settings, fallback: str = "group_size") -> int:
    """Values that share a scale, under `group_size` or `fallback`, else 128; -1 is a whole row."""
    return integer_of(settings, "group_size", integer_of(settings, fallback, 128))


def integer_type(bits: int, group: int, zeros: bool = True) -> str:
    """The weight type of integers in groups of `group` values (0 or less: a row); zero points stored, or none."""
    return f"INT{bits}-R" if group <= 0 else f"INT{bits}-G{group}{'' if zeros else 'S'}"
