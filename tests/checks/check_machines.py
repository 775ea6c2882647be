"""Machines for the tests of checks: a healthy one, and ways to break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from wellfed.checks.registry import ALL, check
from wellfed.checks.run import run_check
from wellfed.hardware.machine import (
    UNLIMITED,
    Cpu,
    Dimm,
    Gpu,
    GpuLink,
    Machine,
    Nic,
    NumaNode,
    Origin,
    OsSettings,
    Socket,
)
from wellfed.hardware.parts import CpuSpec, GpuSpec, PeakRates
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.nouns.estimate import Estimate, Memory, Quantity
from wellfed.nouns.finding import Finding

GIB = 1 << 30
AMD, NVIDIA, MELLANOX, BROADCOM = 0x1022, 0x10DE, 0x15B3, 0x1000
GEN4_X16, GEN1_X16 = PcieLink(4, 16), PcieLink(1, 16)

CPU = CpuSpec(
    id="test-cpu", name="Test CPU", vendor="amd", architecture="zen3", cores=8, threads=16, memory_channels=8,
    memory_type="ddr4", memory_mt_s=(3200.0, 2933.0), pcie_generation=4, pcie_lanes=128, sockets_max=2,
)  # fmt: skip
GPU = GpuSpec(
    id="test-gpu", name="Test GPU", vendor="nvidia", architecture="ampere", form="pcie", memory_bytes=48 * GIB,
    memory_bandwidth_bytes_per_s=768e9, memory_type="gddr6", peak=PeakRates(fp16=150e12), pcie_generation=4,
    pcie_lanes=16, board_power_w=300.0,
)  # fmt: skip
MODULE = replace(
    GPU, id="test-sxm", name="Test SXM", form="sxm", memory_type="HBM2e", link_bytes_per_s=300e9, link_peers=8
)


def dimms(socket: int, channels: int = 8, **other: Any) -> tuple[Dimm, ...]:
    """One 32 GiB module in each channel."""
    names = [f"P{socket}_Channel{channel}" for channel in range(channels)]
    facts: dict[str, Any] = {"mt_s": 3200.0, "rated_mt_s": 3200.0, "ranks": 2, "type": "DDR4", **other}
    return tuple(Dimm(f"DIMM_{name}", 32 * GIB, channel=name, socket=socket, **facts) for name in names)


def socket(index: int) -> Socket:
    return Socket(
        index=index, cpu=CPU, name="Test CPU", cores=8, threads=16, channels=8, mt_s=3200.0, memory_bytes=256 * GIB,
        dimms=dimms(index), channels_named=8, numa_nodes=(index,),
    )  # fmt: skip


def gpu(index: int, **other: Any) -> Gpu:
    """In P0, in good health."""
    facts: dict[str, Any] = {
        "spec": GPU, "name": "Test GPU", "memory_bytes": 48 * GIB, "memory_free_bytes": 48 * GIB - 500 * 2**20,
        "pci_address": f"0000:{0x10 * (index + 1):02x}:00.0", "numa_node": index // 2, "socket": index // 2,
        "link": GEN4_X16, "power_limit_w": 300.0, "performance_state": 0, "clock_hz": 1.7e9, "ecc_enabled": True,
        "ecc_uncorrected": 0, "remapped_rows_pending": False, "persistence": True, "foreign_processes": 0,
        "vendor": "nvidia", "replays": 0, "bar1_bytes": 64 * GIB, "driver": "580.00", "mig": False,
        "ecc_pending": True, "remapping_failed": False, "temperature_c": 40.0,
    }  # fmt: skip
    return Gpu(index=index, **{**facts, **other})


def endpoint(bus: int, node: int, vendor: int, device: int, kind: int, driver: str) -> tuple[PciDevice, PciDevice]:
    """A root port and the card below it."""
    port = PciDevice(
        f"0000:{bus - 1:02x}:01.1", AMD, 0x1483, 0x060400, link_current=GEN4_X16, link_max=GEN4_X16, numa_node=node,
        acs_redirect=False, port="root", driver="pcieport", secondary_bus=bus, subordinate_bus=bus, replays=0,
    )  # fmt: skip
    card = PciDevice(
        f"0000:{bus:02x}:00.0", vendor, device, kind, parent=port.address, link_current=GEN4_X16, link_max=GEN4_X16,
        numa_node=node, port="endpoint", driver=driver, replays=0,
    )  # fmt: skip
    return port, card


def healthy() -> Machine:
    """Two sockets of 8 cores, four PCIe cards, two network cards: nothing to find but what was not measured."""
    nodes = tuple(
        NumaNode(n, n, (*range(8 * n, 8 * n + 8), *range(16 + 8 * n, 24 + 8 * n)), 256 * GIB, 250 * GIB, {})
        for n in (0, 1)
    )
    cards = [endpoint(0x10 * (n + 1), n // 2, NVIDIA, 0x2235, 0x030200, "nvidia") for n in range(4)]
    nics = [endpoint(0x80 + 0x10 * n, n, MELLANOX, 0x101B, 0x020700, "mlx5_core") for n in (0, 1)]
    every = tuple(range(32))
    settings = OsSettings(
        kernel="6.8.0", virtualised=False, container=False, cpus_online=every, cpus_present=every, cpus_allowed=every,
        memory_free_bytes=500 * GIB, swap_total_bytes=8 * GIB, swap_used_bytes=0, swappiness=60, numa_balancing=False,
        transparent_huge_pages="madvise", huge_pages={0: {2 << 20: 0}, 1: {2 << 20: 0}}, governor="performance",
        memlock_bytes=UNLIMITED, iommu="passthrough", cpus_offline=(), cpus_isolated=(), memory_nodes_allowed=(0, 1),
        huge_pages_free={0: {2 << 20: 0}, 1: {2 << 20: 0}}, governors={"performance": 32}, boost=True, smt=True,
        zone_reclaim_mode=0, command_line="BOOT_IMAGE=/vmlinuz ro quiet iommu=pt", architecture="x86_64",
        shared_memory_bytes=256 * GIB, nvidia_driver="580.00", nvswitches=0,
    )  # fmt: skip
    return Machine(
        name="healthy", origin=Origin.LIVE, sockets=(socket(0), socket(1)), numa_nodes=nodes,
        gpus=tuple(gpu(n) for n in range(4)), pci=tuple(device for pair in (*cards, *nics) for device in pair),
        nics=tuple(Nic(f"mlx5_{n}", f"0000:{0x80 + 0x10 * n:02x}:00.0", n, 25e9, "infiniband", True) for n in (0, 1)),
        memory_bytes=512 * GIB, os=settings, measured_memory_bandwidth_bytes_per_s=0.8 * 16 * 3200e6 * 8,
        cpus=tuple(Cpu(c, c % 16 // 8, c % 16, c % 16 // 8) for c in every), pci_complete=True,
        dimms=dimms(0) + dimms(1),
    )  # fmt: skip


def one_socket() -> Machine:
    """The healthy machine's first half."""
    whole = healthy()
    return replace(
        whole, sockets=whole.sockets[:1], numa_nodes=whole.numa_nodes[:1], gpus=whole.gpus[:2], nics=whole.nics[:1]
    )


def board() -> Machine:
    """Four modules on an NVSwitch board in place of the cards."""
    whole = healthy()
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    modules = tuple(
        replace(each, spec=MODULE, name="Test SXM", nvlinks_active=12, nvlinks_total=12, fabric_state="completed")
        for each in whole.gpus
    )
    return replace(
        whole, gpus=modules, gpu_links=tuple(GpuLink(a, b, "nvswitch", 300e9) for a, b in pairs),
        os=replace(whole.os, nvswitches=6, fabric_manager_running=True),
    )  # fmt: skip


def with_os(**changed: Any) -> Callable[[Machine], Machine]:
    return lambda machine: replace(machine, os=replace(machine.os, **changed))


def with_gpu(index: int, **changed: Any) -> Callable[[Machine], Machine]:
    def change(machine: Machine) -> Machine:
        gpus = tuple(replace(g, **changed) if g.index == index else g for g in machine.gpus)
        return replace(machine, gpus=gpus)

    return change


def with_all_gpus(**changed: Any) -> Callable[[Machine], Machine]:
    return lambda machine: replace(machine, gpus=tuple(replace(g, **changed) for g in machine.gpus))


def with_device(address: str, **changed: Any) -> Callable[[Machine], Machine]:
    def change(machine: Machine) -> Machine:
        devices = tuple(replace(d, **changed) if d.address == address else d for d in machine.pci)
        return replace(machine, pci=devices)

    return change


def with_socket(index: int, **changed: Any) -> Callable[[Machine], Machine]:
    def change(machine: Machine) -> Machine:
        sockets = tuple(replace(s, **changed) if s.index == index else s for s in machine.sockets)
        return replace(machine, sockets=sockets)

    return change


def with_link(gpu_index: int, link: PcieLink) -> Callable[[Machine], Machine]:
    """Both ends of a card's own link see `link` now."""

    def change(machine: Machine) -> Machine:
        card = machine.gpus[gpu_index].pci_address
        ends = {d.address: d for d in machine.pci if d.address == card}
        ends |= {d.address: d for d in machine.pci if card in ends and d.address == ends[card].parent}
        devices = tuple(replace(d, link_current=link) if d.address in ends else d for d in machine.pci)
        return with_gpu(gpu_index, link=link)(replace(machine, pci=devices))

    return change


def behind(gpu_index: int, *bridges: PciDevice) -> Callable[[Machine], Machine]:
    """The card moved below `bridges`, nearest first."""

    def change(machine: Machine) -> Machine:
        card = machine.gpus[gpu_index].pci_address
        above = [replace(b, parent=c.address) for b, c in pairwise(bridges)] + [bridges[-1]]
        devices = tuple(
            replace(d, parent=bridges[0].address) if d.address == card else d
            for d in machine.pci
            if d.address not in {b.address for b in bridges}
        )
        return replace(machine, pci=(*devices, *above))

    return change


def bridge(address: str, vendor: int, device: int, port: str, **other: Any) -> PciDevice:
    facts: dict[str, Any] = {"link_current": GEN4_X16, "link_max": GEN4_X16, "acs_redirect": False, "replays": 0}
    return PciDevice(address, vendor, device, 0x060400, port=port, driver="pcieport", **{**facts, **other})


def chain(*changes: Callable[[Machine], Machine]) -> Callable[[Machine], Machine]:
    def change(machine: Machine) -> Machine:
        for each in changes:
            machine = each(machine)
        return machine

    return change


def plan() -> Estimate:
    """A plan that needs next to nothing: for checks that only judge what runs."""
    exact = Quantity.exact
    return Estimate(
        memory=Memory(()), decode=(), prefill=(), ttft_s=exact(1.0), tpot_s=exact(0.1), prefill_tok_s=exact(100.0),
        total_tok_s=exact(10.0), limited_by="memory", load_s=1.0,
    )  # fmt: skip


ENGINES = ("memlock", "shared-memory")  # judged for a plan alone


def judged(machine: Machine, id: str) -> tuple[Finding, ...]:
    """One check's findings, with a plan where it takes one."""
    return run_check(machine, check(id), plan() if id in ENGINES else None)


def every_finding(machine: Machine) -> tuple[Finding, ...]:
    """All checks' findings, those that take a plan with one."""
    return tuple(finding for each in ALL for finding in judged(machine, each.id))
