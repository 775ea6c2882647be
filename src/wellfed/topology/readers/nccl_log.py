"""NCCL's and RCCL's log with NCCL_DEBUG=INFO: cards by rank, and how each pair of neighbours talks.

`via P2P` is peer access (over NVLink or PCIe); `via SHM` is a detour through RAM. Source of the form: NCCL, src/init.cc
and src/transport/.
"""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine, Nic, PeerAccess
from wellfed.message import sentence
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.reader import Reader, partial_machine

_INFO = re.compile(r"\b(?:NCCL|RCCL) INFO\b")
_DISABLED = re.compile(r"P2P is disabled between connected GPUs (\d{1,3}) and (\d{1,3})")
_COMM = re.compile(
    r"\bcomm \S+ rank (\d{1,4}) n[rR]anks (\d{1,4})(?: [^\n]*?)?\bcudaDev (\d{1,3})(?: nvmlDev (\d{1,3}))?"
    r"(?: [^\n]*?)?\bbusId ([0-9a-f]{4,12})\b"
)
_CHANNEL = re.compile(
    r"(?:Channel|Ring) \d+(?:/\d+)?\s*:\s*(\d{1,4})\[([0-9a-f]+)\](?:\s*\[(?:send|receive)\])?\s*->"
    r"\s*(\d{1,4})\[([0-9a-f]+)\]"
    r"(?:\s*\[(?:send|receive)\])?\s*via\s+([A-Za-z0-9]+)"
)
_IB = re.compile(r"NET/IB : Using ([^\n]+)")
_HCA = re.compile(r"\[\d+\]([\w.-]+?):\d+/(IB(?:/SHARP)?|RoCE)")
_SOCKET = re.compile(r"NET/Socket ?: Using ([^\n]+)")
_MAX_RANKS = 64  # of one host: a limit of ours


def recognises(text: str) -> bool:
    """A line of the log that we use, or any of it."""
    return bool(_INFO.search(text))


def parse(text: str) -> Machine:
    """Cards, peers, network cards; of the first host in the log where ranks say where they are."""
    ranks = {int(m[1]): m for m in _COMM.finditer(text)}
    devices = {rank: int(m[4] or m[3]) for rank, m in ranks.items()}
    peers = dict(_through_transport(text, devices))
    for match in _DISABLED.finditer(text):
        a, b = sorted((int(match[1]), int(match[2])))
        peers.setdefault((a, b), PeerAccess(a, b, works=False, why="NCCL: P2P is disabled between connected GPUs"))
    numbers = {end for pair in peers for end in pair} | set(devices.values())
    places = {devices[rank]: _address(m[5]) for rank, m in ranks.items()}
    vendor = "nvidia" if "RCCL" not in text else "amd"
    return partial_machine(
        gpus=tuple(
            Gpu(number, vendor=vendor, pci_address=places.get(number)) for number in sorted(numbers)[:_MAX_RANKS]
        ),
        peers=tuple(peers[pair] for pair in sorted(peers)),
        nics=tuple(_nics(text)),
        pci_complete=False,
    )


def _address(bus: str) -> str:
    """NCCL's bus id is the address without its points: domain, bus, device, function as one hexadecimal number."""
    value = int(bus, 16)
    return normal_address(f"{value >> 20:04x}:{value >> 12 & 0xFF:02x}:{value >> 4 & 0xFF:02x}.{value & 0x7}")


def _through_transport(text: str, devices: dict[int, int]) -> dict[tuple[int, int], PeerAccess]:
    """What connected neighbours use. Ranks are cards on one host; without its lines, their own numbers."""
    access: dict[tuple[int, int], PeerAccess] = {}
    for match in _CHANNEL.finditer(text):
        ends = [_device(match[1], match[2], devices), _device(match[3], match[4], devices)]
        transport = match[5].upper()
        if None in ends or ends[0] == ends[1] or transport not in ("P2P", "SHM", "DIRECT"):
            continue
        a, b = sorted(end for end in ends if end is not None)
        works = transport != "SHM"
        if (a, b) not in access or not works:
            access[a, b] = PeerAccess(
                a, b, works, None if works else sentence("nccl-log.nccl-via-shared", "NCCL: via shared memory")
            )
    return access


def _device(rank: str, inside: str, devices: dict[int, int]) -> int | None:
    """The bracket holds the card's number (newer) or its bus id (older, hexadecimal with trailing zeros)."""
    if int(rank) in devices:
        return devices[int(rank)]
    if len(inside) <= 2 and inside.isdecimal():
        return int(inside)
    return int(rank) if int(rank) < _MAX_RANKS else None


def _nics(text: str) -> list[Nic]:
    match = _IB.search(text)
    if match:
        cards = dict(_HCA.findall(match[1]))
        return [Nic(name, kind="ethernet" if kind == "RoCE" else "infiniband", up=True) for name, kind in cards.items()]
    match = _SOCKET.search(text)
    names = re.findall(r"\[\d+\]([\w.-]+?):", match[1]) if match else []
    return [Nic(name, kind="ethernet", up=True) for name in dict.fromkeys(names)]


READER = Reader(
    sentence("reader.nccl-log", "NCCL log"),
    "NCCL_DEBUG=INFO (the engine's log)",
    sentence("nccl-log.text-whether-gpus-reach", "whether GPUs reach each other directly, network cards in use"),
    ("NCCL INFO", "RCCL INFO"),
    recognises,
    parse,
    adds_up=True,
)
