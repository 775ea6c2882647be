"""How a card is connected, from the words behind its name: `x8`, `gen4 x8`, `chipset`, `oculink`, `@300w`."""

from __future__ import annotations

import re
from collections.abc import Callable

from wellfed.catalog import names
from wellfed.errors import BadInput
from wellfed.frozen import replace
from wellfed.message import sentence
from wellfed.patterns import regex
from wellfed.written.parts_list import PartsList, Seat

_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "1st": 0, "2nd": 1, "3rd": 2, "4th": 3, "last": -1}
_ORDINAL = regex(
    rf"^(?:the\s+)?(?:(?P<word>{'|'.join(_ORDINALS)})\s+(?:gpu|card)|(?:gpu|card)\s?(?P<number>\d)|"
    r"(?P<all>all|each|every|both)(?:\s+(?:gpu|card)s?)?)\b",
    re.IGNORECASE,
    of=(*_ORDINALS, "gpu", "card", "all", "each", "every", "both"),
)
_WORDS: tuple[tuple[re.Pattern[str], Callable[[Seat, re.Match[str]], Seat]], ...] = (
    (
        regex(
            r"(?:@|\b(?:power\s*)?limit(?:ed)?(?:\s*to)?|(?<!\S))\s*(-?\d{1,4})\s*w(?:atts?)?\b(?!\s*(?:psu|power))",
            of=("w",),
        ),
        lambda seat, match: replace(seat, power_limit_w=float(match[1])),
    ),
    (
        regex(r"\bgen\s*([1-6])\b|(?:(?<=pcie )|(?<=pcie))([1-6])(?:\.0)?(?=\s|$)", of=("gen", "pcie")),
        lambda seat, match: replace(seat, generation=int(match[1] or match[2])),
    ),
    (
        regex(r"\b(?:on|at|cpu|numa)?\s*socket\s*([0-7])\b", of=("socket",)),
        lambda seat, match: replace(seat, socket=int(match[1])),
    ),
    (
        regex(r"\b(?:(?:behind|on|via)\s+)?(?:the\s+)?chipset(?:\s+slot)?\b", of=("chipset",)),
        lambda seat, match: replace(seat, chipset=True),
    ),
    (
        regex(r"\b(?:behind|on|via)\s+(?:a\s+|one\s+|the\s+)?(?:pcie?\s+)?switch\b|\bplx\b", of=("switch", "plx")),
        lambda seat, match: replace(seat, switch=True),
    ),
    (
        regex(r"\boculink\b", of=("oculink",)),
        lambda seat, match: replace(seat, width=4, generation=seat.generation or 4),
    ),
    (
        regex(
            r"\b(?:(?:via|over|by)\s+)?(?:thunderbolt|usb4|tb)\s?\d?\b|\be-?gpu\b",
            of=("thunderbolt", "usb4", "tb", "gpu"),
        ),
        lambda seat, match: replace(seat, width=4, generation=seat.generation or 3),
    ),
)
_LANES = regex(
    r"(?:@\s*|\b(?:in|at)\s+(?:an?\s+)?)?(?<![\w×-])x\s?(16|8|4|2|1)\b(?:\s*(?:lanes?|slots?|link|riser|each))*"
)


def take_seat(text: str, counted: bool) -> tuple[Seat, str]:
    """The connection a piece tells, and what is left of it. `x2` is lanes only where cards were counted before."""
    seat, other_words = Seat(), names.normalise(text)
    for pattern, change in _WORDS:
        if match := pattern.search(other_words):
            seat, other_words = change(seat, match), f"{other_words[: match.start()]} {other_words[match.end() :]}"
    lanes = _LANES.search(other_words)
    if lanes and (counted or seat != Seat() or lanes[1] != "2"):
        seat = replace(seat, width=int(lanes[1]))
        other_words = f"{other_words[: lanes.start()]} {other_words[lanes.end() :]}"
    return seat, " ".join(other_words.split())


def seat_of_some(piece: str) -> tuple[int | None, Seat] | None:
    """ "second gpu chipset x4" is (1, its seat); (None, seat) is said of all; None where it says of none.

    Raises BadInput where the words behind the ordinal are no connection.
    """
    match = _ORDINAL.match(piece)
    if match is None:
        return None
    seat, other_words = take_seat(piece[match.end() :], counted=True)
    if other_words or seat == Seat():
        raise BadInput(
            sentence("seats.cannot-read", "cannot read {piece!r}", piece=piece),
            sentence("seats.say-example-second", 'say for example "second gpu chipset x4" or "gpu1 gen3 x8"'),
        )
    if match["all"]:
        return None, seat
    return (int(match["number"]) if match["number"] else _ORDINALS[match["word"].lower()]), seat


def seated(parts: PartsList) -> PartsList:
    """The cards with what "second gpu x4" says of them. Raises BadInput for a card that is not there."""
    cards = list(parts.cards)
    for number, seat in parts.seats:
        for at in range(len(cards)) if number is None else [number]:
            if not -len(cards) <= at < len(cards):
                raise BadInput(
                    sentence("seats.there-gpu", "there is no GPU {at}", at=at),
                    sentence("seats.line-names-counted", "the line names {count}, counted from 0", count=len(cards)),
                )
            cards[at] = replace(cards[at], seat=seat)
    return replace(parts, cards=tuple(cards))
