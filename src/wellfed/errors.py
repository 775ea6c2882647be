"""What wellfed raises: one message, one hint, never a traceback for a user."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wellfed.message import Message, as_text, listed, sentence


class WellfedError(Exception):
    """A failure to tell the user about: what happened, then `hint` says what to do.

    `exit_code`: 2 for errors of use or of the tool, 1 for findings and what does not fit. `details` may be many lines.
    `message` and `hint` read in English, and are sentences that `wellfed.messages.words` puts into other languages,
    unless they were given as plain text. `kind` is what programs read: stable, in kebab case.
    """

    exit_code = 2
    details = ""
    kind = "error"

    def __init__(self, message: str | Message, hint: str | Message | None = None) -> None:
        super().__init__(str(message))
        self.message = message if isinstance(message, str) else as_text(message)
        self.hint = hint if hint is None or isinstance(hint, str) else as_text(hint)


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
    str(kind): kind
    for kind in (
        sentence("unknown.model", "model"),
        sentence("unknown.command", "command"),
        sentence("unknown.check", "check"),
        sentence("unknown.quantisation", "quantisation"),
        sentence("unknown.build", "build"),
        sentence("unknown.part", "part"),
        sentence("unknown.term", "term"),
    )
}


_LISTS = {
    "command": sentence("unknown.command.list", "`wellfed --help` lists the commands"),
    "check": sentence("unknown.check.list", "`wellfed check --list` has them all; pcie-* is a group"),
    "quantisation": sentence("unknown.quantisation.list", "for example q4_k_m or q8_0 (GGUF), fp8, int4 (AWQ, GPTQ)"),
    "part": sentence(
        "unknown.part.list",
        "`wellfed catalog gpus WORD` and `wellfed catalog cpus WORD` look it up; a machine reads like "
        '"2x rtx 4090, ryzen 9 7950x, 64gb"',
    ),
    "GPU": sentence("unknown.gpu.list", "`wellfed catalog gpus WORD` looks it up"),
    "term": sentence("unknown.term.list", "`wellfed explain` has them all, `wellfed check --list` the checks"),
}


class UnknownName(BadInput):
    """A name that is in no catalogue; carries the nearest ones that are, or says where the known ones are listed."""

    kind = "unknown"

    def __init__(self, kind: str, name: str, near: Sequence[str] = ()) -> None:
        hint = sentence("errors.did-you-mean", "did you mean {near}?", near=listed(near)) if near else _LISTS.get(kind)
        problem = sentence("errors.unknown", "unknown {what}: {name!r}", what=_KINDS.get(kind, kind), name=name)
        super().__init__(problem, hint)
        self.name = name
        self.near = tuple(near)


def nearest(name: str, names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Up to `count` of `names` that resemble `name`, best first."""
    from difflib import get_close_matches

    return tuple(get_close_matches(name.lower(), list(names), n=count, cutoff=0.5))
