"""The engine's control group, v1 and v2: quota, throttling, memory limit and how often it was met.

Kernel documentation: admin-guide/cgroup-v2.rst (cpu.stat, memory.events), cgroup-v1/memory.rst, and
scheduler/sched-bwc.rst.
The limit that binds may be an ancestor's: every group on the way up is looked at.
"""

from __future__ import annotations

from pathlib import Path
from posixpath import normpath

from wellfed.frozen import dataclass
from wellfed.watching.sample import Cgroup
from wellfed.watching.samplers.files import at, number, table, text

_UNLIMITED = 1 << 60  # v1 writes "no limit" as a page-rounded 2^63


@dataclass(frozen=True, slots=True)
class _Quota:
    cores: float
    periods: int | None
    throttled: int | None
    throttled_s: float | None


class CgroupSampler:
    """Follows process `pid`. Its groups are found once: processes seldom move."""

    def __init__(self, pid: int, root: str = "/") -> None:
        self._root = root
        self._pid = pid
        self._cpu, self._memory = self._folders("cpu"), self._folders("memory")
        self._count = 0

    def sample(self) -> Cgroup | None:
        """Now; None where no control group can be seen."""
        self._count += 1
        if self._count % 30 == 0:
            self._cpu, self._memory = self._folders("cpu"), self._folders("memory")
        if not self._cpu and not self._memory:
            return None
        quotas = [quota for quota in map(self._quota, self._cpu) if quota is not None]
        tightest = min(quotas, key=lambda quota: quota.cores, default=None)
        limits = [(size, folder) for folder in self._memory if (size := self._limit(folder)) is not None]
        limit, group = min(limits, default=(None, self._memory[0] if self._memory else None))
        stat = table(text(f"{group}/memory.stat")) if group else {}
        return Cgroup(
            quota_cores=tightest.cores if tightest else None,
            periods=tightest.periods if tightest else None,
            throttled=tightest.throttled if tightest else None,
            throttled_s=tightest.throttled_s if tightest else None,
            memory_bytes=self._first(group, "memory.current", "memory.usage_in_bytes"),
            memory_limit_bytes=limit,
            memory_stalls=self._stalls(group),
            refaults=stat.get("total_workingset_refault_file", stat.get("workingset_refault_file")),
            oom_kills=self._events(group).get("oom_kill"),
        )

    def _quota(self, folder: str) -> _Quota | None:
        words = (text(f"{folder}/cpu.max") or "").split()
        if len(words) == 2:
            quota, period = number(words[0]), number(words[1])
        else:
            quota = number(text(f"{folder}/cpu.cfs_quota_us"))
            period = number(text(f"{folder}/cpu.cfs_period_us"))
        if not quota or not period or quota <= 0 or period <= 0:
            return None
        stat = table(text(f"{folder}/cpu.stat"))
        micro, nano = stat.get("throttled_usec"), stat.get("throttled_time")
        seconds = micro / 1e6 if micro is not None else nano / 1e9 if nano is not None else None
        return _Quota(quota / period, stat.get("nr_periods"), stat.get("nr_throttled"), seconds)

    def _limit(self, folder: str) -> int | None:
        size = self._first(folder, "memory.max", "memory.limit_in_bytes")
        return size if size is not None and size < _UNLIMITED else None

    def _stalls(self, folder: str | None) -> int | None:
        events = self._events(folder)
        if "max" in events:
            return events["max"] + events.get("high", 0)
        return self._first(folder, "memory.failcnt")

    def _events(self, folder: str | None) -> dict[str, int]:
        if folder is None:
            return {}
        return table(text(f"{folder}/memory.events") or text(f"{folder}/memory.oom_control"))

    def _first(self, folder: str | None, *files: str) -> int | None:
        for name in files if folder else ():
            value = number((text(f"{folder}/{name}") or "").strip() or None)
            if value is not None:
                return value
        return None

    def _folders(self, controller: str) -> tuple[str, ...]:
        """The group's directory for `controller` and all above it, innermost first."""
        groups = self._own_groups()
        for path, kind, controllers in self._mounts():
            if kind == "cgroup" and controller in controllers and controller in groups:
                return self._upwards(path, groups[controller])
        for path, kind, _ in self._mounts():
            if kind == "cgroup2" and "" in groups:
                return self._upwards(path, groups[""])
        return ()

    def _own_groups(self) -> dict[str, str]:
        group_of_controller: dict[str, str] = {}
        for line in (text(at(self._root, f"proc/{self._pid}/cgroup")) or "").splitlines():
            fields = line.split(":", 2)
            if len(fields) == 3:
                group_of_controller.update(dict.fromkeys(fields[1].split(","), fields[2]))
        return group_of_controller

    def _mounts(self) -> list[tuple[str, str, list[str]]]:
        lines = (text(at(self._root, "proc/mounts")) or "").splitlines()
        rows = [line.split() for line in lines]
        return [(row[1], row[2], row[3].split(",")) for row in rows if len(row) > 3 and row[2].startswith("cgroup")]

    def _upwards(self, mount: str, group: str) -> tuple[str, ...]:
        base = normpath(at(self._root, mount.lstrip("/")))
        folder = normpath(f"{base}/{group}")
        if not folder.startswith(base) or not Path(folder).is_dir():
            folder = base  # a container that sees its own group as the root
        folders = [folder]
        while folder != base:
            folder = folder.rpartition("/")[0]
            folders.append(folder)
        return tuple(folders)
