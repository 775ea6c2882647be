"""A machine's canonical line: it reads back to the same machine."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from wellfed.hardware.machine import Socket
from wellfed.message import sentence
from wellfed.written.parts_list import Card, PartsList, Seat


def describe(parts: PartsList, sockets: Sequence[Socket], network_bytes_per_s: float | None) -> str:
    """The parts in the order GPUs, CPU, memory, settings."""
    words = [_cards(card, len(list(same))) for card, same in groupby(parts.cards)]
    cpu = sockets[0].cpu
    own_cpu = any(card.spec.cpu_id and not card.spec.memory_of_host for card in parts.cards)
    if cpu is not None and not own_cpu:
        words.append(f"{len(sockets)}x {cpu.name}" if len(sockets) > 1 else cpu.name)
    words += _memory(parts, sockets, own_cpu)
    words += {True: ["nvlink"], False: ["no nvlink"], None: []}[parts.nvlink]
    words += {True: ["p2p"], False: ["no p2p"], None: []}[parts.peers]
    words += [f"nps{parts.nodes_per_socket}"] if parts.nodes_per_socket != 1 else []
    words += [f"nodes={parts.count}"] if parts.count > 1 else []
    words += [f"network={network_bytes_per_s * 8 / 1e9:g}Gb"] if network_bytes_per_s else []
    words += [f"psu {parts.power_supply_w:g}w"] if parts.power_supply_w else []
    words += [f"price={parts.price:g}"] if parts.price is not None else []
    return ", ".join(words)


def _cards(card: Card, count: int) -> str:
    """ "2x GeForce RTX 4090 gen4 x8". One card is counted too where lanes follow, so that these are not a count."""
    seat = _seat(card.seat)
    counted = f"{count}x {card.spec.name}" if count > 1 or seat else card.spec.name
    return f"{counted} {seat}" if seat else counted


def _seat(seat: Seat) -> str:
    words = [f"gen{seat.generation}"] if seat.generation else []
    words += [f"x{seat.width}"] if seat.width else []
    words += ["chipset"] if seat.chipset else []
    words += [sentence("describe.behind-switch", "behind a switch")] if seat.switch else []
    words += [f"socket {seat.socket}"] if seat.socket is not None else []
    words += [f"@{seat.power_limit_w:g}w"] if seat.power_limit_w else []
    return " ".join(words)


def _memory(parts: PartsList, sockets: Sequence[Socket], own_cpu: bool) -> list[str]:
    dimms = [dimm for socket in sockets for dimm in socket.dimms]
    if dimms and dimms[0].bytes:
        overclocked = " oc" if parts.memory and parts.memory.overclocked else ""
        sizes = [dimm.bytes or 0 for dimm in dimms]
        channels = f"{parts.memory.channels}-channel " if parts.memory and parts.memory.channels else ""
        many = f"{len(dimms)}x{sizes[0] >> 30}" if len(set(sizes)) == 1 else f"{sum(sizes) >> 30}"
        return [f"{channels}{many}GB {dimms[0].type}-{dimms[0].rated_mt_s:g}{overclocked}"]
    size = sockets[0].memory_bytes
    kind = parts.memory.kind.lower() if parts.memory and parts.memory.kind else "ram"
    return [f"{size * len(sockets) >> 30}GB {kind}"] if size and not own_cpu else []
