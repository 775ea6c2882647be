"""`numactl -H`: NUMA nodes, their CPUs, memory (MB = 2^20 bytes there) and distances."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Machine, NumaNode, Origin
from wellfed.message import sentence
from wellfed.topology.readers.reader import Reader
from wellfed.units import MIB


def recognises(text: str) -> bool:
    """`node 0 cpus: ...` or `node 0 size: ...` lines."""
    return bool(re.search(r"^node \d+ (?:cpus|size):", text, re.M))


def parse(text: str) -> Machine:
    """The NUMA nodes with CPUs, memory and distances."""
    cpus = {int(m[1]): _numbers(m[2]) for m in re.finditer(r"^node (\d+) cpus:(.*)$", text, re.M)}
    sizes = _megabytes(text, "size")
    free = _megabytes(text, "free")
    distances = _distances(text)
    nodes = sorted({*cpus, *sizes})
    return Machine(
        "",
        Origin.DUMP,
        numa_nodes=tuple(
            NumaNode(
                os_index=node,
                cpus=cpus.get(node, ()),
                memory_bytes=sizes.get(node),
                memory_free_bytes=free.get(node),
                distances=distances.get(node, {}),
            )
            for node in nodes
            if sizes.get(node) != 0 or cpus.get(node)
        ),
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split() if word.isdecimal() and len(word) < 7)


def _megabytes(text: str, kind: str) -> dict[int, int]:
    matches = re.finditer(rf"^node (\d+) {kind}:\s*(\d+) MB", text, re.M)
    return {int(match[1]): int(match[2]) * MIB for match in matches}


def _distances(text: str) -> dict[int, dict[int, int]]:
    """The matrix below `node distances:`; its header line names the columns."""
    distances: dict[int, dict[int, int]] = {}
    columns: tuple[int, ...] = ()
    for line in text.partition("node distances:")[2].splitlines():
        if re.match(r"^node(\s+\d+)+\s*$", line):
            columns = _numbers(line)
        match = re.match(r"^\s*(\d+):((?:\s+\d+)+)\s*$", line)
        if match and columns:
            values = _numbers(match[2])
            if len(values) == len(columns):
                distances[int(match[1])] = dict(zip(columns, values, strict=True))
    return distances


READER = Reader(
    "numactl -H",
    "numactl -H",
    sentence("numactl.text-numa-nodes-memory", "NUMA nodes with memory and distances"),
    ("node ",),
    recognises,
    parse,
)
