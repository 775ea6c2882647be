"""The language of a request: `?lang=`, a cookie of the switch, then Accept-Language; English otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request

from wellfed.messages.language import chosen

COOKIE = "wellfed_lang"


def language_of(request: Request) -> str:
    """One that there is a catalogue of."""
    return language_in(request.scope)


def language_in(scope: Mapping[str, Any]) -> str:
    """The same for a bare ASGI scope."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    stated = next(iter(query.get("lang", ())), None) or _cookie(_headers(scope, b"cookie"))
    if stated is not None:
        return chosen(stated) or "en"
    return _accepted(",".join(_headers(scope, b"accept-language")))


def _headers(scope: Mapping[str, Any], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _cookie(headers: Iterable[str]) -> str | None:
    for part in ";".join(headers).split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE and value:
            return value
    return None


def _accepted(header: str) -> str:
    best, quality = "en", 0.0
    for part in header.split(","):
        tag, _, weight = part.strip().partition(";q=")
        language = chosen(tag)
        try:
            value = float(weight) if weight else 1.0
        except ValueError:
            continue
        if language is not None and value > quality:
            best, quality = language, value
    return best
