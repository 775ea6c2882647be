"""What a line sets besides its parts: `nvlink`, `no p2p`, `nps4`, `nodes=2`, `network=400Gb`, `psu 1600w` ..."""

from __future__ import annotations

import re
from collections.abc import Callable

from wellfed.errors import BadInput
from wellfed.frozen import replace
from wellfed.hardware.machine import Disk
from wellfed.message import sentence
from wellfed.patterns import regex
from wellfed.written.parts_list import PartsList

_RATES = {"sdr": 10, "qdr": 40, "fdr": 56, "edr": 100, "hdr": 200, "ndr": 400, "xdr": 800}
_NETWORK = regex(
    r"(?:(\d{1,2})\s*[x×]\s*)?(?:(\d{1,4}(?:\.\d+)?)\s*(g|gb|gbe|gbit|gbps|gb/s|gbit/s|gib/s)?|(sdr|qdr|fdr|edr|hdr|ndr|xdr))"
    r"(?:\s*(?:ethernet|eth|infiniband|ib|roce|rdma|network|net|nics?))*",
    re.IGNORECASE,
)
NODES_MAX = 512
_NODES_PER_SOCKET = (0, 1, 2, 3, 4, 6)


def network_between(machines: int, rate: str) -> float:
    """B/s of a network asked for between so many machines. Raises BadInput for a bad rate, and for one machine."""
    between = network_bytes_per_s(rate)
    if machines == 1:
        raise BadInput(
            sentence("settings.network-alone", "--network joins several machines, and there is one"),
            sentence("settings.network-alone.hint", "--nodes N says how many there are"),
        )
    return between


def network_bytes_per_s(text: str) -> float:
    """One direction, of "400Gb", "8x400Gb", "100GbE", "NDR" (bits) or "50GB/s" (bytes). Raises BadInput."""
    stated = re.sub(r"^(?:ib|infiniband|roce|rdma|ethernet)\s+", "", text.strip(), flags=re.IGNORECASE)
    match = _NETWORK.fullmatch(stated)
    if match is None:
        raise BadInput(
            sentence("settings.network-speed", "not a network speed: {text!r}", text=text),
            sentence("settings.example-400gb", 'for example "400Gb", "8x400Gb", "100GbE" or "50GB/s"'),
        )
    rails, amount, unit, generation = match.groups()
    gigabits = float(_RATES[generation.lower()]) if generation else float(amount)
    bits_per_unit = 1.0 if unit is not None and unit.startswith("GB/") else 1 / 8
    rate = gigabits * 1e9 * bits_per_unit * int(rails or 1)
    if rate <= 0:
        raise BadInput(
            sentence("settings.network-speed", "not a network speed: {text!r}", text=text),
            sentence("settings.must-more-nothing", "it must be more than nothing"),
        )
    return rate


def with_nodes(parts: PartsList, count: int) -> PartsList:
    """So many equal machines. Raises BadInput beyond what is planned."""
    if not 1 <= count <= NODES_MAX:
        raise BadInput(sentence("settings.nodes", "{count} nodes", count=count), f"1 to {NODES_MAX}")
    return replace(parts, count=count)


def with_nodes_per_socket(parts: PartsList, count: int, text: str) -> PartsList:
    """NUMA nodes that firmware makes of a socket. Raises BadInput for a number that no firmware offers."""
    if count not in _NODES_PER_SOCKET:
        raise BadInput(
            sentence("settings.does-exist", "{text} does not exist", text=text), "nps1, nps2, nps4, snc2, snc3 or snc4"
        )
    return replace(parts, nodes_per_socket=count)


def _nodes(parts: PartsList, match: re.Match[str]) -> PartsList:
    return with_nodes(parts, next(int(group) for group in match.groups() if group))


def _network(parts: PartsList, match: re.Match[str]) -> PartsList:
    return replace(parts, network_bytes_per_s=network_bytes_per_s(match[1]))


def _price(parts: PartsList, match: re.Match[str]) -> PartsList:
    thousands = {"k": 1e3, "w": 1e4}.get((match[2] or "").lower(), 1)
    return replace(parts, price=float(match[1]) * thousands)


_SPEEDS = {"nvme": 3, "ssd": 2, "hdd": 1}


def _disk(parts: PartsList, match: re.Match[str]) -> PartsList:
    """A disk of so many bytes; "ssd" alone does not tell whether it is an NVMe one."""
    kind_text = match["kind"].lower()
    kind = next((kind for sign, kind in _DISK_KINDS if sign in kind_text), None)
    size = float(match["size"]) * (1e12 if match["unit"].lower() == "t" else 1e9)
    disks = [*parts.disks, Disk("", kind, bytes=int(size))]
    disks.sort(key=lambda disk: -_SPEEDS.get(disk.kind or "nvme", 0))
    numbered = (replace(disk, name=f"disk{at}", holds_models=at == 0) for at, disk in enumerate(disks))
    return replace(parts, disks=tuple(numbered))


_DISK_KINDS = (("nvme", "nvme"), ("m.2", "nvme"), ("m2", "nvme"), ("sata", "ssd"), ("hdd", "hdd"), ("hard", "hdd"))


_SETTINGS: tuple[tuple[re.Pattern[str], Callable[[PartsList, re.Match[str]], PartsList]], ...] = (
    (
        regex(
            r"nodes?\s*[=:]\s*(\d{1,5})|(\d{1,5})\s*x?\s*(?:nodes?|machines?|servers?|hosts?)|x\s?(\d{1,5})\s*nodes?",
            re.IGNORECASE,
            of=("node", "machine", "server", "host"),
        ),
        _nodes,
    ),
    (
        regex(
            r"(?:network|net|interconnect|fabric)\s*[=:]?\s*(.+)", re.IGNORECASE, of=("net", "interconnect", "fabric")
        ),
        _network,
    ),
    (
        regex(
            r"((?:\d{1,2}x)?\d{1,4}\s?(?:gbe|gbps|gbit)\b.*|.*\b(?:infiniband|ethernet|roce))",
            re.IGNORECASE,
            of=("gbe", "gbps", "gbit", "infiniband", "ethernet", "roce"),
        ),
        _network,
    ),
    (
        regex(r"(?:nps|snc)\s*[=-]?\s*(\d)", re.IGNORECASE, of=("nps", "snc")),
        lambda parts, match: with_nodes_per_socket(parts, int(match[1]), match[0]),
    ),
    (regex(r"snc\s*off", re.IGNORECASE, of=("snc",)), lambda parts, match: parts),
    (
        regex(r"(?:with\s+)?nvlink(?:\s*bridges?)?|nvlink\s*=\s*(?:true|yes|on)", re.IGNORECASE, of=("nvlink",)),
        lambda parts, match: replace(parts, nvlink=True),
    ),
    (
        regex(r"no nvlink|without nvlink|nvlink\s*=\s*(?:false|no|off)", re.IGNORECASE, of=("nvlink",)),
        lambda parts, match: replace(parts, nvlink=False),
    ),
    (
        regex(r"(?:with\s+)?(?:pcie\s+)?p2p(?:\s+(?:driver|on|enabled))?|p2p\s*=\s*(?:true|yes|on)", re.I, of=("p2p",)),
        lambda parts, match: replace(parts, peers=True),
    ),
    (
        regex(r"(?:no|without)\s+p2p|p2p\s+(?:off|disabled)|p2p\s*=\s*(?:false|no|off)", re.I, of=("p2p",)),
        lambda parts, match: replace(parts, peers=False),
    ),
    (
        regex(
            r"(?:psu|power supply)\s*[=:]?\s*(\d{2,6})\s*w|(\d{2,6})\s*w\s*(?:psu|power supply)",
            re.IGNORECASE,
            of=("psu", "supply"),
        ),
        lambda parts, match: replace(parts, power_supply_w=float(match[1] or match[2])),
    ),
    (
        regex(
            r"(?:\d{1,2}\s*x\s*)?(?P<size>\d{1,5}(?:\.\d{1,3})?)\s*(?P<unit>[gt])i?b?\s+(?P<kind>(?:(?:nvme|m\.?2|pcie|sata|"
            r"gen\s?\d|\d\.\d|ssd|hdd|hard|disks?|drives?)\s*)+)",
            re.IGNORECASE,
            of=("nvme", "m2", "pcie", "sata", "gen", ".", "ssd", "hdd", "hard", "disk", "drive"),
        ),
        _disk,
    ),
    (
        regex(
            r"price\s*[=:]?\s*[¥$€]?\s*(\d{1,9}(?:\.\d{1,2})?)\s*(k|w)?(?:\s*(?:cny|rmb|usd|eur))?", re.I, of=("price",)
        ),
        _price,
    ),
    (
        regex(
            r"(?:no|without)\s+(?:a\s+|any\s+)?(?:gpu|graphics(?: card)?)s?|cpu only",
            re.I,
            of=("no", "without", "only"),
        ),
        lambda parts, match: parts,
    ),
)


def with_setting(parts: PartsList, piece: str) -> PartsList | None:
    """The list with what a piece sets; None where it is no setting. Raises BadInput for an impossible value."""
    for pattern, change in _SETTINGS:
        if match := pattern.fullmatch(piece):
            return change(parts, match)
    return None
