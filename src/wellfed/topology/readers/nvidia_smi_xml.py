"""`nvidia-smi -q -x`."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from wellfed.hardware.machine import Machine, Origin, OsSettings
from wellfed.message import sentence
from wellfed.topology.readers.numbers import not_na
from wellfed.topology.readers.reader import Reader
from wellfed.topology.readers.smi_fields import address_of, gpu_of, key_of, pci_of
from wellfed.topology.readers.xml import parse_xml


def recognises(text: str) -> bool:
    """Whether the text has nvidia-smi's root element."""
    return "<nvidia_smi_log" in text[:4000]


def parse(text: str) -> Machine:
    """All GPUs of the log. Raises BadInput on broken XML."""
    root = parse_xml(text, "nvidia_smi_log")
    driver = not_na(root.findtext("driver_version"))
    gpus, devices = [], []
    for index, element in enumerate(root.findall("gpu")):
        fields = _flat(element)
        address = address_of(fields.get("pci/pci_bus_id")) or address_of(element.get("id"))
        gpus.append(gpu_of(index, address, fields, driver))
        if address:
            devices.append(pci_of(address, fields))
    return Machine(
        "", Origin.DUMP, gpus=tuple(gpus), pci=tuple(devices), os=OsSettings(nvidia_driver=driver), pci_complete=False
    )


def _flat(element: Element, prefix: str = "") -> dict[str, str]:
    values: dict[str, str] = {}
    for child in element:
        key = f"{prefix}{key_of(child.tag)}"
        if len(child):
            values.update(_flat(child, f"{key}/"))
        elif child.text is not None:
            values.setdefault(key, re.sub(r"\s+", " ", child.text).strip())
    if not prefix:
        processes = element.find("processes")
        if (processes is not None and not_na(processes.text) is not None) or (processes is not None and len(processes)):
            values["process_count"] = str(len(processes.findall("process_info")))
    return values


READER = Reader(
    "nvidia-smi -q -x",
    "nvidia-smi -q -x",
    sentence(
        "nvidia-smi-xml.text-all-driver-knows",
        "all that the driver knows of each GPU: link, memory, errors, clocks, limits",
    ),
    ("<nvidia_smi_log",),
    recognises,
    parse,
)
