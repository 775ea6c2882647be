"""`dataclass` as the standard library has it, for frozen values in a third of the time.

A command declares some 200 values before its first answer, and the standard decorator compiles six methods for each
(0.8 ms). Here `@dataclass(frozen=True, slots=True)` compiles one, and comparison, hash and text are shared functions
over the fields. That fields are set once is held by mypy, which sees the standard decorator; `replace`, `fields`,
`asdict` and `__post_init__` work as ever.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls: type | None = None, **options: Any) -> Any:
        """As `dataclasses.dataclass`."""
        if cls is None:
            return lambda decorated: dataclass(decorated, **options)
        if not options.get("frozen") or not options.get("slots") or options.keys() - {"frozen", "slots", "repr"}:
            return dataclasses.dataclass(**options)(cls)
        return _value(cls, options.get("repr", True))


def _value(cls: type, with_repr: bool) -> type:
    own = vars(cls).keys()
    made: type = dataclasses.dataclass(slots=True, eq=False, repr=False)(cls)
    compared = [field.name for field in dataclasses.fields(made) if field.compare]
    shown = [field.name for field in dataclasses.fields(made) if field.repr]
    methods = {"__eq__": _equal(compared), "__hash__": _hash(compared)}
    if with_repr:
        methods["__repr__"] = _repr(shown)
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    return made


def _equal(names: list[str]) -> Callable[..., Any]:
    values = _getter(names)

    def equal(self: Any, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return equal


def _hash(names: list[str]) -> Callable[..., int]:
    values = _getter(names)
    return lambda self: hash(values(self))


def _repr(names: list[str]) -> Callable[..., str]:
    def text(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({shown})"

    return text


def _getter(names: list[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda _: ()
