"""How far long work is, told to whoever listens; nobody does by default, and then telling costs nothing to speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from wellfed.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """So many `what` (models, machines, layouts) are done, of `of`; None where nobody knows how many there will be."""

    what: str
    done: int
    of: int | None = None


Listener: TypeAlias = Callable[[Progress], None]
_listener: ContextVar[Listener | None] = ContextVar("progress", default=None)


def tell(what: str, done: int, of: int | None = None) -> None:
    """Tell how far it is."""
    listener = _listener.get()
    if listener is not None:
        listener(Progress(what, done, of))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """What is told inside goes to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
