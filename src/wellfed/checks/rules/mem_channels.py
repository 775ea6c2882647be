"""`mem-channels`: has every memory channel of every socket a DIMM?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, passed, skip, unknown, unread, warn
from wellfed.checks.mend import with_sockets
from wellfed.checks.places import memory_homes
from wellfed.hardware.machine import Dimm, Machine, Socket
from wellfed.message import message, sentence
from wellfed.nouns.finding import Finding, Verdict


def channels_of(socket: Socket) -> tuple[int | None, int | None]:
    """Channels with a DIMM, and channels there are; None = unknown.

    By the firmware's channel names where it gives any, else by the counts; the CPU's data sheet tells how many
    there are.
    """
    channel_names = {dimm.channel for dimm in socket.dimms if dimm.channel is not None}
    filled = {dimm.channel for dimm in socket.dimms if dimm.channel is not None and dimm.bytes}
    populated = socket.channels if socket.channels is not None else (len(filled) if channel_names else None)
    there_are = [socket.channels_named, socket.cpu.memory_channels if socket.cpu else None, len(channel_names) or None]
    return populated, max((count for count in there_are if count is not None), default=None)


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per socket."""
    if machine.os.virtualised:
        return [skip(sentence("check.mem-channels.virtual-machine", "a virtual machine's DIMMs are invented"))]
    specs = [gpu.spec for gpu in machine.gpus if gpu.spec]
    if specs and all(spec.unified_memory for spec in specs):
        return [skip(sentence("check.mem-channels.memory-soldered-chip", "memory is soldered to the chip"))]
    homes = memory_homes(machine)
    if not homes:
        return [unread(machine, sentence("check.mem-channels.memory-slots", "memory slots"), "dimms", "sockets")]
    return [_judge_socket(machine, subject, socket) for subject, socket in homes]


def _judge_socket(machine: Machine, subject: str, socket: Socket) -> Finding:
    populated, there_are = channels_of(socket)
    if populated is None:
        return _by_slots(machine, socket, subject, there_are)
    if there_are is None:
        return unknown(
            sentence("check.mem-channels.how-many-channels", "how many channels the CPU has is not known"),
            subject,
            sentence("check.mem-channels.channels-dimm", "{populated} channels with a DIMM", populated=populated),
        )
    measured, wanted = (
        sentence("check.mem-channels.channels-dimm", "{populated} channels with a DIMM", populated=populated),
        sentence("check.mem-channels.channels", "{there_are} channels", there_are=there_are),
    )
    if populated < there_are:
        text = sentence(
            "check.mem-channels.channels-empty-so",
            "{there_are} of {there_are2} channels are empty, and so much bandwidth is missing",
            there_are=there_are - populated,
            there_are2=there_are,
        )
        return fail(subject, text, measured, wanted)
    return passed(
        subject, sentence("check.mem-channels.every-channel-dimm", "every channel has a DIMM"), measured, wanted
    )


def _by_slots(machine: Machine, socket: Socket, subject: str, there_are: int | None) -> Finding:
    """Unclear locators: slots are not channels, but fewer DIMMs than channels is certain."""
    slots = [dimm for dimm in socket.dimms if dimm.bytes is not None]
    filled = sum(1 for dimm in slots if dimm.bytes)
    measured = sentence(
        "check.mem-channels.slots-filled", "{filled} of {count} slots filled", filled=filled, count=len(slots)
    )
    if not slots:
        return unread(machine, sentence("check.mem-channels.memory-slots", "memory slots"), "dimms", subject=subject)
    if there_are is not None and filled + len(socket.dimms) - len(slots) < there_are:
        text = sentence(
            "check.mem-channels.dimms-cannot-fill",
            "{filled} DIMMs cannot fill {there_are} channels",
            filled=filled,
            there_are=there_are,
        )
        return fail(
            subject,
            text,
            measured,
            sentence("check.mem-channels.channels", "{there_are} channels", there_are=there_are),
        )
    if filled == len(slots):
        return passed(
            subject,
            sentence("check.mem-channels.every-slot-dimm", "every slot has a DIMM, so every channel has"),
            measured,
        )
    return _by_pattern(slots, filled, subject, measured, there_are)


def _by_pattern(slots: list[Dimm], filled: int, subject: str, measured: str, there_are: int | None) -> Finding:
    """Some slots are empty, and enough DIMMs for every channel there: by how evenly they stand."""
    if there_are and _evenly(slots, there_are):
        evenly = message("mem-channels.evenly", "every group of neighbouring slots has equally many DIMMs")
        return passed(
            subject,
            evenly,
            measured,
            sentence("check.mem-channels.channels", "{there_are} channels", there_are=there_are),
        )
    if filled * 2 < len(slots):
        text = sentence(
            "check.mem-channels.most-slots-empty",
            "most slots are empty; which channels they belong to, the firmware's locators do not tell",
        )
        return warn(
            subject, text, measured, sentence("check.mem-channels.dimm-every-channel", "a DIMM in every channel")
        )
    return unknown(
        sentence("check.mem-channels.firmware-locators-do", "the firmware's locators do not tell the channels"),
        subject,
        measured,
    )


def _evenly(slots: list[Dimm], channels: int) -> bool:
    """Whether as many groups of neighbouring slots as there are channels hold equally many DIMMs, at least one each."""
    size, left_over = divmod(len(slots), channels)
    if left_over or not size:
        return False
    filled = {sum(1 for dimm in slots[at : at + size] if dimm.bytes) for at in range(0, len(slots), size)}
    return len(filled) == 1 and min(filled) > 0


def effect(machine: Machine) -> Machine:
    """no more channels than there are DIMMs, where the slots' names do not tell the channels."""
    if machine.os.virtualised:
        return machine
    return replace(machine, sockets=tuple(_at_most(socket) for socket in machine.sockets))


def _at_most(socket: Socket) -> Socket:
    populated, there_are = channels_of(socket)
    slots = [dimm for dimm in socket.dimms if dimm.bytes is not None]
    filled = sum(1 for dimm in socket.dimms if dimm.bytes != 0)  # at most: of some the size is not told
    if populated is not None or there_are is None or not slots or not 0 < filled < there_are:
        return socket
    return replace(socket, channels=filled)


def repair(machine: Machine) -> Machine:
    """Every channel of every socket filled, at the speed there is."""
    return with_sockets(machine, tuple(_filled(socket) for socket in machine.sockets))


def _filled(socket: Socket) -> Socket:
    populated, there_are = channels_of(socket)
    sizes = [dimm.bytes for dimm in socket.dimms if dimm.bytes]
    dimms = tuple(
        dimm if dimm.bytes or not sizes else replace(_like(socket, dimm.slot), channel=dimm.channel, socket=dimm.socket)
        for dimm in socket.dimms
    )
    if there_are is None:
        return replace(socket, dimms=dimms)
    return replace(socket, dimms=dimms, channels=max(there_are, populated or 0))


def _like(socket: Socket, slot: str) -> Dimm:
    return replace(next(dimm for dimm in socket.dimms if dimm.bytes), slot=slot)


CHECK = Check(
    id="mem-channels",
    code="MEM-01",
    title=sentence("check.mem-channels.title", "Every memory channel has a DIMM"),
    severity=Verdict.FAIL,
    reads=sentence("check.mem-channels.reads", "SMBIOS type 17 (root), the CPU's data sheet"),
    rule=sentence(
        "check.mem-channels.rule",
        "Per socket, channels with a DIMM must equal the channels there are. Unclear locators: "
        "fewer DIMMs than channels fails, mostly empty slots warn, anything else is unknown.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.mem-channels.trap-slots-channels-one",
            "Slots are not channels: one of two slots of a channel may be empty, and the channel is whole.",
        ),
        sentence("check.mem-channels.trap-virtual-machines", "Virtual machines invent DIMMs: skipped."),
    ),
    ask=(
        "sudo dmidecode -t 17",
        "lscpu",
    ),
    refs=("DMTF DSP0134 SMBIOS 3.7, 7.18 Memory Device",),
    repair=repair,
    effect=effect,
)
