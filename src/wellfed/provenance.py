"""Where a number comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A publication and the day it was read (ISO date)."""

    text: str
    date: str = ""


ABOUT_NAME = "name"


@dataclass(frozen=True, slots=True)
class Assumption:
    """A value that was taken for want of a known one, and why this one.

    `about`: ABOUT_NAME where it tells how a name was read, which is shown at the top of an answer; "" otherwise.
    """

    text: str
    reason: str = ""
    about: str = ""
