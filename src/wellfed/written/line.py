"""A machine in a line, read into its parts: "2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600".

Pieces stand between commas, semicolons or plus signs, in any order. A piece is GPUs or a CPU (each may carry a count),
memory, or a setting: `nvlink`, `no p2p`, `nps4`, `nodes=2`, `network=400Gb`, `psu 1600w`, `price=4200`. A GPU may say
how it is connected: `x8`, `gen4 x8`, `chipset`, `oculink`, `socket 1`, `@300w`; "second gpu chipset x4" says it of one.
What can mean two things comes back as an assumption that is a `reading`: callers tell it first.
"""

from __future__ import annotations

import re

from wellfed.catalog import names
from wellfed.catalog.hardware import find_cpu, find_gpu, near_parts
from wellfed.catalog.hardware import gpu as gpu_named
from wellfed.errors import BadInput, UnknownName
from wellfed.frozen import replace
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.message import listed, sentence
from wellfed.patterns import regex
from wellfed.provenance import Assumption
from wellfed.written.additions import with_cpu, with_gpus, with_memory_of, with_unnamed_cpu
from wellfed.written.cuts import cut_by_parts
from wellfed.written.modules import take_memory, with_size
from wellfed.written.parts_list import DESKTOP_CARD_BYTES, GPUS_MAX, SYSTEM_FORMS, Card, PartsList, Seat
from wellfed.written.seats import seat_of_some, seated, take_seat
from wellfed.written.settings import with_nodes, with_setting
from wellfed.written.spelling import counted_in_words, plain_line
from wellfed.written.unnamed import speaks_of_card, unnamed_cpu

_MODULES_ON_BOARDS = frozenset({"sxm", "oam", "superchip"})
_PIECES = regex(
    r"[,;\n|]|\s\+\s|\+(?=[a-z0-9])|\s&\s|\s/\s|\b(?:and|with)\b(?:\s+an?\b)?|"
    r"\bplus\b(?=\s+(?:an?|one|two|\d+\s*x|rtx|gtx|rx|gpu|ryzen|core|i\d|xeon|epyc|threadripper|cpu)\b)",
    re.IGNORECASE,
    of=(",", ";", "\n", "|", "+", "&", "/", "and", "with", "plus"),
)
_NVLINK_ASIDE = regex(
    r"\s+(?:with\s+)?(?:nvlink|nv-link)(?:\s*bridges?|ed)?(?=$|\s+[x*]\s?\d)", re.IGNORECASE, of=("nvlink", "nv-link")
)
_PLURAL = regex(r"(?<=\d)s\b", re.IGNORECASE, of=("s",))
_EXAMPLE = sentence("written.line.example-2x-rtx", 'for example: "2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5"')
_NODES = regex(
    r"^(\d{1,3})\s*x?\s*(?:nodes?|machines?|servers?|hosts?)\s*(?:of|with|x|:)?\s*(?=\S)",
    re.IGNORECASE,
    of=("node", "machine", "server", "host"),
)


def read_line(text: str) -> PartsList:
    """The parts of a line. Raises BadInput or UnknownName, with a hint."""
    parts = PartsList()
    for piece in _PIECES.split(plain_line(text)):
        for cut in cut_by_parts(piece.strip()):
            parts = read_piece(parts, cut) if cut else parts
    return complete(parts, text)


def complete(parts: PartsList, text: str) -> PartsList:
    """The list once everything is read. Raises BadInput where it names no GPU and no CPU."""
    if not parts.cards and parts.cpu is None and parts.unnamed_cpu is None:
        raise BadInput(
            sentence("written.line.no-gpu-cpu", "no GPU and no CPU in {text!r}", text=text.strip()), _EXAMPLE
        )
    return seated(parts)


def read_piece(parts: PartsList, piece: str) -> PartsList:
    """The list with one more piece of the line. Raises BadInput or UnknownName."""
    changed = with_setting(parts, piece)
    if changed is not None:
        return changed
    if (seat := seat_of_some(piece)) is not None:
        return replace(parts, seats=(*parts.seats, seat))
    if match := _NODES.match(piece):
        parts, piece = with_nodes(parts, int(match[1])), piece[match.end() :]
    if match := _NVLINK_ASIDE.search(piece):
        parts, piece = replace(parts, nvlink=True), piece[: match.start()] + piece[match.end() :]
    memory, other_words = take_memory(parts.memory, piece)
    parts = replace(parts, memory=memory)
    return _read_parts(parts, other_words) if other_words else parts


def _read_parts(parts: PartsList, piece: str) -> PartsList:
    """GPUs or a CPU; where neither fits as a whole, both one after the other ("epyc 9654 rtx 4090")."""
    piece = _TERABYTES.sub(lambda match: f"{float(match[1]) * 1024:g}gb", piece)
    as_one_part = _named_with_memory(parts, piece)
    if as_one_part is not None:
        return as_one_part
    words = piece.split()
    for at in range(1, len(words)):
        first = _named(parts, " ".join(words[:at]))
        second = first and _named_with_memory(first, " ".join(words[at:]))
        if second:
            return second
    without_start = _without_unknown_start(parts, words)
    if without_start is not None:
        return without_start
    unnamed = unnamed_cpu(piece)
    if unnamed is None:
        bare = take_seat(names.split_count(piece)[1], counted=False)[1]
        raise UnknownName("part", piece, near_parts(bare))
    count = names.split_count(names.normalise(piece))[0]
    return with_memory_of(with_unnamed_cpu(parts, unnamed, count), piece, piece)


_TERABYTES = regex(r"\b(\d{1,2}(?:\.\d{1,3})?)\s?ti?b\b(?!/s|ps)", re.IGNORECASE, of=("tb", "tib"))
_MORE_THAN_CARDS_GB = 512  # behind a desktop's card less may be meant as its own
_MEMORY_BEHIND = regex(r"(.*\S)\s+(\d{1,4})\s?gi?b", re.IGNORECASE)


def _named_with_memory(parts: PartsList, piece: str) -> PartsList | None:
    """As `_named`; behind a card, memory that no such card has can be the machine's: "rtx 4080 laptop 32gb"."""
    as_one_part = _named(parts, piece)
    behind = None if as_one_part is not None else _MEMORY_BEHIND.fullmatch(piece.strip())
    card = behind and _named(parts, behind[1])
    if not behind or not card or len(card.cards) == len(parts.cards):
        return as_one_part
    spec = card.cards[-1].spec
    portable = spec.form == "mobile" or spec.memory_of_host
    if not portable and float(behind[2]) < _MORE_THAN_CARDS_GB:
        return as_one_part
    note = Assumption(
        sentence("written.line.gb-machine-memory", "{behind} GB are the machine's memory", behind=behind[2]),
        sentence("written.line.no-much", "no {spec} has as much", spec=spec.name),
        True,
    )
    memory = with_size(card.memory, float(behind[2]), piece)
    return replace(card, memory=memory, assumptions=(*card.assumptions, note))


def _without_unknown_start(parts: PartsList, words: list[str]) -> PartsList | None:
    """ "ThinkPad T480 i5-8350U": a product's name before the part that is known; it is said that it tells nothing."""
    for at in range(1, len(words)):
        start = " ".join(words[:at])
        if speaks_of_card(start) or unnamed_cpu(start) is not None:
            return None
        known_part = _named(parts, counted_in_words(" ".join(words[at:])))
        if known_part is not None and (count := _NUMBER.fullmatch(start)):
            if count[1].isdecimal() and 1 <= int(count[1]) <= GPUS_MAX:
                return None  # a count said twice
            raise BadInput(
                sentence("written.line.no-count", "{start!r} is no count of parts", start=start),
                sentence("written.line.count-range", "1 to 72 in one machine; several machines: add nodes=N"),
            )
        if known_part is not None:
            note = Assumption(
                sentence("written.line.left-out", "{start!r} is left out", start=start),
                sentence("written.line.no-part-called", "no part is called so"),
                reading=True,
            )
            return replace(known_part, assumptions=(*known_part.assumptions, note))
    return None


_NUMBER = regex(r"([-\u2212+]?[\d.]+(?:e[-+]?\d+)?)\s*[x*]?", re.IGNORECASE)


def _named(parts: PartsList, piece: str) -> PartsList | None:
    plain = names.normalise(piece)
    stated, bare = names.split_count(plain)
    inner, innermost = names.split_count(bare)
    if innermost != bare:
        return _machines_of(parts, stated, inner, innermost, piece)
    counted = bare != plain
    seat, name = take_seat(bare, counted)
    name, count = _counted_once(name, stated if counted else None)
    if gpu := find_gpu(name) or find_gpu(_PLURAL.sub("", name)):
        seat = _with_power(seat, gpu.spec)
        by_x = not counted and seat == Seat(width=seat.width, power_limit_w=seat.power_limit_w)
        if by_x and seat.width is not None and _counts_by_x(gpu.spec):
            count, seat = (
                seat.width,
                replace(seat, width=None),
            )  # "H800 x8": modules have no lanes to choose, nobody starves an L20
        if gpu.spec.memory_of_host:  # "radeon 780m 32gb" names the machine's memory
            parts = with_memory_of(parts, name, piece)
        unsure = by_x and seat.width is not None
        text, reason = (
            sentence("written.line.one-lanes", "one {spec} on {width} lanes", spec=gpu.spec.name, width=seat.width),
            sentence("written.line.several-cards-write", "for several cards write {width}x first", width=seat.width),
        )
        return with_gpus(parts, gpu, count, seat, (Assumption(text, reason, reading=True),) if unsure else ())
    seat = replace(seat, power_limit_w=None)  # "epyc 9654 360w": what its maker says that it draws
    if seat == Seat(width=seat.width) and seat.width is not None and not counted:
        count, seat = seat.width, Seat()  # "epyc 9965 x4": sockets have no lanes
    return None if seat != Seat() else _named_cpu(parts, name, count, piece)


def _with_power(seat: Seat, spec: GpuSpec) -> Seat:
    """The seat with the watts that a line says of a card: "rtx 4090 300w" and "@300w" limit it, "450w" is what it has.

    Raises BadInput for watts at which no such card runs; a maker's own board may draw more than the data sheet's.
    """
    watts, board = seat.power_limit_w, spec.board_power_w
    if watts is None or spec.memory_of_host or spec.form in SYSTEM_FORMS:
        return replace(seat, power_limit_w=None)  # what a whole machine draws limits no card
    if board is not None and board <= watts <= _MOST_POWER * board:
        return replace(seat, power_limit_w=None)
    if watts <= 0 or (board is not None and not _LEAST_POWER <= watts / board <= _MOST_POWER):
        hint = (
            sentence("written.line.board-power", "its board draws up to {watts:g} W; a power supply is psu {psu}w",
                     watts=board, psu="850")
            if board is not None
            else sentence("written.line.power-example", "a limit reads like @300w, a power supply like psu 850w")
        )  # fmt: skip
        raise BadInput(
            sentence("written.line.no-such-power", "no {spec} runs at {watts:g} W", spec=spec.name, watts=watts), hint
        )
    return seat


_LEAST_POWER, _MOST_POWER = 0.15, 1.7  # of the data sheet's; assumed: drivers allow 25 to 133 %, makers' boards more


def _named_cpu(parts: PartsList, text: str, count: int, piece: str) -> PartsList | None:
    name, sample = _without_sample(_PRODUCTS.sub(" ", text))
    name, count = _trailing_sockets(name, count)
    inside = _INSIDE.search(name)
    cpu = find_cpu(_INSIDE.sub(" ", name))
    if cpu is None or (inside and cpu.spec.graphics_id is None):
        return None
    parts = replace(parts, assumptions=(*parts.assumptions, *_sample_note(cpu.spec, sample)))
    parts = with_memory_of(with_cpu(parts, cpu, count, name), name, piece)
    if inside and cpu.spec.graphics_id is not None:
        return replace(parts, cards=(*parts.cards, Card(gpu_named(cpu.spec.graphics_id))))
    return parts


_PRODUCTS = regex(r"\b(?:laptop|notebook|mini\s?pc|nuc)\b")
_INSIDE = regex(r"\b(?:igpu|integrated graphics|apu graphics)\b")
_SAMPLE = regex(r"\b(?:es\d?|qs|engineering samples?|qualification samples?)\b")
_SOCKETS = regex(r"\b(\d)\s*(?:sockets?|cpus?|way|[ps])$|\b(dual|single|quad)(?:[\s-]*(?:sockets?|cpus?))?$")


def _without_sample(name: str) -> tuple[str, bool]:
    """An engineering sample's name without the words that say so: its public twin's."""
    return " ".join(_SAMPLE.sub(" ", name).split()), bool(_SAMPLE.search(name))


def _sample_note(spec: CpuSpec, sample: bool) -> tuple[Assumption, ...]:
    if not sample:
        return ()
    text = sentence(
        "written.line.engineering-sample", "engineering sample taken as its public twin, {spec}", spec=spec.name
    )
    return (
        Assumption(
            text,
            sentence("written.line.samples-run-lower", "samples run at lower clocks, and some with fewer features"),
            reading=True,
        ),
    )


def _trailing_sockets(name: str, count: int) -> tuple[str, int]:
    """ "xeon gold 6248 2 sockets"."""
    match = _SOCKETS.search(name)
    if match is None or count != 1:
        return name, count
    stated = {"single": 1, "dual": 2, "quad": 4}.get(match[2] or "") or int(match[1])
    return name[: match.start()].strip(), stated


def _counts_by_x(spec: GpuSpec) -> bool:
    """Whether "NAME x8" means eight of them: modules on boards and data-centre cards; a desktop's card is on x8."""
    large = (
        spec.memory_type.startswith("HBM") or spec.memory_bytes > DESKTOP_CARD_BYTES or spec.serving_build is not None
    )
    return spec.form in _MODULES_ON_BOARDS or (spec.form != "soc" and (large or spec.ecc_by_default))


def _machines_of(parts: PartsList, machines: int, cards: int, name: str, piece: str) -> PartsList | None:
    """ "3x 8x h200": three machines with eight each. "2x 1x epyc 9654" is a count said twice."""
    gpu = find_gpu(name)
    if gpu is None:
        return _named(parts, f"{machines * cards}x {name}") if min(machines, cards) == 1 else None
    if machines == 1:
        return _named(parts, f"{cards}x {name}")
    text = sentence(
        "written.line.machines-each",
        "{machines} machines with {cards} {spec} each",
        machines=machines,
        cards=cards,
        spec=gpu.spec.name,
    )
    note = Assumption(
        text,
        sentence(
            "written.line.counts-twice-one",
            "{piece!r} counts twice; for one machine write {machines}x",
            piece=piece,
            machines=machines * cards,
        ),
        reading=True,
    )
    return with_gpus(with_nodes(parts, machines), gpu, cards, Seat(), (note,))


def _counted_once(name: str, stated: int | None) -> tuple[str, int]:
    """The name and its count, in front (`stated`) or behind. Raises BadInput where two counts of it differ."""
    counts = [] if stated is None else [stated]
    for _ in range(2):
        name, count = _trailing_count(name)
        counts += [] if count is None else [count]
    if len(set(counts)) > 1:
        said = sentence(
            "written.line.counted-twice", "{name} is counted as {counts}", name=name, counts=listed(map(str, counts))
        )
        raise BadInput(said, sentence("written.line.count-once", "say its count once, as in 2x rtx 4090"))
    return name, counts[0] if counts else 1


def _trailing_count(name: str) -> tuple[str, int | None]:
    """ "rtx 3090 x3" is three cards (x1, x4, x8 and x16 were read as lanes before)."""
    match = re.search(r"(?:\s[x×*]\s?|\*|(?<=[a-z0-9])x(?=\d{1,2}$))(\d{1,2})$|\sx(\d{1,2})(?=\s+\d{1,3}\s?gb?$)", name)
    if match is None:
        return name, None
    return f"{name[: match.start()]} {name[match.end() :]}".strip(), int(match[1] or match[2])
