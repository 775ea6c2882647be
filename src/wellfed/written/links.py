"""Direct links between the GPUs of a planned machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from wellfed.errors import BadInput
from wellfed.hardware.machine import GpuLink, PeerAccess
from wellfed.hardware.parts import GpuSpec
from wellfed.message import listed, sentence
from wellfed.written.parts_list import PartsList


def gpu_links(parts: PartsList) -> tuple[GpuLink, ...]:
    """NVSwitch or Infinity Fabric on baseboards, NVLink bridges where the line says `nvlink` (NVL cards have them).

    The rate of a pair is what one GPU can send to that one: all its links through a switch, its share of them where
    they are wired pair by pair. Raises BadInput for bridges on cards that take none, and for overfull baseboards.
    """
    groups: dict[str, list[int]] = {}
    for index, card in enumerate(parts.cards):
        groups.setdefault(card.spec.id, []).append(index)
    specs = {card.spec.id: card.spec for card in parts.cards}
    if parts.nvlink and not any(spec.vendor == "nvidia" and spec.link_bytes_per_s for spec in specs.values()):
        names = listed(spec.name for spec in specs.values()) or "no GPU"
        raise BadInput(
            f"{names}: no NVLink",
            sentence("written.links.leave-nvlink-out", "leave nvlink out; the cards talk over PCIe"),
        )
    return tuple(link for key, members in groups.items() for link in _group_links(parts, specs[key], members))


def peer_access(parts: PartsList, links: Sequence[GpuLink]) -> tuple[PeerAccess, ...]:
    """Whether each pair that no link joins reaches the other over PCIe, where the line says so (`p2p`, `no p2p`)."""
    if parts.peers is None:
        return ()
    joined = {frozenset((link.a, link.b)) for link in links}
    pairs = combinations(range(len(parts.cards)), 2)
    return tuple(PeerAccess(a, b, parts.peers) for a, b in pairs if frozenset((a, b)) not in joined)


def _group_links(parts: PartsList, spec: GpuSpec, members: Sequence[int]) -> Iterator[GpuLink]:
    rate = spec.link_bytes_per_s
    if rate is None or parts.nvlink is False or len(members) < 2:
        return
    if spec.form in ("sxm", "oam", "superchip"):
        yield from _baseboard(spec, rate, members)
    elif parts.nvlink or spec.form == "nvl" or spec.vendor in _BRIDGED_AS_SOLD:
        for start in range(0, len(members), spec.link_peers):
            bridged = members[start : start + spec.link_peers]
            for a, b in combinations(bridged, 2):
                yield GpuLink(a, b, _kind(spec, switched=False), rate / (len(bridged) - 1))


_BRIDGED_AS_SOLD = frozenset({"hygon", "moorethreads", "metax", "cambricon", "biren", "iluvatar"})  # in their servers


def _kind(spec: GpuSpec, switched: bool) -> str:
    """The link's name: the part's own, else the vendor's."""
    if spec.link_kind is not None:
        return spec.link_kind
    if spec.vendor != "nvidia":
        return "xgmi"
    return "nvswitch" if switched else "nvlink"


def _baseboard(spec: GpuSpec, rate: float, members: Sequence[int]) -> Iterator[GpuLink]:
    if len(members) > spec.link_peers:
        most = spec.link_peers
        raise BadInput(
            sentence("written.links.one-machine", "{count} {spec} in one machine", count=len(members), spec=spec.name),
            sentence(
                "written.links.share-board-write",
                "{most} share a board: write {most}x {spec}, nodes=N",
                most=most,
                spec=spec.name,
            ),
        )
    switched = spec.link_switched or (spec.vendor == "nvidia" and spec.architecture not in ("pascal", "volta"))
    for a, b in combinations(members, 2):
        yield GpuLink(a, b, _kind(spec, switched), rate if switched else rate / (spec.link_peers - 1))
