"""A parts list put together: sockets, NUMA nodes, slots and links, with every assumption on record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from wellfed.catalog.hardware import cpu as cpu_named
from wellfed.catalog.hardware import find_gpu, gpus
from wellfed.catalog.tables import table
from wellfed.errors import BadInput
from wellfed.frozen import replace
from wellfed.hardware.machine import Gpu, Machine, Nic, Origin, Socket
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.message import listed, sentence
from wellfed.provenance import Assumption
from wellfed.units import GIB
from wellfed.written.describe import describe
from wellfed.written.links import gpu_links, peer_access
from wellfed.written.memory import sockets_with_memory
from wellfed.written.numa import hardware_threads, node_of, numa_nodes
from wellfed.written.parts_list import DESKTOP_CARD_BYTES, Card, PartsList
from wellfed.written.slots import Slot, negotiated, pci_tree, place
from wellfed.written.unnamed import stand_in


def build(parts: PartsList) -> Machine:
    """The machine of a parts list. Raises BadInput where the parts do not go together."""
    parts = _with_unified_memory(parts)
    hosted = _hosted(parts)
    if isinstance(hosted, BadInput):
        raise hosted
    return hosted


def _hosted(parts: PartsList) -> Machine | BadInput:
    """The machine in the first host that takes its cards and memory; where none does, why the first one does not."""
    refusal: BadInput | None = None
    for cpu, count, notes in _cpus(parts):
        try:
            return _assembled(parts, cpu, count, notes)
        except BadInput as error:
            refusal = refusal or error
    return refusal or BadInput(
        sentence("written.build.no-host-known", "no host is known for these parts"),
        sentence("written.build.name-cpu", "name a CPU"),
    )


def _assembled(parts: PartsList, cpu: CpuSpec, count: int, notes: tuple[Assumption, ...]) -> Machine:
    sockets, new_notes = sockets_with_memory(cpu, count, parts.memory, _soldered_bytes(parts, cpu))
    notes = (*parts.assumptions, *notes, *new_notes)
    parts = _with_host_memory(parts, sockets)
    slots, new_notes = place(parts.cards, cpu, count)
    notes = (*notes, *new_notes)
    nodes = numa_nodes(sockets, parts.nodes_per_socket, cpu)
    homes = [node_of(index, slot.socket, [s.socket for s in slots], nodes) for index, slot in enumerate(slots)]
    pci, addresses = pci_tree(parts.cards, slots, cpu, homes)
    places = enumerate(zip(parts.cards, slots, homes, addresses, strict=True))
    gpus = tuple(_gpu(index, card, slot, home, address) for index, (card, slot, home, address) in places)
    rate, new_notes = _network(parts)
    links = gpu_links(parts)
    sizes = [socket.memory_bytes for socket in sockets]
    return Machine(
        name=describe(parts, sockets, rate),
        origin=Origin.PARTS,
        sockets=tuple(
            replace(socket, numa_nodes=tuple(node.os_index for node in nodes if node.socket == socket.index))
            for socket in sockets
        ),
        numa_nodes=nodes,
        gpus=gpus,
        gpu_links=links,
        peers=peer_access(parts, links),
        pci=pci,
        disks=parts.disks,
        nics=(Nic("network", numa_node=nodes[0].os_index, bytes_per_s=rate),) if rate else (),
        memory_bytes=sum(size for size in sizes if size) if all(size is not None for size in sizes) else None,
        count=parts.count,
        network_bytes_per_s=rate,
        power_supply_w=parts.power_supply_w,
        price=parts.price,
        assumptions=tuple(dict.fromkeys((*notes, *new_notes))),
        cpus=hardware_threads(sockets, nodes),
        dimms=tuple(dimm for socket in sockets for dimm in socket.dimms),
        pci_complete=False if pci else None,
    )


def _gpu(index: int, card: Card, slot: Slot, home: int | None, address: str | None) -> Gpu:
    return Gpu(
        index=index,
        spec=card.spec,
        name=card.spec.name,
        memory_bytes=card.spec.memory_bytes,
        pci_address=address,
        numa_node=home,
        socket=slot.socket,
        link=negotiated(card, slot),
        compute_units=card.spec.compute_units,
        power_limit_w=card.seat.power_limit_w,
        vendor=card.spec.vendor,
    )


def _unified(parts: PartsList) -> GpuSpec | None:
    return next((card.spec for card in parts.cards if card.spec.unified_memory), None)


def _with_unified_memory(parts: PartsList) -> PartsList:
    """A total named beside a part that shares its memory ("m3 max, 64GB") chooses the variant of that size."""
    unified = _unified(parts)
    if unified is None or unified.memory_of_host or parts.memory is None or parts.memory.total_gib is None:
        return parts
    if round(unified.memory_bytes / GIB) == parts.memory.total_gib:
        return replace(parts, memory=None, assumptions=_settled(parts, unified))
    total = f"{parts.memory.total_gib:g}GB"
    base = re.sub(r" \d+GB$", "", unified.name)
    variant = find_gpu(f"{base} {total}")
    if variant is None and _guessed(parts, unified):
        base = re.sub(r" \d+-core$", "", base)
        variant = find_gpu(f"{base} {total}")
    if variant is None:
        sold = [spec.name for spec in gpus() if spec.name.startswith(f"{base} ") or spec.name == base]
        raise BadInput(
            sentence(
                "written.build.no-gb", "no {base} with {total_gib:g} GB", base=base, total_gib=parts.memory.total_gib
            ),
            sentence("written.build.sold", "sold as {sold}", sold=listed(sold)),
        )
    cards = [replace(card, spec=variant.spec) if card.spec == unified else card for card in parts.cards]
    return replace(
        parts, cards=tuple(cards), memory=None, assumptions=(*_settled(parts, unified), *variant.assumptions)
    )


def _guessed(parts: PartsList, spec: GpuSpec) -> bool:
    """Whether the part was only one of several that its name could mean."""
    return any(note.reading and spec.name in note.text for note in parts.assumptions)


def _settled(parts: PartsList, spec: GpuSpec) -> tuple[Assumption, ...]:
    """The assumptions without the one that the memory has settled."""
    return tuple(note for note in parts.assumptions if not (note.reading and f"taken as {spec.name}" in note.text))


def _with_host_memory(parts: PartsList, sockets: Sequence[Socket]) -> PartsList:
    """Integrated graphics with the machine's own memory: as much and as fast as its modules are."""
    size = sum(socket.memory_bytes or 0 for socket in sockets)
    rate = sum(socket.memory_bandwidth_bytes_per_s or 0.0 for socket in sockets)
    cards = tuple(
        replace(card, spec=replace(card.spec, memory_bytes=size, memory_bandwidth_bytes_per_s=rate))
        if card.spec.memory_of_host and size and rate
        else card
        for card in parts.cards
    )
    return replace(parts, cards=cards)


def _cpus(parts: PartsList) -> Iterator[tuple[CpuSpec, int, tuple[Assumption, ...]]]:
    """CPU and sockets: stated, those that come with the GPU, one for an unknown CPU, or the usual hosts in order.

    Raises BadInput where the stated CPU is not the GPU's own.
    """
    superchip = next((card.spec for card in parts.cards if card.spec.cpu_id), None)
    if superchip is not None and superchip.cpu_id is not None:
        yield _own_cpu(parts, superchip, superchip.cpu_id)
    elif parts.cpu is not None:
        yield parts.cpu, parts.sockets, ()
    elif parts.unnamed_cpu is not None:
        part, note = stand_in(parts.unnamed_cpu, parts.sockets, parts.memory, len(parts.cards))
        yield part, parts.sockets, (note,)
    else:
        for name, count in usual_hosts([card.spec for card in parts.cards]):
            cpu = cpu_named(name)
            text = f"{count}x {cpu.name}" if count > 1 else cpu.name
            yield (
                cpu,
                count,
                (
                    Assumption(
                        text,
                        sentence("written.build.no-cpu-named", "no CPU was named: a usual host for these GPUs"),
                        reading=True,
                    ),
                ),
            )


def _own_cpu(parts: PartsList, superchip: GpuSpec, cpu_id: str) -> tuple[CpuSpec, int, tuple[Assumption, ...]]:
    included = cpu_named(cpu_id)
    if parts.cpu is not None and parts.cpu.id != included.id:
        inside = parts.cpu.graphics_id
        if not superchip.memory_of_host or parts.cpu.vendor != superchip.vendor or inside not in (None, superchip.id):
            raise BadInput(
                sentence(
                    "written.build.comes",
                    "{own} comes with {included}, not {cpu}",
                    own=superchip.name,
                    included=included.name,
                    cpu=parts.cpu.name,
                ),
                sentence("written.build.leave-cpu-out", "leave the CPU out"),
            )
        return parts.cpu, parts.sockets, ()
    notes: tuple[Assumption, ...] = ()
    if superchip.memory_of_host and parts.cpu is None:
        notes = (
            Assumption(
                included.name,
                sentence(
                    "written.build.comes-several-cpus",
                    "{own} comes with several CPUs; this one was taken",
                    own=superchip.name,
                ),
                reading=True,
            ),
        )
    chips = sum(1 for card in parts.cards if card.spec.cpu_id)
    per_cpu = 2 if superchip.id.startswith("gb") and superchip.form == "superchip" else 1
    return included, max(1, -(-chips // per_cpu)), notes


def usual_hosts(specs: Sequence[GpuSpec]) -> Iterator[tuple[str, int]]:
    """CPU and sockets of hosts that such cards are usually put into, the most usual first (catalogue: hosts.toml)."""
    first = specs[0] if specs else None
    large = any(spec.memory_type.startswith("HBM") or spec.memory_bytes > DESKTOP_CARD_BYTES for spec in specs)
    generation = max((spec.pcie_generation or 4 for spec in specs), default=5)
    for entry in table("hosts.toml")["usual"]:
        if first is not None and first.form not in entry.get("forms", ("pcie", "nvl", "mobile")):
            continue
        if first is not None and first.vendor not in entry.get("vendors", (first.vendor,)):
            continue
        if len(specs) > entry.get("most_gpus", len(specs)) or (large and entry.get("datacentre") is False):
            continue
        if generation >= entry.get("pcie_generation", 0):
            yield str(entry["cpu"]), int(entry["sockets"])


def _soldered_bytes(parts: PartsList, cpu: CpuSpec) -> int | None:
    """Memory that comes with the part: the GPU's own where it is shared, or what is soldered beside the CPU."""
    unified = _unified(parts)
    if unified is not None and not unified.memory_of_host:
        return unified.memory_bytes
    return cpu.soldered_memory_bytes


def _network(parts: PartsList) -> tuple[float | None, tuple[Assumption, ...]]:
    if parts.network_bytes_per_s is not None or parts.count == 1:
        return parts.network_bytes_per_s, ()
    built_in = next((card.spec for card in parts.cards if card.spec.network_bytes_per_s), None)
    if built_in is None:
        text = sentence("written.build.machines-unknown", "{count} machines with an unknown network", count=parts.count)
        return None, (
            Assumption(
                text,
                sentence("written.build.network-speed", "network speed unknown: no network= was given"),
                reading=True,
            ),
        )
    rate = built_in.network_bytes_per_s or 0.0
    return rate, (
        Assumption(
            sentence("written.build.gb-s-network", "{rate:g} Gb/s network", rate=rate * 8 / 1e9),
            sentence("written.build.built", "{built_in} has it built in", built_in=built_in.name),
        ),
    )
