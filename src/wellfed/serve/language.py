"""The language of a request: `?lang=`, a cookie of the switch, then Accept-Language; English otherwise."""

from __future__ import annotations

from fastapi import Request

from wellfed.messages.language import chosen


def language_of(request: Request) -> str:
    """One that there is a catalogue of."""
    stated = request.query_params.get("lang") or request.cookies.get("wellfed_lang")
    if stated is not None:
        return chosen(stated) or "en"
    best, quality = "en", 0.0
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, weight = part.strip().partition(";q=")
        language = chosen(tag)
        try:
            value = float(weight) if weight else 1.0
        except ValueError:
            continue
        if language is not None and value > quality:
            best, quality = language, value
    return best
