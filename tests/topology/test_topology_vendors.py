"""Tools of all vendors, environment reports, logs and other systems: each tells what it shows and nothing more."""

from __future__ import annotations

import json

import dump_samples_more as samples
import pytest

from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
from wellfed.hardware.machine import Machine, Origin
from wellfed.hardware.pcie import PcieLink
from wellfed.topology.machine import parse
from wellfed.topology.snapshot import Snapshot

GIB, MIB = 1 << 30, 1 << 20


def machine_of(*texts: str) -> Machine:
    dumps = {f"{n}.txt": text for n, text in enumerate(texts)}
    return parse(Snapshot("pasted", Origin.DUMP, dumps=dumps), gpu_or_none, cpu_or_none)


def test_the_plain_table_tells_state_memory_and_limits() -> None:
    first, second = machine_of(samples.SMI_TABLE).gpus
    assert (first.name, first.pci_address, first.persistence, first.performance_state) == (
        "NVIDIA L40S", "0000:21:00.0", False, 0,
    )  # fmt: skip
    assert (first.memory_bytes, first.memory_free_bytes) == (46068 * MIB, 44020 * MIB)
    assert (first.ecc_enabled, first.ecc_uncorrected, first.power_limit_w, first.foreign_processes) == (
        True,
        3,
        300.0,
        1,
    )
    assert (second.ecc_enabled, second.ecc_uncorrected, second.mig, second.persistence) == (False, None, True, True)
    assert first.mig is None and first.driver == "560.10.01"


def test_a_table_of_windows_has_no_persistence() -> None:
    machine = machine_of(samples.SMI_TABLE_WINDOWS)
    assert (machine.os.family, machine.gpus[0].persistence, machine.gpus[0].spec.id) == (
        "windows",
        None,
        "rtx-3080-10gb",
    )


def test_a_name_cut_with_dots_is_told_by_its_memory() -> None:
    text = samples.SMI_TABLE.replace("NVIDIA L40S                    Off", "GeForce RTX 208...             Off")
    assert machine_of(text.replace("46068MiB", "11264MiB")).gpus[0].name == "NVIDIA GeForce RTX 2080 Ti"
    assert machine_of(text).gpus[0].spec is None


def test_no_answer_of_the_driver_is_a_reason() -> None:
    text = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure it runs.\n"
    assert "failed" in machine_of(text).unknown["gpus"]


def test_the_list_tells_names_and_slices() -> None:
    assert [(gpu.name, gpu.mig) for gpu in machine_of(samples.SMI_LIST).gpus] == [
        ("NVIDIA H100 PCIe", None), ("NVIDIA H100 PCIe", True),
    ]  # fmt: skip


def test_peer_access_by_pair() -> None:
    pairs = {(pair.a, pair.b): (pair.works, pair.why) for pair in machine_of(samples.P2P).peers}
    assert pairs[0, 1] == (True, None)
    assert pairs[0, 2] == pairs[1, 2] == (False, "chipset not supported")


def test_amd_smi_in_text_and_json() -> None:
    machine = machine_of(samples.AMD_STATIC, samples.AMD_METRIC, samples.AMD_TOPOLOGY)
    card = machine.gpus[0]
    assert (card.spec.id, card.numa_node, card.power_limit_w, card.compute_units) == ("mi300x", 1, 600.0, 304)
    assert (card.memory_free_bytes, card.replays, card.ecc_uncorrected) == (196000 * MIB, 21, 1)
    assert [(link.kind, link.bytes_per_s) for link in machine.gpu_links] == [("xgmi", 64e9)]
    document = [{"gpu": 0, "asic": {"market_name": "AMD Instinct MI300X"}, "bus": {"bdf": "0000:0c:00.0"},
                 "vram": {"size": {"value": 196592, "unit": "MB"}}}]  # fmt: skip
    assert machine_of(json.dumps(document, indent=4)).gpus[0].memory_bytes == 196592 * MIB


def test_amd_smi_table_of_a_guest() -> None:
    machine = machine_of(samples.AMD_TABLE)
    assert (machine.os.virtualised, machine.os.rocm) == (True, "6.4.1")
    assert (machine.gpus[0].spec.id, machine.gpus[0].power_limit_w) == ("mi325x", 1000.0)


def test_a_link_that_amd_smi_sees_narrow_is_narrow() -> None:
    only = samples.AMD_STATIC.partition("GPU: 1")[0]
    both = only.replace("    LIMIT:", "    PCIE:\n        WIDTH: 8\n        SPEED: 32 GT/s\n    LIMIT:")
    assert machine_of(both).gpus[0].link == PcieLink(5, 8)


def test_rocm_smi() -> None:
    machine = machine_of(samples.ROCM_SHOW)
    assert [(gpu.spec.id, gpu.pci_address, gpu.numa_node) for gpu in machine.gpus] == [
        ("mi210", "0000:43:00.0", 0), ("mi210", "0000:e3:00.0", 3),
    ]  # fmt: skip
    assert machine.gpu_links == ()
    concise = machine_of(samples.ROCM_CONCISE).gpus
    assert [(gpu.power_limit_w, gpu.temperature_c, gpu.name) for gpu in concise] == [
        (303.0, 38.0, None),
        (303.0, 36.0, None),
    ]


@pytest.mark.parametrize(
    ("text", "vendor", "name", "memory_bytes"),
    [
        (samples.XPU, "intel", "Intel Arc B580", 12216 * MIB),
        (samples.NPU, "ascend", "Ascend 910B2", 65536 * MIB),
        (samples.MTHREADS, "moorethreads", "MTT S4000", 49152 * MIB),
        (samples.METAX, "metax", "MetaX C500", 65536 * MIB),
        (samples.HY, "hygon", None, None),
    ],
)
def test_cards_of_other_makers(text: str, vendor: str, name: str | None, memory_bytes: int | None) -> None:
    card = machine_of(text).gpus[0]
    assert (card.vendor, card.name, card.memory_bytes) == (vendor, name, memory_bytes)


def test_gpuz_sees_lanes_that_do_not_sleep() -> None:
    card = machine_of(samples.GPUZ).gpus[0]
    assert (card.link, card.link_generation, card.link_generation_max) == (PcieLink(4, 8), 1, 4)


def test_memory_in_all_its_forms() -> None:
    assert machine_of(samples.MEMINFO).os.memory_free_bytes == 98304000 << 10
    free = machine_of(samples.FREE)
    assert (free.memory_bytes, free.os.memory_free_bytes, free.os.swap_used_bytes) == (
        257600 * MIB,
        235000 * MIB,
        2048 * MIB,
    )
    head = "              total        used        free      shared  buff/cache   available\n"
    for line, wanted in (
        ("Mem:           62Gi        3Gi        40Gi       10Mi        19Gi        58Gi\n", 62 * GIB),
        ("Mem:       65000000     1000000    60000000      1000     4000000    63000000\n", 65000000 << 10),
        ("Mem:            755          20         700           1          35         730\n", 755 * GIB),
        ("Mem:    67000000000  1000000000 60000000000     1000  6000000000 65000000000\n", 67000000000),
    ):
        assert machine_of(head + line).memory_bytes == wanted


def test_cpuinfo_counts_packages() -> None:
    machine = machine_of(samples.CPUINFO)
    assert [(s.cpu.id, s.cores, s.threads) for s in machine.sockets] == [("epyc-9354", 32, 64)] * 2
    assert machine.os.virtualised is False


def test_nccl_names_cards_peers_and_networks() -> None:
    machine = machine_of(samples.NCCL_LOG)
    assert [gpu.pci_address for gpu in machine.gpus] == ["0000:17:00.0", "0000:ca:00.0"]
    assert [(pair.a, pair.b, pair.works) for pair in machine.peers] == [(0, 1, False)]
    assert [(nic.name, nic.kind) for nic in machine.nics] == [("mlx5_2", "ethernet")]
    direct = machine_of(samples.NCCL_LOG.replace("SHM/direct/direct", "P2P/CUMEM"))
    assert [pair.works for pair in direct.peers] == [True]


def test_a_journal_tells_which_port_complains_of_whom() -> None:
    machine = machine_of(samples.JOURNAL)
    devices = {device.address: device for device in machine.pci}
    assert devices["0000:41:00.0"].parent == "0000:40:01.1"
    assert devices["0000:41:00.0"].errors_logged == devices["0000:40:01.1"].errors_logged == "correctable"


def test_environment_reports() -> None:
    machine = machine_of(samples.ENVIRONMENT)
    assert [gpu.spec.id for gpu in machine.gpus] == ["rtx-4090", "rtx-3090"]
    assert (machine.os.wsl, machine.os.virtualised, machine.os.nvidia_driver) == (True, True, "580.10")
    four = machine_of(samples.SGLANG)
    assert [gpu.spec.id for gpu in four.gpus] == ["mi300x"] * 4
    assert four.os.hypervisor == "kvm"


def test_inxi_tells_a_laptop_and_its_link() -> None:
    machine = machine_of(samples.INXI)
    card = machine.gpus[0]
    assert (machine.os.chassis, machine.memory_bytes) == ("laptop", round(30.5 * GIB))
    assert (card.name, card.link, card.driver) == ("NVIDIA GeForce RTX 4060 Laptop GPU", PcieLink(4, 8), "550.90")
    assert [dimm.mt_s for dimm in machine.dimms] == [5600.0, 5600.0]
    assert machine.sockets[0].cores == 8


def test_inxi_of_other_versions() -> None:
    new = machine_of(
        "CPU:\n  Info: 16-core (8-mt/8-st) model: 13th Gen Intel Core i7-13700K bits: 64 type: MST\nGraphics:\n"
        "  Device-1: NVIDIA TU104 [GeForce RTX 2070 SUPER] driver: nvidia v: 550.1 pcie: speed: 2.5 GT/s lanes: 8\n"
        "    bus-ID: 01:00.0 chip-ID: 10de:1e84\nInfo:\n  Memory: total: 32 GiB available: 31.1 GiB used: 6 GiB\n"
    )
    assert (new.gpus[0].link, new.memory_bytes) == (PcieLink(3, 8), round(31.1 * GIB))
    old = machine_of(
        "Graphics:  Card-1: NVIDIA GP104 [GeForce GTX 1080] bus-ID: 01:00.0\nCPU:       Quad core Intel Core i7-7700K (-MT-MCP-)\n"
        "Info:      Processes: 200 Uptime: 1:00 Memory: 3000.0/15900.0MB\n"
    )
    assert (old.gpus[0].spec.id, old.sockets[0].cores, old.memory_bytes) == ("gtx-1080", 4, round(15900 * MIB))


def test_lshw_in_its_forms() -> None:
    machine = machine_of(samples.LSHW)
    assert [(dimm.slot, dimm.bytes) for dimm in machine.dimms] == [("DIMM_A1", 32 * GIB), ("DIMM_A2", 0)]
    assert (machine.gpus[0].spec.id, machine.sockets[0].cpu.id, machine.os.chassis) == (
        "rtx-4090",
        "ryzen-9-5950x",
        "desktop",
    )
    short = machine_of(samples.LSHW_SHORT)
    assert (short.memory_bytes, short.gpus[0].spec.id, len(short.dimms)) == (128 * GIB, "rtx-3090", 2)
    document = {"id": "box", "class": "system", "children": [
        {"id": "display", "class": "display", "vendor": "NVIDIA Corporation", "product": "GA102 [GeForce RTX 3090]",
         "businfo": "pci@0000:01:00.0"}]}  # fmt: skip
    assert machine_of(json.dumps(document)).gpus[0].pci_address == "0000:01:00.0"


def test_hwinfo() -> None:
    machine = machine_of(samples.HWINFO)
    assert (machine.gpus[0].spec.id, machine.memory_bytes) == ("rtx-3090", 62 * GIB + 512 * MIB)
    assert machine.cpu_name == "AMD Ryzen 9 5900X 12-Core Processor"
    short = "cpu:\n                       AMD Ryzen 9 5900X, 3700 MHz\ngraphics card:\n                       nVidia GA102 [GeForce RTX 3090]\nmemory:\n                       Main Memory\n"
    assert machine_of(short).gpus[0].spec.id == "rtx-3090"


def test_lspci_for_machines_and_in_numbers() -> None:
    machine = machine_of(samples.LSPCI_MACHINE)
    assert (machine.gpus[0].spec.id, machine.gpus[0].numa_node) == ("rtx-4090", 0)
    quoted = (
        '01:00.0 "VGA compatible controller" "NVIDIA Corporation" "AD102 [GeForce RTX 4090]" -ra1 "Maker" "Device 1"\n'
    )
    assert machine_of(quoted).gpus[0].spec.id == "rtx-4090"
    assert (
        machine_of("01:00.0 0300: 10de:2684 (rev a1)\n01:00.1 0403: 10de:22ba (rev a1)\n").gpus[0].spec.id == "rtx-4090"
    )


def test_a_mac() -> None:
    machine = machine_of(samples.MACOS)
    assert (machine.os.family, machine.memory_bytes, machine.gpus[0].compute_units) == ("macos", 192 * GIB, 76)
    sysctl = machine_of("hw.memsize: 68719476736\nmachdep.cpu.brand_string: Apple M3 Max\nhw.physicalcpu: 16\n")
    assert (sysctl.gpus[0].name, sysctl.memory_bytes) == ("Apple M3 Max", 64 * GIB)


def test_windows_in_lists_and_tables() -> None:
    machine = machine_of(samples.WINDOWS)
    assert (machine.gpus[0].spec.id, machine.gpus[0].memory_bytes != 4293918720) == ("rtx-4070-ti", True)
    assert [(dimm.bytes, dimm.mt_s, dimm.rated_mt_s) for dimm in machine.dimms] == [(32 * GIB, 4800.0, 6000.0)] * 2
    assert machine.sockets[0].cpu.id == "ryzen-7-7700x"
    table = machine_of(samples.WMIC)
    assert (table.sockets[0].cores, table.memory_bytes) == (12, 32 * GIB)
    system = machine_of("OS Name:                   Microsoft Windows 11 Pro\nSystem Manufacturer:       Maker\n"
                        "System Model:              Book Pro Laptop\nTotal Physical Memory:     65,234 MB\n")  # fmt: skip
    assert (system.memory_bytes, system.os.chassis) == (65234 * MIB, "laptop")


def test_disks() -> None:
    kinds = {disk.name: (disk.kind, disk.free_bytes) for disk in machine_of(samples.DF).disks}
    assert kinds["/dev/nvme0n1p2"] == ("nvme", 540 * GIB)
    assert kinds["nas:/models"][0] == "network"
    blocks = "NAME        SIZE ROTA TRAN TYPE\nsda         3.6T    1 sata disk\n└─sda1      3.6T    1      part\nnvme0n1     1.8T    0 nvme disk\nsdb       931.5G    0 usb  disk\n"
    assert {d.name: d.kind for d in machine_of(blocks).disks} == {
        "/dev/sda": "hdd", "/dev/nvme0n1": "nvme", "/dev/sdb": "usb",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "cores", "sockets", "guest"),
    [
        ("Model name: AMD EPYC 7413 24-Core Processor\nThread(s) per core: 2\nCPU(s): 96\nOn-line CPU(s) list: 0-95\n", 24, 2, None),
        ("Architecture: aarch64\nCPU(s): 192\nOn-line CPU(s) list: 0-191\nModel name: Kunpeng-920\nThread(s) per core: 1\n"
         "Core(s) per cluster: 48\nSocket(s): -\nCluster(s): 4\n", None, 0, None),
        ("BIOS Model name: INTEL(R) XEON(R) GOLD 6548Y+  CPU @ 2.3GHz\nCore(s) per socket: 16\nSocket(s): 1\n"
         "Flags: fpu vme hypervisor avx2\n", 16, 1, True),
        ("Architecture: x86_64\nCPU(s): 32\nVendor ID: GenuineIntel\nModel name: Intel(R) Core(TM) i9-13900K\nSocket(s): 1\n"
         "Core(s) per socket: 24\nL3 cache: 36 MiB (1 instance)\nNUMA node(s): 1\n", 24, 1, False),
    ],
)  # fmt: skip
def test_lscpu_cut_short_tells_what_it_tells(text: str, cores: int | None, sockets: int, guest: bool | None) -> None:
    machine = machine_of(text)
    assert len(machine.sockets) == sockets
    assert all(socket.cores == cores for socket in machine.sockets)
    assert machine.os.virtualised is guest


def test_the_only_node_shown_is_not_the_only_node() -> None:
    cut = "CPU(s): 192\nModel name: Kunpeng-920\nSocket(s): 4\nCore(s) per socket: 48\nNUMA node(s): 8\nNUMA node0 CPU(s): 0-23\n"
    assert [gpu.numa_node for gpu in machine_of(cut, samples.NPU).gpus] == [None, None]
    assert "numa_nodes.cut" in machine_of(cut).unknown


def test_old_lstopo_names_functions_by_their_ids() -> None:
    text = (
        "Machine (252GB)\n  NUMANode L#0 (P#0 126GB)\n    Socket L#0\n      Core L#0\n        PU L#0 (P#0)\n"
        '    HostBridge L#0\n      PCIBridge\n        PCI 10de:15f8\n          GPU L#0 "card1"\n'
    )
    machine = machine_of(text)
    assert [(gpu.name, gpu.numa_node) for gpu in machine.gpus] == [("NVIDIA Tesla P100-PCIE-16GB", 0)]
    assert machine.os.virtualised is None
