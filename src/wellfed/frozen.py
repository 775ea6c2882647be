"""`dataclass` as the standard library has it, for values with slots in a tenth of the time.

A command declares some 200 values before its first answer, and the standard decorator inspects each and compiles six
methods for it (0.8 ms). Here `@dataclass(slots=True)`, frozen or not, makes the class with its slots and shared
functions; what `dataclasses.fields` reads is made when somebody asks, and `__init__` when the first value is made: one
function is compiled for each count of fields, and given their names. That fields of frozen ones are set once is held by
mypy, which sees the standard decorator; `replace`, `fields`, `asdict` and `__post_init__` work as ever.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from functools import cache
from operator import attrgetter
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import asdict as asdict
    from dataclasses import dataclass as dataclass
    from dataclasses import replace as replace
else:

    def dataclass(cls: type | None = None, **options: Any) -> Any:
        """`dataclasses.dataclass`; methods of classes with slots are made when they are first needed."""
        if cls is None:
            return lambda decorated: dataclass(decorated, **options)
        if not options.get("slots") or options.keys() - {"frozen", "slots", "repr"}:
            return dataclasses.dataclass(**options)(cls)
        return _value(cls, options.get("repr", True), options.get("frozen", False))

    def replace(value: Any, /, **changes: Any) -> Any:
        """As `dataclasses.replace`: a search makes thousands of layouts, each of another one."""
        values = getattr(value, "__values__", None)
        if values is None:
            return dataclasses.replace(value, **changes)
        if not changes.keys() <= value.__names__:
            wrong = ", ".join(changes.keys() - value.__names__)
            raise TypeError(f"{value.__class__.__qualname__} has no such field: {wrong}")
        return value.__class__(*map(changes.get, value.__match_args__, values(value)))

    def asdict(value: Any) -> dict[str, Any]:
        """As `dataclasses.asdict`; what holds no others is not copied."""
        values = getattr(value, "__values__", None)
        if values is None:
            return dataclasses.asdict(value)
        return dict(zip(value.__match_args__, map(_as_plain, values(value)), strict=True))


def _as_plain(item: Any) -> Any:
    """The values in it as dictionaries."""
    kind = item.__class__
    if hasattr(kind, "__dataclass_fields__" if not hasattr(kind, "__values__") else "__values__"):
        return asdict(item)
    if isinstance(item, dict):
        return kind((_as_plain(key), _as_plain(value)) for key, value in item.items())
    if isinstance(item, (list, tuple)):
        parts = map(_as_plain, item)
        return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
    return item


def _value(cls: type, with_repr: bool, frozen: bool) -> type:
    """The class anew, with a slot for each field and the methods that it has none of its own of."""
    namespace = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    annotations = namespace.get("__annotations__", {})
    defaults = {name: namespace.pop(name) for name in annotations if name in namespace}
    inherited: tuple[dict[str, Any], dict[str, Any]] = getattr(cls, "__described__", ({}, {}))
    types, defaults = inherited[0] | annotations, inherited[1] | defaults
    names = tuple(types)
    aside = {name: value for name, value in defaults.items() if isinstance(value, dataclasses.Field)}
    compared = [name for name in names if name not in aside or aside[name].compare]
    shown = [name for name in names if name not in aside or aside[name].repr]
    methods: dict[str, Any] = {"__init__": _first_init(names, defaults), "__eq__": _equal(compared)}
    methods["__hash__"] = _hash(compared) if frozen else None
    if with_repr:
        methods["__repr__"] = _repr(shown)
    slots = {"__slots__": tuple(name for name in annotations if name not in inherited[0]), "__match_args__": names}
    standard = {name: _Standard(name) for name in _STANDARD}
    described = {"__described__": (types, defaults), "__values__": _getter(names), "__names__": frozenset(names)}
    return type(cls)(cls.__name__, cls.__bases__, {**methods, **namespace, **slots, **standard, **described})


_STANDARD = ("__dataclass_fields__", "__dataclass_params__")


class _Standard:
    """What the standard library reads of a class of values: made by its own decorator, when it is first read."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, _: object, owner: Any) -> Any:
        types, defaults = owner.__described__
        plain = dict.fromkeys(types, object)  # of annotations that are texts, the decorator looks into each
        twin = type(owner.__name__, (), {"__annotations__": plain, "__doc__": owner.__name__, **defaults})
        twin.__module__ = owner.__module__
        dataclasses.dataclass(init=False, eq=False, repr=False)(twin)
        for field in dataclasses.fields(twin):
            field.type = types[field.name]
        for name in _STANDARD:
            setattr(owner, name, vars(twin)[name])
        return vars(twin)[self.name]


def _first_init(names: tuple[str, ...], defaults: Mapping[str, Any]) -> Callable[..., None]:
    """Makes the `__init__` that takes its place, and calls that."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        owner = self.__class__
        owner.__init__ = made_init = _init(owner, names, defaults)
        made_init(self, *args, **kwargs)

    return init


def _init(owner: type, names: tuple[str, ...], defaults: Mapping[str, Any]) -> Callable[..., None]:
    """The function that sets the fields in their order, with their defaults."""
    usual, makers = [], {}
    for name in names:
        default = defaults.get(name, MISSING)
        if isinstance(default, dataclasses.Field):
            if not default.init or default.kw_only is True:
                raise TypeError(f"{owner.__qualname__}.{name}: fields not given, or by name alone, are not made here")
            if default.default_factory is not MISSING:
                makers[name] = default.default_factory
                usual.append(MISSING)
                continue
            default = default.default
        if default is not MISSING:
            usual.append(default)
        elif usual:
            raise TypeError(f"{owner.__qualname__}.{name}: a field without a default after one that has one")
    checked = hasattr(owner, "__post_init__")
    last = ("__post_init__",) if checked else ()
    code = _setter(len(names), checked and not makers).replace(co_varnames=("self", *names), co_names=(*names, *last))
    init = FunctionType(code, {}, "__init__", tuple(usual))
    init.__qualname__ = f"{owner.__qualname__}.__init__"
    return _with_made(init, makers, checked) if makers else init


@cache
def _setter(count: int, checked: bool) -> CodeType:
    """Sets as many attributes of `self` to as many arguments, then calls `__post_init__` where there is one."""
    names = [f"field{n}" for n in range(count)]
    lines = [*(f"    self.{name} = {name}" for name in names), "    self.__post_init__()" if checked else "    pass"]
    namespace: dict[str, Any] = {}
    exec(f"def __init__({', '.join(['self', *names])}):\n" + "\n".join(lines), namespace)
    code: CodeType = namespace["__init__"].__code__
    return code


def _with_made(
    init: Callable[..., None], makers: Mapping[str, Callable[[], Any]], checked: bool
) -> Callable[..., None]:
    """`init`, then the defaults that are made anew for each value."""

    def complete(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        for name, make in makers.items():
            if getattr(self, name) is MISSING:
                setattr(self, name, make())
        if checked:
            self.__post_init__()

    return complete


def _equal(names: Sequence[str]) -> Callable[..., Any]:
    values = _getter(names)

    def equal(self: Any, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return equal


def _hash(names: Sequence[str]) -> Callable[..., int]:
    values = _getter(names)
    return lambda self: hash(values(self))


def _repr(names: Sequence[str]) -> Callable[..., str]:
    def text(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({shown})"

    return text


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """The values of the fields of these names."""
    if len(names) > 1:
        return attrgetter(*names)
    return staticmethod(lambda value: tuple(getattr(value, name) for name in names))
