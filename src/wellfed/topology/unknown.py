"""What no source told of a machine, and why: the last thing that is concluded."""

from __future__ import annotations

from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.message import sentence

_LIST_ALL_NODES = ("lscpu", "numactl -H", "lstopo XML", "lstopo console")  # kinds of dump that show every NUMA node


def unknown_reasons(machine: Machine) -> dict[str, str]:
    """`Machine.unknown` of a finished machine: each part that no source told, with the reason.

    Reasons that a source gave stay, unless another source has filled the part since.
    """
    reasons: dict[str, str] = {}
    if not machine.pci:
        reasons["pci"] = sentence("topology.finish.source-shows-pci", "the source shows no PCI devices")
    if not machine.sockets:
        reasons["sockets"] = machine.unknown.get(
            "sockets", sentence("topology.finish.source-shows-cpu", "the source shows no CPU packages")
        )
    if not machine.numa_nodes:
        reasons["numa_nodes"] = sentence("topology.finish.source-shows-numa", "the source shows no NUMA nodes")
    if not machine.dimms:
        reasons["dimms"] = sentence(
            "topology.finish.no-smbios-memory", "no SMBIOS memory devices (reading /sys/firmware/dmi/tables needs root)"
        )
    elif any(dimm.socket is None for dimm in machine.dimms) and len(machine.sockets) != 1:
        reasons["dimms.socket"] = sentence(
            "topology.finish.slots-names-do", "the slots' names do not tell their socket"
        )
    if any(dimm.channel is None for dimm in machine.dimms):
        reasons["dimms.channel"] = sentence(
            "topology.finish.slots-names-do-2", "the slots' names do not tell their channel"
        )
    for gpu in machine.gpus:
        reasons.update(_reasons_of_gpu(gpu))
    still_open = {key: why for key, why in machine.unknown.items() if not _filled_since(machine, key)}
    return {**reasons, **still_open}


def _filled_since(machine: Machine, key: str) -> bool:
    """Whether another source has filled what one source did not tell."""
    if key == "pci":
        return bool(machine.pci_complete)
    if key == "pci.link":
        return any(device.link_current is not None for device in machine.pci)
    if key == "pci.numa_node":
        return any(device.numa_node is not None for device in machine.pci)
    if key == "pci.ids":
        return any(device.device_id is not None for device in machine.pci)
    if key == "numa_nodes.cut":
        return "numactl -H" in machine.kinds_read
    if key == "numa_nodes.partial":
        return machine.origin is not Origin.DUMP or any(kind in _LIST_ALL_NODES for kind in machine.kinds_read)
    return key == "dimms" and bool(machine.dimms)


def _reasons_of_gpu(gpu: Gpu) -> dict[str, str]:
    key = f"gpu{gpu.index}"
    reasons: dict[str, str] = {}
    if gpu.memory_free_bytes is None:
        reasons[f"{key}.memory_free_bytes"] = sentence("topology.finish.needs-gpu-driver", "needs the GPU's driver")
    if gpu.link is None:
        reasons[f"{key}.link"] = sentence(
            "topology.finish.source-shows-link", "the source shows no link speed and width"
        )
    if gpu.numa_node is None:
        reasons[f"{key}.numa_node"] = sentence(
            "topology.finish.firmware-source-does", "firmware or source does not tell the GPU's NUMA node"
        )
    if gpu.name is None:
        reasons[f"{key}.name"] = sentence(
            "topology.finish.no-driver-names", "no driver names it and its PCI id is in no table of ours"
        )
    return reasons
