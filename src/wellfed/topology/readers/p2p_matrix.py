"""`nvidia-smi topo -p2p r` (also w, n, a, p): for every pair of cards whether one may reach the other's memory.

Codes as in the tool's legend: OK; CNS chipset, GNS GPU, TNS topology not supported; NS not supported; DR disabled by
a registry key; U unknown.
"""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine, PeerAccess
from wellfed.message import sentence
from wellfed.topology.readers.reader import Reader, partial_machine

WORDS = {
    "CNS": sentence("p2p-matrix.chipset-supported", "chipset not supported"),
    "GNS": sentence("p2p-matrix.gpu-supported", "GPU not supported"),
    "TNS": sentence("p2p-matrix.topology-supported", "topology not supported"),
    "NS": "not supported",
    "DR": sentence("p2p-matrix.disabled-driver", "disabled by the driver's settings"),
}
_ROW = re.compile(r"^\s*GPU(\d{1,3})((?:\s+(?:X|OK|CNS|GNS|TNS|NS|DR|U))+)\s*$", re.M)


def recognises(text: str) -> bool:
    """A row of such codes with at least one that is not the card itself."""
    return any(set(match[2].split()) - {"X"} for match in _ROW.finditer(text))


def parse(text: str) -> Machine:
    """Pairs of cards. Only the first matrix counts: of reading, as it is what engines need."""
    rows: dict[int, list[str]] = {}
    for match in _ROW.finditer(text):
        if int(match[1]) in rows:
            break
        rows[int(match[1])] = match[2].split()
    order = sorted(rows)
    peers = [
        PeerAccess(a, b, code == "OK", WORDS.get(code))
        for i, a in enumerate(order)
        for b, code in zip(order, rows[a], strict=False)
        if b in order[i + 1 :] and code in ("OK", *WORDS)
    ]
    gpus = tuple(Gpu(index, vendor="nvidia") for index in order)
    return partial_machine(gpus=gpus, peers=tuple(peers), pci_complete=False)


READER = Reader(
    "nvidia-smi topo -p2p",
    "nvidia-smi topo -p2p r",
    sentence("p2p-matrix.text-which-pairs-gpus", "which pairs of GPUs may copy to each other directly"),
    ("GPU0", "GPU1"),
    recognises,
    parse,
)
