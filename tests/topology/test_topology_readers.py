"""Pasted dumps: each format is recognised, tells what it shows and nothing more. Samples are our own."""

from __future__ import annotations

import pytest
from dump_samples import (
    CSV,
    DMESG,
    DMIDECODE,
    LSCPU,
    LSPCI,
    LSPCI_PLAIN,
    LSPCI_TREE,
    LSPCI_TREE_NAMES,
    LSTOPO,
    LSTOPO_CONSOLE,
    NCCL,
    NUMACTL,
    NVLINK,
    SAMPLES,
    SMI_TEXT,
    SMI_XML,
    SYSFS,
    TOPO,
    UDEV,
)
from dump_samples_more import MORE

from wellfed.hardware.machine import Machine, Origin
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.topology.machine import parse
from wellfed.topology.readers import READERS, read_dumps
from wellfed.topology.snapshot import Snapshot

GIB = 1 << 30


def machine_of(*texts: str) -> Machine:
    return parse(Snapshot("pasted", Origin.DUMP, dumps={f"{n}.txt": text for n, text in enumerate(texts)}))


def devices(machine: Machine) -> dict[str, PciDevice]:
    return {device.address: device for device in machine.pci}


ALL_SAMPLES = {**SAMPLES, **MORE}


@pytest.mark.parametrize("name", [reader.title for reader in READERS])
def test_each_reader_knows_its_own_and_only_its_own(name: str) -> None:
    assert [reader.title for reader in READERS if reader.reads(ALL_SAMPLES[name])] == [name]


@pytest.mark.parametrize("name", ALL_SAMPLES)
def test_windows_line_ends_and_colours_change_nothing(name: str) -> None:
    plain = list(read_dumps({"a": ALL_SAMPLES[name]}))
    dressed = list(read_dumps({"a": "\x1b[4m" + ALL_SAMPLES[name].replace("\n", "\r\n") + "\x1b[0m"}))
    assert dressed == plain or name in ("/proc/cmdline", "nvidia-smi -q -x", "lstopo XML")


def test_lspci_links_ids_and_acs() -> None:
    machine = machine_of(LSPCI)
    port, card = devices(machine)["0000:00:01.0"], devices(machine)["0000:01:00.0"]
    assert (port.port, port.link_max, port.link_current) == ("root", PcieLink(4, 16), PcieLink(4, 8))
    assert port.acs_redirect is True
    assert (card.parent, card.iommu_group, card.driver) == ("0000:00:01.0", 14, "nvidia")
    assert (card.vendor_id, card.device_id, card.class_code) == (0x10DE, 0x20B5, 0x030200)
    assert machine.gpus[0].link == PcieLink(4, 8)
    assert machine.pci_complete is True


def test_lspci_without_numbers_or_rights() -> None:
    machine = machine_of(LSPCI_PLAIN)
    card = devices(machine)["0000:01:00.0"]
    assert (card.vendor_id, card.class_code, card.device_id) == (0x10DE, 0x030000, None)
    assert machine.gpus[0].name == "NVIDIA GeForce RTX 4090"
    assert machine.gpus[0].link is None
    assert "root" in machine.unknown["pci.link"]


def test_lspci_tree_shape() -> None:
    machine = machine_of(LSPCI_TREE)
    tree = devices(machine)
    assert tree["0000:05:00.1"].parent == "0000:03:08.0"
    assert tree["0000:41:00.0"].parent == "0000:40:01.1"
    assert tree["0000:02:00.0"].chipset is True
    assert tree["0000:00:03.1"].chipset is None
    assert "0000:09:00.0" in {gpu.pci_address for gpu in machine.gpus}
    assert any("graphics cards" in assumption.text for assumption in machine.assumptions)


def test_lspci_tree_with_names_guesses_nothing() -> None:
    machine = machine_of(LSPCI_TREE_NAMES)
    assert [gpu.pci_address for gpu in machine.gpus] == ["0000:01:00.0", "0000:05:00.0"]
    assert machine.assumptions == ()
    assert devices(machine)["0000:00:1f.0"].class_code == 0x060100


def test_udev_paths_give_parents() -> None:
    machine = machine_of(UDEV)
    assert devices(machine)["0000:02:00.0"].parent == "0000:00:1c.0"
    assert machine.gpus[0].name == "NVIDIA GeForce RTX 3090"
    assert machine.nics[0].pci_address == "0000:00:1f.6"
    assert machine.gpus[0].link is None


def test_smi_text_state() -> None:
    machine = machine_of(SMI_TEXT)
    gpu = machine.gpus[0]
    assert (gpu.name, gpu.pci_address, gpu.performance_state) == ("NVIDIA L40S", "0000:c1:00.0", 8)
    assert gpu.throttle_reasons == ("gpu_idle", "hw_slowdown", "hw_thermal_slowdown")
    assert (gpu.ecc_enabled, gpu.ecc_pending, gpu.ecc_uncorrected, gpu.ecc_corrected) == (True, False, 2, 3)
    assert (gpu.remapped_rows_pending, gpu.remapping_failed, gpu.mig) == (True, False, None)
    assert (gpu.replays, gpu.persistence, gpu.foreign_processes) == (12, False, 1)
    assert (gpu.memory_bytes, gpu.power_limit_w, gpu.driver) == (46068 << 20, 350.0, "550.54.15")
    assert gpu.link == PcieLink(3, 8)
    assert devices(machine)["0000:c1:00.0"].link_current == PcieLink(1, 8)


def test_smi_xml_state() -> None:
    gpu = machine_of(SMI_XML).gpus[0]
    assert (gpu.performance_state, gpu.persistence, gpu.ecc_enabled, gpu.memory_free_bytes) == (0, True, None, None)
    assert gpu.throttle_reasons == ("sw_power_cap",)
    assert gpu.link == PcieLink(4, 8)
    assert gpu.ecc_uncorrected is None


def test_topo_homes_paths_and_links() -> None:
    machine = machine_of(TOPO)
    assert [gpu.numa_node for gpu in machine.gpus] == [0, 1]
    assert machine.gpus[0].cpu_affinity == (*range(16), *range(32, 48))
    assert {(p.a, p.b): p.kind for p in machine.paths} == {
        ("GPU0", "GPU1"): "NV4",
        ("GPU0", "NIC0"): "PIX",
        ("GPU1", "NIC0"): "SYS",
    }
    assert [(link.kind, link.count, link.bytes_per_s) for link in machine.gpu_links] == [("nvlink", 4, None)]
    assert machine.nics[0].name == "mlx5_0"


def test_topo_sys_inside_one_node_moves_nobody() -> None:
    text = "\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0\t X \tSYS\t0-7\t0\t\t2\nGPU1\tSYS\t X \t0-7\t0\t\t3\n"
    assert [gpu.numa_node for gpu in machine_of(text).gpus] == [0, 0]


def test_topo_through_nvswitch() -> None:
    names = [f"GPU{n}" for n in range(4)]
    rows = [f"{a}\t" + "\t".join(" X " if a == b else "NV18" for b in names) + "\t0-7\t0\t\tN/A" for a in names]
    text = "\t" + "\t".join([*names, "CPU Affinity", "NUMA Affinity", "GPU NUMA ID"]) + "\n" + "\n".join(rows)
    assert {link.kind for link in machine_of(text).gpu_links} == {"nvswitch"}


def test_dmidecode_slots() -> None:
    machine = machine_of(DMIDECODE)
    socket = machine.sockets[0]
    assert (machine.name, socket.name, socket.cores, socket.threads) == ("Testmaker Box", "Test CPU 9000", 16, 32)
    assert (socket.channels, socket.channels_named, socket.mt_s) == (1, 2, 4800.0)
    assert [dimm.bytes for dimm in machine.dimms] == [32 * GIB, 0]
    assert (machine.dimms[0].rated_mt_s, machine.dimms[0].ecc, machine.dimms[1].mt_s) == (5600.0, True, None)


def test_lscpu_sockets_and_offline_cpus() -> None:
    machine = machine_of(LSCPU)
    assert [(s.cores, s.threads, s.l3_bytes) for s in machine.sockets] == [(16, 32, 30 << 20), (16, 31, 30 << 20)]
    assert machine.os.cpus_offline == (63,)
    assert machine.os.virtualised is False
    assert [node.socket for node in machine.numa_nodes] == [0, 1]


def test_numactl_nodes() -> None:
    nodes = machine_of(NUMACTL).numa_nodes
    assert [(n.os_index, n.cpus, n.memory_bytes, n.distances) for n in nodes] == [
        (0, (0, 1, 2, 3), 64000 << 20, {0: 10, 1: 21}),
        (1, (4, 5, 6, 7), 64000 << 20, {0: 21, 1: 10}),
    ]


def test_nvlink_states() -> None:
    gpus = machine_of(NVLINK).gpus
    assert [(g.nvlinks_active, g.nvlinks_total, g.nvlink_bytes_per_s) for g in gpus] == [(1, 2, 25e9), (2, 2, 50e9)]


def test_nccl_tree_and_links() -> None:
    machine = machine_of(NCCL)
    assert [(g.pci_address, g.numa_node, g.link) for g in machine.gpus] == [
        ("0000:43:00.0", 1, PcieLink(4, 16)),
        ("0000:44:00.0", 1, PcieLink(4, 8)),
    ]
    assert [(link.a, link.b, link.kind, link.count) for link in machine.gpu_links] == [(0, 1, "nvlink", 4)]
    assert (machine.nics[0].name, machine.nics[0].bytes_per_s) == ("mlx5_0", 25e9)
    assert machine.numa_nodes[0].cpus == tuple(range(16, 32))
    assert machine.assumptions


@pytest.mark.parametrize("text", [LSTOPO, LSTOPO_CONSOLE])
def test_lstopo(text: str) -> None:
    machine = machine_of(text)
    assert machine.sockets[0].name == "Test CPU 9000"
    assert machine.numa_nodes[0].memory_bytes == 64 * GIB
    assert (machine.gpus[0].name, machine.gpus[0].link) == ("NVIDIA A100 80GB PCIe", None)
    assert devices(machine)["0000:01:00.0"].parent == "0000:00:01.0"
    assert machine.sockets[0].threads == len([cpu for cpu in machine.cpus if cpu.socket == 0])


def test_lstopo_console_packages() -> None:
    machine = machine_of(LSTOPO_CONSOLE)
    assert [(s.cores, s.threads) for s in machine.sockets] == [(1, 2), (1, 1)]
    assert [node.cpus for node in machine.numa_nodes] == [(0, 2), (1,)]


def test_dmesg_limit_home_and_xid() -> None:
    machine = machine_of(DMESG)
    assert [(g.pci_address, g.xids, g.link, g.numa_node) for g in machine.gpus] == [
        ("0000:81:00.0", (79,), PcieLink(4, 4), 1)
    ]
    assert machine.os.iommu == "off"
    assert "1234" not in (machine.os.command_line or "")
    assert machine.pci_complete is False


def test_sysfs_lines() -> None:
    machine = machine_of(SYSFS)
    assert devices(machine)["0000:01:00.0"].link_current == PcieLink(4, 8)
    assert devices(machine)["0000:01:00.0"].numa_node == 1
    assert machine.os.numa_balancing is True


def test_csv_rows() -> None:
    machine = machine_of(CSV)
    assert [(g.pci_address, g.link, g.memory_bytes) for g in machine.gpus] == [
        ("0000:3b:00.0", PcieLink(4, 8), 23034 << 20),
        ("0000:86:00.0", PcieLink(4, 16), None),
    ]


@pytest.mark.parametrize("absent", ["N/A", "[N/A]", "Not Supported", "ERR!", "Unknown Error", ""])
def test_every_way_to_say_absent_is_none(absent: str) -> None:
    text = SMI_TEXT.replace("46068 MiB", absent).replace("P8", absent).replace("350.00 W", absent)
    gpu = machine_of(text.replace("Disabled\n    MIG", f"{absent}\n    MIG")).gpus[0]
    assert (gpu.memory_bytes, gpu.performance_state, gpu.power_limit_w, gpu.persistence) == (None, None, None, None)


def test_dumps_of_one_machine_join() -> None:
    machine = machine_of(LSPCI, LSCPU, NUMACTL, DMIDECODE, SMI_XML.replace("C1:00.0", "01:00.0"), TOPO)
    assert [gpu.pci_address for gpu in machine.gpus] == ["0000:01:00.0", None]
    gpu = machine.gpus[0]
    assert (gpu.name, gpu.numa_node, gpu.socket, gpu.persistence) == ("NVIDIA L40S", 0, 0, True)
    assert machine.sockets[0].channels == 1
    assert machine.numa_nodes[0].memory_bytes == 64000 << 20


def test_markdown_blocks_are_found() -> None:
    text = f"# A report\n\nSome words.\n\n```\n{NUMACTL}```\n\n```text\n{TOPO}```\n"
    machine = machine_of(text)
    assert machine.numa_nodes[1].memory_bytes == 64000 << 20
    assert len(machine.gpus) == 2


def test_broken_xml_is_said() -> None:
    machine = machine_of(SMI_XML[: len(SMI_XML) // 2])
    assert any("broken XML" in why for why in machine.unknown.values())


def test_entity_bomb_is_refused() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><nvidia_smi_log><gpu id="&b;"></gpu></nvidia_smi_log>'
    assert machine_of(bomb).gpus == ()


def test_empty_dump_is_said() -> None:
    assert machine_of("").unknown["dump 0.txt"] == "it is empty"
