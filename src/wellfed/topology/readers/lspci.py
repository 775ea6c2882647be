"""`lspci` with -nn, -v or -vv: ids, classes, links of every hop, ACS, NUMA nodes (pciutils)."""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.hardware.machine import Machine, Origin
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.message import sentence
from wellfed.topology.lists import integer
from wellfed.topology.pci import link_of, normal_address
from wellfed.topology.readers.pci_words import class_of, device_of, vendor_of
from wellfed.topology.readers.reader import Reader

_HEADER = re.compile(
    r"^[ \t]*((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\s+([A-Z0-9][^:\[]*?)(?:\s*\[([0-9a-f]{4})\])?:\s+(.*)$"
)
_START = re.compile(r"^[ \t]*(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7][ \t]", re.M)
_NUMERIC = re.compile(
    r"^[ \t]*((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\s+"
    r"(?:Class )?([0-9a-f]{4}): ([0-9a-f]{4}):([0-9a-f]{4})\b"
)
_PORTS = (
    ("Root Complex Integrated", "integrated"),
    ("Root Complex Event", "integrated"),
    ("Root Port", "root"),
    ("Upstream Port", "upstream"),
    ("Downstream Port", "downstream"),
    ("PCI-Express to PCI", "bridge"),
    ("Endpoint", "endpoint"),
)


def recognises(text: str) -> bool:
    """At least one line such as `00:01.1 PCI bridge: ...`."""
    starts = (_line_at(text, match.start()) for match in _START.finditer(text))
    return any(_HEADER.match(line) or _NUMERIC.match(line) for line in starts)


def _line_at(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start:] if end < 0 else text[start:end]


def parse(text: str) -> Machine:
    """Every PCI function that is listed."""
    devices: dict[str, PciDevice] = {}
    for header, body in _blocks(text):
        device = _device(header, body)
        devices.setdefault(device.address, device)
    unknown: dict[str, str] = {}
    if "access denied" in text:
        unknown["pci.link"] = sentence(
            "lspci.lspci-needs-root", "lspci needs root for links and ACS (capabilities: access denied)"
        )
    elif "LnkSta" not in text:
        unknown["pci.link"] = sentence("lspci.links-shown-lspci", "links are shown by lspci -vv only")
    hosts = any(d.class_code is not None and d.class_code >> 8 == 0x0600 for d in devices.values())
    return Machine("", Origin.DUMP, pci=tuple(devices.values()), unknown=unknown, pci_complete=hosts)


def _blocks(text: str) -> list[tuple[re.Match[str], str]]:
    blocks: list[tuple[re.Match[str], list[str]]] = []
    for line in text.splitlines():
        match = _NUMERIC.match(line) or _HEADER.match(line)
        if match:
            blocks.append((match, []))
        elif blocks:
            blocks[-1][1].append(line)
    return [(match, "\n".join(lines)) for match, lines in blocks]


def _device(header: re.Match[str], body: str) -> PciDevice:
    if header.re is _NUMERIC:
        return _numeric(header, body)
    address, word, code, description = header.groups()
    ids = re.search(r"\[([0-9a-f]{4}):([0-9a-f]{4})\](?!.*\[[0-9a-f]{4}:[0-9a-f]{4}\])", description)
    vendor = int(ids[1], 16) if ids else vendor_of(description)
    return replace(
        _by_body(address, body),
        vendor_id=vendor,
        device_id=int(ids[2], 16) if ids else device_of(vendor, description),
        class_code=int(code, 16) << 8 if code else class_of(word),
        name=_name(description),
    )


def _numeric(header: re.Match[str], body: str) -> PciDevice:
    """`lspci -n`: class and ids alone."""
    address, code, vendor, device = header.groups()
    return replace(
        _by_body(address, body), vendor_id=int(vendor, 16), device_id=int(device, 16), class_code=int(code, 16) << 8
    )


def _by_body(address: str, body: str) -> PciDevice:
    return PciDevice(
        address=normal_address(address),
        link_current=_link(body, "LnkSta"),
        link_max=_link(body, "LnkCap"),
        numa_node=_number(r"NUMA node:\s*(\d+)", body),
        iommu_group=_number(r"IOMMU group:\s*(\d+)", body),
        acs_redirect=_acs(body),
        port=_port(body),
        secondary_bus=_bus("secondary", body),
        subordinate_bus=_bus("subordinate", body),
        driver=_word(r"Kernel driver in use:\s*(\S+)", body),
    )


def _name(description: str) -> str:
    text = re.sub(r"\s*\((?:rev|prog-if) [^)]*\)+", "", description)
    return re.sub(r"\s*\[[0-9a-f]{4}:[0-9a-f]{4}\]", "", text).strip().rstrip(")")


def _link(body: str, register: str) -> PcieLink | None:
    match = re.search(rf"{register}:.*?Speed ([\d.]+)\s*GT/s[^,]*, Width x(\d+)", body)
    return link_of(match[1], match[2]) if match else None


def _acs(body: str) -> bool | None:
    match = re.search(r"ACSCtl:.*?ReqRedir([+-]) CmpltRedir([+-])", body)
    return "+" in match.groups() if match else None


def _port(body: str) -> str | None:
    match = re.search(r"Express (?:\(v\d\) )?([A-Z][^,\n]*)", body)
    return next((port for words, port in _PORTS if words in match[1]), None) if match else None


def _bus(kind: str, body: str) -> int | None:
    match = re.search(rf"\b{kind}=([0-9a-f]{{2}})", body)
    return integer(match[1], 16) if match else None


def _number(pattern: str, body: str) -> int | None:
    match = re.search(pattern, body)
    return int(match[1]) if match else None


def _word(pattern: str, body: str) -> str | None:
    match = re.search(pattern, body)
    return match[1] if match else None


READER = Reader(
    "lspci",
    "sudo lspci -nnvv",
    sentence("lspci.text-pci-tree-link", "the PCI tree with the link of every hop, ACS, NUMA nodes, drivers"),
    (":",),
    recognises,
    parse,
    adds_up=True,
)
