"""`wellfed.frozen.dataclass` gives what the standard decorator gives, but for methods that it shares."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Any, NamedTuple

import pytest

from wellfed.frozen import asdict, dataclass, replace


@dataclass(frozen=True, slots=True)
class Part:
    """A value with a default, a field that is not compared and one that is not shown."""

    name: str
    size: int = 3
    aside: tuple[int, ...] = field(default=(), compare=False)
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Own:
    """A value with methods of its own."""

    name: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("no name")

    def __repr__(self) -> str:
        return "own"


@dataclass(frozen=True, slots=True)
class Nothing:
    """A value without fields."""


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """The same fields by the standard decorator."""

    name: str
    size: int = 3
    aside: tuple[int, ...] = field(default=(), compare=False)
    key: str | None = field(default=None, repr=False)


def test_compared_hashed_and_shown_as_the_standard_one() -> None:
    one: Any
    for kind in (Part, Standard):
        one = kind("a", aside=(1,), key="secret")
        assert one == kind("a", aside=(2,), key="secret") and hash(one) == hash(kind("a", aside=(2,), key="secret"))
        assert one != kind("a", key="other") and one != kind("b", key="secret") and one != ("a", 3, "secret")
        assert repr(one) == f"{kind.__qualname__}(name='a', size=3, aside=(1,))"
        assert replace(one, size=4).size == 4 and one.size == 3
    assert [f.name for f in dataclasses.fields(Part)] == [f.name for f in dataclasses.fields(Standard)]
    assert dataclasses.asdict(Part("a")) == dataclasses.asdict(Standard("a"))
    assert Part("a") != Standard("a")


def test_methods_of_its_own_stay() -> None:
    assert repr(Own("a")) == "own" and Own("a") == Own("a") != Own("b")
    with pytest.raises(ValueError, match="no name"):
        Own("")
    assert Nothing() == Nothing() and len({Nothing(), Nothing()}) == 1


@dataclass(slots=True)
class Changing:
    """A value whose fields may be set again."""

    name: str
    parts: list[str] = field(default_factory=list)


def test_a_value_that_changes_has_no_hash() -> None:
    one = Changing("a")
    one.name, one.parts = "b", ["c"]
    assert one == Changing("b", ["c"]) and repr(one) == "Changing(name='b', parts=['c'])"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    with pytest.raises(AttributeError):
        one.other = 1  # type: ignore[attr-defined]


def test_nothing_can_be_added() -> None:
    with pytest.raises(AttributeError):
        Part("a").other = 1  # type: ignore[attr-defined]


def test_other_options_are_the_standard_decorators() -> None:
    @dataclass(frozen=True)
    class Loose:
        name: str

    with pytest.raises(dataclasses.FrozenInstanceError):
        Loose("a").name = "b"  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Longer(Part):
    """A value with the fields of another, one with a default of its own, and one more that each makes anew."""

    size: int = 5
    parts: list[str] = field(default_factory=list)


def test_a_value_may_have_the_fields_of_another() -> None:
    one = Longer("a")
    assert [f.name for f in dataclasses.fields(Longer)] == ["name", "size", "aside", "key", "parts"]
    assert (one.size, one.parts, one.key) == (5, [], None) and one.parts is not Longer("a").parts
    assert replace(one, parts=["b"]) == Longer("a", parts=["b"]) != one


def test_wrong_arguments_are_told_as_ever() -> None:
    for kind in (Part, Standard):
        with pytest.raises(TypeError, match=rf"{kind.__name__}.__init__\(\) missing 1 required .* 'name'"):
            kind()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
            kind("a", other=1)  # type: ignore[call-arg]


def test_what_is_replaced_is_made_and_checked_as_any_value() -> None:
    one = Longer("a", aside=(1,), parts=["b"])
    assert dataclasses.replace(one, size=7) == replace(one, size=7) == Longer("a", 7, (1,), None, ["b"])
    assert replace(one, aside=(2,)).aside == (2,) and replace(one) == one
    assert replace(Own("a"), name="b") == Own("b") and replace(Nothing()) == Nothing()
    assert replace(Standard("a"), name="b") == Standard("b")
    with pytest.raises(ValueError, match="no name"):
        replace(Own("a"), name="")
    with pytest.raises(TypeError, match="other"):
        replace(one, other=1)  # type: ignore[call-arg]


def test_fields_have_their_types_as_the_standard_ones_have() -> None:
    assert [f.type for f in dataclasses.fields(Part)] == [f.type for f in dataclasses.fields(Standard)]


class Pair(NamedTuple):
    """A tuple with names, of values."""

    first: object
    second: object


def test_dictionaries_are_the_standard_ones() -> None:
    inside: Any = [Part("a"), (Standard("b"), Nothing()), {"c": Longer("c", parts=["d"])}, Pair(Own("e"), None)]
    for value in (Part("a"), Longer("a", parts=inside), Standard("a", key=inside), Nothing()):
        assert repr(asdict(value)) == repr(dataclasses.asdict(value))
