"""Hosts that GPUs are commonly put into, for designing whole machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from wellfed.catalog.hardware import cpu
from wellfed.catalog.tables import table
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.units import GIB
from wellfed.written.build import build
from wellfed.written.links import gpu_links
from wellfed.written.parts_list import Card, Modules, PartsList
from wellfed.written.slots import negotiated, place


@dataclass(frozen=True, slots=True)
class Host:
    """A CPU platform. `forms` limits the GPUs that go with it; empty: PCIe cards."""

    id: str
    title: str
    cpu: CpuSpec
    sockets: int
    most_gpus: int
    module_gib: tuple[int, ...]
    forms: tuple[str, ...] = ()

    def takes(self, gpu: GpuSpec, count: int) -> bool:
        """Whether `count` of these GPUs go into it."""
        forms = self.forms or ("pcie", "nvl")
        return gpu.form in forms and count <= self.most_gpus

    def memory_bytes(self, module_gib: int) -> int:
        """RAM with one module per channel."""
        return self.sockets * self.cpu.memory_channels * module_gib * GIB


@lru_cache(maxsize=1)
def hosts() -> Sequence[Host]:
    """Every host of the catalogue, in its order."""
    return tuple(
        Host(
            identity,
            entry["title"],
            cpu(entry["cpu"]),
            entry["sockets"],
            entry["most_gpus"],
            tuple(entry["module_gib"]),
            tuple(entry.get("forms", ())),
        )
        for identity, entry in table("hosts.toml")["hosts"].items()
    )


def hosted(host: Host, gpu: GpuSpec | None, count: int, module_gib: int) -> Machine:
    """The host with `count` GPUs and one module per channel; no PCI tree, since thousands of these are compared.

    Raises BadInput where they do not go together.
    """
    empty = _empty(host, module_gib)
    if gpu is None or count == 0:
        return empty
    cards = tuple(Card(gpu) for _ in range(count))
    slots, assumptions = place(cards, host.cpu, host.sockets)
    nodes = {node.socket: node.os_index for node in empty.numa_nodes}
    gpus = tuple(
        Gpu(
            index=index,
            spec=gpu,
            name=gpu.name,
            memory_bytes=gpu.memory_bytes,
            numa_node=nodes.get(slot.socket),
            socket=slot.socket,
            link=negotiated(card, slot),
            compute_units=gpu.compute_units,
            vendor=gpu.vendor,
        )
        for index, (card, slot) in enumerate(zip(cards, slots, strict=True))
    )
    return replace(
        empty,
        name=f"{count}x {gpu.name}, {host.title}",
        gpus=gpus,
        gpu_links=gpu_links(PartsList(cards=cards)),
        assumptions=(*empty.assumptions, *assumptions),
    )


@lru_cache(maxsize=64)
def _empty(host: Host, module_gib: int) -> Machine:
    channels = host.sockets * host.cpu.memory_channels
    memory = Modules(count=channels, module_gib=module_gib)
    built = build(PartsList(cpu=host.cpu, sockets=host.sockets, memory=memory))
    return replace(built, name=host.title)


def own_machine(gpu: GpuSpec, count: int = 1) -> Machine:
    """A machine that comes whole: a superchip's or a SoC's."""
    return build(PartsList(cards=tuple(Card(gpu) for _ in range(count))))
