"""What the operating system imposes, from /proc, /sys and control groups."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from wellfed.frozen import dataclass
from wellfed.hardware.machine import UNLIMITED, OsSettings
from wellfed.topology.cgroup import Limits
from wellfed.topology.cpu import CPU
from wellfed.topology.lists import cpu_list, integer, keyed
from wellfed.topology.numa import Node, huge_page_counts, meminfo
from wellfed.topology.snapshot import META, Tree

THP = "/sys/kernel/mm/transparent_hugepage"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the readers of CPUs, NUMA nodes and control groups tell, as far as the settings need it."""

    online: tuple[int, ...] | None
    present: tuple[int, ...] | None
    nodes: tuple[Node, ...]
    limits: Limits


def read_os(tree: Tree, host: HostFacts) -> OsSettings:
    """Every setting; None where absent or unreadable."""
    memory = meminfo(tree)
    meta = read_meta(tree)
    status = keyed(tree.text("/proc/self/status"))
    affinity = cpu_list(status.get("Cpus_allowed_list"))
    governors = _governors(tree)
    pages, free = _huge_pages(tree, host.nodes)
    hypervisor = _hypervisor(tree)
    offline = set(host.present or ()) - set(host.online or ())
    return OsSettings(
        kernel=tree.text("/proc/sys/kernel/osrelease") or _version(tree),
        virtualised=_virtualised(tree, hypervisor),
        container=_container(tree, meta),
        cpus_online=host.online,
        cpus_present=host.present,
        cpus_allowed=_intersection(affinity, host.limits.cpus),
        cpu_quota=host.limits.cpu_quota,
        memory_limit_bytes=host.limits.memory_bytes,
        memory_free_bytes=memory.get("MemAvailable", _free(memory)),
        swap_total_bytes=memory.get("SwapTotal"),
        swap_used_bytes=_swap_used(memory),
        swappiness=integer(tree.text("/proc/sys/vm/swappiness")),
        numa_balancing=_flag(tree.text("/proc/sys/kernel/numa_balancing")),
        transparent_huge_pages=_chosen(tree.text(f"{THP}/enabled")),
        huge_pages=pages,
        governor=max(governors, key=lambda governor: governors[governor], default=None),
        memlock_bytes=_memlock(tree),
        iommu=_iommu(tree),
        fabric_manager_running=meta.get("fabric_manager_running"),
        cpus_offline=tuple(sorted(offline)) if host.present and host.online else None,
        cpus_isolated=cpu_list(tree.text(f"{CPU}/isolated")),
        memory_nodes_allowed=_intersection(cpu_list(status.get("Mems_allowed_list")), host.limits.memory_nodes),
        huge_pages_free=free,
        transparent_huge_pages_defrag=_chosen(tree.text(f"{THP}/defrag")),
        governors=governors,
        boost=_boost(tree),
        smt=_flag(tree.text(f"{CPU}/smt/active")),
        zone_reclaim_mode=integer(tree.text("/proc/sys/vm/zone_reclaim_mode")),
        command_line=tree.text("/proc/cmdline"),
        hypervisor=hypervisor,
        architecture=meta.get("architecture") or _architecture(tree),
        memory_used_by_cgroup_bytes=host.limits.memory_used_bytes,
        shared_memory_bytes=meta.get("shared_memory_bytes"),
        nvidia_driver=_nvidia_driver(tree),
    )


_META_TYPES = {
    "architecture": str, "shared_memory_bytes": int, "container": bool, "fabric_manager_running": bool,
    "root": bool, "needs_root": list, "disks": list,
}  # fmt: skip


def read_meta(tree: Tree) -> dict[str, Any]:
    """What the collector noted beside the files; empty for other people's captures."""
    try:
        notes = json.loads(tree.text(META) or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(notes, dict):
        return {}
    return {key: notes[key] for key, kind in _META_TYPES.items() if isinstance(notes.get(key), kind)}


def _intersection(a: tuple[int, ...] | None, b: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if a is None or b is None:
        return a if b is None else b
    return tuple(sorted(set(a) & set(b))) or a


def _free(memory: dict[str, int]) -> int | None:
    """Before MemAvailable (Linux 3.14): free + buffers + page cache."""
    if "MemFree" not in memory:
        return None
    return memory["MemFree"] + memory.get("Buffers", 0) + memory.get("Cached", 0)


def _swap_used(memory: dict[str, int]) -> int | None:
    if "SwapTotal" not in memory or "SwapFree" not in memory:
        return None
    return memory["SwapTotal"] - memory["SwapFree"]


def _flag(text: str | None) -> bool | None:
    value = integer(text)
    return None if value is None else value > 0


def _chosen(text: str | None) -> str | None:
    """The bracketed word of `always [madvise] never`."""
    match = re.search(r"\[([a-z+-]+)\]", text or "")
    return match[1] if match else None


def _governors(tree: Tree) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name in tree.names(CPU):
        if re.fullmatch(r"cpu\d{1,6}", name):
            governor = tree.text(f"{CPU}/{name}/cpufreq/scaling_governor")
            counts.update([governor] if governor else [])
    return dict(counts)


def _boost(tree: Tree) -> bool | None:
    no_turbo = _flag(tree.text(f"{CPU}/intel_pstate/no_turbo"))
    return not no_turbo if no_turbo is not None else _flag(tree.text(f"{CPU}/cpufreq/boost"))


def _huge_pages(tree: Tree, nodes: tuple[Node, ...]) -> tuple[dict[int, dict[int, int]], dict[int, dict[int, int]]]:
    pages = {node.os_index: dict(node.huge_pages) for node in nodes if node.huge_pages}
    free = {node.os_index: dict(node.huge_pages_free) for node in nodes if node.huge_pages_free}
    if not pages and len(nodes) == 1:
        base = "/sys/kernel/mm"
        number = nodes[0].os_index
        pages = {number: huge_page_counts(tree, base, "nr_hugepages")}
        free = {number: huge_page_counts(tree, base, "free_hugepages")}
    return {k: v for k, v in pages.items() if v}, {k: v for k, v in free.items() if v}


def _memlock(tree: Tree) -> int | None:
    match = re.search(r"^Max locked memory\s+(\S+)", tree.text("/proc/self/limits") or "", re.MULTILINE)
    if match is None:
        return None
    return UNLIMITED if match[1] == "unlimited" else integer(match[1])


def _iommu(tree: Tree) -> str | None:
    """Off without IOMMU devices, else what the command line says."""
    line = tree.text("/proc/cmdline")
    if tree.names("/sys/class/iommu"):
        return iommu_of(line or "") or "on"
    absent = line is not None and tree.exists("/sys/bus/pci/devices")
    return "off" if absent else iommu_of(line or "")


def iommu_of(command_line: str) -> str | None:
    """What kernel parameters say for sure: off or passthrough; None = not said."""
    options = set(command_line.split())
    if options & {"iommu=off", "amd_iommu=off", "intel_iommu=off"}:
        return "off"
    return "passthrough" if options & {"iommu=pt", "iommu.passthrough=1"} else None


def _hypervisor(tree: Tree) -> str | None:
    vendor = (tree.text("/sys/class/dmi/id/sys_vendor") or "").lower()
    product = (tree.text("/sys/class/dmi/id/product_name") or "").lower()
    both = f"{vendor} {product}"
    for name, mark in _HYPERVISORS:
        if mark in both:
            return name
    return tree.text("/sys/hypervisor/type") or None


_HYPERVISORS = (
    ("kvm", "qemu"), ("kvm", "kvm"), ("vmware", "vmware"), ("virtualbox", "virtualbox"),
    ("hyper-v", "microsoft corporation virtual machine"), ("amazon ec2", "amazon ec2"),
    ("google compute engine", "google compute engine"), ("openstack", "openstack"), ("xen", "xen"),
    ("bhyve", "bhyve"), ("alibaba cloud", "alibaba cloud"), ("firecracker", "firecracker"),
)  # fmt: skip


def _virtualised(tree: Tree, hypervisor: str | None) -> bool | None:
    product = tree.text("/sys/class/dmi/id/product_name") or ""
    if hypervisor == "amazon ec2":
        return ".metal" not in product
    if hypervisor:
        return True
    flags = re.search(r"^flags\s*:.*$", tree.text("/proc/cpuinfo") or "", re.MULTILINE)
    if flags is None:
        return None
    return " hypervisor" in flags[0]


def _container(tree: Tree, meta: dict[str, Any]) -> bool | None:
    if "container" in meta:
        return bool(meta["container"])
    if tree.exists("/.dockerenv") or tree.exists("/run/.containerenv"):
        return True
    text = tree.text("/proc/self/cgroup")
    if text is None:
        return None
    return bool(re.search(r"docker|kubepods|containerd|libpod|lxc", text))


def _version(tree: Tree) -> str | None:
    match = re.search(r"Linux version (\S+)", tree.text("/proc/version") or "")
    match = match or re.search(r"^OSRelease: (\S+)", tree.text("/proc/hwloc-nofile-info") or "", re.MULTILINE)
    return match[1] if match else None


def _architecture(tree: Tree) -> str | None:
    text = tree.text("/proc/hwloc-nofile-info") or ""
    match = re.search(r"^Architecture: (\S+)", text, re.MULTILINE)
    return match[1] if match else None


def _nvidia_driver(tree: Tree) -> str | None:
    text = tree.text("/proc/driver/nvidia/version") or ""
    match = re.search(r"Kernel Module(?: for \S+)?\s+(\d+\.\d+(?:\.\d+)?)", text)
    return match[1] if match else tree.text("/sys/module/nvidia/version")
