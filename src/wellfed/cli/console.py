"""The one console: NO_COLOR, width and pipes are respected by rich; controls in what is shown are escaped."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wellfed.message import Message
from wellfed.messages.language import language
from wellfed.messages.words import phrase, words

if TYPE_CHECKING:
    from rich.console import Console


@lru_cache(maxsize=1)
def console() -> Console:
    """The console for data: stdout."""
    return _safe(highlight=False, soft_wrap=False, width=_width())


def shown(text: str | Message) -> str:
    """A text in words, safe within rich's markup."""
    from rich.markup import escape

    return escape(words(text))


def colon() -> str:
    """What stands between a head and its text."""
    return phrase("joined.colon", ": ")


_ENDLESS, _NARROWEST = 10_000, 20  # columns


def _width() -> int | None:
    """A terminal's own; what reads a pipe gets lines as they are, unless COLUMNS says how wide it is. Nothing is shown
    narrower than words are.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return max(int(columns), _NARROWEST)
    return None if sys.stdout.isatty() and not columns else _ENDLESS


@lru_cache(maxsize=1)
def talk() -> Console:
    """The console for talk: stderr."""
    return _safe(stderr=True, highlight=False)


def _safe(**options: Any) -> Console:
    """A console whose own styles alone move or colour anything: what a text brings of that comes from strangers."""
    from rich.console import Console
    from rich.text import Text

    from wellfed.printable import printable_lines

    if language() != "en":
        from wellfed.cli.line_breaks import install

        install()

    class Safe(Console):
        def render_str(self, text: str, **how: Any) -> Text:
            """As rich's, of a text that is safe to show."""
            return super().render_str(printable_lines(text), **how)

        def on_broken_pipe(self) -> None:
            """The reader had enough: no failure (rich's own would leave with 1)."""
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0)

    return Safe(**options)
