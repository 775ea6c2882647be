"""Captured machines of other people get the verdict that is known to be right."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from samples import few
from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
from wellfed.checks.run import run_checks
from wellfed.nouns.finding import Finding
from wellfed.topology.machine import parse
from wellfed.topology.snapshot_io import load

pytestmark = pytest.mark.shared

# file: check id -> the verdicts of its findings, in the order of their subjects; a single word means all of them
EXPECTED: dict[str, dict[str, str]] = {
    "asus_esc8000a": {
        "pcie-width": "pass", "pcie-speed": "unknown", "pcie-chipset": "pass", "pcie-shared-uplink": "warn",
        "gpu-socket": "pass", "mem-channels": "pass", "cpu-offline": "warn", "iommu": "pass", "acs": "pass",
    },
    "asus_esc8000a_lspci_bridges_gpus.txt": {
        "pcie-width": "pass", "pcie-speed": "unknown", "pcie-chipset": "pass", "pcie-shared-uplink": "warn",
        "acs": "pass", "gpu-socket": "pass",
    },
    "dgx_station_4xv100_udev_pci.txt": {"pcie-chipset": "pass", "pcie-shared-uplink": "warn"},
    "dell7737_gt750m_behind_pch_udev_pci.txt": {"pcie-chipset": "fail"},
    "laptop_mx150_cpuport_udev_pci.txt": {"pcie-chipset": "pass"},
    "g45_northbridge_x16_hd4850_udev_pci.txt": {"pcie-chipset": "unknown"},
    "power8_2xp100_udev_pci.txt": {"pcie-chipset": "pass", "pcie-shared-uplink": "pass"},
    "dell_r820_4socket_udev_pci.txt": {"pcie-width": "skip", "pcie-chipset": "skip", "gpu-socket": "skip"},
    "lenovo_systemx_dmidecode.txt": {"mem-channels": "warn", "mem-mixed-dimms": "pass"},
    "nvsmi_a100-sxm4-v12.xml": {"pcie-width": "pass", "pcie-speed": "pass", "gpu-persistence": "warn"},
    "nvsmi_rtx-3090-v12.xml": {"pcie-width": "pass", "pcie-speed": "unknown", "gpu-persistence": "pass",
                               "gpu-ecc": "skip"},
    "nvsmi_tesla-t4.xml": {"pcie-width": "warn", "pcie-speed": "pass", "gpu-ecc": "pass"},
    "gpud_lspci.nn.a100.txt": {"fabric-manager": "unknown"},
    "gpud_lspci.nn.a10.txt": {"fabric-manager": "skip"},
    "gpud_nvidia-smi.nvlink.status.a100.txt": {"nvlink": "pass"},
    "aws_p4d.xml": {"pcie-width": "pass", "pcie-speed": "pass", "gpu-socket": "pass"},
    "rccl_topo_8p_940.xml": {"pcie-width": "pass", "pcie-speed": "pass", "gpu-socket": "pass", "nic-link": "pass",
                             "nic-locality": "pass", "nvlink": "pass"},
    "rccl_topo_8p1h_2.xml": {"pcie-width": "pass", "pcie-speed": "pass", "gpu-socket": "pass", "nic-link": "warn"},
    "rccl_topo_4p1h_1.xml": {"pcie-width": "pass", "pcie-speed": "pass", "gpu-socket": "pass"},
    "x570_3gpu_one_behind_chipset_lspci_t.txt": {"pcie-chipset": "fail fail pass pass"},
    "x570_dual3090_x8x8_cpu_lspci_t.txt": {"pcie-chipset": "pass", "pcie-width": "warn"},
    "am5_dual5090_cpu_lanes_lspci_t.txt": {"pcie-chipset": "pass", "pcie-width": "warn"},
    "dmesg_gpu_behind_intel_pch_1c4_x4.txt": {"pcie-chipset": "fail", "pcie-width": "warn"},
    "dmesg_x570_uplink_x4_limit.txt": {"pcie-chipset": "pass"},
    "sysfs_radeon_onboard_switch_vs_card_edge.txt": {"pcie-width": "warn", "pcie-speed": "warn"},
    "nvidia_pstate_vs_link_gen.csv": {"pcie-speed": "unknown unknown unknown warn"},
    "topo_8x4090_2socket_all_SYS.txt": {"gpu-socket": "pass", "pcie-shared-uplink": "pass"},
    "topo_hgx_h100_nv18.txt": {"gpu-socket": "pass", "nvlink": "pass"},
    "topo_4titanx_single_socket_plx.txt": {"gpu-socket": "pass", "pcie-shared-uplink": "warn"},
    "sysfs_numa_aws_l4_nvml_notsupported.txt": {"gpu-socket": "pass"},
    "dmidecode_epyc_slot_vs_channel_excerpt.txt": {"mem-channels": "pass"},
    "qemu_q35_2node_sysfs.tar.gz": {"pcie-chipset": "warn pass pass", "pcie-width": "pass", "pcie-speed": "pass"},
}  # fmt: skip
PLACED = [name for name in EXPECTED if "gpu-socket" in EXPECTED[name] or "pcie-width" in EXPECTED[name]]


@cache
def findings(path: Path) -> tuple[Finding, ...]:
    return run_checks(parse(load(path), gpu_or_none, cpu_or_none))


@pytest.mark.parametrize("name", list(EXPECTED))
def test_verdict_of_a_captured_machine(shared, name):
    found = findings(shared / "machines" / name)
    for id, wanted in EXPECTED[name].items():
        verdicts = [finding.verdict.value for finding in found if finding.id == id]
        assert verdicts == (wanted.split() if " " in wanted else [wanted] * len(verdicts)), id
    assert not any("check itself failed" in finding.why for finding in found)


@pytest.mark.parametrize("every", few((5, 1), 2))
def test_every_capture_can_be_checked(shared, every):
    files = [path for path in (shared / "machines").iterdir() if path.name not in ("README.md", "SOURCES.tsv", "hwloc")]
    for path in sorted((*files, *(shared / "machines" / "hwloc").iterdir()))[::every]:
        broken = [finding for finding in findings(path) if "check itself failed" in finding.why]
        assert not broken, path.name
