"""What a reader of pasted output is: how its kind is recognised, what it tells, the command that makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine, Origin


def partial_machine(name: str = "", **facts: Any) -> Machine:
    """The part of a machine that a dump tells."""
    return Machine(name, Origin.DUMP, **facts)


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of dump.

    `marks`: texts of which at least one is in every dump of the kind; looked for first, as that is cheap. `recognises`
    and `parse` see one clean piece of a paste (see `pasted`), never the whole of it. `parse` may raise WellfedError.
    `adds_up`: several pieces of this kind tell more than one (lspci of two cards); of other kinds the first counts.
    `command`: what makes it; empty for what nobody would be asked to paste.
    """

    title: str
    command: str
    tells: str
    marks: tuple[str, ...]
    recognises: Callable[[str], bool]
    parse: Callable[[str], Machine]
    adds_up: bool = False

    def reads(self, text: str) -> bool:
        """Whether this piece is of this kind."""
        for mark in self.marks:
            if mark in text:
                return self.recognises(text)
        return False
