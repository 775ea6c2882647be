"""`nvidia-smi -q` as text: indented `Title : value` lines, one block per GPU."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Machine, Origin, OsSettings
from wellfed.message import sentence
from wellfed.topology.readers.numbers import not_na
from wellfed.topology.readers.reader import Reader
from wellfed.topology.readers.smi_fields import address_of, gpu_of, key_of, pci_of

_GPU = re.compile(r"^GPU ([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\d)\s*$", re.M)


def recognises(text: str) -> bool:
    """The log's banner, or a GPU block with indented fields."""
    return "NVSMI LOG" in text or bool(_GPU.search(text) and re.search(r"^ +Product Name\s+:", text, re.M))


def parse(text: str) -> Machine:
    """All GPUs of the log."""
    marks = list(_GPU.finditer(text))
    match = re.search(r"^Driver Version\s*:\s*(\S+)", text, re.M)
    driver = not_na(match[1]) if match else None
    gpus, devices = [], []
    for index, mark in enumerate(marks):
        end = marks[index + 1].start() if index + 1 < len(marks) else len(text)
        fields = _fields(text[mark.end() : end])
        address = address_of(mark[1])
        gpus.append(gpu_of(index, address, fields, driver))
        if address:
            devices.append(pci_of(address, fields))
    attached = re.search(r"^Attached GPUs\s*:\s*(\d{1,3})\s*$", text, re.M)
    return Machine(
        "",
        Origin.DUMP,
        gpus=tuple(gpus),
        pci=tuple(devices),
        os=OsSettings(nvidia_driver=driver),
        pci_complete=False,
        unknown=_cut(len(gpus), int(attached[1]) if attached else 0),
    )


def _cut(shown: int, attached: int) -> dict[str, str]:
    """GPUs that are there and are not shown (`-i 0`, or a paste that ends early)."""
    if shown >= attached:
        return {}
    text = sentence("nvidia-smi-text.cut", "{shown} of {attached} GPUs are shown", shown=shown, attached=attached)
    return {"gpus.cut": text}


def _fields(block: str) -> dict[str, str]:
    """Path -> value; the indentation tells the path."""
    values: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    processes = 0
    for line in block.splitlines():
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        while stack and stack[-1][0] >= depth:
            stack.pop()
        title, colon, value = line.partition(" : ")
        processes += title.strip() == "Process ID"
        path = "/".join([*(name for _, name in stack), key_of(title)])
        if colon:
            values.setdefault(path, value.strip())
        stack.append((depth, key_of(title)))
    if processes or values.get("processes"):
        values["process_count"] = str(processes)
    return values


READER = Reader(
    "nvidia-smi -q",
    "nvidia-smi -q",
    sentence(
        "nvidia-smi-text.text-all-driver-knows",
        "all that the driver knows of each GPU: link, memory, errors, clocks, limits",
    ),
    ("NVSMI LOG", "Product Name"),
    recognises,
    parse,
)
