"""A parts list put together: sockets, NUMA nodes, slots and links, with every assumption on record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wellfed.catalog.hardware import cpu as cpu_named
from wellfed.catalog.hardware import find_gpu, gpus
from wellfed.catalog.machine_describe import describe
from wellfed.catalog.machine_line import PartsList
from wellfed.catalog.machine_links import gpu_links
from wellfed.catalog.machine_memory import sockets_with_memory
from wellfed.catalog.machine_numa import hardware_threads, node_of, numa_nodes
from wellfed.catalog.machine_slots import negotiated, pci_tree, place
from wellfed.errors import BadInput
from wellfed.hardware.machine import Gpu, Machine, Nic, Origin
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.provenance import Assumption

_UNIFIED_NETWORK_BYTES_PER_S = {"gb10": 25e9}  # DGX Spark: ConnectX-7, 200 Gb/s


def build(parts: PartsList) -> Machine:
    """The machine of a parts list. Raises BadInput where the parts do not go together."""
    parts = _with_unified_memory(parts)
    cpu, count, notes = _cpu(parts)
    sockets, told = sockets_with_memory(cpu, count, parts.memory, _soldered_bytes(parts, cpu))
    notes = (*parts.assumptions, *notes, *told)
    slots, told = place(parts.cards, cpu, count)
    notes = (*notes, *told)
    nodes = numa_nodes(sockets, parts.nodes_per_socket, cpu)
    homes = [node_of(index, slot.socket, [s.socket for s in slots], nodes) for index, slot in enumerate(slots)]
    pci, addresses = pci_tree(parts.cards, slots, cpu, homes)
    gpus = tuple(
        Gpu(
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
        for index, (card, slot, home, address) in enumerate(zip(parts.cards, slots, homes, addresses, strict=True))
    )
    rate, told = _network(parts)
    known = [socket.memory_bytes for socket in sockets]
    return Machine(
        name=describe(parts, sockets, rate),
        origin=Origin.PARTS,
        sockets=tuple(
            replace(socket, numa_nodes=tuple(node.os_index for node in nodes if node.socket == socket.index))
            for socket in sockets
        ),
        numa_nodes=nodes,
        gpus=gpus,
        gpu_links=gpu_links(parts),
        pci=pci,
        nics=(Nic("network", numa_node=nodes[0].os_index, bytes_per_s=rate),) if rate else (),
        memory_bytes=sum(size for size in known if size) if all(size is not None for size in known) else None,
        count=parts.count,
        network_bytes_per_s=rate,
        power_supply_w=parts.power_supply_w,
        price=parts.price,
        assumptions=tuple(dict.fromkeys((*notes, *told))),
        cpus=hardware_threads(sockets, nodes),
        dimms=tuple(dimm for socket in sockets for dimm in socket.dimms),
        pci_complete=False if pci else None,
    )


def _with_unified_memory(parts: PartsList) -> PartsList:
    """A total named beside a part that shares its memory ("m3 max, 64GB") chooses the variant of that size."""
    unified = next((card.spec for card in parts.cards if card.spec.unified_memory), None)
    if unified is None or parts.memory is None or parts.memory.total_gib is None:
        return parts
    base = unified.name.rsplit(" ", 1)[0] if unified.name.endswith("GB") else unified.name
    found = find_gpu(f"{base} {parts.memory.total_gib:g}GB")
    if found is None:
        sold = [spec.name for spec in gpus() if spec.name.startswith(f"{base} ") or spec.name == base]
        raise BadInput(f"no {base} with {parts.memory.total_gib:g} GB", f"sold as {', '.join(sold)}")
    cards = [replace(card, spec=found.spec) if card.spec == unified else card for card in parts.cards]
    return replace(parts, cards=tuple(cards), memory=None)


def _cpu(parts: PartsList) -> tuple[CpuSpec, int, tuple[Assumption, ...]]:
    """The CPU and its sockets: stated, the one that comes with the GPU, or a usual host."""
    own = next((card.spec for card in parts.cards if card.spec.cpu_id), None)
    if own is not None and own.cpu_id is not None:
        included = cpu_named(own.cpu_id)
        if parts.cpu is not None and parts.cpu.id != included.id:
            raise BadInput(f"{own.name} comes with {included.name}, not {parts.cpu.name}", "leave the CPU out")
        chips = sum(1 for card in parts.cards if card.spec.cpu_id)
        per_cpu = 2 if own.id.startswith("gb") and own.form == "superchip" else 1
        return included, max(1, -(-chips // per_cpu)), ()
    if parts.cpu is not None:
        return parts.cpu, parts.sockets, ()
    name, count = usual_host([card.spec for card in parts.cards])
    cpu = cpu_named(name)
    text = f"{count}x {cpu.name}" if count > 1 else cpu.name
    return cpu, count, (Assumption(text, "no CPU was named: a usual host for these GPUs"),)


def usual_host(specs: Sequence[GpuSpec]) -> tuple[str, int]:
    """CPU and sockets of a usual host: a desktop for one or two cards of up to 32 GB, else a server."""
    if specs[0].form in ("sxm", "oam"):
        generation = specs[0].pcie_generation or 5
        return (
            ("xeon platinum 8480+", 2)
            if generation >= 5
            else ("epyc 7763", 2)
            if generation == 4
            else ("xeon e5-2698 v4", 2)
        )
    datacentre = any(spec.memory_type.startswith("HBM") or spec.memory_bytes > 40e9 for spec in specs)
    if len(specs) <= 2 and not datacentre:
        return "ryzen 9 7950x", 1
    if max(spec.pcie_generation or 4 for spec in specs) >= 5:
        return "epyc 9354", 1 if len(specs) <= 8 else 2
    return "epyc 7543", 1 if len(specs) <= 8 else 2


def _soldered_bytes(parts: PartsList, cpu: CpuSpec) -> int | None:
    """Memory that comes with the part: the GPU's own where it is shared, Grace's 480 GB beside the GPU."""
    unified = next((card.spec for card in parts.cards if card.spec.unified_memory), None)
    if unified is not None:
        return unified.memory_bytes
    return 480 * 10**9 if cpu.id == "nvidia-grace" else None


def _network(parts: PartsList) -> tuple[float | None, tuple[Assumption, ...]]:
    if parts.network_bytes_per_s is not None or parts.count == 1 or not parts.cards:
        return parts.network_bytes_per_s, ()
    rate = _UNIFIED_NETWORK_BYTES_PER_S.get(parts.cards[0].spec.id)
    if rate is None:
        return None, (Assumption("network speed unknown", "several machines, but no network= was given"),)
    return rate, (Assumption(f"{rate * 8 / 1e9:g} Gb/s network", f"{parts.cards[0].spec.name} has it built in"),)
