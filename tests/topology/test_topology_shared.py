"""Facts of real captures, as SOURCES.tsv tells them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from wellfed.hardware.machine import Machine
from wellfed.hardware.pcie import PciDevice, PcieLink, path_up
from wellfed.topology.machine import parse
from wellfed.topology.snapshot_io import load
from wellfed.topology.to_json import counts

pytestmark = pytest.mark.shared


def machine_of(shared: Path, name: str) -> Machine:
    return parse(load(shared / "machines" / name))


def tree(machine: Machine) -> dict[str, PciDevice]:
    return {device.address: device for device in machine.pci}


def root_of(machine: Machine, address: str | None) -> str:
    return path_up(tree(machine), address or "")[-1].address


def test_asus_report(shared: Path) -> None:
    machine = machine_of(shared, "asus_esc8000a")
    assert counts(machine) == {"packages": 2, "cores": 128, "pus": 255, "numa_nodes": 2, "gpus": 8}
    assert Counter(gpu.socket for gpu in machine.gpus) == {0: 4, 1: 4}
    assert [(s.channels, s.channels_named, s.mt_s) for s in machine.sockets] == [(12, 12, 6400.0)] * 2
    assert {str(gpu.link) for gpu in machine.gpus} == {"Gen5 x16"}
    assert {gpu.performance_state for gpu in machine.gpus} == {8}
    assert tree(machine)["0000:06:00.0"].link_current == PcieLink(1, 16)
    assert machine.os.cpus_offline == (239,)
    assert machine.os.iommu == "off"
    assert root_of(machine, "0000:06:00.0") == root_of(machine, "0000:07:00.0") == "0000:00:01.1"
    assert sum(path.kind == "PIX" for path in machine.paths) == 4


def test_asus_bridges_only(shared: Path) -> None:
    machine = machine_of(shared, "asus_esc8000a_lspci_bridges_gpus.txt")
    assert len(machine.gpus) == 8
    assert tree(machine)["0000:02:03.0"].acs_redirect is False
    assert machine.pci_complete is False
    assert len({root_of(machine, gpu.pci_address) for gpu in machine.gpus}) == 4


@pytest.mark.parametrize(
    ("name", "gpu", "root"),
    [
        ("dell7737_gt750m_behind_pch_udev_pci.txt", "0000:04:00.0", "0000:00:1c.4"),
        ("laptop_mx150_cpuport_udev_pci.txt", "0000:01:00.0", "0000:00:01.0"),
        ("g45_northbridge_x16_hd4850_udev_pci.txt", "0000:01:00.0", "0000:00:01.0"),
        ("dmesg_gpu_behind_intel_pch_1c4_x4.txt", "0000:02:00.0", "0000:00:1c.4"),
        ("dmesg_x570_uplink_x4_limit.txt", "0000:09:00.0", "0000:00:03.1"),
    ],
)
def test_root_port_of_the_only_gpu(shared: Path, name: str, gpu: str, root: str) -> None:
    machine = machine_of(shared, name)
    assert [each.pci_address for each in machine.gpus] == [gpu]
    assert root_of(machine, gpu) == root


def test_pch_link_is_four_lanes(shared: Path) -> None:
    assert machine_of(shared, "dmesg_gpu_behind_intel_pch_1c4_x4.txt").gpus[0].link == PcieLink(3, 4)


def test_dgx_station_pairs_share_uplinks(shared: Path) -> None:
    machine = machine_of(shared, "dgx_station_4xv100_udev_pci.txt")
    assert Counter(root_of(machine, gpu.pci_address) for gpu in machine.gpus) == {"0000:00:02.0": 2, "0000:00:03.0": 2}
    assert Counter(path.kind for path in machine.paths)["PIX"] == 2


def test_no_gpu(shared: Path) -> None:
    assert machine_of(shared, "dell_r820_4socket_udev_pci.txt").gpus == ()


def test_power8_has_a_bridge_per_gpu(shared: Path) -> None:
    machine = machine_of(shared, "power8_2xp100_udev_pci.txt")
    assert [gpu.pci_address for gpu in machine.gpus] == ["0002:01:00.0", "000a:01:00.0"]
    assert tree(machine)[root_of(machine, "0002:01:00.0")].vendor_id == 0x1014


@pytest.mark.parametrize(
    ("name", "behind", "direct"),
    [
        ("x570_3gpu_one_behind_chipset_lspci_t.txt", {"04", "05"}, {"0a", "0b"}),
        ("x570_dual3090_x8x8_cpu_lspci_t.txt", set(), {"0a", "0b"}),
        ("am5_dual5090_cpu_lanes_lspci_t.txt", set(), {"01", "03"}),
    ],
)
def test_chipset_by_shape(shared: Path, name: str, behind: set[str], direct: set[str]) -> None:
    machine = machine_of(shared, name)
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for gpu in machine.gpus:
        chain = path_up(tree(machine), gpu.pci_address or "")
        found[any(device.chipset for device in chain)].add((gpu.pci_address or "")[5:7])
    assert (found[True], found[False]) == (behind, direct)
    assert machine.assumptions


def test_lenovo_slots_without_channels(shared: Path) -> None:
    machine = machine_of(shared, "lenovo_systemx_dmidecode.txt")
    assert [len(s.dimms) for s in machine.sockets] == [12, 12]
    assert [s.channels for s in machine.sockets] == [None, None]
    assert sum(dimm.bytes == 0 for dimm in machine.dimms) == 20
    assert "dimms.channel" in machine.unknown


def test_epyc_slots_are_not_channels(shared: Path) -> None:
    socket = machine_of(shared, "dmidecode_epyc_slot_vs_channel_excerpt.txt").sockets[0]
    assert (socket.channels, socket.channels_named) == (1, 1)


def test_smi_logs(shared: Path) -> None:
    a100, rtx, t4 = (
        machine_of(shared, f"nvsmi_{name}.xml").gpus[0] for name in ("a100-sxm4-v12", "rtx-3090-v12", "tesla-t4")
    )
    assert (a100.performance_state, a100.link, a100.persistence) == (0, PcieLink(4, 16), False)
    assert (rtx.performance_state, rtx.link) == (8, PcieLink(4, 16))
    assert (t4.performance_state, t4.link) == (0, PcieLink(3, 8))


def test_link_generation_by_performance_state(shared: Path) -> None:
    gpus = machine_of(shared, "nvidia_pstate_vs_link_gen.csv").gpus
    seen = [(gpu.performance_state, gpu.link_generation, gpu.link_generation_max) for gpu in gpus]
    assert seen == [(8, 1, 4), (5, 2, 4), (2, 3, 4), (0, 3, 4)]
    assert all(gpu.link is None for gpu in gpus)


def test_nvswitches(shared: Path) -> None:
    a100, a10 = machine_of(shared, "gpud_lspci.nn.a100.txt"), machine_of(shared, "gpud_lspci.nn.a10.txt")
    assert (len(a100.gpus), a100.os.nvswitches) == (8, 6)
    assert (len(a10.gpus), a10.os.nvswitches, a10.os.virtualised) == (1, 0, True)
    links = machine_of(shared, "gpud_nvidia-smi.nvlink.status.a100.txt")
    assert {(gpu.nvlinks_active, gpu.nvlinks_total) for gpu in links.gpus} == {(12, 12)}


@pytest.mark.parametrize(
    ("name", "links", "nodes", "nics"),
    [
        ("aws_p4d.xml", {"Gen3 x16"}, {0: 4, 1: 4}, 4),
        ("azure_ndv4-topo.xml", {"Gen4 x16"}, {0: 2, 1: 2, 2: 2, 3: 2}, 8),
        ("rccl_topo_8p_940.xml", {"Gen5 x16"}, {0: 4, 1: 4}, 8),
        ("rccl_topo_8p1h_2.xml", {"Gen4 x16"}, {0: 2, 1: 2, 2: 2, 3: 2}, 1),
        ("rccl_topo_4p1h_1.xml", {"Gen3 x16"}, {0: 2, 1: 2}, 1),
    ],
)
def test_nccl_files(shared: Path, name: str, links: set[str], nodes: dict[int, int], nics: int) -> None:
    machine = machine_of(shared, name)
    assert {str(gpu.link) for gpu in machine.gpus} == links
    assert Counter(gpu.numa_node for gpu in machine.gpus) == nodes
    assert len(machine.nics) == nics


def test_slow_nic_of_rccl(shared: Path) -> None:
    machine = machine_of(shared, "rccl_topo_8p1h_2.xml")
    assert tree(machine)[machine.nics[0].pci_address or ""].link_max == PcieLink(1, 1)


def test_radeon_edge(shared: Path) -> None:
    machine = machine_of(shared, "sysfs_radeon_onboard_switch_vs_card_edge.txt")
    assert [(gpu.pci_address, gpu.link) for gpu in machine.gpus] == [("0000:03:00.0", PcieLink(4, 8))]


def test_numa_nodes_of_l4s(shared: Path) -> None:
    machine = machine_of(shared, "sysfs_numa_aws_l4_nvml_notsupported.txt")
    assert Counter(gpu.numa_node for gpu in machine.gpus) == {0: 4, 1: 4}


def test_topo_files(shared: Path) -> None:
    everywhere = machine_of(shared, "topo_8x4090_2socket_all_SYS.txt")
    assert Counter(gpu.numa_node for gpu in everywhere.gpus) == {0: 4, 1: 4}
    hgx = machine_of(shared, "topo_hgx_h100_nv18.txt")
    assert Counter(link.kind for link in hgx.gpu_links) == {"nvswitch": 28}
    assert {link.count for link in hgx.gpu_links} == {18}
    titans = machine_of(shared, "topo_4titanx_single_socket_plx.txt")
    assert Counter(path.kind for path in titans.paths) == {"PIX": 2, "PHB": 4}


def test_emulated_machine(shared: Path) -> None:
    machine = machine_of(shared, "qemu_q35_2node_sysfs.tar.gz")
    homes = {gpu.pci_address: (gpu.numa_node, root_of(machine, gpu.pci_address)) for gpu in machine.gpus}
    assert homes == {
        "0000:01:00.0": (None, "0000:00:1c.0"),
        "0000:21:00.0": (0, "0000:20:00.0"),
        "0000:63:00.0": (1, "0000:60:00.0"),
    }
    assert [node.distances for node in machine.numa_nodes] == [{0: 10, 1: 21}, {0: 21, 1: 10}]
    assert machine.os.virtualised is True


def test_lstopo_files(shared: Path) -> None:
    dgx = machine_of(shared, "hwloc/nvidiaDGX2.xml")
    assert (len(dgx.gpus), Counter(gpu.socket for gpu in dgx.gpus)) == (16, {0: 8, 1: 8})
    for name in ("usr", "v"):
        power = machine_of(shared, f"nvidiagpunumanodes.{name}.console")
        assert counts(power) == {"packages": 2, "cores": 8, "pus": 32, "numa_nodes": 2, "gpus": 0}
        xeon = machine_of(shared, f"32intel64-2p8co2t+8ve.{name}.console")
        assert counts(xeon) == {"packages": 2, "cores": 16, "pus": 32, "numa_nodes": 2, "gpus": 0}


def test_markdown_reports(shared: Path) -> None:
    assert len(machine_of(shared, "rtx6kpro_asus-esc8000a-e13p-broadcom-switches.md").gpus) == 8
    assert len(machine_of(shared, "rtx6kpro_wrx90-cpayne-microchip-switches.md").gpus) == 8


def test_links_on_every_hop(shared: Path) -> None:
    machine = machine_of(shared, "hwloc/32intel64-2p8co2t+8ve.tar.bz2")
    engines = [device for device in machine.pci if device.vendor_id == 0x1BCF]
    assert len(engines) == 8
    for engine in engines:
        chain = path_up(tree(machine), engine.address)
        assert len(chain) > 2
        assert all(device.link_current and device.link_max for device in chain)
