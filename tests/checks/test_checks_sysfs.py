"""Faults put into a tree of /sys and /proc: read, judged, and found where they were put, and nowhere else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from check_machines import every_finding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machines_builder import (
    Box,
    Slot,
    build,
    channel_slots,
    downstream,
    gpu,
    host_bridge,
    isa_bridge,
    read,
    root_port,
    switch,
    two_socket_box,
)
from wellfed.checks.run import run_checks
from wellfed.hardware.machine import Machine, Origin
from wellfed.nouns.finding import FAULTS, Finding

Change = Callable[[Box], Box]
CARDS = ("0000:11:00.0", "0000:51:00.0")  # gpu0 on socket 0, gpu1 on socket 1
LIMITS = "/proc/self/limits"
CGROUP = "/sys/fs/cgroup/user.slice/session-1.scope"


def read_box(box: Box) -> Machine:
    with tempfile.TemporaryDirectory() as folder:
        return read(build(box, Path(folder)))


def findings(box: Box) -> tuple[Finding, ...]:
    return every_finding(read_box(box))


def found(box: Box) -> dict[tuple[str, str], str]:
    return {(f.id, f.subject): f.verdict.value for f in findings(box)}


def files(**texts: str) -> Change:
    """Files by a short name of their path."""
    paths = {
        "balancing": "/proc/sys/kernel/numa_balancing",
        "reclaim": "/proc/sys/vm/zone_reclaim_mode",
        "thp": "/sys/kernel/mm/transparent_hugepage/enabled",
        "limits": LIMITS,
        "cmdline": "/proc/cmdline",
        "cpu_max": f"{CGROUP}/cpu.max",
        "memory_max": f"{CGROUP}/memory.max",
        "meminfo": "/proc/meminfo",
        "isolated": "/sys/devices/system/cpu/isolated",
        "status": "/proc/self/status",
        "boost": "/sys/devices/system/cpu/cpufreq/boost",
        "pages": "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages",
    }
    return lambda box: replace(box, files={**box.files, **{paths[key]: text for key, text in texts.items()}})


def cards(first: dict | None = None, second: dict | None = None) -> Change:
    """The two ports and cards, with some facts of their own."""

    def change(box: Box) -> Box:
        ports = []
        for n, facts in enumerate((first or {}, second or {})):
            own = {key: value for key, value in facts.items() if not key.startswith("port_")}
            port = {key.removeprefix("port_"): value for key, value in facts.items() if key.startswith("port_")}
            card = gpu(CARDS[n], **own)
            ports.append(root_port(f"0000:{16 + 64 * n:02x}:01.0", **{"numa": n, "below": (card,), **port}))
        return replace(box, pci=(host_bridge(), *ports))

    return change


def link(which: int, **facts: object) -> Change:
    return cards(**{("first", "second")[which]: facts})


def behind_pch(box: Box) -> Box:
    port = root_port("0000:00:1c.4", now=(3, 4), best=(3, 4), below=(gpu("0000:03:00.0", now=(3, 4)),))
    return replace(box, pci=(host_bridge(), isa_bridge(), port, *cards()(box).pci[1:]))


def on_one_socket(box: Box) -> Box:
    ports = tuple(
        root_port(f"0000:{16 + 16 * n:02x}:01.0", numa=0, below=(gpu(f"0000:{17 + 16 * n:02x}:00.0"),)) for n in (0, 1)
    )
    return replace(box, pci=(host_bridge(), *ports))


def one_switch(box: Box, **uplink: object) -> Box:
    ports = tuple(downstream(f"0000:12:{n:02x}.0", gpu(f"0000:{0x13 + n:02x}:00.0")) for n in (0, 1))
    root = root_port("0000:10:01.0", numa=0, below=(replace(switch("0000:11:00.0", ports), **uplink),), **uplink)
    far = root_port("0000:50:01.0", numa=1, below=(gpu("0000:51:00.0"),))
    far2 = root_port("0000:60:01.0", numa=1, below=(gpu("0000:61:00.0"),))
    return replace(box, pci=(host_bridge(), root, far, far2))


def slots(some: tuple[Slot, ...]) -> Change:
    return lambda box: replace(box, slots=some)


def without(channel: str) -> tuple[Slot, ...]:
    return tuple(
        replace(slot, gib=0) if slot.bank == f"P1 CHANNEL {channel}" else slot for slot in channel_slots(2, "ABCDEFGH")
    )


MEMINFO = (
    "MemTotal: 134217728 kB\nMemFree: {free} kB\nMemAvailable: {free} kB\nSwapTotal: 9999999 kB\nSwapFree: {swap} kB\n"
)
BASE = two_socket_box(files={"/proc/meminfo": MEMINFO.format(free=120000000, swap=9999999)})
IDLE = {"now": (1, 16), "best": (4, 16)}

ONE_FAULT: dict[str, tuple[Change, set[tuple[str, str]]]] = {
    "x8": (link(0, now=(4, 8), port_now=(4, 8)), {("pcie-width", "gpu0")}),
    "x4 in a x4 slot": (link(1, now=(4, 4), port_now=(4, 4), port_best=(4, 4)), {("pcie-width", "gpu1")}),
    "behind the PCH": (behind_pch, {("pcie-chipset", "gpu0"), ("pcie-width", "gpu0")}),
    "both GPUs on one socket": (on_one_socket, {("gpu-socket", "system")}),
    "a shared uplink": (one_switch, {("pcie-shared-uplink", "0000:10:01.0")}),
    "a slow uplink": (
        lambda box: one_switch(box, now=(2, 16), best=(4, 16)),
        {("pcie-shared-uplink", "0000:10:01.0"), ("pcie-speed", "gpu0"), ("pcie-speed", "gpu1")},
    ),
    "damaged packets": (
        link(0, files={"aer_dev_correctable": "RxErr 900\nTOTAL_ERR_COR 900\n"}), {("pcie-replay", "gpu0")},
    ),
    "access control": (link(1, port_acs=True), {("acs", "system")}),
    "an empty channel": (slots(without("C")), {("mem-channels", "socket1")}),
    "a slow profile": (
        slots(channel_slots(2, "ABCDEFGH", mt_s=3600)), {("mem-speed", "socket0"), ("mem-speed", "socket1")},
    ),
    "a larger DIMM": (
        slots((replace(channel_slots(2, "A")[0], gib=64), *channel_slots(2, "ABCDEFGH")[1:])),
        {("mem-mixed-dimms", "socket0")},
    ),
    "NUMA balancing": (files(balancing="1\n"), {("numa-balancing", "system")}),
    "zone reclaim": (files(reclaim="1\n"), {("zone-reclaim", "system")}),
    "no huge pages": (files(thp="always madvise [never]\n"), {("thp", "system")}),
    "pages on one node": (files(pages="512\n"), {("hugepages", "system")}),
    "a lazy governor": (lambda box: replace(box, governor="powersave"), {("cpu-governor", "system")}),
    "no boost": (files(boost="0\n"), {("cpu-boost", "system")}),
    "an offline CPU": (lambda box: replace(box, offline=frozenset({21})), {("cpu-offline", "system")}),
    "isolated CPUs": (files(isolated="4-7\n"), {("cpu-isolated", "system")}),
    "a CPU quota": (files(cpu_max="200000 100000\n"), {("cpu-quota", "system")}),
    "a CPU set": (
        files(status="Name:\tx\nCpus_allowed_list:\t0-7,16-23\nMems_allowed_list:\t0-1\n"), {("cpuset", "system")},
    ),
    "a memory limit": (files(memory_max=f"{8 << 30}\n"), {("ram-free", "system")}),
    "little memory": (files(meminfo=MEMINFO.format(free=30000000, swap=9999999)), {("ram-free", "system")}),
    "swapping": (files(meminfo=MEMINFO.format(free=120000000, swap=0)), {("swap", "system")}),
    "locked memory": (
        files(limits="Limit Soft Hard Units\nMax locked memory     65536   65536   bytes\n"), {("memlock", "system")},
    ),
    "a forgotten option": (files(cmdline="ro maxcpus=8 iommu=pt\n"), {("kernel-cmdline", "system")}),
    "translation": (files(cmdline="ro quiet\n"), {("iommu", "system")}),
}  # fmt: skip


def faults(box: Box) -> set[tuple[str, str]]:
    return {(f.id, f.subject) for f in findings(box) if f.verdict in FAULTS}


def test_the_healthy_tree_has_no_fault():
    assert faults(BASE) == set()
    verdicts = found(BASE)
    for id in ("pcie-chipset", "pcie-width", "pcie-speed"):
        assert verdicts[id, "gpu0"] == verdicts[id, "gpu1"] == "pass"
    assert verdicts["gpu-socket", "system"] == verdicts["mem-channels", "socket1"] == "pass"


@pytest.mark.parametrize("name", list(ONE_FAULT))
def test_one_fault_is_found_and_no_other(name):
    change, expected = ONE_FAULT[name]
    assert faults(change(BASE)) == expected


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(ONE_FAULT)), st.sampled_from(["thp", "numa", "governor", "offline"]))
def test_another_fault_hides_none(name, other):
    change, expected = ONE_FAULT[name]
    more = {
        "thp": files(thp="always madvise [never]\n"),
        "numa": files(balancing="1\n"),
        "governor": lambda box: replace(box, governor="powersave"),
        "offline": lambda box: replace(box, offline=frozenset({3})),
    }[other]
    assert expected <= faults(more(change(BASE)))


def test_idle_links_are_unknown_and_not_slow():
    assert found(cards(IDLE, IDLE)(BASE))["pcie-speed", "gpu0"] == "unknown"
    assert ("pcie-width", "gpu0") not in faults(cards(IDLE, IDLE)(BASE))


def test_a_gen4_card_in_a_gen3_slot_is_told_and_passes():
    slot = {"now": (3, 16), "port_now": (3, 16), "port_best": (3, 16)}
    said = next(f for f in findings(link(0, **slot)(BASE)) if (f.id, f.subject) == ("pcie-speed", "gpu0"))
    assert said.verdict == "pass" and "as fast as the platform goes" in said.why


def test_a_radeon_is_judged_at_its_edge():
    inner = downstream("0000:12:00.0", gpu("0000:13:00.0", (0x1002, 0x744C), class_code=0x030000), ids=(0x1002, 0x1479))
    card = replace(switch("0000:11:00.0", (inner,), ids=(0x1002, 0x1478)), now=(4, 8))
    one = root_port("0000:10:01.0", numa=0, below=(card,), now=(4, 8))
    other = root_port("0000:50:01.0", numa=1, below=(gpu(CARDS[1]),))
    box = replace(BASE, pci=(host_bridge(), one, other))
    verdicts = found(box)
    assert verdicts["pcie-width", "gpu0"] == "fail"
    assert verdicts["pcie-chipset", "gpu0"] == "pass"


def test_sub_numa_nodes_count_per_socket():
    box = replace(BASE, nodes=4, pci=cards({"port_numa": 2}, {"port_numa": 5})(BASE).pci)
    assert found(box)["gpu-socket", "system"] == "pass"
    assert (
        found(replace(box, pci=cards({"port_numa": 2}, {"port_numa": 0})(BASE).pci))["gpu-socket", "system"] == "fail"
    )


def test_slots_are_not_channels():
    pairs = channel_slots(2, "ABCDEFGH", per_channel=2)
    half = tuple(replace(slot, gib=0) if slot.locator.endswith("1") else slot for slot in pairs)
    assert found(slots(half)(BASE))["mem-channels", "socket0"] == "pass"


def test_a_virtual_machine_is_not_judged_by_invented_hardware():
    box = replace(slots(without("C"))(BASE), files={**BASE.files, "/sys/class/dmi/id/sys_vendor": "QEMU\n"})
    verdicts = found(box)
    assert verdicts["mem-channels", "system"] == verdicts["acs", "system"] == verdicts["iommu", "system"] == "skip"


def test_numbers_missing_between_the_nodes_are_offline_cpus():
    machine = read_box(BASE)
    nodes = tuple(replace(n, cpus=tuple(cpu for cpu in n.cpus if cpu != 21)) for n in machine.numa_nodes)
    unsaid = replace(machine.os, cpus_offline=None, cpus_present=None)
    dump = replace(machine, origin=Origin.DUMP, os=unsaid, numa_nodes=nodes)
    said = [f for f in run_checks(dump) if f.id == "cpu-offline"]
    assert [f.verdict for f in said] == ["warn"] and "21" in said[0].why
    one_shown = replace(dump, numa_nodes=nodes[:1])
    assert [f.verdict for f in run_checks(one_shown) if f.id == "cpu-offline"] == ["unknown"]
    assert [f.verdict for f in run_checks(one_shown) if f.id == "numa-hidden"] == ["unknown"]


def test_graphics_inside_the_cpu_are_not_one_of_the_gpus():
    inside = gpu("0000:05:00.0", (0x1002, 0x164E), class_code=0x030000)
    port = replace(root_port("0000:00:08.1", below=(inside,)), ids=(0x1022, 0x14DD))
    cards_too = replace(BASE, pci=(*cards()(BASE).pci, port))
    assert {f.subject for f in findings(cards_too) if f.id == "gpu-ecc"} == {"gpu1", "gpu2"}
    alone = replace(BASE, pci=(host_bridge(), port))
    assert {f.subject for f in findings(alone) if f.id == "gpu-ecc"} == {"gpu0"}
