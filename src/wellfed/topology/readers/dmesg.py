"""The kernel's log: PCI functions, bandwidth limits, bridges, NUMA homes of buses, GPU errors (XID)."""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.hardware.machine import Gpu, Machine, Origin, OsSettings
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.provenance import Assumption
from wellfed.topology.pci import link_of, normal_address
from wellfed.topology.readers.reader import Reader

_A = r"((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])"
_SEEN = re.compile(rf"pci {_A}: \[([0-9a-f]{{4}}):([0-9a-f]{{4}})\] type ([0-9a-f]{{2}}) class (0x[0-9a-f]+)(.*)")
_LIMIT = re.compile(
    rf"{_A}: [\d.]+ Gb/s available PCIe bandwidth, limited by ([\d.]+) GT/s(?: PCIe)? x(\d+) link at {_A}"
    r"(?: \(capable of [\d.]+ Gb/s with ([\d.]+) GT/s(?: PCIe)? x(\d+) link\))?"
)
_AVAILABLE = re.compile(rf"{_A}: [\d.]+ Gb/s available PCIe bandwidth \(([\d.]+) GT/s(?: PCIe)? x(\d+) link\)")
_BRIDGE = re.compile(rf"pci {_A}: PCI bridge to \[bus ([0-9a-f]{{2}})(?:-([0-9a-f]{{2}}))?\]")
_NODE = re.compile(r"pci_bus ([0-9a-f]{4,8}):([0-9a-f]{2}): on NUMA node (\d+)")
_XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-f:.]+)\): (\d+)", re.I)
_FELL = re.compile(
    r"NVRM: (?:The NVIDIA )?GPU (?:at )?(?:PCI:)?([0-9a-f:.]+)[^\n]*(?:has fallen off the bus|is lost)", re.I
)
_ERROR = re.compile(
    rf"{_A}: PCIe Bus Error: severity=(Corrected|Correctable|Uncorrected|Uncorrectable)( \((?:Non-)?Fatal\))?", re.I
)
_RECEIVED = re.compile(
    rf"{_A}: AER: (?:Multiple )?(Corrected|Correctable|Uncorrected|Uncorrectable)"
    r"( \((?:Non-)?Fatal\))? error (?:message )?received"
    rf"(?: from {_A})?",
    re.I,
)
_BROADCAST = re.compile(rf"{_A}: (?:AER: )?broadcast error_detected message|{_A}: AER: device recovery")
_BELOW = re.compile(
    rf"(?:nvidia|amdgpu|xe|i915|nouveau) {_A}: (?:AER: )?(?:device has no AER-aware driver|can't recover)"
)
_TELLING = (  # marks of the lines that tell something; a boot log has thousands of others
    "PCIe bandwidth",
    "] type ",
    "PCI bridge to",
    "on NUMA node",
    "NVRM",
    "PCIe Bus Error",
    "AER",
    "error_detected",
    "ommand line:",
    "NUMA balancing",
    "can't recover",
)
_SEVERITIES = ("correctable", "nonfatal", "fatal")


def recognises(text: str) -> bool:
    """Any line we can use, in the kernel's form."""
    return bool(
        re.search(
            r"available PCIe bandwidth|pci [0-9a-f:.]+: \[[0-9a-f]{4}:[0-9a-f]{4}\] type|NVRM: |: AER: |"
            r"PCIe Bus Error: severity",
            text,
        )
        or re.search(
            r"^\[\s*\d+\.\d+\] |^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}\] | kernel: ", text, re.M
        )
    )


def parse(text: str) -> Machine:
    """Functions the log names; it shows only some, so absence proves nothing."""
    text = "\n".join(line for line in text.splitlines() if any(mark in line for mark in _TELLING))
    devices: dict[str, PciDevice] = {}
    for match in _SEEN.finditer(text):
        _put(devices, match[1], vendor_id=int(match[2], 16), device_id=int(match[3], 16), class_code=int(match[5], 16))
        if port := re.search(r"PCIe (Root Port|Switch Upstream|Switch Downstream|.*Endpoint)", match[6]):
            _put(devices, match[1], port=_port(port[1]))
    for match in _BRIDGE.finditer(text):
        first, last = int(match[2], 16), int(match[3] or match[2], 16)
        _put(devices, match[1], class_code=0x060400, secondary_bus=first, subordinate_bus=last)
    for match in _LIMIT.finditer(text):
        _limit(devices, match)
    for match in _AVAILABLE.finditer(text):
        _put(devices, match[1], link_current=link_of(match[2], match[3]))
    _errors(devices, text)
    _homes(devices, text)
    cards = _hidden_cards(devices)
    return Machine(
        "",
        Origin.DUMP,
        gpus=_gpus(text) or cards,
        assumptions=tuple(
            Assumption(
                sentence("dmesg.radeon-card", "a Radeon card at {pci_address}", pci_address=card.pci_address),
                sentence("dmesg.card-switch-logged", "its on-card switch is logged"),
            )
            for card in cards
        ),
        pci=tuple(sorted(_parents(devices, text).values(), key=lambda device: device.address)),
        os=OsSettings(command_line=_command_line(text), numa_balancing=_balancing(text)),
        unknown={"pci": sentence("dmesg.kernel-log-names", "a kernel log names only some PCI functions")}
        if devices
        else {},
        pci_complete=False if devices else None,
    )


def _put(devices: dict[str, PciDevice], address: str, **facts: object) -> None:
    key = normal_address(address)
    device = devices.get(key, PciDevice(key))
    devices[key] = replace(device, **facts)  # type: ignore[arg-type]


def _port(words: str) -> str:
    return {"Root Port": "root", "Switch Upstream": "upstream", "Switch Downstream": "downstream"}.get(
        words, "endpoint"
    )


def _limit(devices: dict[str, PciDevice], match: re.Match[str]) -> None:
    """The limiting link hangs on the port it names; the function could do more by itself."""
    device, rate, lanes, port, own_rate, own_lanes = match.groups()
    _put(devices, port, link_current=link_of(rate, lanes))
    if devices[normal_address(port)].class_code is None:
        _put(devices, port, class_code=0x060400)
    if own_rate:
        _put(devices, device, link_max=link_of(own_rate, own_lanes))


def _errors(devices: dict[str, PciDevice], text: str) -> None:
    """The worst that the log says of each function's link, and which card hangs below a port that failed."""
    for match in (*_ERROR.finditer(text), *_RECEIVED.finditer(text)):
        severity = _severity(match[2], match[3])
        key = normal_address(match[1])
        before = devices[key].errors_logged if key in devices else None
        worst = max((before or severity, severity), key=_SEVERITIES.index)
        _put(devices, key, errors_logged=worst)
        source = normal_address(match[4]) if match.re is _RECEIVED and match[4] else key
        if source != key and not source.endswith(":00:00.0"):
            _put(devices, source, parent=key)
    for match in _BROADCAST.finditer(text):
        port = normal_address(match[1] or match[2])
        below = _BELOW.search(text, match.end(), match.end() + 2000)
        if below and normal_address(below[1]) != port:
            _put(devices, port, class_code=0x060400)
            _put(devices, below[1], parent=port)


def _severity(word: str, bracket: str | None) -> str:
    if word.lower().startswith("correct"):
        return "correctable"
    return "nonfatal" if bracket and "non" in bracket.lower() else "fatal"


def _parents(devices: dict[str, PciDevice], text: str) -> dict[str, PciDevice]:
    """Where no bridge line tells the bus, the limiting port is at least somewhere above."""
    owned = {(d.address.split(":")[0], d.secondary_bus) for d in devices.values() if d.secondary_bus}
    for match in _LIMIT.finditer(text):
        device, port = normal_address(match[1]), normal_address(match[4])
        limited = devices[device] if device in devices else PciDevice(device)
        if (device.split(":")[0], limited.bus) not in owned and device != port:
            devices[device] = replace(limited, parent=port)
    return devices


def _homes(devices: dict[str, PciDevice], text: str) -> None:
    """`pci_bus 0000:70: on NUMA node 0`: all buses from a root bus up to the next one."""
    roots = {(f"{int(m[1], 16):04x}", int(m[2], 16)): int(m[3]) for m in _NODE.finditer(text)}
    for address, device in list(devices.items()):
        below = [key for key in roots if key[0] == address.split(":")[0] and key[1] <= device.bus]
        if below and device.numa_node is None:
            devices[address] = replace(device, numa_node=roots[max(below)])


def _gpus(text: str) -> tuple[Gpu, ...]:
    """GPUs with errors reported by the NVIDIA driver."""
    xids_of: dict[str, list[int]] = {}
    for match in _XID.finditer(text):
        xids_of.setdefault(_full_address(match[1]), []).append(int(match[2]))
    for match in _FELL.finditer(text):
        xids_of.setdefault(_full_address(match[1]), []).append(79)
    return tuple(
        Gpu(index, pci_address=address, vendor="nvidia", xids=tuple(dict.fromkeys(xids)))
        for index, (address, xids) in enumerate(sorted(xids_of.items()))
    )


def _full_address(address: str) -> str:
    """`0000:01:00` as the driver writes it, with its device and function."""
    address = address.lower().rstrip(":.")
    address = address if "." in address else f"{address}.0" if address.count(":") > 1 else f"{address}:00.0"
    return normal_address(address)


def _hidden_cards(devices: dict[str, PciDevice]) -> tuple[Gpu, ...]:
    """Radeon cards of which the excerpt shows only the on-card switch's upstream port (1002:1478)."""
    graphics = {d.bus for d in devices.values() if (d.class_code or 0) >> 16 == 0x03}
    edges = [a for a, d in sorted(devices.items()) if (d.vendor_id, d.device_id) == (0x1002, 0x1478)]
    shown = [edge for edge in edges if not graphics & {devices[edge].bus + 1, devices[edge].bus + 2}]
    return tuple(Gpu(index, pci_address=edge, vendor="amd") for index, edge in enumerate(shown))


def _command_line(text: str) -> str | None:
    match = re.search(r"(?:Kernel c|C)ommand line: (.*)$", text, re.M)
    return re.sub(r"UUID=\S+", "UUID=redacted", match[1]) if match else None


def _balancing(text: str) -> bool | None:
    return True if "Enabling automatic NUMA balancing" in text else None


READER = Reader(
    sentence("reader.kernel-log", "kernel log"),
    "sudo dmesg (or journalctl -k)",
    sentence("dmesg.text-pcie-errors-aer", "PCIe errors (AER), GPU errors (Xid), links below what the card can do"),
    ("pci", "NVRM", "] ", "kernel:", "AER"),
    recognises,
    parse,
    adds_up=True,
)
