"""What control groups allow: cpusets, CPU time and memory, v1 and v2, along all ancestors.

Kernel documentation: admin-guide/cgroup-v2.rst (cpu.max, memory.max, cpuset.cpus.effective) and
admin-guide/cgroup-v1/ (cpusets.rst, memory.rst; cfs quota in scheduler/sched-bwc.rst).
"""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath

from wellfed.frozen import dataclass
from wellfed.topology.lists import cpu_list, integer
from wellfed.topology.snapshot import Tree

_UNLIMITED = 1 << 60  # v1 writes "no limit" as a page-rounded 2^63


@dataclass(frozen=True, slots=True)
class Limits:
    """None = no limit seen."""

    cpus: tuple[int, ...] | None = None
    memory_nodes: tuple[int, ...] | None = None
    cpu_quota: float | None = None  # cores' worth of CPU time
    memory_bytes: int | None = None
    memory_used_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted control group hierarchy; `controllers` is empty for v2."""

    path: str
    kind: str  # cgroup | cgroup2 | cpuset
    controllers: frozenset[str]


def read_limits(tree: Tree) -> Limits:
    """The tightest of every group this process is in."""
    cpus = nodes = used = None
    quotas: list[float] = []
    sizes: list[int] = []
    for mount, folders in groups(tree):
        for folder in folders:
            cpus = cpus if cpus is not None else _cpuset(tree, folder, "cpus")
            nodes = nodes if nodes is not None else _cpuset(tree, folder, "mems")
            quota = _quota(tree, folder)
            quotas += [quota] if quota is not None else []
            size = _size(tree, folder, mount)
            sizes += [size] if size is not None else []
            used = used if used is not None else _used(tree, folder)
    return Limits(cpus, nodes, min(quotas, default=None), min(sizes, default=None), used)


def groups(tree: Tree, must_exist: bool = True) -> Iterator[tuple[Mount, tuple[str, ...]]]:
    """Each hierarchy with this process's directories in it, innermost first.

    Where the group's directory does not exist (a container that sees its own group as the root), the mount alone,
    unless told otherwise with `must_exist`.
    """
    group_of = _own_groups(tree)
    for mount in mounts(tree):
        folder = normpath(f"{mount.path}/{_group_in(mount, group_of)}")
        inside = folder == mount.path or folder.startswith(mount.path + "/")
        if not inside or (must_exist and not tree.exists(folder)):
            folder = mount.path
        yield mount, _ancestors(mount, folder)


def mounts(tree: Tree) -> tuple[Mount, ...]:
    """Control group mounts, from /proc/mounts; the usual v2 place where that file is missing."""
    mounted = []
    text = tree.text("/proc/mounts") or tree.text("/proc/self/mounts")
    for line in (text or "").splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[2] in ("cgroup", "cgroup2", "cpuset"):
            controllers = frozenset(fields[3].split(",")) if fields[2] == "cgroup" else frozenset[str]()
            mounted.append(Mount(fields[1], fields[2], controllers))
    if not mounted and tree.exists("/sys/fs/cgroup/cgroup.controllers"):
        mounted.append(Mount("/sys/fs/cgroup", "cgroup2", frozenset()))
    return tuple(mounted)


def _own_groups(tree: Tree) -> dict[str, str]:
    """Controller -> group path, "" for v2; /proc/self/cpuset fills in for old captures."""
    group_of: dict[str, str] = {}
    for line in (tree.text("/proc/self/cgroup") or "").splitlines():
        fields = line.split(":", 2)
        if len(fields) == 3:
            for controller in fields[1].split(","):
                group_of[controller] = fields[2]
    cpuset = tree.text("/proc/self/cpuset")
    if cpuset:
        group_of.setdefault("cpuset", cpuset)
        if not tree.text("/proc/self/cgroup"):
            group_of.setdefault("", cpuset)
    return group_of


def _group_in(mount: Mount, group_of: dict[str, str]) -> str:
    if mount.kind == "cgroup2":
        return group_of.get("", "/")
    if mount.kind == "cpuset":
        return group_of.get("cpuset", "/")
    return next((group_of[controller] for controller in sorted(mount.controllers) if controller in group_of), "/")


def _ancestors(mount: Mount, folder: str) -> tuple[str, ...]:
    """The group's directory and all above it up to the mount."""
    folders = [folder]
    while folder != mount.path and len(folder) > len(mount.path):
        folder = folder.rpartition("/")[0] or "/"
        folders.append(folder)
    return tuple(folders)


def _cpuset(tree: Tree, folder: str, kind: str) -> tuple[int, ...] | None:
    for name in (f"cpuset.{kind}.effective", f"cpuset.effective_{kind}", f"cpuset.{kind}", kind):
        numbers = cpu_list(tree.text(f"{folder}/{name}"))
        if numbers:
            return numbers
    return None


def _quota(tree: Tree, folder: str) -> float | None:
    words = (tree.text(f"{folder}/cpu.max") or "").split()
    if len(words) == 2:
        quota, period = integer(words[0]), integer(words[1])
    else:
        quota = integer(tree.text(f"{folder}/cpu.cfs_quota_us"))
        period = integer(tree.text(f"{folder}/cpu.cfs_period_us"))
    return quota / period if quota and period and quota > 0 and period > 0 else None


def _size(tree: Tree, folder: str, mount: Mount) -> int | None:
    names = ("memory.max", "memory.high") if mount.kind == "cgroup2" else ("memory.limit_in_bytes",)
    sizes = [integer(tree.text(f"{folder}/{name}")) for name in names]
    return min((size for size in sizes if size is not None and size < _UNLIMITED), default=None)


def _used(tree: Tree, folder: str) -> int | None:
    used = integer(tree.text(f"{folder}/memory.current"))
    return used if used is not None else integer(tree.text(f"{folder}/memory.usage_in_bytes"))
