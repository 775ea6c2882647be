"""Names that estimates carry as values (what limits a step, its parts), in the language of whoever reads them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from wellfed.message import Message, message
from wellfed.messages.words import words


@cache
def _limits() -> Mapping[str, Message]:
    said = (
        message("limit.memory-bandwidth", "memory bandwidth"),
        message("limit.compute", "compute"),
        message("limit.latency", "latency"),
        message("limit.launches", "launches"),
        message("limit.host", "host CPU"),
        message("limit.link", "link"),
        message("limit.network", "network"),
        message("limit.queue", "queue"),
        message("limit.disk", "disk"),
    )
    return {each.template: each for each in said}


def limit_words(limited_by: str) -> str:
    """What limits, in words; a name that is not known here stays as it is."""
    known = _limits().get(limited_by)
    return limited_by if known is None else words(known)
