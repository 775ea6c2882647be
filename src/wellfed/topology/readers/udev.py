"""`udevadm info --export-db`: PCI functions with their path, ids and class (man 8 udevadm)."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Machine, Nic, Origin
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.topology.lists import integer
from wellfed.topology.pci import ADDRESS, normal_address
from wellfed.topology.readers.reader import Reader


def recognises(text: str) -> bool:
    """Blocks of `P: /devices/...` and `E: KEY=value`."""
    return bool(re.search(r"^P: /devices/", text, re.M) and re.search(r"^E: [A-Z_]+=", text, re.M))


def parse(text: str) -> Machine:
    """PCI functions and network interfaces."""
    devices: dict[str, PciDevice] = {}
    nics: list[Nic] = []
    for block in re.split(r"\n\s*\n", text):
        path, facts = _block(block)
        if "PCI_SLOT_NAME" in facts:
            device = _device(path, facts)
            devices[device.address] = device
        elif "INTERFACE" in facts and "/virtual/" not in path and facts["INTERFACE"] != "lo":
            nics.append(Nic(facts["INTERFACE"], _last_address(path)))
    return Machine(
        "",
        Origin.DUMP,
        pci=tuple(sorted(devices.values(), key=lambda device: device.address)),
        nics=tuple(nics),
        unknown={
            "pci.link": sentence("udev.udev-database-link", "udev's database has no link speeds"),
            "pci.numa_node": sentence("udev.udev-database-none", "udev's database has none"),
        },
        pci_complete=True if devices else None,
    )


def _block(block: str) -> tuple[str, dict[str, str]]:
    path = ""
    facts: dict[str, str] = {}
    for line in block.splitlines():
        if line.startswith("P: "):
            path = line[3:].strip()
        match = re.match(r"E:\s*([A-Z0-9_]+)=(.*)", line)
        if match:
            facts.setdefault(match[1], match[2].strip())
    return path, facts


def _device(path: str, facts: dict[str, str]) -> PciDevice:
    vendor, _, device = facts.get("PCI_ID", "").partition(":")
    above = _last_address(path.rpartition("/")[0])
    return PciDevice(
        address=normal_address(facts["PCI_SLOT_NAME"]),
        vendor_id=integer(vendor, 16),
        device_id=integer(device, 16),
        class_code=integer(facts.get("PCI_CLASS"), 16),
        name=facts.get("ID_MODEL_FROM_DATABASE"),
        parent=above,
        driver=facts.get("DRIVER"),
    )


def _last_address(path: str) -> str | None:
    addresses = [name for name in path.split("/") if ADDRESS.fullmatch(name)]
    return normal_address(addresses[-1]) if addresses else None


READER = Reader(
    "udevadm",
    "udevadm info --export-db",
    sentence("udev.text-pci-functions-ids", "PCI functions with ids and drivers"),
    ("P: /devices/",),
    recognises,
    parse,
)
