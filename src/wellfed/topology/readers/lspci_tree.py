"""`lspci -t` (also -tv, -tnnv): the shape of the PCI tree, and names where -v shows them.

Without ids, three things are taken from the shape and said as assumptions: a slot with just functions 0 and 1 holds
a graphics card (with its audio function); device 1f.0 on bus 0 beside 1f.2 or 1f.3 is Intel's ISA bridge; on an AMD
host a switch with four or more ports that lead to several other devices is the chipset.
"""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.hardware.pcie import PciDevice
from wellfed.message import listed, sentence
from wellfed.provenance import Assumption
from wellfed.topology.readers.pci_words import vendor_of
from wellfed.topology.readers.reader import Reader

_TOKEN = re.compile(r"\[(?:([0-9a-f]{4,8}):)?([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]|([0-9a-f]{2})\.([0-7])(?![0-9a-f])")
_WIRES = re.compile(r"[-+\\|\s]*")
_SWITCH_PORTS = 4  # bridges side by side that are taken for a switch: assumed


def recognises(text: str) -> bool:
    """A root such as `-[0000:00]-+-00.0`."""
    return bool(
        re.search(r"^[ \t]*[-+\\]+(?:[-+\\])*-?\[(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}(?:-[0-9a-f]{2})?\]-", text, re.M)
    )


def parse(text: str) -> Machine:
    """The tree; with names where the listing has them, with the assumptions above where not."""
    devices = _read(text)
    has_names = any(device.name for device in devices.values())
    assumptions: list[Assumption] = []
    gpus: tuple[Gpu, ...] = ()
    if not has_names:
        gpus = _cards(devices)
        devices = _chipset(devices, {gpu.pci_address for gpu in gpus})
        assumptions = _assumptions(devices, gpus)
    return Machine(
        "",
        Origin.DUMP,
        gpus=gpus,
        pci=tuple(sorted(devices.values(), key=lambda device: device.address)),
        assumptions=tuple(assumptions),
        unknown={
            "pci.link": sentence("lspci-tree.lspci-t-shows", "lspci -t shows no links"),
            "pci.ids": sentence("lspci-tree.lspci-t-shows-2", "lspci -t shows no ids"),
        },
        pci_complete=True,
    )


def _read(text: str) -> dict[str, PciDevice]:
    devices: dict[str, PciDevice] = {}
    stack: list[tuple[int, str, int, str | None]] = []  # column, domain, bus, bridge above
    domain = "0000"
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        at, last, first_on_line = 0, "", True
        while True:
            start = _WIRES.match(line, at)
            column = start.end() if start else at
            match = _TOKEN.match(line, column)
            if match is None:
                _name(devices, last, line[column:].strip())
                break
            if first_on_line:
                while stack and stack[-1][0] >= column:
                    stack.pop()
                first_on_line = False
            if match[2]:
                domain = (match[1] or domain)[-4:]
                if match[1]:
                    stack.clear()
                bus = int(match[2], 16)
                stack.append((column, domain, bus, last or None))
                _bridge(devices, last, bus, int(match[3] or match[2], 16))
                last = ""
            else:
                if not stack:
                    break
                _, home, bus, above = stack[-1]
                last = f"{home}:{bus:02x}:{match[4]}.{match[5]}"
                devices.setdefault(last, PciDevice(last, parent=above))
            at = match.end()
    return devices


def _bridge(devices: dict[str, PciDevice], address: str, first: int, last: int) -> None:
    if address in devices:
        devices[address] = replace(devices[address], class_code=0x060400, secondary_bus=first, subordinate_bus=last)


def _name(devices: dict[str, PciDevice], address: str, text: str) -> None:
    """-v prints vendor and device after the address; the class is guessed for what can only be a GPU."""
    if not text or address not in devices:
        return
    ids = re.search(r"\[([0-9a-f]{4}):([0-9a-f]{4})\]", text)
    vendor = int(ids[1], 16) if ids else vendor_of(text)
    kind = devices[address].class_code
    if kind is None and _is_graphics(vendor, text, address):
        kind = 0x030000
    if kind is None and address.endswith(":00:1f.0"):
        kind = 0x060100
    name = re.sub(r"\s*\[[0-9a-f]{4}:[0-9a-f]{4}\]", "", text)
    devices[address] = replace(
        devices[address],
        name=name,
        vendor_id=vendor,
        device_id=int(ids[2], 16) if ids else None,
        class_code=kind,
    )


def _is_graphics(vendor: int | None, text: str, address: str) -> bool:
    if not address.endswith(".0") or re.search(r"audio|switch|usb|bridge|hdmi", text, re.I):
        return False
    if vendor == 0x10DE:
        return True
    return vendor == 0x1002 and bool(re.search(r"Navi|Vega|Radeon|Instinct|Arcturus|Aldebaran|Vanjaram", text))


def _cards(devices: dict[str, PciDevice]) -> tuple[Gpu, ...]:
    """Slots that hold exactly functions 0 and 1 of one device."""
    buses: dict[str, list[str]] = {}
    for address, device in devices.items():
        if device.parent is not None:
            buses.setdefault(address.rpartition(":")[0], []).append(address)
    first_functions = [
        sorted(group)[0]
        for group in buses.values()
        if [address[-4:] for address in sorted(group)] == ["00.0", "00.1"]
        and not any(devices[address].is_bridge for address in group)
    ]
    return tuple(Gpu(index, pci_address=address) for index, address in enumerate(sorted(first_functions)))


def _chipset(devices: dict[str, PciDevice], cards: set[str | None]) -> dict[str, PciDevice]:
    """Marks AMD's chipset switch, or Intel's ISA bridge, by shape."""
    marked = dict(devices)
    numbers = {address.rpartition(":")[2] for address in devices if address.startswith("0000:00:")}
    if "1f.0" in numbers and numbers & {"1f.2", "1f.3", "1f.4", "1f.5"}:
        marked["0000:00:1f.0"] = replace(marked["0000:00:1f.0"], class_code=0x060100)
    elif "18.0" in numbers or ({"00.2", "14.0"} <= numbers):
        for address in _chipset_switches(devices, cards):
            marked[address] = replace(marked[address], chipset=True)
    return marked


def _chipset_switches(devices: dict[str, PciDevice], cards: set[str | None]) -> list[str]:
    switch_functions: list[str] = []
    for address, device in devices.items():
        ports = [a for a, d in devices.items() if d.parent == address]
        above = devices.get(device.parent or "")
        if not device.is_bridge or above is None or above.parent is not None or len(ports) < _SWITCH_PORTS:
            continue
        onboard = {
            a
            for a, d in devices.items()
            if d.parent in ports and not d.is_bridge and a not in cards and f"{a[:-1]}0" not in cards
        }
        if all(devices[port].is_bridge for port in ports) and len({a[:-2] for a in onboard}) >= 2:
            switch_functions += [address, *ports]
    return switch_functions


def _assumptions(devices: dict[str, PciDevice], gpus: tuple[Gpu, ...]) -> list[Assumption]:
    assumptions = []
    if gpus:
        places = listed(gpu.pci_address or "?" for gpu in gpus)
        assumptions.append(
            Assumption(
                sentence("lspci-tree.graphics-cards", "graphics cards at {places}", places=places),
                sentence("lspci-tree.slots-just-functions", "slots with just functions 0 and 1"),
            )
        )
    marked = [address for address, device in sorted(devices.items()) if device.chipset]
    if marked:
        assumptions.append(
            Assumption(
                sentence("lspci-tree.amd-chipset-switch", "{marked} is the AMD chipset's switch", marked=marked[0]),
                sentence("lspci-tree.ports-lead-several", "its ports lead to several on-board devices"),
            )
        )
    return assumptions


READER = Reader(
    "lspci -tv",
    "lspci -tnnv",
    sentence("lspci-tree.text-shape-pci-tree", "the shape of the PCI tree"),
    ("-[",),
    recognises,
    parse,
    adds_up=True,
)
