"""`dmidecode`: memory slots (type 17), processors (type 4), the machine's name (type 1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine, Origin, OsSettings, Socket
from wellfed.topology.lists import integer, keyed, number
from wellfed.topology.memory import dimms
from wellfed.topology.readers.numbers import power_of_1024
from wellfed.topology.readers.reader import Reader
from wellfed.topology.smbios import MemoryDevice

# Structure types (DMTF DSP0134)
_TITLES = {
    "Memory Device": 17,
    "Processor Information": 4,
    "System Information": 1,
    "Chassis Information": 3,
    "Physical Memory Array": 16,
}
_VIRTUAL = ("VirtualBox", "Virtual Machine", "Alibaba Cloud", "Amazon EC2", "QEMU", "VMware", "innotek", "Xen",
            "Google Compute Engine", "Bochs", "OpenStack", "KVM")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """One structure: its type, handle, fields."""

    type: int
    handle: str
    facts: Mapping[str, str]


def recognises(text: str) -> bool:
    """dmidecode's handles, or blocks titled `Memory Device`."""
    return bool(
        re.search(r"^Handle 0x[0-9A-Fa-f]+, DMI type \d+", text, re.M)
        or re.search(r"^\s*Memory Device\s*$", text, re.M)
        or len(_picked(text)) > 1
    )


def _picked(text: str) -> list[str]:
    """Slots of which only some lines were picked (`| grep -E "Size|Locator|Speed"`), each from its first line on."""
    firsts = re.findall(r"^\s*(Size|Locator|Speed): ", text, re.M)
    if not firsts or "Handle 0x" in text or {"Size", "Locator"} - {*firsts}:
        return []
    parts = re.split(rf"^(?=\s*{firsts[0]}: )", text, flags=re.M)[1:]
    return [
        part
        for part in parts
        if re.search(r"^\s*Locator: \S", part, re.M) and re.search(r"^\s*Size: [\dNn]", part, re.M)
    ]


def parse(text: str) -> Machine:
    """Slots, sockets and the machine's name."""
    blocks = tuple(_blocks(text))
    not_system_memory = {
        b.handle for b in blocks if b.type == 16 and b.facts.get("Use", "System Memory") != "System Memory"
    }
    devices = [
        _device(b.facts) for b in blocks if b.type == 17 and b.facts.get("Array Handle") not in not_system_memory
    ]
    devices = devices or [_device(keyed(part)) for part in _picked(text) if not blocks]
    name = next((_name(b.facts) for b in blocks if b.type == 1), "")
    virtual = any(mark in name for mark in _VIRTUAL)
    chassis = next((chassis_of(b.facts.get("Type", "")) for b in blocks if b.type == 3), None)
    return Machine(
        name,
        Origin.DUMP,
        sockets=_sockets([b.facts for b in blocks if b.type == 4]),
        os=OsSettings(virtualised=True if virtual else None, chassis=chassis),
        dimms=dimms(devices),
    )


def _blocks(text: str) -> Iterator[Block]:
    for part in re.split(r"^(?=Handle 0x)|\n\s*\n", text, flags=re.M):
        kind = re.search(r"DMI type (\d+)", part)
        title = next((number for name, number in _TITLES.items() if re.search(rf"^\s*{name}\s*$", part, re.M)), None)
        handle = re.search(r"^Handle (0x[0-9A-Fa-f]+)", part, re.M)
        if kind or title:
            yield Block(int(kind[1]) if kind else title or 0, handle[1] if handle else "", keyed(part))


def _name(facts: Mapping[str, str]) -> str:
    words = (facts.get("Manufacturer", ""), facts.get("Product Name", ""))
    return " ".join(word for word in words if word and word not in ("To Be Filled By O.E.M.", "Not Specified"))


def _device(facts: Mapping[str, str]) -> MemoryDevice:
    return MemoryDevice(
        locator=_filled_in(facts, "Locator") or "",
        bank=_filled_in(facts, "Bank Locator") or "",
        bytes=size_bytes(facts.get("Size")),
        type=_filled_in(facts, "Type"),
        speed_mt_s=number(facts.get("Speed")) or None,
        configured_mt_s=number(facts.get("Configured Memory Speed", facts.get("Configured Clock Speed"))) or None,
        manufacturer=_filled_in(facts, "Manufacturer"),
        part=_filled_in(facts, "Part Number"),
        ranks=integer(facts.get("Rank")),
        total_bits=_bits(facts, "Total Width"),
        data_bits=_bits(facts, "Data Width"),
    )


def size_bytes(text: str | None) -> int | None:
    """`64 GB` (2^30 here), `No Module Installed` is 0, anything else unknown."""
    if text is None:
        return None
    if re.match(r"(no module|not installed|empty)", text, re.I):
        return 0
    match = re.match(r"(\d+)\s*([KMGT]?)i?B", text)
    return int(match[1]) * power_of_1024(f"{match[2]}B") if match else None


def _filled_in(facts: Mapping[str, str], key: str) -> str | None:
    value = facts.get(key)
    return None if value in _NOTHING or value is None else value


_NOTHING = ("", "Unknown", "Not Specified", "None", "NO DIMM", "<OUT OF SPEC>", "Not Installed", "Not Provided", "N/A")


def chassis_of(kind: str) -> str | None:
    """laptop, desktop or server by the chassis type's name (DSP0134 7.4.1)."""
    words = kind.lower()
    if any(
        word in words for word in ("laptop", "notebook", "portable", "convertible", "detachable", "tablet", "hand held")
    ):
        return "laptop"
    if any(word in words for word in ("rack mount", "blade", "multi-system", "main server")):
        return "server"
    return (
        "desktop"
        if any(word in words for word in ("desktop", "tower", "mini pc", "all in one", "space-saving"))
        else None
    )


def _bits(facts: Mapping[str, str], key: str) -> int | None:
    value = number(facts.get(key))
    return int(value) if value else None


def _sockets(processors: list[dict[str, str] | Mapping[str, str]]) -> tuple[Socket, ...]:
    """Populated processor sockets in table order."""
    filled = [
        p
        for p in processors
        if "Unpopulated" not in p.get("Status", "") and p.get("Type", "Central Processor") == "Central Processor"
    ]
    return tuple(
        Socket(
            index=index,
            name=_filled_in(facts, "Version"),
            cores=integer(facts.get("Core Enabled", facts.get("Core Count"))),
            threads=integer(facts.get("Thread Count")),
        )
        for index, facts in enumerate(filled)
    )


READER = Reader(
    "dmidecode",
    "sudo dmidecode -t 1,3,4,16,17",
    "memory slots and modules, processors, what kind of machine",
    ("DMI type", "Memory Device", "Locator: "),
    recognises,
    parse,
    adds_up=True,
)
