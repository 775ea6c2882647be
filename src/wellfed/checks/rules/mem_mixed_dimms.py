"""`mem-mixed-dimms`: are the DIMMs of a socket alike?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, passed, skip, unread, warn
from wellfed.checks.mend import with_sockets
from wellfed.checks.places import memory_homes
from wellfed.hardware.machine import Dimm, Machine, Socket
from wellfed.message import Sentence, as_text, counted, joined, listed, sentence
from wellfed.nouns.finding import Finding, Verdict
from wellfed.units import format_bytes


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per socket."""
    if machine.os.virtualised:
        return [skip(sentence("check.mem-mixed-dimms.virtual-machine", "a virtual machine's DIMMs are invented"))]
    homes = [home for home in memory_homes(machine) if any(dimm.bytes for dimm in home[1].dimms)]
    if not homes:
        return [unread(machine, sentence("checked.dimms", "DIMMs"), "dimms", "sockets")]
    return [_judge_socket(subject, socket) for subject, socket in homes]


def _judge_socket(subject: str, socket: Socket) -> Finding:
    filled = [dimm for dimm in socket.dimms if dimm.bytes]
    kinds = [text for text in (_sizes(filled), _speeds(filled), _ranks(filled)) if text]
    if kinds:
        text = sentence(
            "check.mem-mixed-dimms.unlike-dimms-slowest",
            "unlike DIMMs: the slowest sets the speed, and the larger ones' surplus is not interleaved",
        )
        return warn(subject, text, joined("; ", kinds), sentence("check.mem-mixed-dimms.equal", "equal DIMMs"))
    return passed(subject, sentence("check.mem-mixed-dimms.equal-dimms", "{count} equal DIMMs", count=len(filled)))


def _sizes(dimms: list[Dimm]) -> str:
    sizes = sorted({dimm.bytes for dimm in dimms if dimm.bytes})
    return _and([format_bytes(size) for size in sizes]) if len(sizes) > 1 else ""


def _speeds(dimms: list[Dimm]) -> str:
    speeds = sorted({dimm.rated_mt_s for dimm in dimms if dimm.rated_mt_s})
    return _and([f"{speed:.0f} MT/s" for speed in speeds]) if len(speeds) > 1 else ""


def _ranks(dimms: list[Dimm]) -> str:
    ranks = sorted({dimm.ranks for dimm in dimms if dimm.ranks})
    return _and([_rank(number) for number in ranks]) if len(ranks) > 1 else ""


def _and(parts: list[str]) -> Sentence:
    return sentence("check.mem-mixed-dimms.and", "{most} and {last}", most=listed(parts[:-1]), last=parts[-1])


def _rank(number: int) -> Sentence:
    return as_text(counted("check.mem-mixed-dimms.rank", "{count} rank", "{count} ranks", number))


def repair(machine: Machine) -> Machine:
    """Every DIMM like the best of its socket, at that one's speed."""
    return with_sockets(machine, tuple(_equal(socket) for socket in machine.sockets))


def _equal(socket: Socket) -> Socket:
    filled = [dimm for dimm in socket.dimms if dimm.bytes]
    if not filled or _judge_socket("", socket).verdict is Verdict.PASS:
        return socket
    best = max(filled, key=lambda dimm: (dimm.rated_mt_s or 0, dimm.bytes or 0))
    size = max(dimm.bytes or 0 for dimm in filled)
    dimms = tuple(
        replace(dimm, bytes=size, rated_mt_s=best.rated_mt_s, ranks=best.ranks, mt_s=best.mt_s) if dimm.bytes else dimm
        for dimm in socket.dimms
    )
    return replace(socket, dimms=dimms, mt_s=max(socket.mt_s or 0, best.mt_s or 0) or None)


CHECK = Check(
    id="mem-mixed-dimms",
    code="MEM-02",
    title=sentence("check.mem-mixed-dimms.title", "The DIMMs of a socket are alike"),
    severity=Verdict.WARN,
    reads=sentence("check.mem-mixed-dimms.reads", "SMBIOS type 17 (root)"),
    rule=sentence(
        "check.mem-mixed-dimms.rule", "Sizes, rated speeds and ranks of the filled slots of a socket must be equal."
    ),
    judge=judge,
    traps=(
        sentence(
            "check.mem-mixed-dimms.trap-empty-slots-other", "Empty slots and other makers' part numbers do not count."
        ),
    ),
    ask=("sudo dmidecode -t 17",),
    refs=("DMTF DSP0134 SMBIOS 3.7, 7.18 Memory Device",),
    repair=repair,
)
