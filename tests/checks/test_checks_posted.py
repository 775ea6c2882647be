"""Dumps that people posted get the verdicts that are known to be right, and nothing is made up around them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
from wellfed.checks.run import run_checks
from wellfed.hardware.machine import Machine
from wellfed.nouns.finding import FAULTS, Finding
from wellfed.topology.machine import parse
from wellfed.topology.snapshot_io import load

pytestmark = pytest.mark.shared

# file: every check that warns or fails, with its verdict
FAULTY: dict[str, dict[str, str]] = {
    "03b_plain.txt": {"vram-free": "warn"},
    "04_ik258_3x3090_nvidia_smi.txt": {"gpu-persistence": "warn", "vram-free": "warn"},
    "04b_ik258_numactl.txt": {},
    "05_azure_ncv4-topo.xml": {},
    "05_azure_ndv2-topo.xml": {},
    "05_azure_ndv4-topo.xml": {},
    "07_vllm47366_mi355x_collect_env.txt": {},
    "10_talos_dgx_h100.md": {},
    "11_1080ti_node.md": {},
    "11b_7900x3d_lspci_tv.txt": {"gpu-mixed": "warn"},
    "13_6gpu_unbalanced.md": {"gpu-socket": "warn", "pcie-shared-uplink": "warn"},
    "14_vllm14201_8xA100_offline_cpus.txt": {"cpu-offline": "warn"},
    "19_laptop4050_dmesg.txt": {"pcie-chipset": "fail", "pcie-width": "warn"},
    "22_dmidecode_dell-r640.txt": {"mem-channels": "fail"},
    "22_dmidecode_hynix-kingmax.txt": {},
    "22_dmidecode_oracle-server-x5-2.txt": {},
    "22_dmidecode_windows-2019-amd-epyc.txt": {},
    "23_macos_system_profiler.txt": {},
    "25_free_h.txt": {},
    "27_lscpu_J_vm.json": {},
    "29_sglang3424_8xL20Z.txt": {},
    "30_sglang18780_8xB200.txt": {},
    "33_lstopo_console_aws_t4_partly.txt": {},
    "34_lstopo_console_2xk80_partly.txt": {"pcie-shared-uplink": "warn"},
    "36_journal_xid79.txt": {"gpu-xid": "fail"},
    "37_A40_faulty_modified.txt": {
        "gpu-ecc": "fail", "gpu-row-remap": "warn", "gpu-throttle": "fail", "gpu-power-limit": "warn",
    },
    "39_vllm13814_4xL20_partial.txt": {},
    "40_vllm42432_rtxpro6000_vm_partial.md": {},
    "43_netdata_a100-sxm4-mig.xml": {"gpu-mig": "warn", "gpu-persistence": "warn"},
    "43_netdata_rtx-2080-win.xml": {"pcie-width": "warn", "vram-free": "warn"},
    "43_netdata_rtx-3060.xml": {"pcie-width": "warn", "gpu-persistence": "warn"},
    "43_netdata_rtx-4090-driver-535.xml": {},
    "43_netdata_tesla-p100.csv": {},
    "43_netdata_tesla-p100.xml": {"gpu-persistence": "warn"},
    "43b_2x4090_derived.xml": {},
    "44_epyc9375f_numactl.md": {},
    "48_vllm14025_nccl_p2p_disabled.log": {"gpu-p2p": "warn"},
    "49_vllm23752_8xB200_nic.txt": {},
    "52_nccl1617_4xH100_NV6.md": {},
    "53_gpuburn1_aer_xid79_dmesg.txt": {"gpu-xid": "fail", "pcie-replay": "fail"},
    "54_popos3363_aer_journal.txt": {"pcie-replay": "warn"},
    "57_a100pcie_no_bridge.txt": {},
    "60_2x3090_no_bridge.txt": {},
    "folder5900x": {},
}  # fmt: skip
# file: check -> the verdict that all its findings have
SAID: dict[str, dict[str, str]] = {
    "05_azure_ncv4-topo.xml": {"gpu-socket": "pass"},
    "05_azure_ndv2-topo.xml": {"gpu-socket": "pass"},
    "05_azure_ndv4-topo.xml": {"gpu-socket": "pass", "pcie-shared-uplink": "skip"},
    "07_vllm47366_mi355x_collect_env.txt": {"gpu-socket": "pass", "nvlink": "pass", "cpu-offline": "pass"},
    "10_talos_dgx_h100.md": {"nvlink": "pass", "gpu-socket": "pass", "nic-per-gpu": "pass", "nic-locality": "pass",
                             "fabric-manager": "unknown"},
    "11_1080ti_node.md": {"pcie-chipset": "pass", "pcie-width": "pass", "pcie-speed": "unknown"},
    "11b_7900x3d_lspci_tv.txt": {"pcie-chipset": "pass"},
    "22_dmidecode_hynix-kingmax.txt": {"mem-speed": "unknown"},
    "22_dmidecode_oracle-server-x5-2.txt": {"mem-channels": "pass"},
    "22_dmidecode_windows-2019-amd-epyc.txt": {"numa-hidden": "skip"},
    "29_sglang3424_8xL20Z.txt": {"gpu-socket": "unknown", "nvlink": "pass", "fabric-manager": "unknown"},
    "30_sglang18780_8xB200.txt": {"gpu-socket": "pass", "nvlink": "pass", "fabric-manager": "unknown",
                                  "nic-locality": "unknown"},
    "33_lstopo_console_aws_t4_partly.txt": {"pcie-chipset": "skip"},
    "34_lstopo_console_2xk80_partly.txt": {"gpu-socket": "unknown"},
    "43_netdata_rtx-3060.xml": {"pcie-speed": "unknown"},
    "43b_2x4090_derived.xml": {"pcie-shared-uplink": "unknown", "gpu-bar1": "skip"},
    "49_vllm23752_8xB200_nic.txt": {"pcie-shared-uplink": "pass", "nic-locality": "pass"},
    "52_nccl1617_4xH100_NV6.md": {"nvlink": "pass", "fabric-manager": "skip", "gpu-socket": "pass"},
    "57_a100pcie_no_bridge.txt": {"nvlink": "skip"},
    "60_2x3090_no_bridge.txt": {"nvlink": "skip"},
    "folder5900x": {"nvlink": "pass"},
}  # fmt: skip


@cache
def read(path: Path) -> tuple[Machine, tuple[Finding, ...]]:
    machine = parse(load(path), gpu_or_none, cpu_or_none)
    return machine, run_checks(machine)


@pytest.mark.parametrize("name", list(FAULTY))
def test_exactly_the_right_faults_are_found(shared, name):
    _, found = read(shared / "posted" / name)
    assert {f.id: f.verdict.value for f in found if f.verdict in FAULTS} == FAULTY[name]
    assert not any(finding.message and finding.message.id == "check.crashed" for finding in found)


@pytest.mark.parametrize("name", list(SAID))
def test_what_else_is_known_to_be_right(shared, name):
    _, found = read(shared / "posted" / name)
    verdicts = {id: {f.verdict.value for f in found if f.id == id} for id in SAID[name]}
    assert verdicts == {id: {verdict} for id, verdict in SAID[name].items()}


def test_every_posted_dump_has_its_verdicts(shared):
    files = {path.name for path in (shared / "posted").iterdir()} - {"README.md", "SOURCES.tsv"}
    assert files - {"04c_quoted_numactl.md"} == set(FAULTY)


@pytest.mark.parametrize(
    ("name", "gpus", "card"),
    [
        ("03b_plain.txt", 1, "rtx-4090-d-48gb"),
        ("04_ik258_3x3090_nvidia_smi.txt", 3, "rtx-3090"),
        ("04c_quoted_numactl.md", 3, "rtx-3090"),
        ("14_vllm14201_8xA100_offline_cpus.txt", 8, "a100-sxm4-80gb"),
        ("30_sglang18780_8xB200.txt", 8, "b200-sxm-180gb"),
        ("39_vllm13814_4xL20_partial.txt", 4, "l20"),
        ("folder5900x", 2, "rtx-3090"),
    ],
)
def test_cards_are_known(shared, name, gpus, card):
    machine, _ = read(shared / "posted" / name)
    assert [gpu.spec.id if gpu.spec else None for gpu in machine.gpus] == [card] * gpus


@pytest.mark.parametrize(
    ("name", "gib", "nodes"),
    [("04b_ik258_numactl.txt", 251.5, 1), ("04c_quoted_numactl.md", 251.5, 1), ("44_epyc9375f_numactl.md", 1511, 2),
     ("25_free_h.txt", 3.7, 0)],
)  # fmt: skip
def test_memory_is_read(shared, name, gib, nodes):
    machine, _ = read(shared / "posted" / name)
    assert machine.memory_bytes == pytest.approx(gib * (1 << 30), rel=0.01)
    assert len(machine.numa_nodes) == nodes


@pytest.mark.parametrize(
    "name",
    ["03b_plain.txt", "05_azure_ncv4-topo.xml", "05_azure_ndv4-topo.xml", "27_lscpu_J_vm.json",
     "29_sglang3424_8xL20Z.txt", "33_lstopo_console_aws_t4_partly.txt", "40_vllm42432_rtxpro6000_vm_partial.md"],
)  # fmt: skip
def test_guests_are_known(shared, name):
    assert read(shared / "posted" / name)[0].os.virtualised is True


def test_rates_of_links_come_from_the_paste_or_the_catalogue(shared):
    pair = read(shared / "posted" / "folder5900x")[0].gpu_links
    assert [(link.kind, round(link.bytes_per_s or 0, -8)) for link in pair] == [("nvlink", 56.2e9)]
    four, _ = read(shared / "posted" / "52_nccl1617_4xH100_NV6.md")
    assert {link.kind for link in four.gpu_links} == {"nvlink"}
    assert read(shared / "posted" / "11b_7900x3d_lspci_tv.txt")[0].gpu_links == ()


def test_sockets_follow_from_the_threads(shared):
    machine, _ = read(shared / "posted" / "39_vllm13814_4xL20_partial.txt")
    assert [socket.cpu.id if socket.cpu else None for socket in machine.sockets] == ["epyc-7413"] * 2
