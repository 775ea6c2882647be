"""A machine with some of its GPUs, and which of them belong together."""

from __future__ import annotations

from collections.abc import Sequence

from wellfed.frozen import replace
from wellfed.hardware.machine import Gpu, GpuLink, Machine


def selected(machine: Machine, positions: Sequence[int]) -> Machine:
    """The machine with the GPUs at these positions, in this order; links between them are renumbered to it."""
    place = {position: number for number, position in enumerate(positions)}
    links = tuple(
        replace(link, a=place[link.a], b=place[link.b])
        for link in machine.gpu_links
        if link.a in place and link.b in place
    )
    return replace(machine, gpus=tuple(machine.gpus[position] for position in positions), gpu_links=links)


def alike(machine: Machine) -> bool:
    """Whether all GPUs are of one kind and size."""
    return len({kind(gpu) for gpu in machine.gpus}) < 2


def kind(gpu: Gpu) -> tuple[object, int | None]:
    """What a GPU is: data sheet and memory."""
    return (gpu.spec.id if gpu.spec else gpu.name), gpu.memory_bytes


def equal_groups(machine: Machine) -> tuple[tuple[int, ...], ...]:
    """Positions of GPUs that are alike, the group of the first GPU first; inside a group by islands."""
    groups: dict[object, list[int]] = {}
    for position, gpu in enumerate(machine.gpus):
        groups.setdefault(kind(gpu), []).append(position)
    return tuple(by_islands(machine, group) for group in groups.values())


def by_islands(machine: Machine, positions: Sequence[int]) -> tuple[int, ...]:
    """The positions with those that direct links join beside each other (NVLink bridges, hives): the larger islands
    first, else in their order.
    """
    islands = _islands(machine.gpu_links, positions)
    return tuple(position for island in sorted(islands, key=lambda i: (-len(i), i[0])) for position in island)


def _islands(links: Sequence[GpuLink], positions: Sequence[int]) -> list[list[int]]:
    root = {position: position for position in positions}

    def find(position: int) -> int:
        while root[position] != position:
            position = root[position]
        return position

    for link in links:
        if link.kind != "p2p" and link.active and link.a in root and link.b in root:
            low, high = sorted((find(link.a), find(link.b)))
            root[high] = low
    islands: dict[int, list[int]] = {}
    for position in positions:
        islands.setdefault(find(position), []).append(position)
    return list(islands.values())
