"""For each check: machines on which it passes, finds a fault, cannot tell, does not apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from check_machines import (
    BROADCOM,
    GEN1_X16,
    GEN4_X16,
    GIB,
    GPU,
    NVIDIA,
    behind,
    board,
    bridge,
    chain,
    healthy,
    one_socket,
    with_all_gpus,
    with_device,
    with_gpu,
    with_link,
    with_os,
    with_socket,
)

from wellfed.hardware.machine import DevicePath, Dimm, Disk, Gpu, GpuLink, Machine, Nic, Origin, PeerAccess
from wellfed.hardware.pcie import PciDevice, PcieLink

Change = Callable[[Machine], Machine]
INTEL, QEMU = 0x8086, 0x1B36
CARD0, PORT0 = "0000:10:00.0", "0000:0f:01.1"


def same(machine: Machine) -> Machine:
    return machine


def bare(machine: Machine) -> Machine:
    """No GPU at all."""
    return replace(machine, gpus=(), paths=())


def blind(machine: Machine) -> Machine:
    """A container without /sys: nobody could look for GPUs."""
    return replace(machine, gpus=(), pci=(), unknown={"pci": "no /sys", "gpus": "no /sys"})


def paper(machine: Machine) -> Machine:
    return replace(machine, origin=Origin.PARTS)


def dump(machine: Machine) -> Machine:
    return replace(machine, origin=Origin.DUMP)


def untold(key: str, **values: Any) -> Change:
    """A setting that could not be read, with its reason."""
    return lambda m: replace(with_os(**values)(m), unknown={f"os.{key}": "permission denied"})


def gpu_untold(key: str, **values: Any) -> Change:
    return lambda m: replace(with_gpu(0, **values)(m), unknown={f"gpu0.{key}": "Insufficient Permissions"})


def with_dimms(index: int, change: Callable[[Dimm], Dimm], some: slice = slice(None)) -> Change:
    def apply(machine: Machine) -> Machine:
        old = list(machine.sockets[index].dimms)
        old[some] = [change(dimm) for dimm in old[some]]
        return with_socket(index, dimms=tuple(old))(machine)

    return apply


def emptied(dimm: Dimm) -> Dimm:
    return replace(dimm, bytes=0, mt_s=None, rated_mt_s=None, ranks=None)


def half_channels(machine: Machine) -> Machine:
    return chain(with_dimms(0, emptied, slice(4, None)), with_socket(0, channels=4))(machine)


def unclear(filled: int) -> Change:
    """Twelve slots of a socket whose names tell no channel; the CPU is unknown."""
    slots = tuple(Dimm(f"Dimm {n}", 16 * GIB if n < filled else 0, socket=0) for n in range(12))
    return with_socket(0, cpu=None, channels=None, channels_named=None, dimms=slots)


UPLINK = bridge("0000:0e:00.0", BROADCOM, 0xC030, "upstream")
ROOT = bridge("0000:0d:01.1", 0x1022, 0x1483, "root")


def switched(machine: Machine, **uplink: Any) -> Machine:
    """gpu0 and gpu1 below one packet switch."""
    up = replace(UPLINK, **uplink)
    one = behind(0, bridge("0000:0f:00.0", BROADCOM, 0xC030, "downstream"), up, ROOT)
    two = behind(1, bridge("0000:0f:01.0", BROADCOM, 0xC030, "downstream"), up, ROOT)
    return chain(one, two)(machine)


def chipset_intel(machine: Machine, vendor: int = INTEL) -> Machine:
    """Below device 1c of the bus that has the LPC bridge."""
    lpc = PciDevice("0000:00:1f.0", INTEL, 0x7A04, 0x060100)
    moved = behind(0, bridge("0000:00:1c.4", vendor, 0x7A3C, "root"))(machine)
    return replace(moved, pci=(*moved.pci, lpc))


def chipset_amd(machine: Machine) -> Machine:
    return behind(
        0, bridge("0000:03:04.0", 0x1022, 0x43F5, "downstream"), bridge("0000:02:00.0", 0x1022, 0x43F4, "upstream"),
        bridge("0000:00:02.1", 0x1022, 0x14DB, "root"),
    )(machine)  # fmt: skip


def northbridge(machine: Machine) -> Machine:
    named = bridge("0000:00:01.0", INTEL, 0x2E21, "root", name="4 Series Chipset PCI Express Root Port")
    return behind(0, named)(machine)


def on_one_socket(machine: Machine) -> Machine:
    """All GPUs and their network cards on socket 0: no capture shows it, many a box has it."""
    moved = with_all_gpus(socket=0, numa_node=0)(machine)
    devices = tuple(replace(d, numa_node=0) if d.vendor_id == NVIDIA else d for d in moved.pci)
    return replace(moved, pci=devices)


def nics_on(node: int) -> Change:
    return lambda m: replace(m, nics=tuple(replace(nic, numa_node=node) for nic in m.nics))


def two_nodes_of_one_socket(machine: Machine) -> Machine:
    """NPS2: every socket has two nodes, every GPU a node of its own."""
    nodes = tuple(
        replace(node, os_index=2 * node.os_index + half, memory_bytes=128 * GIB)
        for node in machine.numa_nodes
        for half in (0, 1)
    )
    sockets = tuple(replace(s, numa_nodes=(2 * s.index, 2 * s.index + 1)) for s in machine.sockets)
    gpus = tuple(replace(g, numa_node=g.index, socket=None) for g in machine.gpus)
    nics = tuple(replace(nic, numa_node=2 * n) for n, nic in enumerate(machine.nics))
    return replace(machine, numa_nodes=nodes, sockets=sockets, gpus=gpus, nics=nics)


def node_memory(index: int, size: int | None) -> Change:
    def change(machine: Machine) -> Machine:
        nodes = tuple(replace(n, memory_bytes=size) if n.os_index == index else n for n in machine.numa_nodes)
        return replace(machine, numa_nodes=nodes)

    return change


def one_node(machine: Machine) -> Machine:
    first = machine.numa_nodes[0]
    whole = replace(first, socket=None, cpus=tuple(range(32)), memory_bytes=512 * GIB)
    sockets = tuple(replace(s, numa_nodes=(0,)) for s in machine.sockets)
    return replace(machine, numa_nodes=(whole,), sockets=sockets)


def measured(share: float | None) -> Change:
    return lambda m: replace(
        m, measured_memory_bandwidth_bytes_per_s=None if share is None else share * 16 * 3200e6 * 8
    )


def unlinked(machine: Machine) -> Machine:
    return replace(machine, gpu_links=tuple(replace(x, active=0 not in (x.a, x.b)) for x in machine.gpu_links))


def on_disk(kind: str | None, free_bytes: int = 1 << 40, lanes: int = 4) -> Change:
    """Models on such a disk; an NVMe one with its port and link."""

    def change(machine: Machine) -> Machine:
        link, most = PcieLink(4, lanes), PcieLink(4, 4)
        port = PciDevice("0000:e0:01.1", 0x1022, 0x1483, 0x060400, link_current=link, link_max=most, port="root")
        card = PciDevice("0000:e1:00.0", 0x144D, 0xA80A, 0x010802, parent=port.address, link_current=link,
                         link_max=PcieLink(4, 4), port="endpoint")  # fmt: skip
        disk = Disk(
            "/dev/disk", kind, "0000:e1:00.0" if kind == "nvme" else None, 1 << 41, free_bytes, "ext4", None, True
        )
        pci = (*machine.pci, port, card) if kind == "nvme" else machine.pci
        return replace(machine, disks=(disk,), pci=pci, origin=Origin.DUMP if kind is None else machine.origin)

    return change


def clocked(hertz: float) -> Change:
    """All GPUs awake, their memory at that clock of 7.25 GHz."""
    return chain(*(with_gpu(n, memory_clock_hz=hertz, memory_clock_max_hz=7.25e9) for n in range(4)))


PAIRS = tuple((a, b) for a in range(4) for b in range(a + 1, 4))


def peers(works: bool, pairs: tuple[tuple[int, int], ...] = PAIRS) -> Change:
    """The driver's word on pairs of GPUs."""

    def change(machine: Machine) -> Machine:
        told = {frozenset((pair.a, pair.b)): pair for pair in machine.peers}
        told |= {
            frozenset(pair): PeerAccess(*pair, works, None if works else "chipset not supported") for pair in pairs
        }
        return replace(machine, peers=tuple(told.values()))

    return change


def many_nics(kind: str | None) -> Change:
    """A fast card for each GPU, with the path to it."""

    def change(machine: Machine) -> Machine:
        nics = tuple(Nic(f"mlx5_{n}", None, n // 2, 50e9, "infiniband", True) for n in range(4))
        paths = tuple(DevicePath(f"GPU{n}", f"NIC{n}", kind) for n in range(4) if kind)
        return replace(machine, nics=nics, paths=paths)

    return change


BOARD, ONE = board, one_socket
PAGE = 2 << 20
RESERVED = {0: {PAGE: 20000}, 1: {PAGE: 20000}}

# id -> verdict -> (machine, change) ...; "bad" is warn or fail
CASES: dict[str, dict[str, list[tuple[Callable[[], Machine], Change]]]] = {
    "pcie-width": {
        "pass": [(healthy, same), (healthy, switched)],
        "bad": [
            (healthy, with_link(0, PcieLink(4, 8))),
            (healthy, lambda m: switched(m, link_current=PcieLink(4, 8))),
            (healthy, chain(with_link(0, PcieLink(4, 8)), with_device(PORT0, link_max=PcieLink(4, 8)))),
            (healthy, chain(paper, lambda m: replace(m, pci=()), with_gpu(0, link=PcieLink(4, 4)))),
        ],
        "unknown": [
            (healthy, blind),
            (healthy, chain(with_device(CARD0, link_current=None), with_device(PORT0, link_current=None))),
        ],
        "skip": [(healthy, bare)],
    },
    "pcie-speed": {
        "pass": [
            (healthy, same),
            (healthy, chain(with_link(0, PcieLink(3, 16)), with_device(PORT0, link_max=PcieLink(3, 16)))),
            (healthy, with_gpu(0, performance_state=8)),
        ],
        "bad": [
            (healthy, with_link(0, PcieLink(3, 16))),
            (healthy, chain(with_link(0, PcieLink(3, 16)), with_gpu(0, performance_state=2, link_under_load=True))),
            (healthy, chain(lambda m: switched(m, link_current=PcieLink(2, 16)), with_all_gpus(performance_state=8))),
        ],
        "unknown": [
            (healthy, chain(with_link(0, GEN1_X16), with_gpu(0, performance_state=8))),
            (healthy, chain(with_link(0, GEN1_X16), with_gpu(0, performance_state=None))),
            (healthy, blind),
        ],
        "skip": [(healthy, bare)],
    },
    "pcie-chipset": {
        "pass": [
            (healthy, same),
            (healthy, switched),
            (healthy, behind(0, bridge("0000:00:01.0", INTEL, 0x1901, "root"))),
            (healthy, behind(0, bridge("0000:00:00.0", 0x1014, 0x03DC, "root"))),
        ],
        "bad": [
            (healthy, chipset_intel),
            (healthy, chipset_amd),
            (healthy, lambda m: chipset_intel(m, QEMU)),
        ],
        "unknown": [
            (healthy, northbridge),
            (healthy, blind),
            (healthy, behind(0, bridge("0000:0f:00.0", 0x1B21, 0x2824, "downstream"), UPLINK, ROOT)),
        ],
        "skip": [(healthy, bare), (healthy, chain(with_os(virtualised=True), with_device(CARD0, parent=None)))],
    },
    "pcie-shared-uplink": {
        "pass": [(healthy, same), (board, switched)],
        "bad": [(healthy, switched)],
        "unknown": [(healthy, lambda m: replace(m, pci=(), paths=(), unknown={"pci": "no /sys"}))],
        "skip": [(healthy, bare), (healthy, lambda m: replace(m, gpus=m.gpus[:1]))],
    },
    "pcie-replay": {
        "pass": [(healthy, same), (healthy, with_gpu(0, replays=3))],
        "bad": [
            (healthy, with_gpu(0, replays=400)),
            (healthy, with_device(PORT0, aer_correctable=5000)),
            (healthy, with_device(CARD0, aer_fatal=1)),
        ],
        "unknown": [
            (healthy, chain(with_gpu(0, replays=None), *(with_device(a, replays=None) for a in (CARD0, PORT0))))
        ],
        "skip": [(healthy, bare)],
    },
    "gpu-socket": {
        "pass": [(healthy, same), (healthy, two_nodes_of_one_socket)],
        "bad": [(healthy, on_one_socket), (healthy, with_gpu(2, socket=0))],
        "unknown": [
            (
                healthy,
                lambda m: replace(
                    with_all_gpus(socket=None, numa_node=None)(m),
                    pci=tuple(replace(d, numa_node=None) for d in m.pci),
                    unknown={"gpus": "no affinity"},
                ),
            )
        ],
        "skip": [(healthy, bare), (ONE, same)],
    },
    "nic-locality": {
        "pass": [(healthy, same)],
        "bad": [(healthy, nics_on(1))],
        "unknown": [
            (
                healthy,
                lambda m: replace(
                    nics_on(0)(m),
                    nics=tuple(replace(n, numa_node=None, pci_address=None) for n in m.nics),
                    unknown={"nics": "no /sys"},
                ),
            )
        ],
        "skip": [(healthy, lambda m: replace(m, nics=())), (ONE, same)],
    },
    "nic-link": {
        "pass": [(healthy, same)],
        "bad": [
            (healthy, with_device("0000:80:00.0", link_current=PcieLink(4, 4))),
            (healthy, lambda m: replace(m, nics=(replace(m.nics[0], bytes_per_s=50e9),))),
            (healthy, lambda m: replace(m, count=2, nics=(Nic("eth0", "0000:80:00.0", 0, 125e6),))),
        ],
        "unknown": [(healthy, lambda m: replace(m, nics=(Nic("mlx5_9", "0000:ff:00.0", bytes_per_s=25e9),)))],
        "skip": [(healthy, lambda m: replace(m, nics=()))],
    },
    "mem-channels": {
        "pass": [(healthy, same), (healthy, unclear(12))],
        "bad": [
            (healthy, half_channels),
            (healthy, chain(unclear(3), with_socket(0, cpu=healthy().sockets[0].cpu))),
            (healthy, unclear(2)),
        ],
        "unknown": [
            (healthy, unclear(8)),
            (
                healthy,
                lambda m: replace(
                    m,
                    dimms=(),
                    sockets=tuple(replace(s, dimms=(), channels=None, channels_named=None) for s in m.sockets),
                    unknown={"dimms": "needs root"},
                ),
            ),
        ],
        "skip": [(healthy, with_os(virtualised=True))],
    },
    "mem-mixed-dimms": {
        "pass": [(healthy, same)],
        "bad": [
            (healthy, with_dimms(0, lambda d: replace(d, bytes=64 * GIB), slice(0, 1))),
            (healthy, with_dimms(0, lambda d: replace(d, rated_mt_s=2933.0), slice(0, 2))),
        ],
        "unknown": [
            (
                healthy,
                lambda m: replace(
                    m, dimms=(), sockets=tuple(replace(s, dimms=()) for s in m.sockets), unknown={"dimms": "needs root"}
                ),
            )
        ],
        "skip": [(healthy, with_os(virtualised=True))],
    },
    "mem-speed": {
        "pass": [(healthy, same), (healthy, with_dimms(0, lambda d: replace(d, rated_mt_s=4800.0)))],
        "bad": [(healthy, with_socket(0, mt_s=2133.0)), (healthy, chain(paper, with_socket(0, mt_s=2133.0)))],
        "unknown": [
            (healthy, lambda m: replace(m, dimms=(), sockets=tuple(replace(s, dimms=(), mt_s=None) for s in m.sockets)))
        ],
        "skip": [(healthy, with_os(virtualised=True))],
    },
    "mem-bandwidth": {
        "pass": [(healthy, same)],
        "bad": [(healthy, measured(0.5)), (healthy, measured(0.3))],
        "unknown": [(healthy, measured(None)), (healthy, with_socket(0, mt_s=None))],
        "skip": [(healthy, paper)],
    },
    "numa-hidden": {
        "pass": [(healthy, same), (healthy, two_nodes_of_one_socket)],
        "bad": [(healthy, one_node)],
        "unknown": [(healthy, lambda m: replace(m, numa_nodes=(), unknown={"numa_nodes": "no /sys"}))],
        "skip": [(ONE, same)],
    },
    "numa-memory": {
        "pass": [(healthy, same)],
        "bad": [(healthy, node_memory(1, 0)), (healthy, node_memory(1, 64 * GIB))],
        "unknown": [(healthy, node_memory(1, None)), (healthy, lambda m: replace(m, numa_nodes=()))],
        "skip": [(ONE, same)],
    },
    "numa-balancing": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_os(numa_balancing=True))],
        "unknown": [(healthy, untold("numa_balancing", numa_balancing=None))],
        "skip": [(healthy, with_os(numa_balancing=None)), (ONE, with_os(numa_balancing=True))],
    },
    "zone-reclaim": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_os(zone_reclaim_mode=1))],
        "unknown": [(healthy, chain(dump, with_os(zone_reclaim_mode=None)))],
        "skip": [(healthy, with_os(zone_reclaim_mode=None)), (ONE, with_os(zone_reclaim_mode=1))],
    },
    "thp": {
        "pass": [(healthy, same), (healthy, with_os(transparent_huge_pages="always"))],
        "bad": [(healthy, with_os(transparent_huge_pages="never"))],
        "unknown": [(healthy, untold("transparent_huge_pages", transparent_huge_pages=None))],
        "skip": [(healthy, with_os(transparent_huge_pages=None))],
    },
    "hugepages": {
        "pass": [(healthy, with_os(huge_pages=RESERVED))],
        "bad": [
            (healthy, with_os(huge_pages={0: {PAGE: 40000}}, huge_pages_free={0: {PAGE: 40000}})),
            (healthy, with_os(huge_pages={0: {PAGE: 4000}, 1: {PAGE: 0}}, huge_pages_free={})),
        ],
        "unknown": [(healthy, untold("huge_pages", huge_pages={}))],
        "skip": [(healthy, same), (healthy, with_os(huge_pages={}))],
    },
    "cpu-governor": {
        "pass": [(healthy, same)],
        "bad": [
            (healthy, with_os(governors={"performance": 30, "powersave": 2})),
            (healthy, with_os(governors={}, governor="schedutil")),
        ],
        "unknown": [(healthy, untold("governor", governor=None, governors={}))],
        "skip": [(healthy, with_os(governor=None, governors={}))],
    },
    "cpu-boost": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_os(boost=False))],
        "unknown": [(healthy, untold("boost", boost=None))],
        "skip": [(healthy, with_os(boost=None))],
    },
    "cpu-offline": {
        "pass": [
            (healthy, same),
            (healthy, with_os(smt=False, cpus_offline=tuple(range(16, 32)), cpus_online=tuple(range(16)))),
        ],
        "bad": [(healthy, with_os(cpus_offline=(29,), cpus_online=tuple(n for n in range(32) if n != 29)))],
        "unknown": [(healthy, untold("cpus_offline", cpus_offline=None, cpus_present=None))],
        "skip": [(healthy, with_os(cpus_offline=None, cpus_present=None))],
    },
    "cpu-isolated": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_os(cpus_isolated=(2, 3)))],
        "unknown": [(healthy, untold("cpus_isolated", cpus_isolated=None))],
        "skip": [(healthy, with_os(cpus_isolated=None))],
    },
    "cpu-quota": {
        "pass": [(healthy, with_os(cpu_quota=32.0))],
        "bad": [(healthy, with_os(cpu_quota=4.0)), (healthy, with_os(cpu_quota=16.0))],
        "unknown": [(healthy, untold("cpu_quota"))],
        "skip": [(healthy, same)],
    },
    "cpuset": {
        "pass": [(healthy, same)],
        "bad": [
            (healthy, with_os(cpus_allowed=(*range(8), *range(16, 24)))),
            (healthy, with_os(cpus_allowed=(0, 1, 8, 9))),
            (healthy, with_os(memory_nodes_allowed=(0,))),
        ],
        "unknown": [(healthy, untold("cpus_allowed", cpus_allowed=None))],
        "skip": [(healthy, with_os(cpus_allowed=None))],
    },
    "kernel-cmdline": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_os(command_line="ro maxcpus=4")), (healthy, with_os(command_line="pcie_aspm=force"))],
        "unknown": [(healthy, chain(dump, with_os(command_line=None)))],
        "skip": [(healthy, with_os(command_line=None))],
    },
    "swap": {
        "pass": [(healthy, same), (healthy, with_os(swap_total_bytes=0, swap_used_bytes=None))],
        "bad": [(healthy, with_os(swap_used_bytes=5 * GIB))],
        "unknown": [(healthy, untold("swap_used_bytes", swap_used_bytes=None))],
        "skip": [(healthy, with_os(swap_used_bytes=None, swap_total_bytes=None))],
    },
    "memlock": {
        "pass": [(healthy, same)],
        "bad": [
            (healthy, with_os(memlock_bytes=8 << 20)),
            (ONE, lambda m: replace(with_os(memlock_bytes=1)(m), nics=())),
        ],
        "unknown": [(healthy, untold("memlock_bytes", memlock_bytes=None))],
        "skip": [(healthy, with_os(memlock_bytes=None))],
    },
    "shared-memory": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_os(shared_memory_bytes=64 << 20))],
        "unknown": [(healthy, untold("shared_memory_bytes", shared_memory_bytes=None))],
        "skip": [(healthy, bare)],
    },
    "acs": {
        "pass": [(healthy, same), (board, with_device(PORT0, acs_redirect=True))],
        "bad": [(healthy, with_device(PORT0, acs_redirect=True))],
        "unknown": [(healthy, lambda m: replace(m, pci=tuple(replace(d, acs_redirect=None) for d in m.pci)))],
        "skip": [(healthy, with_os(virtualised=True)), (healthy, bare)],
    },
    "iommu": {
        "pass": [(healthy, same), (board, with_os(iommu="on")), (healthy, with_os(iommu="off"))],
        "bad": [(healthy, with_os(iommu="on"))],
        "unknown": [(healthy, untold("iommu", iommu=None))],
        "skip": [(healthy, with_os(virtualised=True, iommu="on")), (healthy, bare)],
    },
    "nvlink": {
        "pass": [
            (board, same),
            (board, with_all_gpus(nvlinks_active=None, nvlinks_total=None)),
            (healthy, lambda m: replace(m, gpu_links=(GpuLink(0, 1, "nvlink"), GpuLink(2, 3, "nvlink")))),
        ],
        "bad": [
            (board, with_gpu(1, nvlinks_active=11)),
            (board, with_gpu(1, nvlinks_active=10, nvlinks_total=10)),
            (board, chain(unlinked, with_all_gpus(nvlinks_active=None, nvlinks_total=None))),
            (board, lambda m: replace(with_all_gpus(nvlinks_active=None, nvlinks_total=None)(m), gpu_links=())),
        ],
        "unknown": [
            (healthy, blind),
            (
                healthy,
                lambda m: replace(
                    m, origin=Origin.DUMP, gpus=tuple(Gpu(n, pci_address=f"0000:0{n}:00.0") for n in range(2))
                ),
            ),
        ],
        "skip": [(healthy, same), (board, chain(paper, lambda m: replace(m, gpu_links=())))],
    },
    "fabric-manager": {
        "pass": [(board, same), (board, with_all_gpus(fabric_state=None))],
        "bad": [
            (board, with_gpu(0, fabric_state="not started")),
            (board, chain(with_all_gpus(fabric_state=None), with_os(fabric_manager_running=False))),
        ],
        "unknown": [(board, chain(with_all_gpus(fabric_state=None), with_os(fabric_manager_running=None)))],
        "skip": [(healthy, same)],
    },
    "gpu-driver": {
        "pass": [(healthy, same), (healthy, with_device(CARD0, driver=None))],
        "bad": [
            (healthy, with_device(CARD0, driver="nouveau")),
            (healthy, with_device(CARD0, driver="vfio-pci")),
            (
                healthy,
                lambda m: replace(
                    with_device(CARD0, driver=None)(m), gpus=(Gpu(0, pci_address=CARD0, vendor="nvidia"), *m.gpus[1:])
                ),
            ),
        ],
        "unknown": [(healthy, lambda m: replace(m, origin=Origin.DUMP, gpus=(Gpu(0, pci_address=None),)))],
        "skip": [(healthy, bare), (healthy, paper)],
    },
    "gpu-ecc": {
        "pass": [(healthy, same), (healthy, with_gpu(0, ecc_enabled=False, ecc_pending=False))],
        "bad": [
            (healthy, with_gpu(0, ecc_uncorrected=2)),
            (healthy, with_gpu(0, ecc_pending=False)),
            (board, with_gpu(0, ecc_enabled=False, ecc_pending=False)),
        ],
        "unknown": [(healthy, gpu_untold("ecc", ecc_enabled=None))],
        "skip": [(healthy, with_gpu(0, ecc_enabled=None)), (healthy, bare)],
    },
    "gpu-row-remap": {
        "pass": [(healthy, same)],
        "bad": [
            (healthy, with_gpu(0, remapped_rows_pending=True)),
            (healthy, with_gpu(0, remapping_failed=True)),
            (healthy, with_gpu(0, retired_pages_pending=True)),
        ],
        "unknown": [(healthy, gpu_untold("remapped", remapped_rows_pending=None, remapping_failed=None))],
        "skip": [(healthy, with_gpu(0, remapped_rows_pending=None, remapping_failed=None)), (healthy, bare)],
    },
    "gpu-xid": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_gpu(0, xids=(79,))), (healthy, with_gpu(0, xids=(13,)))],
        "unknown": [
            (healthy, lambda m: replace(m, unknown={"xids": "reading the kernel log needs root"})),
            (healthy, dump),
        ],
        "skip": [(healthy, with_all_gpus(vendor="amd")), (healthy, bare)],
    },
    "gpu-throttle": {
        "pass": [(healthy, same), (healthy, with_gpu(0, throttle_reasons=("gpu_idle", "sw_power_cap")))],
        "bad": [
            (healthy, with_gpu(0, throttle_reasons=("hw_thermal_slowdown",))),
            (healthy, with_gpu(0, throttle_reasons=("SW Thermal Slowdown",))),
            (healthy, with_gpu(0, throttle_reasons=("sync_boost",))),
        ],
        "unknown": [(healthy, gpu_untold("reasons"))],
        "skip": [(healthy, bare)],
    },
    "gpu-persistence": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_gpu(0, persistence=False))],
        "unknown": [(healthy, gpu_untold("persistence", persistence=None))],
        "skip": [(healthy, with_all_gpus(vendor="amd")), (healthy, with_gpu(0, persistence=None))],
    },
    "gpu-power-limit": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_gpu(0, power_limit_w=200.0))],
        "unknown": [(healthy, gpu_untold("power_limit", power_limit_w=None)), (healthy, with_gpu(0, spec=None))],
        "skip": [(healthy, paper), (healthy, bare)],
    },
    "model-disk": {
        "pass": [(healthy, on_disk("nvme")), (healthy, on_disk("ssd"))],
        "bad": [
            (healthy, on_disk("hdd")),
            (healthy, on_disk("usb")),
            (healthy, on_disk("network")),
            (healthy, on_disk("overlay")),
            (healthy, on_disk("nvme", free_bytes=1 << 30)),
            (healthy, on_disk("nvme", lanes=2)),
        ],
        "unknown": [(healthy, dump), (healthy, on_disk(None))],
        "skip": [(healthy, paper)],
    },
    "gpu-memory-clock": {
        "pass": [(healthy, clocked(7.2e9))],
        "bad": [(healthy, clocked(5.0e9))],
        "unknown": [
            (healthy, gpu_untold("memory_clock", memory_clock_hz=None)),
            (healthy, chain(clocked(0.4e9), with_all_gpus(performance_state=8))),
        ],
        "skip": [(healthy, paper), (healthy, bare)],
    },
    "gpu-p2p": {
        "pass": [(healthy, peers(True))],
        "bad": [(healthy, peers(False)), (healthy, chain(peers(True), peers(False, ((0, 1),))))],
        "unknown": [(healthy, dump)],
        "skip": [(healthy, bare), (board, same)],
    },
    "nic-per-gpu": {
        "pass": [(healthy, many_nics("PIX")), (healthy, many_nics("PXB"))],
        "bad": [(healthy, many_nics("NODE"))],
        "unknown": [(healthy, chain(many_nics(None), dump))],
        "skip": [(healthy, same), (healthy, with_os(virtualised=True))],
    },
    "gpu-mig": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_gpu(0, mig=True))],
        "unknown": [(healthy, gpu_untold("mig", mig=None))],
        "skip": [(healthy, with_gpu(0, mig=None)), (healthy, bare)],
    },
    "gpu-mixed": {
        "pass": [(healthy, same)],
        "bad": [
            (healthy, with_gpu(3, memory_bytes=24 * GIB, memory_free_bytes=24 * GIB)),
            (healthy, with_gpu(3, spec=replace(GPU, name="Other GPU"))),
        ],
        "unknown": [(healthy, with_gpu(3, spec=None, name=None))],
        "skip": [(healthy, bare)],
    },
    "gpu-bar1": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_gpu(0, bar1_bytes=256 << 20))],
        "unknown": [(healthy, gpu_untold("bar1", bar1_bytes=None))],
        "skip": [(board, with_gpu(0, bar1_bytes=256 << 20)), (healthy, lambda m: replace(m, gpus=m.gpus[:1]))],
    },
    "vram-free": {
        "pass": [(healthy, same)],
        "bad": [(healthy, with_gpu(0, memory_free_bytes=20 * GIB))],
        "unknown": [(healthy, gpu_untold("memory", memory_free_bytes=None))],
        "skip": [(healthy, paper), (healthy, bare)],
    },
    "ram-free": {
        "pass": [(healthy, same)],
        "bad": [
            (healthy, with_os(memory_free_bytes=20 * GIB)),
            (healthy, with_os(memory_free_bytes=200 * GIB)),
            (healthy, with_os(memory_limit_bytes=128 * GIB)),
        ],
        "unknown": [(healthy, untold("memory_free_bytes", memory_free_bytes=None))],
        "skip": [(healthy, paper)],
    },
}
__all__ = ["CASES", "GEN4_X16"]
