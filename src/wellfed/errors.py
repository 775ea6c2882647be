"""What wellfed raises: one message, one hint, never a traceback for a user."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class WellfedError(Exception):
    """A failure to tell the user about: what happened, then `hint` says what to do.

    `exit_code`: 2 for errors of use or of the tool, 1 for findings and what does not fit. `details` may be many lines.
    """

    exit_code = 2
    details = ""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(WellfedError):
    """A file or an argument that cannot be used as it is."""


class Unsupported(WellfedError):
    """Well-formed input that wellfed has no model for; the message says what is missing."""


class UnknownName(BadInput):
    """A name that is in no catalogue; carries the nearest ones that are."""

    def __init__(self, kind: str, name: str, near: Sequence[str] = ()) -> None:
        hint = f"did you mean {', '.join(near)}?" if near else None
        super().__init__(f"unknown {kind}: {name!r}", hint)
        self.kind = kind
        self.name = name
        self.near = tuple(near)


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Up to `count` of `known` that resemble `name`, best first."""
    return tuple(get_close_matches(name.lower(), list(known), n=count, cutoff=0.5))
