"""`hugepages`: are reserved huge pages in use, and on every node?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, passed, skip, warn
from wellfed.checks.places import cpu_nodes
from wellfed.faults.memory import RESERVE_PAGES
from wellfed.faults.steps import at
from wellfed.hardware.machine import Machine
from wellfed.message import listed, sentence
from wellfed.nouns.finding import Finding, Remedy, Verdict
from wellfed.units import format_bytes

IDLE_SHARE = 0.1  # of RAM, reserved and free: nobody else can have it


def reserved_bytes(pages: Mapping[int, Mapping[int, int]]) -> dict[int, int]:
    """Node -> bytes in huge pages."""
    return {node: sum(size * count for size, count in sizes.items()) for node, sizes in pages.items()}


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    if not machine.os.huge_pages:
        return [missing(machine, sentence("check.hugepages.huge-pages", "huge pages"), "os.huge_pages")]
    reserved = reserved_bytes(machine.os.huge_pages)
    total = sum(reserved.values())
    if total == 0:
        return [
            skip(
                sentence("check.hugepages.none-reserved-needed", "none reserved; needed only by a plan with huge pages")
            )
        ]
    finding = _idle(machine, total) or _missing_on_a_node(machine, reserved, total)
    why = sentence("check.hugepages.huge-pages-reserved", "huge pages are reserved and used")
    return [finding or passed(SYSTEM, why, format_bytes(total))]


def _idle(machine: Machine, total: int) -> Finding | None:
    """Pages that nobody uses, where they are a good part of RAM."""
    free = sum(reserved_bytes(machine.os.huge_pages_free).values())
    if not machine.memory_bytes or free <= machine.memory_bytes * IDLE_SHARE:
        return None
    why = sentence(
        "check.hugepages.memory-reserved-huge",
        "memory is reserved in huge pages that nobody uses, and nothing else can have it",
    )
    measured = sentence(
        "check.hugepages.free", "{free} free of {total}", free=format_bytes(free), total=format_bytes(total)
    )
    wanted = sentence("check.hugepages.much-plan-asks", "as much as the plan asks for")
    return warn(SYSTEM, why, measured, wanted, _release(machine))


def _missing_on_a_node(machine: Machine, reserved: Mapping[int, int], total: int) -> Finding | None:
    """Pages on some nodes only: threads of the others read across the sockets."""
    empty = [node for node in cpu_nodes(machine) if not reserved.get(node)]
    if len(cpu_nodes(machine)) < 2 or not empty:
        return None
    why = sentence(
        "check.hugepages.no-huge-pages",
        "no huge pages on node {empty}: threads there use another node's",
        empty=listed(empty),
    )
    wanted = sentence("check.hugepages.same-every-node", "the same on every node")
    return warn(SYSTEM, why, format_bytes(total), wanted, _spread(machine))


def _release(machine: Machine) -> list[Remedy]:
    return [
        at(RESERVE_PAGES, count=machine.os.huge_pages[node].get(size, 0) - count, file=_file(node, size))
        for node, sizes in sorted(machine.os.huge_pages_free.items())
        for size, count in sorted(sizes.items())
        if count and node in machine.os.huge_pages
    ]


def _spread(machine: Machine) -> list[Remedy]:
    nodes = cpu_nodes(machine)
    sizes = {size for pages in machine.os.huge_pages.values() for size, count in pages.items() if count}
    return [
        at(RESERVE_PAGES, count=_pages_per_node(machine, size), file=_file(node, size))
        for size in sorted(sizes)
        for node in sorted(nodes)
    ]


def _pages_per_node(machine: Machine, size: int) -> int:
    total = sum(pages.get(size, 0) for pages in machine.os.huge_pages.values())
    return -(-total // max(1, len(cpu_nodes(machine))))


def _file(node: int, size: int) -> str:
    return f"/sys/devices/system/node/node{node}/hugepages/hugepages-{size // 1024}kB/nr_hugepages"


def repair(machine: Machine) -> Machine:
    """Unused pages given back; the rest spread over the nodes."""
    finding = next(iter(judge(machine)))
    if finding.verdict is not Verdict.WARN:
        return machine
    free = machine.os.huge_pages_free
    used = {
        node: {size: count - free.get(node, {}).get(size, 0) for size, count in sizes.items()}
        for node, sizes in machine.os.huge_pages.items()
    }
    given_back = sum(reserved_bytes(free).values())
    if sum(reserved_bytes(used).values()):
        sizes = {size for pages in used.values() for size in pages}
        in_use = replace(machine, os=replace(machine.os, huge_pages=used))
        used = {node: {size: _pages_per_node(in_use, size) for size in sizes} for node in cpu_nodes(machine)}
    now = machine.os.memory_free_bytes
    settings = replace(
        machine.os,
        huge_pages=used,
        huge_pages_free={node: dict.fromkeys(sizes, 0) for node, sizes in used.items()},
        memory_free_bytes=None if now is None else now + given_back,
    )
    return replace(machine, os=settings)


CHECK = Check(
    id="hugepages",
    code="MEM-06",
    title=sentence("check.hugepages.title", "Reserved huge pages are used, and there are some on every node"),
    severity=Verdict.WARN,
    reads="/sys/devices/system/node/node*/hugepages/*/nr_hugepages and free_hugepages",
    rule=sentence(
        "check.hugepages.rule",
        "More than {idle_share:.0%} of RAM reserved and free warns; so does a node without any "
        "while others have some. None reserved: skip, no engine needs them unless its plan says "
        "so.",
        idle_share=IDLE_SHARE,
    ),
    judge=judge,
    ask=("grep . /sys/devices/system/node/node*/hugepages/*/nr_hugepages",),
    refs=("https://docs.kernel.org/admin-guide/mm/hugetlbpage.html",),
    repair=repair,
)
