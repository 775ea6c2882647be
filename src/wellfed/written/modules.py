"""Memory as people write it: "2x32GB ddr5-5600", "768GB ram", "12-channel ddr5-4800", "64g"."""

from __future__ import annotations

import re

from wellfed.errors import BadInput
from wellfed.frozen import replace
from wellfed.message import sentence
from wellfed.patterns import number_first, regex
from wellfed.written.parts_list import Modules

_SPEED = (
    r"(?P<kind>lpddr\dx?|mrdimm|mcrdimm|(?<![gl])ddr\s?\dl?)"
    r"(?:[\s\-@/]*(?P<mt>\d{4,5}|[89]\d\d)(?!\s*gi?b?\b))?(?:\s*mt/?s|\s*mhz)?"
)
_ASIDES = (
    r"(?:\s*(?:[rul]r?dimms?|so-?dimms?|cu?dimms?|dimms?|sticks?|modules?|ecc|non-ecc|unbuffered|"
    r"reg(?:istered)?|kit|ram|memory|oc|expo|xmp|each|total|in total|"
    r"per socket|per cpu|per channel|mt/?s))*"
)
_CHANNELS = regex(
    r"\b(?P<channels>\d{1,2}|single|dual|triple|quad|hexa|six|octa|eight|twelve)[\s-]*(?:ch|chan|channels?)\b(?:\s*of)?",
    re.I,
    of=("ch",),
)
_CHANNEL_WORDS = {
    "single": 1, "dual": 2, "triple": 3, "quad": 4, "hexa": 6, "six": 6, "octa": 8, "eight": 8, "twelve": 12,
}  # fmt: skip
_COUNTED = regex(
    rf"\b(?P<count>\d{{1,3}})\s*[x×*]\s*(?P<size>\d{{1,4}})\s*(?:(?:gi?b?|gigs?)\b|(?=\s*ddr))(?:\s*(?:{_SPEED}))?(?P<tail>{_ASIDES})",
    re.IGNORECASE,
    of=("g", "ddr"),
)
_REVERSED = regex(
    rf"\b(?P<size>\d{{1,4}})\s*(?:gi?b?|gigs?)\s*(?:{_SPEED})?\s*[x×*]\s*(?P<count>\d{{1,3}})\b(?P<tail>{_ASIDES})",
    re.IGNORECASE,
    of=("g",),
)
_SPEED_FIRST = regex(
    rf"{_SPEED}\s*(?P<count>\d{{1,3}})\s*[x×*]\s*(?P<size>\d{{1,4}})\s*gi?b?\b(?P<tail>{_ASIDES})",
    re.IGNORECASE,
    of=("g",),
)
_TOTAL = regex(
    rf"\b(?P<size>\d{{1,4}}(?:\.\d+)?)\s*(?P<unit>[gt])(?:i?b|igs?|igabytes?)?\b\s*(?:of\s+)?(?:total\s+)?(?:system\s+)?"
    rf"(?:(?:{_SPEED})|(?:ecc\s+)?(?:ram|memory|unified)\b|(?:reg(?:istered)?\s+)?ecc\b)(?P<tail>{_ASIDES})",
    re.IGNORECASE,
    of=("ddr", "mrdimm", "mcrdimm", "ram", "memory", "unified", "ecc"),
)
_SIZE_AND_SPEED = regex(
    rf"^\s*(?P<size>\d{{1,4}})\s*(?P<unit>[gt])(?:i?b)?[\s\-@/]+(?P<mt>[1-9]\d{{3}})(?:\s*mt/?s|\s*mhz)?(?P<tail>{_ASIDES})\s*$",
    re.IGNORECASE,
    of=number_first,
)
_RAM_FIRST = regex(
    rf"\b(?:ram|memory|mem)\s*[:=]?\s*(?P<size>\d{{1,4}}(?:\.\d+)?)\s*(?P<unit>[gt])(?:i?b)?\b(?:\s*(?:{_SPEED}))?(?P<tail>{_ASIDES})",
    re.IGNORECASE,
    of=("ram", "mem"),
)
_SIZE_ONLY = regex(
    r"^\s*(?:(?P<size>\d{1,3}(?:\.\d+)?)\s*(?P<unit>[gt])(?:i?b|igs?|igabytes?)?|(?P<large>\d{4})\s*gi?b)"
    r"(?P<tail>(?:\s*(?:total|in total))?)\s*$",
    re.IGNORECASE,
    of=number_first,
)
_SPEED_ONLY = regex(
    rf"^\s*(?:{_SPEED})(?:\s+(?P<size>\d{{1,4}})\s*(?P<unit>[gt])(?:i?b)?)?(?P<tail>{_ASIDES})\s*$",
    re.IGNORECASE,
    of=("ddr", "mrdimm", "mcrdimm"),
)
_PATTERNS = (_SPEED_FIRST, _REVERSED, _COUNTED, _TOTAL, _RAM_FIRST, _SIZE_ONLY, _SIZE_AND_SPEED, _SPEED_ONLY)
_BRACKETED = regex(r"\(\s*(\d{1,3}\s*[x×*]\s*\d{1,4}\s*gi?b?[^()]*)\)", re.IGNORECASE, of=("(",))
_VRAM = regex(r"\b(?:vram|hbm\w*|gddr\w*|video)\b", re.IGNORECASE, of=("vram", "hbm", "gddr", "video"))


def take_memory(before: Modules | None, piece: str) -> tuple[Modules | None, str]:
    """The memory of a piece, joined with what was said before, and the piece without it.

    Raises BadInput where two sizes contradict each other.
    """
    stated, other_words = before, _BRACKETED.sub(r" \1 ", piece)
    if channels := _CHANNELS.search(other_words):
        text = channels["channels"].lower()
        count = _CHANNEL_WORDS.get(text) or int(text)
        stated = _merged(stated, Modules(channels=count), piece)
        other_words = f"{other_words[: channels.start()]} {other_words[channels.end() :]}".strip()
        other_words = re.sub(r"^(?:ram|memory)$", "", other_words, flags=re.IGNORECASE)
    while match := _first(other_words):
        stated = _merged(stated, _stated(match), piece)
        other_words = f"{other_words[: match.start()]} {other_words[match.end() :]}".strip()
    return stated, other_words


def _first(text: str) -> re.Match[str] | None:
    """The first pattern's match; what stands before "VRAM" or "HBM" is a card's memory."""
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if pattern is _REVERSED and match.start() and not match["kind"]:
                continue  # "rtx 4090 48g x2" are two cards
            if not _VRAM.match(text, match.end()) and not re.match(r"\s*vram", text[match.end() :], re.IGNORECASE):
                return match
    return None


def _stated(match: re.Match[str]) -> Modules:
    groups = match.groupdict()
    tail = (groups.get("tail") or "").lower()
    size, count = groups.get("size") or groups.get("large"), groups.get("count")
    unit = (groups.get("unit") or ("g" if groups.get("large") else "")).lower()
    return Modules(
        count=int(count) if count else None,
        module_gib=int(size) if size and count else None,
        total_gib=float(size) * (1024 if unit == "t" else 1) if size and unit else None,
        kind=_kind(groups["kind"]) if groups.get("kind") else None,
        rated_mt_s=float(groups["mt"]) if groups.get("mt") else None,
        overclocked=bool(re.search(r"\b(oc|expo|xmp)\b", tail)),
        per_socket="per socket" in tail or "per cpu" in tail,
        bare=match.re is _SIZE_ONLY,
    )


def _kind(text: str) -> str:
    plain = re.sub(r"\s", "", text.lower())
    return "MRDIMM" if plain in ("mrdimm", "mcrdimm") else re.sub(r"^(ddr\d)l$", r"\1", plain).upper()


def _merged(before: Modules | None, now: Modules, piece: str) -> Modules:
    """A size in one piece and a speed in another are one statement; two sizes contradict."""
    if before is None:
        return now
    if before.sized and now.sized:
        return _one_size(before, now, piece)
    sized, speed = (before, now) if before.sized else (now, before)
    return replace(
        sized,
        kind=sized.kind or speed.kind,
        rated_mt_s=sized.rated_mt_s or speed.rated_mt_s,
        overclocked=sized.overclocked or speed.overclocked,
        channels=sized.channels or speed.channels,
    )


def _one_size(before: Modules, now: Modules, piece: str) -> Modules:
    """ "64GB (2x32GB)": the modules, where they make up the total that was said."""
    for modules, total in ((before, now), (now, before)):
        if modules.count and modules.module_gib and total.total_gib == modules.count * modules.module_gib:
            return replace(
                modules,
                kind=modules.kind or total.kind,
                rated_mt_s=modules.rated_mt_s or total.rated_mt_s,
                overclocked=modules.overclocked or total.overclocked,
                channels=modules.channels or total.channels,
            )
    raise BadInput(
        sentence(
            "written.modules.memory-given-twice", "memory is given twice, the second time in {piece!r}", piece=piece
        ),
        sentence("written.modules.name-one-set", "name one set of equal modules"),
    )


def with_size(before: Modules | None, total_gib: float, piece: str) -> Modules:
    """What was said so far with a total that stood inside a CPU's name ("epyc 9654 384gb")."""
    return _merged(before, Modules(total_gib=total_gib), piece)
