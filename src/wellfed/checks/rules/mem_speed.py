"""`mem-speed`: does memory run at the speed it was bought for?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, passed, skip, unknown, unread, warn
from wellfed.checks.mend import with_sockets
from wellfed.checks.places import memory_homes
from wellfed.faults.memory import CLOCK, FEWER_DIMMS, PROFILE
from wellfed.hardware.machine import Machine, Origin, Socket
from wellfed.message import message, sentence
from wellfed.nouns.finding import Finding, Verdict

TOLERANCE = 0.98  # of the rated MT/s, for rounded figures such as 2666 of 2667


def possible_mt_s(socket: Socket) -> float | None:
    """The lesser of what the modules and, where known, the CPU with one DIMM per channel are rated for."""
    modules = [dimm.rated_mt_s for dimm in socket.dimms if dimm.bytes and dimm.rated_mt_s]
    official = socket.cpu.memory_mt_s[0] if socket.cpu and socket.cpu.memory_mt_s else None
    rated = [min(modules)] if modules else []
    return min([*rated, *([official] if official else [])], default=None)


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per socket."""
    if machine.os.virtualised:
        return [skip(sentence("check.mem-speed.virtual-machine", "a virtual machine's DIMMs are invented"))]
    homes = memory_homes(machine)
    if not homes:
        return [unread(machine, sentence("check.mem-speed.memory-speed", "memory speed"), "dimms", "sockets")]
    return [_judge_socket(machine, subject, socket) for subject, socket in homes]


def _judge_socket(machine: Machine, subject: str, socket: Socket) -> Finding:
    possible, speed = possible_mt_s(socket), _speed(socket)
    if possible is None or speed is None:
        return unread(machine, sentence("check.mem-speed.memory-speed", "memory speed"), "dimms", subject=subject)
    measured, wanted = f"{speed:.0f} MT/s", f"{possible:.0f} MT/s"
    if speed < possible * TOLERANCE and _limit_unknown(machine, socket):
        text = message(
            "mem-speed.cpu-unknown", "slower than the modules are rated; which speed the CPU allows is not known"
        )
        return unknown(text, subject, measured)
    if speed < possible * TOLERANCE:
        filled = sum(1 for dimm in socket.dimms if dimm.bytes)
        channels = socket.channels or (socket.cpu.memory_channels if socket.cpu else None)
        doubled = channels is not None and filled > channels
        text = message("mem-speed.slow", "slower than modules and CPU allow")
        if doubled:
            text = message("mem-speed.doubled", "slower than modules and CPU allow: two DIMMs share a channel")
        server = any(dimm.ecc for dimm in socket.dimms)
        return warn(subject, text, measured, wanted, [FEWER_DIMMS if doubled else CLOCK if server else PROFILE])
    return passed(
        subject, sentence("check.mem-speed.memory-runs-rating", "memory runs at its rating"), measured, wanted
    )


def _limit_unknown(machine: Machine, socket: Socket) -> bool:
    """A dump that does not show the CPU: what it allows may be less than the modules' rating."""
    return socket.cpu is None and machine.origin is Origin.DUMP


def _speed(socket: Socket) -> float | None:
    speeds = [dimm.mt_s for dimm in socket.dimms if dimm.bytes and dimm.mt_s]
    return socket.mt_s or min(speeds, default=None)


def repair(machine: Machine) -> Machine:
    """Memory of every socket at the speed that is possible."""
    return with_sockets(machine, tuple(_clocked(socket) for socket in machine.sockets))


def _clocked(socket: Socket) -> Socket:
    possible, speed = possible_mt_s(socket), _speed(socket)
    if possible is None or speed is None or speed >= possible * TOLERANCE:
        return socket
    dimms = tuple(replace(dimm, mt_s=possible) if dimm.bytes else dimm for dimm in socket.dimms)
    return replace(socket, mt_s=possible, dimms=dimms)


CHECK = Check(
    id="mem-speed",
    code="MEM-03",
    title=sentence("check.mem-speed.title", "Memory runs at the speed modules and CPU allow"),
    severity=Verdict.WARN,
    reads=sentence("check.mem-speed.reads", "SMBIOS type 17: speed and configured speed (root); the CPU's data sheet"),
    rule=sentence(
        "check.mem-speed.rule",
        "Configured speed must reach the lesser of the modules' rating and the CPU's official "
        "speed with one DIMM per channel, within 2 %.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.mem-speed.trap-registered-other-ecc",
            "Registered and other ECC modules have no XMP profile: the advice is another.",
        ),
        sentence(
            "check.mem-speed.trap-cpu-unknown-what",
            "With the CPU unknown, what it allows is unknown: slower than the modules' rating is then no fault.",
        ),
        sentence(
            "check.mem-speed.trap-faster-modules-cpu",
            "Faster modules than the CPU's official speed are no fault: the lesser counts.",
        ),
    ),
    ask=(
        "sudo dmidecode -t 17",
        "lscpu",
    ),
    refs=("DMTF DSP0134 SMBIOS 3.7, 7.18 Memory Device",),
    repair=repair,
)
