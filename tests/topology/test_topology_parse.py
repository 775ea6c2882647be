"""Laws and facts of reading /sys and /proc, on trees of our own making."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from machines_builder import (
    GIB,
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
from wellfed.hardware.machine import Machine
from wellfed.hardware.pcie import PciDevice, PcieLink, path_up
from wellfed.topology.to_json import counts, topology_json


def pci(machine: Machine) -> dict[str, PciDevice]:
    return {device.address: device for device in machine.pci}


def test_counts_follow_the_description(tmp_path: Path) -> None:
    machine = read(build(Box(sockets=2, cores=6, threads=2, nodes=3), tmp_path))
    assert counts(machine) == {"packages": 2, "cores": 12, "pus": 24, "numa_nodes": 6, "gpus": 0}
    assert [socket.numa_nodes for socket in machine.sockets] == [(0, 1, 2), (3, 4, 5)]
    assert machine.numa_nodes[0].distances == {0: 10, 1: 12, 2: 12, 3: 32, 4: 32, 5: 32}
    assert machine.memory_bytes == 6 * 64 * GIB


def test_offline_cpus_are_told_and_not_counted(tmp_path: Path) -> None:
    machine = read(build(Box(cores=4, offline=frozenset({2, 6, 7})), tmp_path))
    assert machine.os.cpus_offline == (2, 6, 7)
    assert counts(machine)["cores"] == 3
    assert counts(machine)["pus"] == 5


def test_every_thread_knows_its_core(tmp_path: Path) -> None:
    machine = read(build(Box(sockets=2, cores=4, threads=2), tmp_path))
    mates: dict[object, list[int]] = {}
    for cpu in machine.cpus:
        mates.setdefault((cpu.socket, cpu.core), []).append(cpu.os_index)
    assert sorted(map(tuple, mates.values())) == [(n, n + 8) for n in range(8)]


def test_packages_with_equal_ids_stay_apart(tmp_path: Path) -> None:
    root = build(Box(sockets=2, cores=2, threads=1), tmp_path)
    for cpu in range(4):
        (root / f"sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id").write_text("0\n")
    assert counts(read(root))["packages"] == 2


def test_modules_of_two_cores_are_two_cores(tmp_path: Path) -> None:
    root = build(Box(cores=2, threads=2), tmp_path)
    info = root / "proc/cpuinfo"
    assert counts(read(root))["cores"] == 2
    info.write_text(info.read_text().replace("model name", "vendor_id\t: AuthenticAMD\ncpu family\t: 21\nmodel name"))
    assert counts(read(root))["cores"] == 4


def test_node_that_claims_anothers_cpus_is_no_node(tmp_path: Path) -> None:
    root = build(Box(sockets=2, cores=2), tmp_path)
    nodes = root / "sys/devices/system/node"
    (nodes / "node1/cpumap").write_text((nodes / "node0/cpumap").read_text())
    assert [node.os_index for node in read(root).numa_nodes] == [0]


def test_gpu_below_two_levels_of_switches(tmp_path: Path) -> None:
    deep = switch("0000:03:00.0", (downstream("0000:04:00.0", gpu("0000:05:00.0")),))
    tree = switch("0000:01:00.0", (downstream("0000:02:00.0", deep), downstream("0000:02:01.0", gpu("0000:06:00.0"))))
    machine = read(build(Box(pci=(host_bridge(), root_port("0000:00:01.0", below=(tree,)))), tmp_path))
    chain = [device.port for device in path_up(pci(machine), "0000:05:00.0")]
    assert chain == ["endpoint", "downstream", "upstream", "downstream", "upstream", "root"]
    assert [path.kind for path in machine.paths] == ["PXB"]


def test_gpus_below_one_switch_are_pix(tmp_path: Path) -> None:
    ports = (downstream("0000:02:00.0", gpu("0000:03:00.0")), downstream("0000:02:01.0", gpu("0000:04:00.0")))
    machine = read(build(Box(pci=(root_port("0000:00:01.0", below=(switch("0000:01:00.0", ports),)),)), tmp_path))
    assert [(path.a, path.b, path.kind) for path in machine.paths] == [("GPU0", "GPU1", "PIX")]


def test_idle_gpu_is_judged_by_what_the_link_can_do(tmp_path: Path) -> None:
    idle = gpu("0000:01:00.0", now=(1, 16))
    machine = read(build(Box(pci=(root_port("0000:00:01.0", now=(1, 16), below=(idle,)),)), tmp_path))
    assert machine.gpus[0].link == PcieLink(4, 16)
    assert pci(machine)["0000:01:00.0"].link_current == PcieLink(1, 16)


def test_narrow_link_is_the_link(tmp_path: Path) -> None:
    card = gpu("0000:01:00.0", now=(1, 8))
    machine = read(build(Box(pci=(root_port("0000:00:01.0", now=(1, 8), below=(card,)),)), tmp_path))
    assert machine.gpus[0].link == PcieLink(4, 8)


def test_old_slot_bounds_a_new_card(tmp_path: Path) -> None:
    port = root_port("0000:00:01.0", now=(3, 16), best=(3, 16), below=(gpu("0000:01:00.0", now=(3, 16)),))
    assert read(build(Box(pci=(port,)), tmp_path)).gpus[0].link == PcieLink(3, 16)


def test_uplink_of_a_switch_bounds_the_gpu(tmp_path: Path) -> None:
    up = replace(switch("0000:01:00.0", (downstream("0000:02:00.0", gpu("0000:03:00.0")),)), now=(4, 4))
    port = root_port("0000:00:01.0", now=(4, 4), below=(up,))
    assert read(build(Box(pci=(port,)), tmp_path)).gpus[0].link == PcieLink(4, 4)


def radeon_box() -> Box:
    card = gpu("0000:03:00.0", ids=(0x1002, 0x744C), class_code=0x030000, now=(5, 16), best=(5, 16))
    inner = downstream("0000:02:00.0", card, ids=(0x1002, 0x1479), now=(5, 16), best=(5, 16))
    edge = replace(switch("0000:01:00.0", (inner,), ids=(0x1002, 0x1478)), now=(4, 8), best=(4, 16))
    return Box(pci=(root_port("0000:00:01.1", now=(4, 8), best=(5, 16), below=(edge,)),))


def test_radeon_is_judged_at_its_edge(tmp_path: Path) -> None:
    machine = read(build(radeon_box(), tmp_path))
    assert [gpu.pci_address for gpu in machine.gpus] == ["0000:03:00.0"]
    assert machine.gpus[0].link == PcieLink(4, 8)


def test_amdgpu_tells_memory_and_name(tmp_path: Path) -> None:
    root = build(radeon_box(), tmp_path)
    card = next(root.glob("sys/devices/pci*/**/0000:03:00.0"))
    (card / "mem_info_vram_total").write_text(f"{24 * GIB}\n")
    (card / "mem_info_vram_used").write_text(f"{GIB}\n")
    found = read(root).gpus[0]
    assert (found.name, found.memory_bytes, found.memory_free_bytes) == ("AMD Radeon RX 7900 XTX", 24 * GIB, 23 * GIB)


def test_integrated_graphics_and_consoles_are_no_gpus(tmp_path: Path) -> None:
    intel = gpu("0000:00:02.0", ids=(0x8086, 0x0412), class_code=0x030000)
    console = gpu("0000:04:00.0", ids=(0x1A03, 0x2000), class_code=0x030000)
    bridge = root_port("0000:00:1c.0", below=(console,))
    assert read(build(Box(pci=(intel, isa_bridge(), bridge)), tmp_path)).gpus == ()


def test_virtual_display_is_shown_but_cannot_run_models(tmp_path: Path) -> None:
    display = gpu("0000:01:00.0", ids=(0x1AF4, 0x1050), class_code=0x038000)
    found = read(build(Box(pci=(root_port("0000:00:1c.0", below=(display,)),)), tmp_path)).gpus
    assert [gpu.display_only for gpu in found] == [True]


def test_audio_function_is_no_gpu(tmp_path: Path) -> None:
    sound = gpu("0000:01:00.1", ids=(0x10DE, 0x22BA), class_code=0x040300)
    port = root_port("0000:00:01.0", below=(gpu("0000:01:00.0"), sound))
    assert len(read(build(Box(pci=(port,)), tmp_path)).gpus) == 1


def test_firmware_without_numa_leaves_it_unknown(tmp_path: Path) -> None:
    port = root_port("0000:00:01.0", numa=-1, below=(gpu("0000:01:00.0"),))
    machine = read(build(Box(sockets=2, pci=(port,)), tmp_path))
    assert machine.gpus[0].numa_node is None
    assert "gpu0.numa_node" in machine.unknown


def test_two_gpus_on_one_socket(tmp_path: Path) -> None:
    ports = tuple(
        root_port(f"0000:{bus:02x}:01.0", numa=0, below=(gpu(f"0000:{bus + 1:02x}:00.0"),)) for bus in (16, 32)
    )
    machine = read(build(two_socket_box(pci=ports), tmp_path))
    assert [(gpu.numa_node, gpu.socket) for gpu in machine.gpus] == [(0, 0), (0, 0)]


def test_nodes_per_socket_four_keeps_sockets(tmp_path: Path) -> None:
    ports = tuple(
        root_port(f"0000:{16 * n + 16:02x}:01.0", numa=n, below=(gpu(f"0000:{16 * n + 17:02x}:00.0"),)) for n in (1, 6)
    )
    machine = read(build(Box(sockets=2, cores=8, nodes=4, pci=ports), tmp_path))
    assert [(gpu.numa_node, gpu.socket) for gpu in machine.gpus] == [(1, 0), (6, 1)]


def test_acs_from_configuration_space(tmp_path: Path) -> None:
    ports = (
        downstream("0000:02:00.0", gpu("0000:03:00.0"), acs=True),
        downstream("0000:02:01.0", gpu("0000:04:00.0"), acs=False),
    )
    machine = read(build(Box(pci=(root_port("0000:00:01.0", below=(switch("0000:01:00.0", ports),)),)), tmp_path))
    found = pci(machine)
    assert found["0000:02:00.0"].acs_redirect is True
    assert found["0000:02:01.0"].acs_redirect is False
    assert found["0000:03:00.0"].acs_redirect is None


def test_configuration_space_cut_to_64_bytes_leaves_acs_unknown(tmp_path: Path) -> None:
    root = build(Box(pci=(root_port("0000:00:01.0", acs=True, below=(gpu("0000:01:00.0"),)),)), tmp_path)
    for config in root.glob("sys/devices/**/config"):
        config.write_bytes(config.read_bytes()[:64])
    found = pci(read(root))["0000:00:01.0"]
    assert found.acs_redirect is None
    assert found.port == "root"


def test_iommu_group_driver_and_error_counters(tmp_path: Path) -> None:
    card = gpu("0000:01:00.0", files={"aer_dev_correctable": "RxErr 2\nBadTLP 5\nTOTAL_ERR_COR 7\n"})
    root = build(Box(pci=(root_port("0000:00:01.0", below=(card,)),)), tmp_path)
    place = next(root.glob("sys/devices/pci*/**/0000:01:00.0"))
    (place / "iommu_group").symlink_to("../../../../kernel/iommu_groups/13")
    (place / "driver").symlink_to("../../../../bus/pci/drivers/nvidia")
    found = pci(read(root))["0000:01:00.0"]
    assert (found.iommu_group, found.driver, found.aer_correctable) == (13, "nvidia", 7)


def test_capture_without_sys_bus_finds_the_tree(tmp_path: Path) -> None:
    root = build(two_socket_box(), tmp_path)
    for link in (root / "sys/bus/pci/devices").iterdir():
        link.unlink()
    assert [gpu.pci_address for gpu in read(root).gpus] == ["0000:11:00.0", "0000:51:00.0"]


# Memory slots


def test_all_channels_of_both_sockets(tmp_path: Path) -> None:
    machine = read(build(two_socket_box(slots=channel_slots(2, "ABCDEFGHIJKL")), tmp_path))
    assert [(s.channels, s.channels_named, s.mt_s) for s in machine.sockets] == [(12, 12, 4800.0)] * 2
    assert machine.sockets[0].memory_bandwidth_bytes_per_s == 12 * 4800e6 * 8


def test_two_slots_of_one_channel_are_one_channel(tmp_path: Path) -> None:
    slots = (Slot("DIMMC1", "P0_Node0_Channel2_Dimm0", 0), Slot("DIMMC2", "P0_Node0_Channel2_Dimm1"))
    socket = read(build(Box(slots=slots), tmp_path)).sockets[0]
    assert (socket.channels, socket.channels_named) == (1, 1)


@pytest.mark.parametrize(
    ("names", "socket", "channel"),
    [
        (("CPU1_DIMM_A1", "P0 CHANNEL A"), 0, "A"),
        (("P1-DIMMA1", "P0_Node0_Channel0_Dimm0"), 0, "0/0"),
        (("DIMM_P0_B1", "BANK 3"), 0, "B"),
        (("DIMM_B2", "BANK 3"), None, "B"),
        (("ChannelB-DIMM0", "BANK 2"), None, "B"),
        (("Controller1-ChannelA-DIMM0", "BANK 0"), None, "1/A"),
        (("PROC 1 DIMM 4", ""), 0, None),
        (("Dimm 7", "CPU 1"), 0, None),
        (("A3", "Not Specified"), 0, None),
        (("DIMM 0", ""), None, None),
    ],
)
def test_slot_names(tmp_path: Path, names: tuple[str, str], socket: int | None, channel: str | None) -> None:
    machine = read(build(Box(slots=(Slot(*names),)), tmp_path))
    assert (machine.dimms[0].socket, machine.dimms[0].channel) == (socket, channel)


def test_unclear_names_leave_channels_unknown(tmp_path: Path) -> None:
    slots = tuple(Slot(f"Dimm {n}", "CPU 1") for n in range(4))
    machine = read(build(Box(slots=slots), tmp_path))
    assert machine.sockets[0].channels is None
    assert machine.sockets[0].memory_bandwidth_bytes_per_s is None
    assert "dimms.channel" in machine.unknown


def test_no_table_is_said(tmp_path: Path) -> None:
    machine = read(build(Box(), tmp_path))
    assert machine.dimms == ()
    assert machine.sockets[0].channels is None
    assert "dimms" in machine.unknown


def test_virtual_machine_has_no_channels(tmp_path: Path) -> None:
    box = Box(slots=channel_slots(1, "AB"), files={"/sys/class/dmi/id/sys_vendor": "QEMU\n"})
    machine = read(build(box, tmp_path))
    assert machine.os.virtualised is True
    assert machine.sockets[0].channels is None


def test_dead_dimm_leaves_the_speed(tmp_path: Path) -> None:
    slots = list(channel_slots(1, "ABCD"))
    slots[2] = replace(slots[2], gib=0)
    socket = read(build(Box(slots=tuple(slots)), tmp_path)).sockets[0]
    assert (socket.channels, socket.channels_named, socket.mt_s) == (3, 4, 4800.0)


def test_nics_with_their_pci_function(tmp_path: Path) -> None:
    card = gpu("0000:02:00.0", ids=(0x15B3, 0x101B), class_code=0x020700)
    root = build(Box(pci=(root_port("0000:00:02.0", numa=0, below=(card,)),)), tmp_path)
    place = next(root.glob("sys/devices/pci*/**/0000:02:00.0"))
    port = place / "infiniband/mlx5_0/ports/1"
    port.mkdir(parents=True)
    (port / "rate").write_text("200 Gb/sec (4X HDR)\n")
    (port / "state").write_text("4: ACTIVE\n")
    (port / "link_layer").write_text("InfiniBand\n")
    (place / "infiniband/mlx5_0/device").symlink_to("../..")
    link = root / "sys/class/infiniband/mlx5_0"
    link.parent.mkdir(parents=True)
    link.symlink_to(Path("../../..") / (place / "infiniband/mlx5_0").relative_to(root))
    nic = read(root).nics[0]
    assert (nic.name, nic.pci_address, nic.bytes_per_s, nic.kind, nic.up) == (
        "mlx5_0",
        "0000:02:00.0",
        25e9,
        "infiniband",
        True,
    )


def test_gpu_memory_nodes_do_not_count(tmp_path: Path) -> None:
    node = "/sys/devices/system/node"
    box = Box(
        files={
            f"{node}/node255/cpumap": "00000000\n",
            f"{node}/node255/meminfo": "Node 255 MemTotal: 16777216 kB\n",
            f"{node}/online": "0,255\n",
            "/proc/driver/nvidia/gpus/0004:04:00.0/numa_status": "Node:   255\nStatus: online\n",
        }
    )
    machine = read(build(box, tmp_path))
    assert counts(machine)["numa_nodes"] == 1
    assert [node["os_index"] for node in topology_json(machine)["gpu_numa_nodes"]] == [255]
    assert machine.memory_bytes == 64 * GIB


def test_json_is_plain(tmp_path: Path) -> None:
    import json

    found = json.loads(json.dumps(topology_json(read(build(two_socket_box(), tmp_path)))))
    assert found["schema"] == 1
    assert {"counts", "sockets", "numa_nodes", "pci", "gpus", "links", "nics", "os", "unknown"} <= set(found)
    bridge = next(device for device in found["pci"] if device["address"] == "0000:10:01.0")
    assert bridge["children"][0]["address"] == "0000:11:00.0"


def test_specs_come_from_the_resolver(tmp_path: Path) -> None:
    from wellfed.topology.collect import collect
    from wellfed.topology.machine import parse

    asked: list[tuple[str, int | None]] = []

    def gpu_spec(name: str, memory: int | None) -> None:
        asked.append((name, memory))

    parse(collect(build(two_socket_box(), tmp_path)), gpu_spec=gpu_spec)
    assert asked == [("NVIDIA A100 80GB PCIe", None)] * 2
