"""Memory slots: which socket and which channel a DIMM sits on, from the names firmware prints on them.

Slots are not channels: two slots may hang on one channel. A channel is believed only where the firmware names it
("P0 CHANNEL A", "P0_Node0_Channel2_Dimm1", "CPU1_DIMM_A1", "Controller0-ChannelA-DIMM0"); "CPU 1" + "Dimm 7" names
a socket and no channel, and the channel stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wellfed.hardware.machine import Dimm
from wellfed.topology.smbios import MemoryDevice

_SOCKET = re.compile(r"(?<![A-Z])(?:CPU|PROC(?:ESSOR)?|SOCKET|SKT|P)[ _#-]?(\d{1,2})(?!\d)")
_CHANNEL = re.compile(r"(?:CHANNEL|CHAN|CH)[ _#-]?([A-P]|\d{1,2})(?![A-Z0-9])")
_GROUP = re.compile(r"(?<![A-Z])(?:CONTROLLER|NODE|MC|IMC|DIE)[ _#-]?(\d{1,2})")
_LETTER = re.compile(r"DIMM[ _-]*(?:P\d+[ _-]*)?([A-P])[ _-]?\d{0,2}$")
_DELL = re.compile(r"([A-H])(\d{1,2})")


def dimms(devices: Sequence[MemoryDevice]) -> tuple[Dimm, ...]:
    """Every slot with its socket and channel, where the names tell."""
    sockets = _sockets(devices)
    return tuple(
        Dimm(
            slot=device.locator or device.bank or "?",
            bytes=device.bytes,
            channel=_channel(device),
            socket=socket,
            mt_s=device.configured_mt_s if device.bytes != 0 else None,
            rated_mt_s=device.speed_mt_s if device.bytes != 0 else None,
            type=device.type if device.bytes != 0 else None,
            manufacturer=device.manufacturer if device.bytes != 0 else None,
            part=device.part if device.bytes != 0 else None,
            ranks=device.ranks,
            ecc=_ecc(device),
        )
        for device, socket in zip(devices, sockets, strict=True)
    )


def _ecc(device: MemoryDevice) -> bool | None:
    if device.bytes == 0 or device.total_bits is None or device.data_bits is None:
        return None
    return device.total_bits > device.data_bits


def _sockets(devices: Sequence[MemoryDevice]) -> list[int | None]:
    """Socket numbers from 0: the bank names' where all have one, else the locators', rebased if they count from 1."""
    for text in ([d.bank for d in devices], [d.locator for d in devices]):
        matches = [_SOCKET.search(_plain(name)) for name in text]
        if matches and all(matches):
            numbers = [int(match[1]) for match in matches if match]
            base = 1 if min(numbers) == 1 else 0
            return [number - base for number in numbers]
    letters = [_DELL.fullmatch(_plain(d.locator)) for d in devices]
    if letters and all(letters):
        return [ord(match[1]) - ord("A") for match in letters if match]
    return [None] * len(devices)


def _channel(device: MemoryDevice) -> str | None:
    for text in (_plain(device.bank), _plain(device.locator)):
        match = _CHANNEL.search(text)
        if match:
            group = _GROUP.search(text)
            return f"{group[1]}/{match[1]}" if group else match[1]
    match = _LETTER.search(_plain(device.locator))
    return match[1] if match else None


def _plain(text: str) -> str:
    return text.strip().upper()


def populated_channels(slots: Sequence[Dimm]) -> int | None:
    """Channels that hold memory; None as soon as one populated slot's channel is unknown."""
    full = [slot for slot in slots if slot.bytes]
    channels = {slot.channel for slot in full}
    return len(channels) if full and None not in channels else None


def named_channels(slots: Sequence[Dimm]) -> int | None:
    """Channels the firmware names, full or empty; None as soon as one slot's is unknown."""
    channels = {slot.channel for slot in slots}
    return len(channels) if slots and None not in channels else None


def slowest_mt_s(slots: Sequence[Dimm]) -> float | None:
    """The configured speed all run at: the least of those known."""
    speeds = [slot.mt_s for slot in slots if slot.bytes and slot.mt_s]
    return min(speeds, default=None)
