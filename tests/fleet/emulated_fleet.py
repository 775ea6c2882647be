"""A fleet of machines that nobody owns: equal nodes of two sockets and eight GPUs, some with a fault put in.

`fleet(count, faults)` yields (label, snapshot); each fault is a change of the raw texts, as a broken node shows it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from machines_builder import Box, Pci, build, channel_slots, gpu, root_port
from wellfed.topology.collect import collect
from wellfed.topology.snapshot import Snapshot

_CHANNELS = "ABCDEFGH"


def _port(number: int, **facts: object) -> Pci:
    bus = 16 + 16 * number
    card = gpu(f"0000:{bus + 1:02x}:00.0", **{"now": (4, 16), "best": (4, 16), **facts})
    port = {"now": card.now} if "now" in facts else {}
    return root_port(f"0000:{bus:02x}:01.0", numa=number // 4, below=(card,), **port)


def healthy() -> Box:
    """Two sockets of 16 cores, eight memory channels each, four A100s on each."""
    return Box(
        2, 16, 2, 1, memory_gib=256, model="AMD EPYC 7313 16-Core Processor",
        flags="fpu avx avx2", pci=tuple(_port(n) for n in range(8)),
        slots=channel_slots(2, _CHANNELS, gib=32, mt_s=3200, rated=3200),
        files={"/sys/class/dmi/id/bios_version": "2.7\n", "/sys/class/dmi/id/bios_date": "03/05/2026\n"},
    )  # fmt: skip


def _with_card(number: int, **facts: object) -> Callable[[Box], Box]:
    def change(box: Box) -> Box:
        ports = list(box.pci)
        ports[number] = _port(number, **facts)
        return replace(box, pci=tuple(ports))

    return change


def _files(files: Mapping[str, str | None]) -> Callable[[Box], Box]:
    return lambda box: replace(box, files={**box.files, **files})


FAULTS: Mapping[str, Callable[[Box], Box]] = {
    "a slot that offers Gen3": lambda box: replace(
        box, pci=(*box.pci[:3], replace(_port(3, now=(3, 16)), best=(3, 16)), *box.pci[4:])
    ),
    "a link of eight lanes": _with_card(5, now=(4, 8)),
    "a card is gone": lambda box: replace(box, pci=box.pci[:6] + box.pci[7:]),
    "seven of eight channels": lambda box: replace(
        box, slots=tuple(replace(s, gib=0) if s.locator == "CPU1_DIMM_C1" else s for s in box.slots)
    ),
    "slow memory": lambda box: replace(
        box, slots=tuple(replace(s, mt_s=2400) if s.locator.startswith("CPU2") else s for s in box.slots)
    ),
    "powersave": lambda box: replace(box, governor="powersave"),
    "NUMA balancing": _files({"/proc/sys/kernel/numa_balancing": "1\n"}),
    "huge pages off": _files({"/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n"}),
    "CPUs offline": lambda box: replace(box, offline=frozenset({6, 7})),
    "another firmware": _files({"/sys/class/dmi/id/bios_version": "2.3\n"}),
}


_SENT: dict[str, Snapshot] = {}  # by the box as text: a tree of a thousand files is built once


def snapshot(box: Box) -> Snapshot:
    """What a node of that kind would send."""
    kind = repr(box)
    if kind not in _SENT:
        with tempfile.TemporaryDirectory() as folder:
            _SENT[kind] = collect(build(box, Path(folder) / "root"))
    return _SENT[kind]


def fleet(count: int, faults: Mapping[int, str]) -> Iterator[tuple[str, Snapshot]]:
    """`count` machines; `faults` says which number has which."""
    sound = snapshot(healthy())
    broken = {name: snapshot(FAULTS[name](healthy())) for name in set(faults.values())}
    for number in range(count):
        yield f"node-{number:04d}", broken[faults[number]] if number in faults else sound
