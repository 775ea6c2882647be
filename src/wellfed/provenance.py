"""Where a number comes from."""

from __future__ import annotations

from wellfed.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A publication and the day it was read (ISO date)."""

    text: str
    date: str = ""


@dataclass(frozen=True, slots=True)
class Assumption:
    """A value that was taken for want of a known one, and why this one.

    `reading`: what was asked can mean something else, so callers tell it before the answer, not behind it.
    """

    text: str
    reason: str = ""
    reading: bool = False
