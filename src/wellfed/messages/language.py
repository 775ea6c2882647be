"""The language that a person reads: WELLFED_LANG, else the locale's variables; English where nothing else is known."""

from __future__ import annotations

import os
from functools import cache

from wellfed.message import Message, message

# What is asked for and which catalogue answers; zh_TW and zh_HK read the same until they have one of their own.
_LANGUAGES = {"en": "en", "c": "en", "posix": "en", "zh": "zh"}


def chosen(text: str) -> str | None:
    """The language of `zh`, `zh_CN`, `zh-CN.UTF-8`, `en_US`, `C`; None where there is no catalogue of it."""
    base = text.strip().lower().replace("-", "_").partition(".")[0].partition("@")[0].partition("_")[0]
    return _LANGUAGES.get(base)


@cache
def language() -> str:
    """The language now: WELLFED_LANG, then LC_ALL, LC_MESSAGES, LANG."""
    return next((found for name in _VARIABLES if (found := chosen(os.environ.get(name, ""))) is not None), "en")


_VARIABLES = ("WELLFED_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def complaint() -> Message | None:
    """A word about a WELLFED_LANG that names no language there is."""
    named = os.environ.get("WELLFED_LANG", "")
    if not named or chosen(named) is not None:
        return None
    return message("language.unknown", "WELLFED_LANG={named} is not known (en, zh): English", named=named)
