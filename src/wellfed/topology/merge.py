"""One machine out of several partial ones: what an earlier part knows, a later one does not overwrite."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import MISSING, fields, replace
from typing import TypeVar, cast

from wellfed.hardware.machine import Gpu, GpuLink, Machine

T = TypeVar("T")


def merge(parts: Sequence[Machine]) -> Machine:
    """Fields of all parts together; lists are joined by address, index or name."""
    first = parts[0]
    for part in parts[1:]:
        first = _join(first, part)
    return first


def _join(a: Machine, b: Machine) -> Machine:
    return replace(
        overlay(a, b),
        name=a.name or b.name,
        sockets=_keyed(a.sockets, b.sockets, lambda socket: socket.index),
        numa_nodes=_keyed(a.numa_nodes, b.numa_nodes, lambda node: node.os_index),
        gpus=join_gpus(a.gpus, b.gpus),
        gpu_links=_links(a.gpu_links, b.gpu_links),
        pci=_keyed(a.pci, b.pci, lambda device: device.address),
        nics=_keyed(a.nics, b.nics, lambda nic: nic.name),
        os=overlay(a.os, b.os),
        pci_complete=True if a.pci_complete or b.pci_complete else overlay(a, b).pci_complete,
        unknown={**b.unknown, **a.unknown},
        assumptions=tuple(dict.fromkeys((*a.assumptions, *b.assumptions))),
        peers=_keyed(a.peers, b.peers, lambda pair: (min(pair.a, pair.b), max(pair.a, pair.b))),
        disks=_keyed(a.disks, b.disks, lambda disk: (disk.name, disk.mount)),
        unsupported=a.unsupported | b.unsupported,
        kinds_read=tuple(dict.fromkeys((*a.kinds_read, *b.kinds_read))),
    )


def overlay(a: T, b: T) -> T:
    """`a` with every field that is still at its default taken from `b`."""
    filled = {}
    for field in fields(cast("type", type(a))):
        default = field.default if field.default is not MISSING else None
        if field.default_factory is not MISSING:
            default = field.default_factory()
        if getattr(a, field.name) == default and getattr(b, field.name) != default:
            filled[field.name] = getattr(b, field.name)
    return replace(a, **filled) if filled else a  # type: ignore[type-var]


def _keyed(a: Iterable[T], b: Iterable[T], key: Callable[[T], Hashable]) -> tuple[T, ...]:
    joined: dict[Hashable, T] = {key(item): item for item in a}
    for item in b:
        joined[key(item)] = overlay(joined[key(item)], item) if key(item) in joined else item
    return tuple(joined.values())


def _links(a: tuple[GpuLink, ...], b: tuple[GpuLink, ...]) -> tuple[GpuLink, ...]:
    """Links keyed by their ends and kind."""
    return _keyed(a, b, lambda link: (min(link.a, link.b), max(link.a, link.b), link.kind))


def join_gpus(a: tuple[Gpu, ...], b: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """GPUs matched by PCI address, else by index where one side shows no address."""
    joined = list(a)
    for gpu in b:
        at = _match(joined, gpu)
        if at is None:
            indices = {present.index for present in joined}
            index = gpu.index if gpu.index not in indices else max(indices) + 1
            joined.append(replace(gpu, index=index))
        else:
            joined[at] = overlay(joined[at], gpu)
    return tuple(sorted(joined, key=lambda gpu: gpu.index))


def _match(gpus: list[Gpu], gpu: Gpu) -> int | None:
    for at, candidate in enumerate(gpus):
        if gpu.pci_address and candidate.pci_address:
            if gpu.pci_address == candidate.pci_address:
                return at
        elif candidate.index == gpu.index:
            return at
    return None
