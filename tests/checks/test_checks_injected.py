"""Faults injected one at a time into a healthy machine: exactly the expected findings change, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from check_cases import emptied, on_one_socket, with_dimms
from check_machines import (
    GIB,
    board,
    chain,
    every_finding,
    healthy,
    with_device,
    with_gpu,
    with_link,
    with_os,
    with_socket,
)
from hypothesis import given
from hypothesis import strategies as st

from wellfed.hardware.machine import Machine
from wellfed.hardware.pcie import PcieLink
from wellfed.nouns.finding import FAULTS, Finding

Fault = tuple[Callable[[Machine], Machine], set[tuple[str, str]]]
gpus = st.integers(0, 3)
sockets = st.integers(0, 1)


def on_gpu(id: str, **changes: st.SearchStrategy) -> st.SearchStrategy[Fault]:
    """A GPU's field with a bad value; only `id` of that GPU changes."""
    return st.tuples(gpus, st.fixed_dictionaries(changes)).map(
        lambda drawn: (with_gpu(drawn[0], **drawn[1]), {(id, f"gpu{drawn[0]}")})
    )


def on_os(id: str, **changes: st.SearchStrategy) -> st.SearchStrategy[Fault]:
    return st.fixed_dictionaries(changes).map(lambda drawn: (with_os(**drawn), {(id, "system")}))


def narrow(drawn: tuple[int, int]) -> Fault:
    return with_link(drawn[0], PcieLink(4, drawn[1])), {("pcie-width", f"gpu{drawn[0]}")}


def slow(drawn: tuple[int, int]) -> Fault:
    return with_link(drawn[0], PcieLink(drawn[1], 16)), {("pcie-speed", f"gpu{drawn[0]}")}


def empty_channels(drawn: tuple[int, int]) -> Fault:
    index, left = drawn
    change = chain(with_dimms(index, emptied, slice(left, None)), with_socket(index, channels=left))
    return change, {("mem-channels", f"socket{index}")}


def mixed(drawn: tuple[int, int]) -> Fault:
    index, size = drawn
    bigger = with_dimms(index, lambda dimm: replace(dimm, bytes=size * GIB), slice(0, 1))
    return bigger, {("mem-mixed-dimms", f"socket{index}")}


def isolated_some(cpus: set[int]) -> Fault:
    return with_os(cpus_isolated=tuple(sorted(cpus))), {("cpu-isolated", "system")}


def offline_some(cpus: set[int]) -> Fault:
    online = tuple(n for n in range(32) if n not in cpus)
    change = with_os(cpus_offline=tuple(sorted(cpus)), cpus_online=online, cpus_allowed=online)
    return change, {("cpu-offline", "system")}


def redirecting(index: int) -> Fault:
    port = f"0000:{0x10 * (index + 1) - 1:02x}:01.1"
    return with_device(port, acs_redirect=True), {("acs", "system")}


FAULTY: st.SearchStrategy[Fault] = st.one_of(
    st.tuples(gpus, st.sampled_from([1, 2, 4, 8])).map(narrow),
    st.tuples(gpus, st.integers(1, 3)).map(slow),
    st.tuples(sockets, st.integers(2, 7)).map(empty_channels),
    st.tuples(sockets, st.sampled_from([16, 64, 128])).map(mixed),
    st.tuples(sockets, st.sampled_from([1600.0, 2133.0, 2933.0])).map(
        lambda d: (with_socket(d[0], mt_s=d[1]), {("mem-speed", f"socket{d[0]}")})
    ),
    gpus.map(redirecting),
    st.just((on_one_socket, {("gpu-socket", "system")})),
    st.sets(st.integers(0, 31), min_size=1, max_size=12).map(isolated_some),
    st.sets(st.integers(0, 31), min_size=1, max_size=12).map(offline_some),
    on_gpu("pcie-replay", replays=st.integers(8, 10**6)),
    on_gpu("gpu-ecc", ecc_uncorrected=st.integers(1, 99)),
    on_gpu("gpu-row-remap", remapped_rows_pending=st.just(True)),
    on_gpu("gpu-xid", xids=st.lists(st.integers(1, 160), min_size=1).map(tuple)),
    on_gpu("gpu-throttle", throttle_reasons=st.sampled_from([("hw_slowdown",), ("sw_thermal_slowdown", "gpu_idle")])),
    on_gpu("gpu-persistence", persistence=st.just(False)),
    on_gpu("gpu-power-limit", power_limit_w=st.floats(100, 269)),
    on_gpu("gpu-mig", mig=st.just(True)),
    on_gpu("gpu-bar1", bar1_bytes=st.integers(1 << 20, 40 * GIB)),
    on_gpu("vram-free", memory_free_bytes=st.integers(0, 45 * GIB)),
    on_os("numa-balancing", numa_balancing=st.just(True)),
    on_os("zone-reclaim", zone_reclaim_mode=st.integers(1, 7)),
    on_os("thp", transparent_huge_pages=st.just("never")),
    on_os("cpu-governor", governors=st.sampled_from([{"powersave": 32}, {"performance": 31, "ondemand": 1}])),
    on_os("cpu-boost", boost=st.just(False)),
    on_os("cpu-quota", cpu_quota=st.floats(0.01, 19.9)),
    on_os("kernel-cmdline", command_line=st.sampled_from(["ro nr_cpus=4", "pcie_aspm=force quiet", "mem=16G"])),
    on_os("swap", swap_used_bytes=st.integers(2 * GIB, 8 * GIB)),
    on_os("memlock", memlock_bytes=st.integers(0, 511 * GIB)),
    on_os("shared-memory", shared_memory_bytes=st.integers(0, GIB - 1)),
    on_os("iommu", iommu=st.just("on")),
    on_os("ram-free", memory_free_bytes=st.integers(0, 255 * GIB)),
)


def verdicts(findings: tuple[Finding, ...]) -> dict[tuple[str, str], str]:
    return {(finding.id, finding.subject): finding.verdict.value for finding in findings}


HEALTHY = verdicts(every_finding(healthy()))


@given(FAULTY)
def test_exactly_the_expected_findings_change(fault):
    change, expected = fault
    found = every_finding(change(healthy()))
    assert {(f.id, f.subject) for f in found if f.verdict in FAULTS} == expected
    now = verdicts(found)
    changed = {key for key in HEALTHY.keys() | now.keys() if HEALTHY.get(key) != now.get(key)}
    # Moving every GPU to one socket also moves the places that network cards are judged at.
    assert {key for key in changed - expected if key[0] not in ("nic-locality", "cpu-quota")} == set()


@given(gpus, st.integers(0, 11))
def test_a_link_down_is_told_of_the_gpu_that_lost_it(index, up):
    found = every_finding(with_gpu(index, nvlinks_active=up)(board()))
    assert {(f.id, f.subject) for f in found if f.verdict in FAULTS} == {("nvlink", f"gpu{index}")}


@given(FAULTY, FAULTY)
def test_two_faults_are_found_as_surely_as_one(one, two):
    both = chain(one[0], two[0])(healthy())
    found = {(f.id, f.subject) for f in every_finding(both) if f.verdict in FAULTS}
    assert two[1] <= found
