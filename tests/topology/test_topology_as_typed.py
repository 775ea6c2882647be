"""Pastes with the commands that made them, in short forms, of other vendors' cards: what each tells and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from wellfed.checks.run import run_checks
from wellfed.checks.tools import all_in_words_of, in_words_of
from wellfed.hardware.machine import Machine
from wellfed.nouns.finding import FAULTS, Verdict
from wellfed.verbs.checking import read_machine

WMIC = r"""
C:\Users\me>wmic path win32_VideoController get name,AdapterRAM,DriverVersion
AdapterRAM  DriverVersion   Name
4293918720  32.0.15.6636    NVIDIA GeForce RTX 3090
1073741824  32.0.12033.1030 AMD Radeon(TM) Graphics

C:\Users\me>wmic cpu get name,NumberOfCores,NumberOfLogicalProcessors
Name                                     NumberOfCores  NumberOfLogicalProcessors
AMD Ryzen 7 7700 8-Core Processor        8              16

C:\Users\me>wmic memorychip get capacity,speed,configuredclockspeed,devicelocator
Capacity     ConfiguredClockSpeed  DeviceLocator  Speed
34359738368  4800                  DIMM 1         6000
34359738368  4800                  DIMM 1         6000
"""
CSV = """```
root@node:~# nvidia-smi --query-gpu=index,name,pcie.link.gen.current,pcie.link.width.current,power.limit --format=csv
index, name, pcie.link.gen.current, pcie.link.width.current, power.limit [W]
0, NVIDIA A100-SXM4-80GB, 4, 16, 400.00 W
1, NVIDIA A100-SXM4-80GB, 4, 16, 250.00 W
```
"""
INXI = """
CPU:
  Info: 16-core AMD Ryzen 9 7950X [MT MCP] speed (MHz): avg: 3000 min/max: 400/5881
Graphics:
  Device-1: NVIDIA AD102 [GeForce RTX 4090] vendor: ASUSTeK driver: nvidia v: 550.144.03
    pcie: gen: 4 speed: 16 GT/s lanes: 8 bus-ID: 01:00.0
  Device-2: AMD Raphael driver: amdgpu v: kernel
Memory:
  System RAM: total: 128 GiB available: 124.93 GiB used: 12.1 GiB (9.7%)
  Array-1: capacity: 256 GiB slots: 4 modules: 4 EC: None
  Device-1: DIMM 0 type: DDR5 size: 32 GiB speed: spec: 5600 MT/s actual: 3600 MT/s
  Device-2: DIMM 1 type: DDR5 size: 32 GiB speed: spec: 5600 MT/s actual: 3600 MT/s
  Device-3: DIMM 0 type: DDR5 size: 32 GiB speed: spec: 5600 MT/s actual: 3600 MT/s
  Device-4: DIMM 1 type: DDR5 size: 32 GiB speed: spec: 5600 MT/s actual: 3600 MT/s
"""
METRIC = """
GPU: 0
    USAGE:
        GFX_ACTIVITY: 97 %
    POWER:
        SOCKET_POWER: 302 W
        THROTTLE_STATUS: {status}
    CLOCK:
        GFX_0:
            CLK: 1201 MHz
            MAX_CLK: 2482 MHz
    TEMPERATURE:
        EDGE: 78 C
        HOTSPOT: {hotspot} C
    ECC:
        TOTAL_UNCORRECTABLE_COUNT: 3
    MEM_USAGE:
        TOTAL_VRAM: 24560 MB
        USED_VRAM: 20110 MB
"""
NVLINK = "".join(
    f"GPU {gpu}: NVIDIA RTX A6000 (UUID: GPU-{gpu})\n"
    + "".join(f"\t Link {link}: {'{state}' if link == 2 else '14.062 GB/s'}\n" for link in range(4))
    for gpu in (0, 1)
)
BRIDGES = """
GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-1)
""" + "".join(f"\t Link {n}: {'25 GB/s' if n < 4 else '<inactive>'}\n" for n in range(12))
ROCM = """
======================== ROCm System Management Interface ========================
================================== Concise Info ==================================
Device  Node  IDs              Temp        Power     Partitions          SCLK    MCLK     Fan  Perf  PwrCap  VRAM%  GPU%
              (DID,     GUID)  (Junction)  (Socket)  (Mem, Compute, ID)
==================================================================================
0       2     0x74a1,   28851  41.0°C      143.0W    NPS1, SPX, 0        132Mhz  900Mhz   0%   auto  750.0W  0%     0%
1       3     0x74a1,   51499  38.0°C      139.0W    NPS1, SPX, 0        132Mhz  900Mhz   0%   auto  500.0W  93%    0%
==================================================================================
============================== End of ROCm SMI Log ===============================
"""
FILES = """## uname -r
6.8.0
## cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
schedutil
$ cat /sys/kernel/mm/transparent_hugepage/enabled
always madvise [never]
"""
REPORT = """Collecting environment information...
GPU models and configuration :
GPU 0: NVIDIA RTX A6000
GPU 1: NVIDIA RTX A6000
{variable}
"""


@pytest.fixture
def read(tmp_path: Path):
    def machine(text: str) -> Machine:
        (tmp_path / "paste.txt").write_text(text, encoding="utf-8")
        return read_machine(path=tmp_path / "paste.txt")

    return machine


def verdicts(machine: Machine, id: str) -> set[Verdict]:
    return {finding.verdict for finding in run_checks(machine) if finding.id == id}


def faulty(machine: Machine) -> set[str]:
    return {finding.id for finding in run_checks(machine) if finding.verdict in FAULTS}


def test_commands_between_wmi_tables_are_no_rows(read):
    machine = read(WMIC)
    assert [gpu.name for gpu in machine.gpus] == ["NVIDIA GeForce RTX 3090", "AMD Radeon(TM) Graphics"]
    assert [socket.cpu.id if socket.cpu else None for socket in machine.sockets] == ["ryzen-7-7700"]
    assert machine.memory_bytes == 64 << 30 and len(machine.dimms) == 2


def test_graphics_of_no_model_are_no_second_card(read):
    assert verdicts(read(WMIC), "gpu-mixed") == {Verdict.SKIP}


def test_the_command_of_a_csv_is_no_table(read):
    machine = read(CSV)
    assert [(gpu.index, gpu.power_limit_w) for gpu in machine.gpus] == [(0, 400.0), (1, 250.0)]


def test_inxi_in_short_tells_the_cpu_and_that_channels_are_shared(read):
    machine = read(INXI)
    assert machine.sockets[0].cpu is not None and machine.sockets[0].cores == 16
    slow = next(each for each in run_checks(machine) if each.id == "mem-speed")
    assert slow.message is not None and slow.message.id == "mem-speed.doubled"


@pytest.mark.parametrize(
    ("status", "hotspot", "bad"), [("THROTTLED", 110, True), ("THROTTLED", 70, False), ("UNTHROTTLED", 110, False)]
)
def test_a_radeon_that_is_too_hot(read, status, hotspot, bad):
    assert ("gpu-throttle" in faulty(read(METRIC.format(status=status, hotspot=hotspot)))) == bad


def test_commands_are_those_of_the_cards_vendor(read):
    found = run_checks(read(METRIC.format(status="UNTHROTTLED", hotspot=50)))
    commands = [remedy.text for each in found for remedy in each.remedies]
    assert "amd-smi reset --gpureset -g 0" in commands and "amd-smi process" in commands
    assert not any("nvidia-smi" in text for text in commands)


def test_words_of_other_vendors():
    assert in_words_of("intel", "nvidia-smi -i 1 -pl 150") == "xpu-smi config -d 1 --powerlimit 150"
    assert in_words_of("huawei", "nvidia-smi -i 1 -r") is None
    assert in_words_of("nvidia", "nvidia-smi -q") == in_words_of(None, "nvidia-smi -q") == "nvidia-smi -q"
    assert all_in_words_of("amd", ("nvidia-smi -q", "nvidia-smi -q (while the GPUs work)", "lscpu")) == (
        "amd-smi static; amd-smi metric",
        "lscpu",
    )


def test_a_bridge_has_all_its_links_or_is_broken(read):
    assert verdicts(read(NVLINK.format(state="<inactive>")), "nvlink") == {Verdict.FAIL}
    assert verdicts(read(NVLINK.format(state="14.062 GB/s")), "nvlink") == {Verdict.PASS}


def test_one_of_three_bridges_is_no_fault(read):
    pair = BRIDGES + BRIDGES.replace("GPU 0", "GPU 1").replace("GPU-1", "GPU-2")
    assert verdicts(read(pair), "nvlink") == {Verdict.PASS}


def test_a_device_number_names_an_instinct(read):
    machine = read(ROCM)
    assert [gpu.spec.id if gpu.spec else None for gpu in machine.gpus] == ["mi300x", "mi300x"]
    assert "gpu-power-limit" in faulty(machine)


def test_files_that_were_printed_one_by_one(read):
    assert {"cpu-governor", "thp"} <= faulty(read(FILES))


def test_peer_access_that_the_environment_switches_off(read):
    assert "gpu-p2p" in faulty(read(REPORT.format(variable="NCCL_P2P_DISABLE=1")))
    assert "gpu-p2p" not in faulty(read(REPORT.format(variable="NCCL_P2P_DISABLE=0")))


@pytest.mark.parametrize(("slots", "told"), [("slots: 2", 2), ("note: est. slots: 2 modules: 2", 2), ("slots: 4", 0)])
def test_modules_of_inxi_are_told_whole_or_not_at_all(slots: str, told: int) -> None:
    """A pasted part with two of four slots has no half-filled channels."""
    from wellfed.topology.readers.inxi import _dimms

    body = f"Array-1: capacity: 64 GiB {slots} Device-1: DIMM 0 type: DDR5 size: 16 GiB speed: 5600 MT/s "
    assert len(_dimms(body + "Device-2: DIMM 1 type: DDR5 size: 16 GiB speed: 5600 MT/s")) == told
