"""NUMA nodes from /sys/devices/system/node, with hwloc's rules for what counts as a node.

A node without memory stays only where every node with memory has CPUs; the CPUs of a memory-only node are those of
its initiators (`accessN/initiators`), else of the nearest node that has some. A GPU's own memory node is left out of
the machine's memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from wellfed.frozen import dataclass
from wellfed.topology.lists import cpu_list, cpu_mask, integer, kib
from wellfed.topology.snapshot import Tree

NODE = "/sys/devices/system/node"


@dataclass(frozen=True, slots=True)
class Node:
    """One NUMA node as the kernel shows it; `memory_bytes` None = not readable."""

    os_index: int
    cpus: tuple[int, ...]
    memory_bytes: int | None
    free_bytes: int | None
    distances: Mapping[int, int] = field(default_factory=dict)
    huge_pages: Mapping[int, int] = field(default_factory=dict)  # page bytes -> count
    huge_pages_free: Mapping[int, int] = field(default_factory=dict)
    gpu_memory: bool = False


def read_nodes(tree: Tree, online: tuple[int, ...]) -> tuple[Node, ...]:
    """All nodes that hold CPUs or memory; one synthetic node where the kernel has none but tells its memory."""
    listed = cpu_list(tree.text(f"{NODE}/online"))
    names = (name for name in tree.names(NODE) if re.fullmatch(r"node\d{1,5}", name))
    numbers = tuple(sorted(int(name[4:]) for name in names))
    numbers = tuple(n for n in numbers if not listed or n in listed)
    if not numbers:
        return _only_node(tree, online)
    gpus = _gpu_nodes(tree)
    nodes = tuple(_read(tree, number, numbers, number in gpus) for number in numbers)
    return _with_localities(tree, _usable_nodes(nodes))


def _only_node(tree: Tree, online: tuple[int, ...]) -> tuple[Node, ...]:
    total = meminfo(tree).get("MemTotal")
    if total is None and not online:
        return ()
    return (Node(0, online, total, meminfo(tree).get("MemFree")),)


def _read(tree: Tree, number: int, numbers: tuple[int, ...], gpu_memory: bool) -> Node:
    base = f"{NODE}/node{number}"
    cpus = cpu_mask(tree.text(f"{base}/cpumap"))
    if cpus is None:
        cpus = cpu_list(tree.text(f"{base}/cpulist"))
    values = [integer(word) for word in (tree.text(f"{base}/distance") or "").split()]
    pairs = zip(numbers, values, strict=False) if len(values) == len(numbers) else ()
    memory = node_meminfo(tree, number)
    return Node(
        number,
        cpus or (),
        memory.get("MemTotal"),
        memory.get("MemFree"),
        {to: value for to, value in pairs if value is not None},
        huge_page_counts(tree, base, "nr_hugepages"),
        huge_page_counts(tree, base, "free_hugepages"),
        gpu_memory,
    )


def _usable_nodes(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Without empty nodes, and without nodes that claim an earlier node's CPUs (a firmware error)."""
    some_without_cpus = any(node.memory_bytes and not node.cpus and not node.gpu_memory for node in nodes)
    claimed_cpus: set[int] = set()
    kept_nodes = []
    for node in nodes:
        empty = node.memory_bytes == 0 and (not node.cpus or some_without_cpus)
        if not empty and claimed_cpus.isdisjoint(node.cpus):
            kept_nodes.append(node)
            claimed_cpus.update(node.cpus)
    return tuple(kept_nodes)


def _with_localities(tree: Tree, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Give memory-only nodes the CPUs they are meant for."""
    return tuple(node if node.cpus else _placed(tree, node) for node in nodes)


def _placed(tree: Tree, node: Node) -> Node:
    cpus: set[int] = set()
    for access in ("access1", "access0"):
        for name in tree.names(f"{NODE}/node{node.os_index}/{access}/initiators"):
            if name.startswith("node"):
                cpus.update(cpu_mask(tree.text(f"{NODE}/{name}/cpumap")) or ())
        if cpus:
            break
    if not cpus:
        cpus.update(_nearest(tree, node))
    return Node(
        node.os_index,
        tuple(sorted(cpus)),
        node.memory_bytes,
        node.free_bytes,
        node.distances,
        node.huge_pages,
        node.huge_pages_free,
        node.gpu_memory,
    )


def _nearest(tree: Tree, node: Node) -> set[int]:
    places = {neighbour: cpu_mask(tree.text(f"{NODE}/node{neighbour}/cpumap")) or () for neighbour in node.distances}
    with_cpus = {neighbour: cpus for neighbour, cpus in places.items() if cpus}
    least = min((node.distances[neighbour] for neighbour in with_cpus), default=None)
    nearest: set[int] = set()
    for neighbour, cpus in with_cpus.items():
        if node.distances[neighbour] == least:
            nearest.update(cpus)
    everyone = {cpu for cpus in with_cpus.values() for cpu in cpus}
    return set() if nearest == everyone else nearest  # equally near to all is near to none


def _gpu_nodes(tree: Tree) -> frozenset[int]:
    """NUMA nodes that are an NVIDIA GPU's own memory, as the driver's numa_status files tell."""
    numbers = set()
    base = "/proc/driver/nvidia/gpus"
    for gpu in tree.names(base):
        match = re.search(r"^Node:\s*(\d+)", tree.text(f"{base}/{gpu}/numa_status") or "", re.MULTILINE)
        if match:
            numbers.add(int(match[1]))
    return frozenset(numbers)


def meminfo(tree: Tree) -> dict[str, int]:
    """/proc/meminfo in bytes (page counts as they are)."""
    return _sizes(tree.text("/proc/meminfo"))


def node_meminfo(tree: Tree, number: int) -> dict[str, int]:
    """A node's meminfo in bytes."""
    text = tree.text(f"{NODE}/node{number}/meminfo")
    return _sizes(re.sub(r"^\s*Node \d+ ", "", text or "", flags=re.MULTILINE))


def _sizes(text: str | None) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for match in re.finditer(r"^\s*([A-Za-z_()0-9]+):\s*(\d{1,19})(?: kB)?\s*$", text or "", re.MULTILINE):
        scale = 1024 if match[0].rstrip().endswith("kB") else 1
        sizes.setdefault(match[1], int(match[2]) * scale)
    return sizes


def huge_page_counts(tree: Tree, base: str, file: str) -> dict[int, int]:
    """Page bytes -> count below `base`/hugepages."""
    count_of_size: dict[int, int] = {}
    for name in tree.names(f"{base}/hugepages"):
        size = kib(name.removeprefix("hugepages-"))
        count = integer(tree.text(f"{base}/hugepages/{name}/{file}"))
        if size and count is not None:
            count_of_size[size] = count
    return count_of_size
