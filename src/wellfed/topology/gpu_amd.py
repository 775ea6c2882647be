"""AMD GPUs: memory from the amdgpu driver's sysfs files, links between them from the KFD topology.

Kernel documentation: gpu/amdgpu (mem_info_vram_total, mem_info_vram_used, pcie_replay_count); KFD nodes and io_links
under /sys/class/kfd/kfd/topology (link type 11 is xGMI, uapi/linux/kfd_sysfs.h).
"""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.hardware.machine import Gpu, GpuLink
from wellfed.hardware.pcie import PcieLink
from wellfed.topology.lists import integer, keyed
from wellfed.topology.names import gpu_name
from wellfed.topology.pci import PCI, link_of
from wellfed.topology.snapshot import Tree

KFD = "/sys/class/kfd/kfd/topology/nodes"
_XGMI = 11  # link type in KFD's topology (Linux, amdkfd/kfd_crat.h: CRAT_IOLINK_TYPE_XGMI)
_LARGEST_CARVE_OUT = 96 * 2**30  # bytes that a BIOS offers at most (Ryzen AI Max with 128 GB): assumed


def filled(tree: Tree, gpu: Gpu) -> Gpu:
    """The GPU with what its own directory tells: memory, free memory, name, replays."""
    base = f"{PCI}/{gpu.pci_address}"
    total = integer(tree.text(f"{base}/mem_info_vram_total"))
    used = integer(tree.text(f"{base}/mem_info_vram_used"))
    ids = [integer(tree.text(f"{base}/{file}"), 16) for file in ("vendor", "device")]
    return replace(
        gpu,
        name=gpu.name or gpu_name(ids[0], ids[1], total),
        memory_bytes=total,
        memory_free_bytes=total - used if total is not None and used is not None else None,
        gtt_bytes=_mappable(tree, base, total),
        replays=integer(tree.text(f"{base}/pcie_replay_count")),
        link=fastest_level(tree.text(f"{base}/pp_dpm_pcie")),
    )


def _mappable(tree: Tree, base: str, total: int | None) -> int | None:
    """RAM that graphics without a link of their own may map: of cards it is no memory to keep weights in."""
    is_card = tree.text(f"{base}/pp_dpm_pcie") is not None and total is not None and total > _LARGEST_CARVE_OUT
    return None if is_card else integer(tree.text(f"{base}/mem_info_gtt_total"))


def fastest_level(levels: str | None) -> PcieLink | None:
    """The last level of `pp_dpm_pcie` (`1: 16.0GT/s, x8 1143Mhz *`): the most the card's edge may run."""
    matches = re.findall(r"\d+:\s*([\d.]+)\s*GT/s,\s*x(\d+)", levels or "")
    return link_of(*matches[-1]) if matches else None


def compute_units(tree: Tree) -> dict[str, int]:
    """PCI address -> compute units, of every KFD node that is a GPU."""
    units_of: dict[str, int] = {}
    for _, facts in _nodes(tree).items():
        simds, per_unit = integer(facts.get("simd_count")), integer(facts.get("simd_per_cu"))
        address = _address(facts)
        if simds and per_unit and address:
            units_of[address] = simds // per_unit
    return units_of


def xgmi_links(tree: Tree, gpus: tuple[Gpu, ...]) -> tuple[GpuLink, ...]:
    """xGMI links between GPUs; their bandwidth is the driver's `max_bandwidth` (MB/s), where not 0."""
    index = {gpu.pci_address: gpu.index for gpu in gpus}
    nodes = _nodes(tree)
    rate_of_pair: dict[tuple[int, int], float | None] = {}
    for name in nodes:
        for link in tree.names(f"{KFD}/{name}/io_links"):
            facts = keyed(tree.text(f"{KFD}/{name}/io_links/{link}/properties"), " ")
            ends = [_address(nodes.get(facts.get(key, ""), {})) for key in ("node_from", "node_to")]
            a, b = (index.get(end) for end in ends)
            if integer(facts.get("type")) != _XGMI or a is None or b is None or a >= b:
                continue
            rate = integer(facts.get("max_bandwidth"))
            rate_of_pair[a, b] = rate * 1e6 if rate else None
    return tuple(GpuLink(a, b, "xgmi", rate) for (a, b), rate in sorted(rate_of_pair.items()))


def _nodes(tree: Tree) -> dict[str, dict[str, str]]:
    return {name: keyed(tree.text(f"{KFD}/{name}/properties"), " ") for name in tree.names(KFD)}


def _address(facts: dict[str, str]) -> str | None:
    """`location_id` is bus << 8 | device << 3 | function; 0 for CPUs."""
    location, domain = integer(facts.get("location_id")), integer(facts.get("domain")) or 0
    if not location:
        return None
    return f"{domain:04x}:{location >> 8 & 0xFF:02x}:{location >> 3 & 0x1F:02x}.{location & 7}"
