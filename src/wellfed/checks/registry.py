"""All checks, in the order they are shown. A new check is a file in `rules` and a line here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from wellfed.checks.base import Check
from wellfed.checks.rules import (
    acs,
    cpu_boost,
    cpu_governor,
    cpu_isolated,
    cpu_offline,
    cpu_quota,
    cpuset,
    fabric_manager,
    gpu_bar1,
    gpu_driver,
    gpu_ecc,
    gpu_memory_clock,
    gpu_mig,
    gpu_mixed,
    gpu_p2p,
    gpu_persistence,
    gpu_power_limit,
    gpu_row_remap,
    gpu_socket,
    gpu_throttle,
    gpu_xid,
    hugepages,
    iommu,
    kernel_cmdline,
    mem_bandwidth,
    mem_channels,
    mem_mixed_dimms,
    mem_speed,
    memlock,
    model_disk,
    nic_link,
    nic_locality,
    nic_per_gpu,
    numa_balancing,
    numa_hidden,
    numa_memory,
    nvlink,
    pcie_chipset,
    pcie_replay,
    pcie_shared_uplink,
    pcie_speed,
    pcie_width,
    ram_free,
    shared_memory,
    swap,
    thp,
    vram_free,
    zone_reclaim,
)
from wellfed.errors import UnknownName, nearest

GROUP = "wellfed.checks"
ALL: tuple[Check, ...] = (
    pcie_width.CHECK,
    pcie_speed.CHECK,
    pcie_chipset.CHECK,
    pcie_shared_uplink.CHECK,
    pcie_replay.CHECK,
    gpu_socket.CHECK,
    nic_locality.CHECK,
    nic_per_gpu.CHECK,
    nic_link.CHECK,
    mem_channels.CHECK,
    mem_mixed_dimms.CHECK,
    mem_speed.CHECK,
    mem_bandwidth.CHECK,
    numa_hidden.CHECK,
    numa_memory.CHECK,
    numa_balancing.CHECK,
    zone_reclaim.CHECK,
    thp.CHECK,
    hugepages.CHECK,
    cpu_governor.CHECK,
    cpu_boost.CHECK,
    cpu_offline.CHECK,
    cpu_isolated.CHECK,
    cpu_quota.CHECK,
    cpuset.CHECK,
    kernel_cmdline.CHECK,
    swap.CHECK,
    model_disk.CHECK,
    memlock.CHECK,
    shared_memory.CHECK,
    acs.CHECK,
    iommu.CHECK,
    nvlink.CHECK,
    gpu_p2p.CHECK,
    fabric_manager.CHECK,
    gpu_driver.CHECK,
    gpu_ecc.CHECK,
    gpu_row_remap.CHECK,
    gpu_xid.CHECK,
    gpu_throttle.CHECK,
    gpu_persistence.CHECK,
    gpu_power_limit.CHECK,
    gpu_memory_clock.CHECK,
    gpu_mig.CHECK,
    gpu_mixed.CHECK,
    gpu_bar1.CHECK,
    vram_free.CHECK,
    ram_free.CHECK,
)


def check(id: str) -> Check:
    """The check of that id; UnknownName with the nearest ids otherwise."""
    match = next((candidate for candidate in ALL if candidate.id == id), None)
    match = match or next((candidate for candidate in foreign() if candidate.id == id), None)
    if match is None:
        raise UnknownName("check", id, nearest(id, (candidate.id for candidate in ALL)))
    return match


@lru_cache(maxsize=1)
def foreign() -> tuple[Check, ...]:
    """Checks of other installed packages: entry points of the group `wellfed.checks`, each a Check or several.

    Looked for only when a name is not built in, or when all are listed. One that cannot be loaded, is no check or has
    a built-in check's id is left out.
    """
    from importlib.metadata import entry_points

    by_id: dict[str, Check] = {}
    for point in entry_points(group=GROUP):
        try:
            loaded = point.load()
        except Exception:  # noqa: BLE001  a stranger's package must not stop ours
            continue
        for entry in loaded if isinstance(loaded, list | tuple) else [loaded]:
            if isinstance(entry, Check):
                by_id.setdefault(entry.id, entry)
    built_in = {entry.id for entry in ALL}
    return tuple(entry for id, entry in by_id.items() if id not in built_in)


def select(only: Iterable[str] = (), ignore: Iterable[str] = ()) -> tuple[Check, ...]:
    """`only` these (all when empty) without `ignore`; an id may end in `*`. Unknown ids raise UnknownName."""
    matches = [match for pattern in only for match in _matching(pattern)]
    left_out = {match.id for pattern in ignore for match in _matching(pattern)}
    chosen = {match.id for match in matches} if matches else {match.id for match in ALL}
    strangers = [match for match in matches if match not in ALL]
    return tuple(match for match in (*ALL, *dict.fromkeys(strangers)) if match.id in chosen - left_out)


def _matching(pattern: str) -> list[Check]:
    if not pattern.endswith("*"):
        return [check(pattern)]
    matches = [candidate for candidate in ALL if candidate.id.startswith(pattern[:-1])]
    matches = matches or [candidate for candidate in foreign() if candidate.id.startswith(pattern[:-1])]
    if not matches:
        raise UnknownName("check", pattern, nearest(pattern[:-1], (candidate.id for candidate in ALL)))
    return matches
