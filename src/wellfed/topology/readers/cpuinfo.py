"""/proc/cpuinfo: packages, cores, model, flags; with the snapshot's own reader of that file."""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.hardware.machine import Machine, Origin, OsSettings, Socket
from wellfed.message import sentence
from wellfed.topology.cpu import isa, model_names, signature
from wellfed.topology.readers.reader import Reader, partial_machine
from wellfed.topology.snapshot import Snapshot, Tree


def recognises(text: str) -> bool:
    """Whether a processor's block stands in the text."""
    numbered = re.search(r"^processor\s*:\s*\d+\s*$", text, re.M)
    return bool(numbered and re.search(r"^(?:model name|cpu model|CPU part)\s*:", text, re.M))


def parse(text: str) -> Machine:
    """A package per `physical id`; threads and cores as each block says, for excerpts lack some."""
    tree = Tree(Snapshot("", Origin.DUMP, {"/proc/cpuinfo": text.encode()}))
    blocks = re.split(r"\n\s*\n", text)
    packages: dict[int, list[str]] = {}
    for block in blocks:
        package = re.search(r"^physical id\s*:\s*(\d{1,4})\s*$", block, re.M)
        if re.search(r"^processor\s*:", block, re.M) and package:
            packages.setdefault(int(package[1]), []).append(block)
    names, flags = model_names(tree), isa(tree)
    name = next(iter(names.values()), None)
    hypervisor = re.search(r"^flags\s*:[^\n]*\shypervisor\b", text, re.M)
    told_flags = re.search(r"^flags\s*:", text, re.M)
    return partial_machine(
        cpu_name=name,
        sockets=tuple(
            replace(_socket(index, packages[key], name, flags), signature=signature(tree))
            for index, key in enumerate(sorted(packages))
        ),
        os=OsSettings(virtualised=True if hypervisor else False if told_flags else None, family="linux"),
    )


def _socket(index: int, blocks: list[str], name: str | None, flags: frozenset[str]) -> Socket:
    cores = re.search(r"^cpu cores\s*:\s*(\d{1,4})\s*$", blocks[0], re.M)
    siblings = re.search(r"^siblings\s*:\s*(\d{1,4})\s*$", blocks[0], re.M)
    threads = int(siblings[1]) if siblings else None
    return Socket(index, name=name, cores=int(cores[1]) if cores else None, threads=threads, isa=flags)


READER = Reader(
    "/proc/cpuinfo",
    "cat /proc/cpuinfo",
    sentence("cpuinfo.text-cpu-model-packages", "CPU model, packages, cores"),
    ("processor",),
    recognises,
    parse,
)
