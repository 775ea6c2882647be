"""Reading a machine: which files make up a snapshot, and how they are read from a root without ever failing."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import join, normpath

from wellfed.hardware.machine import Origin
from wellfed.message import sentence
from wellfed.topology.cgroup import groups
from wellfed.topology.disks import look, model_folders
from wellfed.topology.nvml_query import query
from wellfed.topology.redact import redact
from wellfed.topology.snapshot import META, NVML, SCHEMA, Snapshot, Tree

# Of one snapshot (assumed): against endless and hostile files, not against large machines
MAX_FILE_BYTES = 4 << 20
MAX_TOTAL_BYTES = 64 << 20
MAX_FILES = 200_000
MAX_PASTED_BYTES = 16 << 20

# Every file of a snapshot: shell patterns per path component; `{a,b}` lists file names.
WANTED: tuple[str, ...] = (
    "/sys/devices/system/cpu/{online,present,possible,offline,isolated}",
    "/sys/devices/system/cpu/cpu[0-9]*/{online}",
    "/sys/devices/system/cpu/cpu[0-9]*/topology/{physical_package_id,core_id,die_id,core_cpus,thread_siblings,"
    "package_cpus,core_siblings,core_cpus_list,thread_siblings_list,package_cpus_list,core_siblings_list}",
    "/sys/devices/system/cpu/cpu[0-9]*/cache/index[0-9]*/{level,type,size,shared_cpu_list,shared_cpu_map}",
    "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/{scaling_governor,cpuinfo_max_freq}",
    "/sys/devices/system/cpu/cpufreq/{boost}",
    "/sys/devices/system/cpu/cpufreq/policy[0-9]*/{scaling_governor,cpuinfo_max_freq}",
    "/sys/devices/system/cpu/intel_pstate/{no_turbo,status}",
    "/sys/devices/system/cpu/smt/{active,control}",
    "/sys/devices/cpu_core/{cpus}",
    "/sys/devices/cpu_atom/{cpus}",
    "/sys/devices/system/node/{online,possible,has_memory,has_cpu,has_normal_memory}",
    "/sys/devices/system/node/node[0-9]*/{cpumap,cpulist,distance,meminfo}",
    "/sys/devices/system/node/node[0-9]*/hugepages/hugepages-*/{nr_hugepages,free_hugepages}",
    "/sys/devices/system/node/node[0-9]*/access[01]/initiators/node[0-9]*",
    "/sys/bus/pci/devices/*/{vendor,device,class,revision,subsystem_vendor,subsystem_device,numa_node,"
    "local_cpulist,local_cpus,current_link_speed,current_link_width,max_link_speed,max_link_width,"
    "aer_dev_correctable,aer_dev_nonfatal,aer_dev_fatal,secondary_bus_number,subordinate_bus_number,config,label,"
    "product_name,mem_info_vram_total,mem_info_vram_used,mem_info_vis_vram_total,mem_info_gtt_total,pp_dpm_pcie,pcie_replay_count,"
    "iommu_group,driver}",
    "/sys/class/net/*/{speed,operstate,type,device}",
    "/sys/class/infiniband/*/{device}",
    "/sys/class/infiniband/*/ports/*/{rate,state,link_layer}",
    "/sys/class/drm/card[0-9]*/{device}",
    "/sys/class/kfd/kfd/topology/nodes/*/{properties}",
    "/sys/class/kfd/kfd/topology/nodes/*/io_links/*/{properties}",
    "/sys/class/iommu/*",
    "/sys/class/dmi/id/{sys_vendor,product_name,board_vendor,board_name,bios_vendor,bios_version,bios_date}",
    "/sys/firmware/dmi/tables/{DMI,smbios_entry_point}",
    "/sys/hypervisor/{type}",
    "/sys/kernel/mm/transparent_hugepage/{enabled,defrag,shmem_enabled}",
    "/sys/kernel/mm/hugepages/hugepages-*/{nr_hugepages,free_hugepages}",
    "/sys/module/nvidia/{version}",
    "/sys/module/amdgpu/{version}",
    "/proc/{cmdline,cpuinfo,meminfo,mounts,swaps,version,hwloc-nofile-info}",
    "/proc/device-tree/{model}",
    "/proc/self/{cgroup,cpuset,limits,status,mounts}",
    "/proc/sys/vm/{swappiness,zone_reclaim_mode,overcommit_memory,nr_hugepages}",
    "/proc/sys/kernel/{numa_balancing,osrelease,ostype}",
    "/proc/driver/nvidia/{version}",
    "/proc/driver/nvidia/gpus/*/{numa_status}",
    "/wellfed/{meta.json,nvml.json}",
    "/.dockerenv",
    "/run/.containerenv",
)
CGROUP_FILES = (
    "cgroup.controllers", "cpu.max", "memory.max", "memory.high", "memory.current", "cpuset.cpus.effective",
    "cpuset.mems.effective", "cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.limit_in_bytes",
    "memory.usage_in_bytes", "cpuset.effective_cpus", "cpuset.effective_mems", "cpuset.cpus", "cpuset.mems",
    "cpus", "mems",
)  # fmt: skip
_NEEDS_ROOT = {
    "/sys/firmware/dmi/tables/DMI": sentence(
        "topology.collect.memory-slots", "memory slots and channels (SMBIOS) need root"
    ),
    "/sys/bus/pci/devices/*/config": sentence(
        "topology.collect.acs-port-types", "ACS and port types (PCI configuration space beyond 64 bytes) need root"
    ),
}


class Reader:
    """Collects files below a root into a snapshot; remembers links and what could not be read."""

    def __init__(self, root: Path) -> None:
        self._root = str(root).rstrip("/")
        self.files: dict[str, bytes] = {}
        self.links: dict[str, str] = {}
        self.unreadable: dict[str, str] = {}
        self._real: dict[str, str | None] = {"/": "/"}
        self._total = 0

    def take(self, pattern: str) -> None:
        """Read everything the pattern names."""
        for path in self._expand("/", _components(pattern)):
            self.read(path)

    def read(self, path: str) -> None:
        """Read one logical path: a file's bytes, a link as such, an empty directory by its name."""
        parent, _, name = path.rpartition("/")
        folder = self.real(parent or "/")
        if folder is None:
            return
        here = join(folder, name)
        if self._note_link(here) or here in self.files:
            if name in ("driver", "device", "iommu_group") or here in self.files:
                return
            here = self.real(here) or here
        try:
            if stat.S_ISDIR(os.stat(self._root + here).st_mode):  # noqa: PTH116 - Path is slow for 10^5 files
                self.files.setdefault(f"{here}/", b"")
                return
            self._store(here)
        except OSError as error:
            if error.errno not in (2, 20):  # absent is no failure
                self.unreadable[path] = error.strerror or str(error)

    def _store(self, here: str) -> None:
        if len(self.files) >= MAX_FILES or self._total >= MAX_TOTAL_BYTES:
            self.unreadable[here] = sentence(
                "topology.collect.left-out-snapshot", "left out: the snapshot has reached its size limit"
            )
            return
        descriptor = os.open(self._root + here, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                self.unreadable[here] = sentence("topology.collect.left-out-plain", "left out: not a plain file")
                return
            content = _read_all(descriptor)
        finally:
            os.close(descriptor)
        self._total += len(content)
        self.files[here] = content

    def real(self, path: str, depth: int = 0) -> str | None:
        """The logical path after following links inside the root; None for loops."""
        if path in self._real:
            return self._real[path]
        if depth > 40:
            return None
        parent, _, name = path.rpartition("/")
        above = self.real(parent or "/", depth)
        target: str | None = None
        if above is not None:
            here = join(above, name)
            target = here
            if self._note_link(here):
                folder = here.rpartition("/")[0] or "/"
                target = self.real(normpath(join(folder, self.links[here])), depth + 1)
        self._real[path] = target
        return target

    def _note_link(self, here: str) -> bool:
        if here in self.links:
            return True
        try:
            target = os.readlink(self._root + here)  # noqa: PTH115
        except OSError:
            return False
        if self._root and target.startswith(self._root + "/"):
            target = target[len(self._root) :]
        self.links[here] = target
        return True

    def names(self, path: str) -> list[str]:
        """Directory entries, sorted; empty where there is no directory to read."""
        folder = self.real(path)
        try:
            return sorted(os.listdir(self._root + (folder or path)))  # noqa: PTH208
        except OSError:
            return []

    def _expand(self, base: str, parts: list[str]) -> Iterator[str]:
        if not parts:
            yield base
            return
        head, deeper = parts[0], parts[1:]
        if head.startswith("{"):
            yield from (join(base, name) for name in head[1:-1].split(","))
        elif re.search(r"[*\[]", head):
            for name in self.names(base):
                if fnmatchcase(name, head):
                    yield from self._expand(join(base, name), deeper)
        else:
            yield from self._expand(join(base, head), deeper)


def _components(pattern: str) -> list[str]:
    return pattern.strip("/").split("/")


def _read_all(descriptor: int) -> bytes:
    parts: list[bytes] = []
    budget = MAX_FILE_BYTES
    while budget > 0:
        part = os.read(descriptor, min(budget, 1 << 16))
        if not part:
            break
        parts.append(part)
        budget -= len(part)
    return b"".join(parts)


def collect(root: Path = Path("/"), redacted: bool = True) -> Snapshot:
    """The snapshot of a running machine, or of a captured /sys and /proc below `root`. Needs no root rights.

    With `redacted`, serial numbers, UUIDs, MAC addresses, host and user names are left out.
    """
    is_live = root.resolve() == Path("/")
    reader = Reader(Path("/") if is_live else root)
    for pattern in WANTED:
        reader.take(pattern)
    if not reader.names("/sys/bus/pci/devices"):
        _walk_devices(reader)
    origin = Origin.LIVE if is_live else Origin.SNAPSHOT
    snapshot = Snapshot(
        sentence("topology.collect.machine", "this machine") if is_live else root.name,
        origin,
        reader.files,
        reader.links,
    )
    for _, folders in groups(_with_mount_folders(reader, snapshot)):
        for folder in folders:
            for name in CGROUP_FILES:
                reader.read(f"{folder}/{name}")
    if is_live:
        _add_live(reader)
    unreadable = _summary(reader.unreadable)
    files, links = _of_this_process(reader.files, reader.links)
    snapshot = Snapshot(snapshot.name, origin, files, links, unreadable)
    return redact(snapshot) if redacted else snapshot


def _of_this_process(files: dict[str, bytes], links: dict[str, str]) -> tuple[dict[str, bytes], dict[str, str]]:
    """/proc/self is a link to this process's number, which means nothing elsewhere: its files go under /proc/self."""
    target = links.get("/proc/self", "").rstrip("/").rpartition("/")[2]
    if not target.isdecimal():
        return files, links
    prefix = f"/proc/{target}/"
    moved = {
        f"/proc/self/{path[len(prefix) :]}" if path.startswith(prefix) else path: data for path, data in files.items()
    }
    return moved, {path: link for path, link in links.items() if path != "/proc/self"}


def _walk_devices(reader: Reader) -> None:
    """PCI functions of captures that lack /sys/bus: by walking /sys/devices/pci*."""
    pattern = next(wanted for wanted in WANTED if wanted.startswith("/sys/bus/pci/"))
    names = pattern.rpartition("{")[2].rstrip("}").split(",")
    pending = [f"/sys/devices/{name}" for name in reader.names("/sys/devices") if name.startswith("pci")]
    while pending:
        folder = pending.pop()
        for name in names:
            reader.read(f"{folder}/{name}")
        pending += [f"{folder}/{n}" for n in reader.names(folder) if re.fullmatch(r"[0-9a-f:]+\.[0-7]", n)]


def _with_mount_folders(reader: Reader, snapshot: Snapshot) -> Tree:
    """A tree that knows which cgroup directories exist, so that the group's own path can be told from its mount."""
    tree = Tree(snapshot)
    probes = {folder for _, folders in groups(tree, must_exist=False) for folder in folders}
    folders_there = {f"{folder}/": b"" for folder in probes if reader.names(folder)}
    return Tree(Snapshot(snapshot.name, snapshot.origin, {**snapshot.files, **folders_there}, snapshot.links))


def _summary(unreadable: dict[str, str]) -> dict[str, str]:
    """At most a hundred single reasons; the rest is counted."""
    items = list(unreadable.items())
    reasons = dict(items[:100])
    if len(items) > 100:
        reasons["..."] = sentence(
            "topology.collect.more-files-could", "{count} more files could not be read", count=len(items) - 100
        )
    return reasons


def _add_live(reader: Reader) -> None:
    """What has no file: architecture, size of /dev/shm, NVML's answers, the fabric manager."""
    try:
        shm = os.statvfs("/dev/shm")
        shared: int | None = shm.f_blocks * shm.f_frsize
    except OSError:
        shared = None
    meta = {
        "schema": SCHEMA,
        "architecture": os.uname().machine,
        "shared_memory_bytes": shared,
        "root": os.geteuid() == 0,
        "container": any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")) or None,
        "fabric_manager_running": _fabric_manager(reader),
        "disks": look(model_folders()),
        "needs_root": [] if os.geteuid() == 0 else list(_NEEDS_ROOT.values()),
    }
    reader.files[META] = json.dumps({k: v for k, v in meta.items() if v is not None}).encode()
    if Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists() or reader.names("/proc/driver/nvidia"):
        reader.files[NVML] = query().encode()
    elif any(content.strip() == b"0x10de" for p, content in reader.files.items() if p.endswith("/vendor")):
        reader.files[NVML] = json.dumps({"error": "an NVIDIA card is there, its driver is not loaded"}).encode()


def _fabric_manager(reader: Reader) -> bool | None:
    """Whether nv-fabricmanager runs; asked only where NVSwitches are, None where processes cannot be seen."""
    if not Path("/dev/nvidia-nvswitchctl").exists():
        return None
    return any(_process_name(entry).startswith("nv-fabricmanage") for entry in Path("/proc").glob("[0-9]*"))


def _process_name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text()
    except OSError:
        return ""
