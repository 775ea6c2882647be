"""A machine in a line, read into its parts: "2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600".

Pieces stand between commas, semicolons or plus signs, in any order. A piece is GPUs or a CPU (each may carry a count),
memory, or a setting: `nvlink`, `nps4`, `nodes=2`, `network=400Gb`, `psu 1600w`, `price=4200`. A GPU may say how it is
connected: `x8`, `gen4 x8`, `chipset`, `oculink`, `socket 1`, `@300w`; "second gpu chipset x4" says it of one card.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from wellfed.catalog import names
from wellfed.catalog.hardware import Resolved, find_cpu, find_gpu, near_parts
from wellfed.catalog.written import plain_line
from wellfed.errors import BadInput, UnknownName
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.provenance import Assumption

GPUS_MAX = 72  # in one machine: an NVL72 rack
_MODULES_ON_BOARDS = frozenset({"sxm", "oam", "superchip"})
_PIECES = re.compile(r"[,;\n]|\s\+\s|\+(?=[a-z0-9])|\s&\s|\b(?:and|with|plus)\b", re.IGNORECASE)
_SPEED = r"(?P<kind>lpddr\dx?|mrdimm|mcrdimm|ddr\d)(?:[\s-]*(?P<mt>\d{3,5}))?(?:\s*mt/?s|\s*mhz)?"
_MODULES = re.compile(
    rf"\b(?P<count>\d{{1,3}})\s*[x×*]\s*(?P<size>\d{{1,4}})\s*gi?b?\b(?:\s*(?:{_SPEED}))?"
    r"(?P<tail>(?:\s*(?:[rul]r?dimms?|so-?dimms?|cu?dimms?|dimms?|ecc|reg(?:istered)?|ram|memory|oc|expo|xmp|each|"
    r"per socket|per cpu|mt/?s))*)",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    rf"\b(?P<size>\d{{1,4}}(?:\.\d+)?)\s*(?P<unit>[gt])i?b?\b\s*(?:of\s+)?"
    rf"(?:(?:{_SPEED})|(?:ram|memory|system memory)\b)"
    r"(?P<tail>(?:\s*(?:ecc|ram|memory|oc|expo|xmp|per socket|per cpu))*)",
    re.IGNORECASE,
)
_SIZE_ONLY = re.compile(r"^\s*(?P<size>\d{1,4})\s*(?P<unit>[gt])(?:i?b)?\s*$", re.IGNORECASE)
_SPEED_ONLY = re.compile(
    rf"^\s*(?:{_SPEED})(?:\s+(?P<size>\d{{1,4}})\s*(?P<unit>[gt])(?:i?b)?)?(?P<tail>(?:\s*(?:oc|expo|xmp|ecc|ram))*)\s*$",
    re.IGNORECASE,
)
_MEMORY = (_MODULES, _TOTAL, _SIZE_ONLY, _SPEED_ONLY)
_NVLINK_ASIDE = re.compile(r"\s+(?:with\s+)?nvlink(?:\s*bridges?)?$", re.IGNORECASE)
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "1st": 0, "2nd": 1, "3rd": 2, "4th": 3, "last": -1}
_ORDINAL = re.compile(
    rf"^(?:the\s+)?(?:(?P<word>{'|'.join(_ORDINALS)})\s+(?:gpu|card)|(?:gpu|card)\s?(?P<number>\d)|"
    r"(?P<all>all|each|every|both)(?:\s+(?:gpu|card)s?)?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Seat:
    """How a GPU is connected, as far as the user says. None = not said."""

    width: int | None = None
    generation: int | None = None
    chipset: bool = False
    switch: bool = False
    socket: int | None = None
    power_limit_w: float | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU of the list and its seat."""

    spec: GpuSpec
    seat: Seat = Seat()


@dataclass(frozen=True, slots=True)
class Modules:
    """Memory as stated: modules of a size, or a total; the type and rated speed where named."""

    count: int | None = None
    module_gib: int | None = None
    total_gib: float | None = None
    kind: str | None = None
    rated_mt_s: float | None = None
    overclocked: bool = False
    per_socket: bool = False


@dataclass(frozen=True, slots=True)
class PartsList:
    """What a line names, before anything is assumed about the rest."""

    cards: tuple[Card, ...] = ()
    cpu: CpuSpec | None = None
    sockets: int = 1
    memory: Modules | None = None
    nvlink: bool | None = None
    nodes_per_socket: int = 1
    count: int = 1
    network_bytes_per_s: float | None = None
    power_supply_w: float | None = None
    price: float | None = None
    assumptions: tuple[Assumption, ...] = ()
    seats: tuple[tuple[int | None, Seat], ...] = ()  # by ordinal; None = every card


def read_line(text: str) -> PartsList:
    """The parts of a line. Raises BadInput or UnknownName, with a hint."""
    parts = PartsList()
    for piece in _PIECES.split(plain_line(text)):
        if piece.strip():
            parts = _read_piece(parts, piece.strip())
    if not parts.cards and parts.cpu is None:
        raise BadInput(
            f"no GPU and no CPU in {text.strip()!r}", 'for example: "2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5"'
        )
    return _seated(parts)


def _read_piece(parts: PartsList, piece: str) -> PartsList:
    for pattern, setter in _SETTINGS:
        if match := pattern.fullmatch(piece):
            return setter(parts, match)
    if match := _ORDINAL.match(piece):
        seat, rest = take_seat(piece[match.end() :], counted=True)
        if rest or seat == Seat():
            raise BadInput(f"cannot read {piece!r}", 'say for example "second gpu chipset x4" or "gpu1 gen3 x8"')
        return replace(parts, seats=(*parts.seats, (_ordinal(match), seat)))
    if match := _NVLINK_ASIDE.search(piece):
        parts, piece = replace(parts, nvlink=True), piece[: match.start()]
    parts, rest = _take_memory(parts, piece)
    return _read_named(parts, rest) if rest else parts


def _ordinal(match: re.Match[str]) -> int | None:
    if match["all"]:
        return None
    return int(match["number"]) if match["number"] else _ORDINALS[match["word"].lower()]


def _take_memory(parts: PartsList, piece: str) -> tuple[PartsList, str]:
    """The piece without its memory, which goes into the list."""
    found = next((match for pattern in _MEMORY if (match := pattern.search(piece))), None)
    if found is None:
        return parts, piece
    given = found.groupdict()
    tail = (given.get("tail") or "").lower()
    size = given.get("size")
    stated = Modules(
        count=int(given["count"]) if given.get("count") else None,
        module_gib=int(size) if size and given.get("count") else None,
        total_gib=float(size) * (1024 if given["unit"].lower() == "t" else 1) if size and given.get("unit") else None,
        kind=_memory_kind(given["kind"]) if given.get("kind") else None,
        rated_mt_s=float(given["mt"]) if given.get("mt") else None,
        overclocked=bool(re.search(r"\b(oc|expo|xmp)\b", tail)),
        per_socket="per " in tail,
    )
    rest = f"{piece[: found.start()]} {piece[found.end() :]}".strip()
    return _take_memory(replace(parts, memory=_merged(parts.memory, stated, piece)), rest)


def _memory_kind(text: str) -> str:
    return "MRDIMM" if text.lower() in ("mrdimm", "mcrdimm") else text.upper()


def _merged(before: Modules | None, now: Modules, piece: str) -> Modules:
    """A size in one piece and a speed in another are one statement; two sizes contradict."""
    if before is None:
        return now
    if (before.count or before.total_gib) and (now.count or now.total_gib):
        raise BadInput(f"memory is given twice, the second time in {piece!r}", "name one set of equal modules")
    sized, speed = (before, now) if before.count or before.total_gib else (now, before)
    return replace(
        sized,
        kind=sized.kind or speed.kind,
        rated_mt_s=sized.rated_mt_s or speed.rated_mt_s,
        overclocked=sized.overclocked or speed.overclocked,
    )


def _read_named(parts: PartsList, piece: str) -> PartsList:
    """GPUs or a CPU; where neither fits as a whole, both one after the other ("epyc 9654 rtx 4090")."""
    read = _named(parts, piece)
    words = piece.split()
    for at in range(1, len(words)) if read is None else ():
        first = _named(parts, " ".join(words[:at]))
        second = first and _named(first, " ".join(words[at:]))
        if second:
            return second
    if read is None:
        raise UnknownName("part", piece, near_parts(take_seat(names.split_count(piece)[1], counted=False)[1]))
    return read


def _named(parts: PartsList, piece: str) -> PartsList | None:
    plain = names.normalise(piece)
    stated, bare = names.split_count(plain)
    counted = bare != plain
    seat, name = take_seat(bare, counted)
    name, count = _trailing_count(name, stated)
    if found := find_gpu(name):
        if not counted and found.spec.form in _MODULES_ON_BOARDS and seat.width is not None:
            count, seat = seat.width, replace(seat, width=None)  # "H800 x8": modules have no lanes to choose
        unsure = seat.width is not None and not counted and seat == Seat(width=seat.width)
        text, reason = f"one {found.spec.name} on {seat.width} lanes", f"for several cards write {seat.width}x first"
        return _with_gpus(parts, found, count, seat, (Assumption(text, reason),) if unsure else ())
    if (found_cpu := find_cpu(name)) and seat == Seat():
        return _with_memory_of(_with_cpu(parts, found_cpu, count), name, piece)
    return None


def _with_memory_of(parts: PartsList, name: str, piece: str) -> PartsList:
    """A CPU has no memory of its own: "epyc 9654 384gb" names the machine's."""
    sizes = [size for size in names.parse(name).hard.memory_gb if size >= 1]
    if not sizes:
        return parts
    return replace(parts, memory=_merged(parts.memory, Modules(total_gib=sizes[0]), piece))


def _trailing_count(name: str, count: int) -> tuple[str, int]:
    """ "rtx 3090 x3" is three cards (x1, x4, x8 and x16 were read as lanes before)."""
    match = re.search(r"\s[x×](\d{1,2})$", name)
    return (name[: match.start()], int(match[1])) if match else (name, count)


def _with_gpus(
    parts: PartsList, found: Resolved[GpuSpec], count: int, seat: Seat, notes: tuple[Assumption, ...]
) -> PartsList:
    if count == 0 or len(parts.cards) + count > GPUS_MAX:
        raise BadInput(
            f"{len(parts.cards) + count} GPUs in one machine", f"1 to {GPUS_MAX}; several machines: add nodes=N"
        )
    if found.spec.form == "soc":
        return _with_systems(parts, found, count, seat)
    return replace(
        parts,
        cards=(*parts.cards, *[Card(found.spec, seat)] * count),
        assumptions=(*parts.assumptions, *found.assumptions, *notes),
    )


def _with_systems(parts: PartsList, found: Resolved[GpuSpec], count: int, seat: Seat) -> PartsList:
    """A part that is a whole system ("2x dgx spark"): so many machines with one each."""
    before = next((card.spec for card in parts.cards if card.spec.form == "soc"), None)
    if before is not None and before != found.spec:
        raise BadInput(f"{before.name} and {found.spec.name} are two systems", "describe one at a time")
    count += parts.count if before is not None else 0
    text, reason = f"{count} machines with one {found.spec.name} each", "it is a whole system"
    return replace(
        parts,
        cards=parts.cards if before is not None else (*parts.cards, Card(found.spec, seat)),
        count=max(count, parts.count),
        assumptions=(*parts.assumptions, *found.assumptions, *([Assumption(text, reason)] if count > 1 else [])),
    )


def _with_cpu(parts: PartsList, found: Resolved[CpuSpec], count: int) -> PartsList:
    if parts.cpu is not None and parts.cpu != found.spec:
        raise BadInput(f"two kinds of CPU: {parts.cpu.name} and {found.spec.name}", "a machine has one kind")
    sockets = count + (parts.sockets if parts.cpu is not None else 0)
    if not 1 <= sockets <= found.spec.sockets_max:
        most = found.spec.sockets_max
        raise BadInput(
            f"{sockets} sockets of {found.spec.name}",
            f"it runs in machines of {'one socket' if most == 1 else f'up to {most} sockets'}",
        )
    return replace(parts, cpu=found.spec, sockets=sockets, assumptions=(*parts.assumptions, *found.assumptions))


_SEAT_WORDS: tuple[tuple[re.Pattern[str], Callable[[Seat, re.Match[str]], Seat]], ...] = (
    (
        re.compile(r"(?:@|\b(?:power\s*)?limit(?:ed)?(?:\s*to)?)\s*(\d{2,4})\s*w(?:atts?)?\b"),
        lambda seat, match: replace(seat, power_limit_w=float(match[1])),
    ),
    (
        re.compile(r"\bgen\s*([1-6])\b|(?:(?<=pcie )|(?<=pcie))([1-6])(?:\.0)?(?=\s|$)"),
        lambda seat, match: replace(seat, generation=int(match[1] or match[2])),
    ),
    (
        re.compile(r"\b(?:on|at|cpu|numa)?\s*socket\s*([0-7])\b"),
        lambda seat, match: replace(seat, socket=int(match[1])),
    ),
    (
        re.compile(r"\b(?:(?:behind|on|via)\s+)?(?:the\s+)?chipset(?:\s+slot)?\b"),
        lambda seat, match: replace(seat, chipset=True),
    ),
    (
        re.compile(r"\b(?:behind|on|via)\s+(?:a\s+|one\s+|the\s+)?(?:pcie?\s+)?switch\b|\bplx\b"),
        lambda seat, match: replace(seat, switch=True),
    ),
    (re.compile(r"\boculink\b"), lambda seat, match: replace(seat, width=4, generation=seat.generation or 4)),
    (
        re.compile(r"\b(?:thunderbolt|usb4)\s*\d?\b"),
        lambda seat, match: replace(seat, width=4, generation=seat.generation or 3),
    ),
)
_LANES = re.compile(
    r"(?:@\s*|\b(?:in|at)\s+(?:an?\s+)?)?(?<![\w×])x\s?(16|8|4|2|1)\b(?:\s*(?:lanes?|slots?|link|riser|each))*"
)


def take_seat(text: str, counted: bool) -> tuple[Seat, str]:
    """The connection a piece tells, and what is left of it. `x2` is lanes only where cards were counted before."""
    seat, rest = Seat(), names.normalise(text)
    for pattern, change in _SEAT_WORDS:
        if match := pattern.search(rest):
            seat, rest = change(seat, match), f"{rest[: match.start()]} {rest[match.end() :]}"
    lanes = _LANES.search(rest)
    if lanes and (counted or seat != Seat() or lanes[1] != "2"):
        seat = replace(seat, width=int(lanes[1]))
        rest = f"{rest[: lanes.start()]} {rest[lanes.end() :]}"
    return seat, " ".join(rest.split())


def _seated(parts: PartsList) -> PartsList:
    """The cards with what "second gpu x4" says of them."""
    cards = list(parts.cards)
    for which, seat in parts.seats:
        chosen = range(len(cards)) if which is None else [which]
        for at in chosen:
            if not -len(cards) <= at < len(cards):
                raise BadInput(f"there is no GPU {at}", f"the line names {len(cards)}, counted from 0")
            cards[at] = replace(cards[at], seat=seat)
    return replace(parts, cards=tuple(cards))


_RATES = {"sdr": 10, "qdr": 40, "fdr": 56, "edr": 100, "hdr": 200, "ndr": 400, "xdr": 800}
_NETWORK = re.compile(
    r"(?:(\d{1,2})\s*[x×]\s*)?(?:(\d{1,4}(?:\.\d+)?)\s*(g|gb|gbe|gbit|gbps|gb/s|gbit/s|gib/s)?|(sdr|qdr|fdr|edr|hdr|ndr|xdr))"
    r"(?:\s*(?:ethernet|eth|infiniband|ib|roce|network|net|nics?))*",
    re.IGNORECASE,
)


def network_bytes_per_s(text: str) -> float:
    """One direction, of "400Gb", "8x400Gb", "100GbE", "NDR" (bits) or "50GB/s" (bytes). Raises BadInput."""
    stated = re.sub(r"^(?:ib|infiniband|roce|ethernet)\s+", "", text.strip(), flags=re.IGNORECASE)
    match = _NETWORK.fullmatch(stated)
    if match is None:
        raise BadInput(f"not a network speed: {text!r}", 'for example "400Gb", "8x400Gb", "100GbE" or "50GB/s"')
    rails, amount, unit, generation = match.groups()
    gigabits = float(_RATES[generation.lower()]) if generation else float(amount)
    bits_per_unit = 1.0 if unit is not None and unit.startswith("GB/") else 1 / 8
    rate = gigabits * 1e9 * bits_per_unit * int(rails or 1)
    if rate <= 0:
        raise BadInput(f"not a network speed: {text!r}", "it must be more than nothing")
    return rate


def _nodes(parts: PartsList, match: re.Match[str]) -> PartsList:
    count = next(int(group) for group in match.groups() if group)
    if not 1 <= count <= 512:
        raise BadInput(f"{count} nodes", "1 to 512")
    return replace(parts, count=count)


def _numa(parts: PartsList, match: re.Match[str]) -> PartsList:
    count = int(match[1])
    if count not in (0, 1, 2, 3, 4, 6):
        raise BadInput(f"{match[0]} does not exist", "nps1, nps2, nps4, snc2, snc3 or snc4")
    return replace(parts, nodes_per_socket=count)


_SETTINGS: tuple[tuple[re.Pattern[str], Callable[[PartsList, re.Match[str]], PartsList]], ...] = (
    (
        re.compile(r"nodes?\s*[=:]\s*(\d{1,5})|(\d{1,5})\s*nodes?|x\s?(\d{1,5})\s*nodes?", re.IGNORECASE),
        _nodes,
    ),
    (
        re.compile(r"(?:network|net|interconnect|fabric)\s*[=:]?\s*(.+)", re.IGNORECASE),
        lambda parts, match: replace(parts, network_bytes_per_s=network_bytes_per_s(match[1])),
    ),
    (
        re.compile(r"((?:\d{1,2}x)?\d{1,4}\s?(?:gbe|gbps|gbit)\b.*|.*\b(?:infiniband|ethernet|roce))", re.IGNORECASE),
        lambda parts, match: replace(parts, network_bytes_per_s=network_bytes_per_s(match[1])),
    ),
    (re.compile(r"(?:nps|snc)\s*[=-]?\s*(\d)", re.IGNORECASE), _numa),
    (re.compile(r"snc\s*off", re.IGNORECASE), lambda parts, match: parts),
    (
        re.compile(r"(?:with\s+)?nvlink(?:\s*bridges?)?|nvlink\s*=\s*(?:true|yes|on)", re.IGNORECASE),
        lambda parts, match: replace(parts, nvlink=True),
    ),
    (
        re.compile(r"no nvlink|without nvlink|nvlink\s*=\s*(?:false|no|off)", re.IGNORECASE),
        lambda parts, match: replace(parts, nvlink=False),
    ),
    (
        re.compile(r"(?:psu|power supply)\s*[=:]?\s*(\d{2,6})\s*w|(\d{2,6})\s*w\s*(?:psu|power supply)", re.IGNORECASE),
        lambda parts, match: replace(parts, power_supply_w=float(match[1] or match[2])),
    ),
    (
        re.compile(r"price\s*[=:]\s*(\d{1,9}(?:\.\d{1,2})?)", re.IGNORECASE),
        lambda parts, match: replace(parts, price=float(match[1])),
    ),
)
