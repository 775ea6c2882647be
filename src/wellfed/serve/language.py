"""The language of a request: `?lang=`, a cookie of the switch, then Accept-Language; English otherwise."""

from __future__ import annotations

from fastapi import Request


def language_of(request: Request) -> str:
    """`en` or `zh`."""
    stated = request.query_params.get("lang") or request.cookies.get("wellfed_lang")
    if stated is not None:
        return "zh" if stated.lower().startswith("zh") else "en"
    best, quality = "en", 0.0
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, weight = part.strip().partition(";q=")
        language = tag.split("-")[0].lower()
        try:
            value = float(weight) if weight else 1.0
        except ValueError:
            continue
        if language in ("en", "zh") and value > quality:
            best, quality = language, value
    return best
