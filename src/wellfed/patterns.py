"""Regular expressions that are compiled when a text may hold what they look for.

Compiling one takes some 0.3 ms, and a plan knows 180 of them: names of parts in all their spellings, in English and
Chinese, of which a line such as "2x rtx 4090" needs a few.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

Signs = tuple[str, ...] | Callable[[str], bool]


def beyond_ascii(text: str) -> bool:
    """Whether the text has signs of another script, or other signs beyond ASCII."""
    return not text.isascii()


def number_first(text: str) -> bool:
    """Whether the text begins with a digit, blanks aside."""
    return text.lstrip()[:1].isdecimal()


if TYPE_CHECKING:

    def regex(text: str, flags: int = 0, of: Signs | None = None) -> re.Pattern[str]:
        """As `re.compile`. `of`: words in lower case of which every match holds one, or what else tells of a text that
        it may hold a match; None where any may.
        """
        raise NotImplementedError
else:

    def regex(text: str, flags: int = 0, of: Signs | None = None) -> Any:
        """As `re.compile`."""
        return _Pattern(text, flags, of)


class _Pattern:
    """Answers as a compiled pattern does; once it is one, its methods are that one's."""

    def __init__(self, text: str, flags: int, of: Signs | None) -> None:
        self._given, self._of = (text, flags), of

    def __getattr__(self, name: str) -> Any:
        if name == "pattern":
            return self._given[0]
        compiled = re.compile(*self._given)
        for method in ("search", "match", "fullmatch", "sub", "split", "findall", "finditer"):
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)

    def _may_be_in(self, text: str) -> bool:
        if self._of is None:
            return True
        if callable(self._of):
            return self._of(text)
        plain = text.lower()
        return any(sign in plain for sign in self._of)

    def search(self, text: str, *span: int) -> Any:
        return self.__getattr__("search")(text, *span) if self._may_be_in(text) else None

    def match(self, text: str, *span: int) -> Any:
        return self.__getattr__("match")(text, *span) if self._may_be_in(text) else None

    def fullmatch(self, text: str, *span: int) -> Any:
        return self.__getattr__("fullmatch")(text, *span) if self._may_be_in(text) else None

    def sub(self, new: Any, text: str, count: int = 0) -> str:
        return str(self.__getattr__("sub")(new, text, count)) if self._may_be_in(text) else text

    def split(self, text: str, most: int = 0) -> list[Any]:
        return list(self.__getattr__("split")(text, most)) if self._may_be_in(text) else [text]

    def findall(self, text: str, *span: int) -> list[Any]:
        return list(self.__getattr__("findall")(text, *span)) if self._may_be_in(text) else []

    def finditer(self, text: str, *span: int) -> Iterator[Any]:
        return iter(self.__getattr__("finditer")(text, *span) if self._may_be_in(text) else ())
