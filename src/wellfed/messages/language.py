"""The language that a person reads: WELLFED_LANG, else the locale's variables; English where nothing else is known."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from wellfed.message import Message, listed, message

LOCALE = Path(__file__).with_name("locale")  # a folder is a language
_ENGLISH = ("en", "c", "posix")


@cache
def languages() -> tuple[str, ...]:
    """English, and those with a catalogue. zh_TW and zh_HK read zh until they have one of their own."""
    folders = sorted(folder.name for folder in LOCALE.iterdir() if folder.is_dir()) if LOCALE.is_dir() else []
    return ("en", *folders)


def chosen(text: str) -> str | None:
    """The language of `zh`, `zh_CN`, `zh-CN.UTF-8`, `en_US`, `C`; None where there is no catalogue of it."""
    base = text.strip().lower().replace("-", "_").partition(".")[0].partition("@")[0].partition("_")[0]
    if base in _ENGLISH:
        return "en"
    return base if base and base in languages() else None


@cache
def language() -> str:
    """The language now: WELLFED_LANG, then LC_ALL, LC_MESSAGES, LANG."""
    return next(
        (chosen_language for name in _VARIABLES if (chosen_language := chosen(os.environ.get(name, ""))) is not None),
        "en",
    )


_VARIABLES = ("WELLFED_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def complaint() -> Message | None:
    """A word about a WELLFED_LANG that names no language there is."""
    named = os.environ.get("WELLFED_LANG", "")
    if not named or chosen(named) is not None:
        return None
    template = "WELLFED_LANG={named} is not known ({known}): English"
    return message("language.unknown", template, named=named, known=listed(languages()))
