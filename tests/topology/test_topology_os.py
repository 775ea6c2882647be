"""What the operating system imposes, on trees of our own making."""

from __future__ import annotations

from pathlib import Path

import pytest

from machines_builder import GIB, Box, build, read
from wellfed.topology.to_json import counts


def test_settings(tmp_path: Path) -> None:
    found = read(build(Box(), tmp_path)).os
    assert (found.transparent_huge_pages, found.numa_balancing, found.swappiness) == ("madvise", False, 60)
    assert (found.governor, found.memlock_bytes, found.iommu, found.kernel) == (
        "performance",
        -1,
        "passthrough",
        "6.8.0-test",
    )
    assert (found.swap_total_bytes, found.swap_used_bytes, found.cpu_quota) == (0, 0, None)


ABSENT = {
    "/proc/sys/vm/swappiness": "swappiness",
    "/proc/sys/kernel/numa_balancing": "numa_balancing",
    "/sys/kernel/mm/transparent_hugepage/enabled": "transparent_huge_pages",
    "/proc/self/limits": "memlock_bytes",
    "/proc/sys/kernel/osrelease": "kernel",
}


@pytest.mark.parametrize("path", ABSENT)
def test_absent_file_is_none(tmp_path: Path, path: str) -> None:
    assert getattr(read(build(Box(files={path: None}), tmp_path)).os, ABSENT[path]) is None


def test_no_governor_is_none(tmp_path: Path) -> None:
    found = read(build(Box(governor=None), tmp_path)).os
    assert found.governor is None
    assert found.governors == {}


def test_tightest_cgroup_wins(tmp_path: Path) -> None:
    box = Box(
        files={
            "/sys/fs/cgroup/user.slice/cpu.max": "150000 100000\n",
            "/sys/fs/cgroup/user.slice/session-1.scope/cpu.max": "400000 100000\n",
            "/sys/fs/cgroup/user.slice/session-1.scope/memory.max": f"{8 * GIB}\n",
            "/sys/fs/cgroup/user.slice/memory.max": f"{6 * GIB}\n",
        }
    )
    machine = read(build(box, tmp_path))
    assert machine.os.cpu_quota == 1.5
    assert machine.os.memory_limit_bytes == 6 * GIB
    assert machine.memory_usable_bytes == 6 * GIB


def test_container_that_sees_its_group_as_root(tmp_path: Path) -> None:
    box = Box(
        files={
            "/proc/self/cgroup": "0::/docker/0123abcd\n",
            "/sys/fs/cgroup/cpu.max": "200000 100000\n",
        }
    )
    found = read(build(box, tmp_path)).os
    assert found.cpu_quota == 2.0
    assert found.container is True


def test_cgroup_v1(tmp_path: Path) -> None:
    box = Box(
        files={
            "/proc/mounts": "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
            "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n",
            "/proc/self/cgroup": "4:cpu,cpuacct:/job\n2:memory:/job\n",
            "/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "250000\n",
            "/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{3 * GIB}\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        }
    )
    found = read(build(box, tmp_path)).os
    assert (found.cpu_quota, found.memory_limit_bytes) == (2.5, 3 * GIB)


def test_cpuset_narrows_cpus_and_memory(tmp_path: Path) -> None:
    group = "/sys/fs/cgroup/user.slice/session-1.scope"
    box = Box(
        sockets=2,
        cores=4,
        threads=1,
        files={f"{group}/cpuset.cpus.effective": "4-6\n", f"{group}/cpuset.mems.effective": "1\n"},
    )
    machine = read(build(box, tmp_path))
    assert counts(machine) == {"packages": 1, "cores": 3, "pus": 3, "numa_nodes": 1, "gpus": 0}
    assert machine.os.cpus_allowed == (4, 5, 6)
    assert machine.memory_bytes == 64 * GIB


def test_huge_pages_by_node(tmp_path: Path) -> None:
    node = "/sys/devices/system/node/node1/hugepages/hugepages-2048kB"
    box = Box(sockets=2, files={f"{node}/nr_hugepages": "512\n", f"{node}/free_hugepages": "100\n"})
    found = read(build(box, tmp_path)).os
    assert found.huge_pages[1][2 << 20] == 512
    assert found.huge_pages_free[1][2 << 20] == 100
    assert found.huge_pages[0][2 << 20] == 0


def test_mixed_governors_are_counted(tmp_path: Path) -> None:
    root = build(Box(cores=4, threads=1), tmp_path)
    (root / "sys/devices/system/cpu/cpu3/cpufreq/scaling_governor").write_text("powersave\n")
    assert read(root).os.governors == {"performance": 3, "powersave": 1}
