"""A Machine as JSON: what `wellfed topology --json` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from wellfed.hardware.machine import Dimm, Gpu, Machine, NumaNode, OsSettings, Socket
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.partial_sums import total_if_all_known

SCHEMA = 1  # of the document; larger where a field changed its meaning


def topology_json(machine: Machine) -> dict[str, Any]:
    """The whole machine in base units; unknown values are null, with their reasons under `unknown`."""
    return {
        "schema": SCHEMA,
        "name": machine.name,
        "origin": machine.origin.value,
        "counts": counts(machine),
        "memory_bytes": machine.memory_bytes,
        "sockets": [_socket(machine, socket) for socket in machine.sockets],
        "numa_nodes": [_node(node) for node in machine.numa_nodes if not node.gpu_memory],
        "gpu_numa_nodes": [_node(node) for node in machine.numa_nodes if node.gpu_memory],
        "cpus": [
            {"os_index": c.os_index, "socket": c.socket, "core": c.core, "numa_node": c.numa_node, "l3": c.l3}
            for c in machine.cpus
        ],
        "dimms": [_dimm(dimm) for dimm in machine.dimms],
        "pci": _pci_tree(machine.pci),
        "gpus": [_gpu(gpu) for gpu in machine.gpus],
        "links": [
            {"a": x.a, "b": x.b, "kind": x.kind, "bytes_per_s": x.bytes_per_s, "active": x.active}
            for x in machine.gpu_links
        ],
        "paths": [{"a": path.a, "b": path.b, "kind": path.kind} for path in machine.paths],
        "nics": [_fields(nic) for nic in machine.nics],
        "disks": [_fields(disk) for disk in machine.disks],
        "peers": [_fields(pair) for pair in machine.peers],
        "kinds_read": list(machine.kinds_read),
        "os": _os(machine.os),
        "assumptions": [{"text": assumption.text, "reason": assumption.reason} for assumption in machine.assumptions],
        "unknown": dict(sorted(machine.unknown.items())),
    }


def counts(machine: Machine) -> dict[str, int | None]:
    """How many of each were seen; as lstopo counts them, so GPUs' own memory is no NUMA node here."""
    return {
        "packages": len(machine.sockets),
        "cores": _cores(machine),
        "pus": len(machine.cpus) or _threads(machine),
        "numa_nodes": sum(not node.gpu_memory for node in machine.numa_nodes),
        "gpus": len(machine.gpus),
    }


def _cores(machine: Machine) -> int | None:
    if machine.cpus:
        return len({(cpu.socket, cpu.core) for cpu in machine.cpus if cpu.core is not None})
    return machine.cores


def _threads(machine: Machine) -> int | None:
    of_sockets = total_if_all_known(socket.threads for socket in machine.sockets)
    if of_sockets is not None:
        return of_sockets
    if machine.os.cpus_online is not None:
        return len(machine.os.cpus_online)
    listed = {cpu for node in machine.numa_nodes for cpu in node.cpus}
    return len(listed) or None


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _socket(machine: Machine, socket: Socket) -> dict[str, Any]:
    return {
        **_fields(socket),
        "cpu": socket.cpu.id if socket.cpu else None,
        "cpus": [cpu.os_index for cpu in machine.cpus if cpu.socket == socket.index],
        "dimms": [dimm.slot for dimm in socket.dimms],
        "numa_nodes": list(socket.numa_nodes),
        "isa": sorted(socket.isa),
        "signature": asdict(socket.signature) if socket.signature else None,
        "memory_bandwidth_bytes_per_s": socket.memory_bandwidth_bytes_per_s,
    }


def _dimm(dimm: Dimm) -> dict[str, Any]:
    return _fields(dimm)


def _node(node: NumaNode) -> dict[str, Any]:
    return {
        "os_index": node.os_index,
        "socket": node.socket,
        "cpus": list(node.cpus),
        "memory_bytes": node.memory_bytes,
        "memory_free_bytes": node.memory_free_bytes,
        "distances": {str(key): value for key, value in node.distances.items()},
    }


def link_json(link: PcieLink | None) -> dict[str, Any] | None:
    """Generation, width and raw bytes/s of one direction."""
    if link is None:
        return None
    return {"generation": link.generation, "width": link.width, "bytes_per_s": link.bytes_per_s}


def _gpu(gpu: Gpu) -> dict[str, Any]:
    return {
        **_fields(gpu),
        "spec": gpu.spec.id if gpu.spec else None,
        "link": link_json(gpu.link),
        "throttle_reasons": list(gpu.throttle_reasons),
        "xids": list(gpu.xids),
        "cpu_affinity": list(gpu.cpu_affinity),
    }


def _pci_tree(devices: tuple[PciDevice, ...]) -> list[dict[str, Any]]:
    """Functions without a parent at the top, the others under `children`."""
    entries = {device.address: _device(device) for device in devices}
    tops: list[dict[str, Any]] = []
    for device in devices:
        above = entries.get(device.parent) if device.parent and not _loops(device, devices) else None
        (tops if above is None else above["children"]).append(entries[device.address])
    return tops


def _loops(device: PciDevice, devices: tuple[PciDevice, ...]) -> bool:
    return device.parent == device.address


def _device(device: PciDevice) -> dict[str, Any]:
    return {
        **_fields(device),
        "class_code": None if device.class_code is None else f"{device.class_code:06x}",
        "vendor_id": None if device.vendor_id is None else f"{device.vendor_id:04x}",
        "device_id": None if device.device_id is None else f"{device.device_id:04x}",
        "link_current": link_json(device.link_current),
        "link_max": link_json(device.link_max),
        "local_cpus": list(device.local_cpus),
        "children": [],
    }


def _os(settings: OsSettings) -> dict[str, Any]:
    values = _fields(settings)
    for name in ("huge_pages", "huge_pages_free"):
        values[name] = {str(node): {str(k): v for k, v in sizes.items()} for node, sizes in values[name].items()}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
