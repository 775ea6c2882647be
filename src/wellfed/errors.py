"""What wellfed raises: one message, one hint, never a traceback for a user."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from wellfed.message import Message, message


class WellfedError(Exception):
    """A failure to tell the user about: what happened, then `hint` says what to do.

    `exit_code`: 2 for errors of use or of the tool, 1 for findings and what does not fit. `details` may be many lines.
    `message` and `hint` are English; `said` and `advice` are what can be put into other languages. `kind` is what
    programs read: stable, in kebab case.
    """

    exit_code = 2
    details = ""
    kind = "error"

    def __init__(self, message: str | Message, hint: str | Message | None = None) -> None:
        super().__init__(str(message))
        self.said = message
        self.advice = hint
        self.message = str(message)
        self.hint = None if hint is None else str(hint)


class BadInput(WellfedError):
    """A file or an argument that cannot be used as it is."""

    kind = "bad-input"


class Misuse(WellfedError):
    """Options that do not go together, or of which one is missing."""

    kind = "usage"


class Unsupported(WellfedError):
    """Well-formed input that wellfed has no model for; the message says what is missing."""

    kind = "unsupported"


_KINDS = {
    kind.template: kind
    for kind in (
        message("error.kind.model", "model"),
        message("error.kind.part", "part"),
        message("error.kind.gpu", "GPU"),
        message("error.kind.cpu", "CPU"),
        message("error.kind.build", "build"),
        message("error.kind.check", "check"),
        message("error.kind.term", "term"),
        message("error.kind.command", "command"),
        message("error.kind.quantisation", "quantisation"),
    )
}


class UnknownName(BadInput):
    """A name that is in no catalogue; carries the nearest ones that are."""

    kind = "unknown"

    def __init__(self, what: str, name: str, near: Sequence[str] = ()) -> None:
        hint = message("error.near", "did you mean {near}?", near=", ".join(near)) if near else None
        said = message("error.unknown-name", "unknown {what}: {name}", what=_KINDS.get(what, what), name=repr(name))
        super().__init__(said, hint)
        self.what = what
        self.name = name
        self.near = tuple(near)


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Up to `count` of `known` that resemble `name`, best first."""
    return tuple(get_close_matches(name.lower(), list(known), n=count, cutoff=0.5))
