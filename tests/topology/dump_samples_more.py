"""More dumps of our own making: vendors' tools, environment reports, logs, other systems."""

from __future__ import annotations

from pathlib import Path

SMI_TABLE = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 560.10.01              Driver Version: 560.10.01      CUDA Version: 12.6     |
|-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA L40S                    Off |   00000000:21:00.0 Off |                    3 |
| N/A   41C    P0             88W /  300W |    2048MiB /  46068MiB |      0%      Default |
|                                         |                        |                  N/A |
+-----------------------------------------+------------------------+----------------------+
|   1  NVIDIA A100 80GB PCIe           On |   00000000:61:00.0 Off |                  Off |
| N/A   33C    P8             52W /  300W |       4MiB /  81920MiB |      0%      Default |
|                                         |                        |              Enabled |
+-----------------------------------------+------------------------+----------------------+

+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |
|=========================================================================================|
|    0   N/A  N/A            4711      C   python3                                2040MiB |
+-----------------------------------------------------------------------------------------+
"""

SMI_TABLE_WINDOWS = """\
+---------------------------------------------------------------------------------------+
| NVIDIA-SMI 546.01                 Driver Version: 546.01       CUDA Version: 12.3     |
|-----------------------------------------+----------------------+----------------------+
| GPU  Name                     TCC/WDDM  | Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |         Memory-Usage | GPU-Util  Compute M. |
|=========================================+======================+======================|
|   0  NVIDIA GeForce RTX 3080      WDDM  | 00000000:01:00.0  On |                  N/A |
|  0%   44C    P8              21W / 320W |   1204MiB / 10240MiB |      3%      Default |
+-----------------------------------------+----------------------+----------------------+
"""

SMI_LIST = """\
GPU 0: NVIDIA H100 PCIe (UUID: GPU-00000000-0000-0000-0000-000000000001)
GPU 1: NVIDIA H100 PCIe (UUID: GPU-00000000-0000-0000-0000-000000000002)
  MIG 3g.40gb     Device  0: (UUID: MIG-00000000-0000-0000-0000-000000000003)
"""

P2P = """\
 \tGPU0\tGPU1\tGPU2
 GPU0\tX\tOK\tCNS
 GPU1\tOK\tX\tCNS
 GPU2\tCNS\tCNS\tX

Legend:

  X    = Self
  OK   = Status Ok
  CNS  = Chipset not supported
"""

AMD_STATIC = """\
GPU: 0
    ASIC:
        MARKET_NAME: AMD Instinct MI300X
        VENDOR_ID: 0x1002
        DEVICE_ID: 0x74a1
        NUM_COMPUTE_UNITS: 304
    BUS:
        BDF: 0000:0c:00.0
        MAX_PCIE_WIDTH: 16
        MAX_PCIE_SPEED: 32 GT/s
    LIMIT:
        MAX_POWER: 750 W
        SOCKET_POWER: 600 W
    DRIVER:
        NAME: amdgpu
        VERSION: 6.10.5
    VRAM:
        TYPE: HBM3
        SIZE: 196592 MB
    NUMA:
        NODE: 1
        AFFINITY: 1
GPU: 1
    ASIC:
        MARKET_NAME: AMD Instinct MI300X
        VENDOR_ID: 0x1002
        DEVICE_ID: 0x74a1
    BUS:
        BDF: 0000:22:00.0
        MAX_PCIE_WIDTH: 16
        MAX_PCIE_SPEED: 32 GT/s
    NUMA:
        NODE: 0
        AFFINITY: 0
"""

AMD_METRIC = """\
GPU: 0
    USAGE:
        GFX_ACTIVITY: 0 %
    POWER:
        SOCKET_POWER: 133 W
    TEMPERATURE:
        EDGE: N/A
        HOTSPOT: 41 °C
    PCIE:
        WIDTH: 8
        SPEED: 32 GT/s
        REPLAY_COUNT: 21
    ECC:
        TOTAL_CORRECTABLE_COUNT: 4
        TOTAL_UNCORRECTABLE_COUNT: 1
    MEM_USAGE:
        TOTAL_VRAM: 196592 MB
        USED_VRAM: 592 MB
        FREE_VRAM: 196000 MB
"""

AMD_TOPOLOGY = """\
ACCESS TABLE:
             0000:0c:00.0 0000:22:00.0
0000:0c:00.0 ENABLED      ENABLED
0000:22:00.0 ENABLED      ENABLED

LINK TYPE TABLE:
             0000:0c:00.0 0000:22:00.0
0000:0c:00.0 SELF         XGMI
0000:22:00.0 XGMI         SELF

NUMA BW TABLE:
             0000:0c:00.0 0000:22:00.0
0000:0c:00.0 N/A          50000-64000
0000:22:00.0 50000-64000  N/A
"""

AMD_TABLE = """\
+------------------------------------------------------------------------------+
| AMD-SMI 26.0.0      amdgpu version: 6.12.12  ROCm version: 6.4.1             |
| Platform: Linux Guest (Passthrough)                                          |
|-------------------------------------+----------------------------------------|
| BDF                        GPU-Name | Mem-Uti   Temp   UEC       Power-Usage |
| GPU  HIP-ID  OAM-ID  Partition-Mode | GFX-Uti    Fan               Mem-Usage |
|=====================================+========================================|
| 0000:05:00.0    AMD Instinct MI325X | 0 %      39 °C   0           141/1000 W |
|   0       0       7        SPX/NPS1 | 0 %        N/A           283/262128 MB |
|-------------------------------------+----------------------------------------|
"""

ROCM_SHOW = """\
============================ ROCm System Management Interface ============================
====================================== Product Info ======================================
GPU[0]\t\t: Card Series: \t\tAMD Instinct MI210
GPU[0]\t\t: Card Model: \t\t0x740f
GPU[0]\t\t: GFX Version: \t\tgfx90a
GPU[1]\t\t: Card Series: \t\tAMD Instinct MI210
==================================== Memory Usage (Bytes) ================================
GPU[0]\t\t: VRAM Total Memory (B): 68702699520
GPU[0]\t\t: VRAM Total Used Memory (B): 10838016
==================================== PCI Bus ID ==========================================
GPU[0]\t\t: PCI Bus: 0000:43:00.0
GPU[1]\t\t: PCI Bus: 0000:E3:00.0
============================== Link Type between two GPUs ================================
       GPU0         GPU1
GPU0   0            PCIE
GPU1   PCIE         0
======================================= Numa Nodes =======================================
GPU[0]\t\t: (Topology) Numa Node: 0
GPU[1]\t\t: (Topology) Numa Node: 3
================================== End of ROCm SMI Log ===================================
"""

ROCM_CONCISE = """\
========================================= ROCm System Management Interface =========================================
=================================================== Concise Info ===================================================
Device  Node  IDs              Temp    Power  Partitions          SCLK    MCLK     Fan    Perf  PwrCap  VRAM%  GPU%
              (DID,     GUID)  (Edge)  (Avg)  (Mem, Compute, ID)
====================================================================================================================
0       1     0x744c,   11111  38.0°C  19.0W  N/A, N/A, 0         41Mhz   96Mhz    0%     auto  303.0W  3%     1%
1       2     0x744c,   22222  36.0°C  17.0W  N/A, N/A, 0         12Mhz   96Mhz    0%     auto  303.0W  0%     0%
====================================================================================================================
"""

XPU = """\
+-----------+--------------------------------------------------------------------------------------+
| Device ID | Device Information                                                                   |
+-----------+--------------------------------------------------------------------------------------+
| 0         | Device Name: Intel(R) Arc(TM) B580 Graphics                                          |
|           | Vendor Name: Intel(R) Corporation                                                    |
|           | PCI BDF Address: 0000:03:00.0                                                        |
|           | PCI Device ID: 0xe20b                                                                |
|           | Memory Physical Size: 12216.00 MiB                                                   |
+-----------+--------------------------------------------------------------------------------------+
| 1         | Device Name: Intel(R) Arc(TM) B580 Graphics                                          |
|           | PCI BDF Address: 0000:04:00.0                                                        |
+-----------+--------------------------------------------------------------------------------------+
"""

NPU = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 24.0.0                   Version: 24.0.0                                               |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B2               | OK            | 90.1        37                0    / 0             |
| 0                         | 0000:C2:00.0  | 0           0    / 0          4000 / 65536         |
+===========================+===============+====================================================+
| 1     910B2               | OK            | 88.0        36                0    / 0             |
| 0                         | 0000:81:00.0  | 0           0    / 0          3000 / 65536         |
+===========================+===============+====================================================+
"""

HY = """\
============================ System Management Interface =============================
======================================================================================
HCU     Temp     AvgPwr     Perf     PwrCap     VRAM%      HCU%      Mode
0       45.0C    92.0W      auto     400.0W     1%         0.0%      Normal
1       44.0C    91.0W      auto     400.0W     0%         0.0%      Normal
======================================================================================
"""

MTHREADS = """\
Tue Aug  5 11:00:00 2025
---------------------------------------------------------------
    mthreads-gmi:2.0.0           Driver Version:3.0.0
---------------------------------------------------------------
ID   Name           |PCIe                |%GPU  Mem
     Device Type    |Pcie Lane Width     |Temp  MPC Capable
                                         |      ECC Mode
+-------------------------------------------------------------+
0    MTT S4000      |00000000:3a:00.0    |0%    1024MiB(49152MiB)
     Physical       |16x(16x)            |39C   YES
                                         |      N/A
---------------------------------------------------------------
"""

METAX = """\
=================== MetaX System Management Interface Log ===================
Attached GPUs                                     : 1
+---------------------------------------------------------------------------------+
| MX-SMI 2.2.0                        Kernel Mode Driver Version: 2.10.0          |
|------------------------------------+---------------------+----------------------+
| GPU         NAME                   | Bus-id              | GPU-Util             |
| Temp        Pwr:Usage/Cap          | Memory-Usage        |                      |
|====================================+=====================+======================|
| 0           MetaX C500             | 0000:2a:00.0        | 0%                   |
| 37C         71W / 350W             | 936/65536 MiB       |                      |
+------------------------------------+---------------------+----------------------+
"""

GPUZ = """\
TechPowerUp GPU-Z 2.60.0
Name : NVIDIA GeForce RTX 3070
GPU : GA104
Bus Interface : PCIe x16 4.0 @ x8 1.1
Memory Type : GDDR6
Memory Size : 8192 MB
"""

MEMINFO = """\
MemTotal:       131072000 kB
MemFree:         4194304 kB
MemAvailable:   98304000 kB
Buffers:          123456 kB
Cached:         90000000 kB
SwapTotal:       8388604 kB
SwapFree:        8388604 kB
"""

FREE = """\
$ free -m
               total        used        free      shared  buff/cache   available
Mem:          257600       20100        9000         120      228500      235000
Swap:           8191        2048        6143
"""

CPUINFO = """\
processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9354 32-Core Processor
physical id\t: 0
siblings\t: 64
core id\t\t: 0
cpu cores\t: 32
flags\t\t: fpu avx2 avx512f avx512_bf16

processor\t: 32
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9354 32-Core Processor
physical id\t: 1
siblings\t: 64
cpu cores\t: 32
flags\t\t: fpu avx2 avx512f avx512_bf16
"""

NCCL_LOG = """\
node7:811:811 [0] NCCL INFO comm 0x55d0 rank 0 nranks 2 cudaDev 0 nvmlDev 0 busId 17000 commId 0x1 - Init START
node7:812:812 [1] NCCL INFO comm 0x55d1 rank 1 nranks 2 cudaDev 1 nvmlDev 1 busId ca000 commId 0x1 - Init START
node7:811:811 [0] NCCL INFO NET/IB : Using [0]mlx5_2:1/RoCE [RO]; OOB eth0:10.0.0.7<0>
node7:811:830 [0] NCCL INFO Channel 00 : 0[0] -> 1[1] via SHM/direct/direct
node7:812:831 [1] NCCL INFO Channel 00 : 1[1] -> 0[0] via SHM/direct/direct
"""

JOURNAL = """\
Jan 02 03:04:05 box kernel: pcieport 0000:40:01.1: AER: Multiple Correctable error message received from 0000:41:00.0
Jan 02 03:04:05 box kernel: nvidia 0000:41:00.0: PCIe Bus Error: severity=Correctable, type=Physical Layer, (Receiver ID)
Jan 02 03:04:05 box kernel: nvidia 0000:41:00.0:   device [10de:2684] error status/mask=00000001/0000a000
Jan 02 03:04:05 box kernel: nvidia 0000:41:00.0:    [ 0] RxErr                  (First)
"""

ENVIRONMENT = """\
Collecting environment information...
==============================
        System Info
==============================
OS                           : Ubuntu 24.04.1 LTS (x86_64)
==============================
       PyTorch Info
==============================
PyTorch version              : 2.8.0+cu128
==============================
      Python Environment
==============================
Python platform              : Linux-6.6.87.2-microsoft-standard-WSL2-x86_64-with-glibc2.39
==============================
       CUDA / GPU Info
==============================
Is CUDA available            : True
GPU models and configuration :
GPU 0: NVIDIA GeForce RTX 4090
GPU 1: NVIDIA GeForce RTX 3090

Nvidia driver version        : 580.10
"""

SGLANG = """\
Python: 3.12.0
CUDA available: True
GPU 0,1,2,3: AMD Instinct MI300X
GPU 0,1,2,3 Compute Capability: 9.4
ROCM_HOME: /opt/rocm
sglang: 0.5.1
Hypervisor vendor: KVM
"""

INXI = """\
System:
  Kernel: 6.8.0-40-generic arch: x86_64 bits: 64
Machine:
  Type: Laptop System: Testmaker product: Book 16 v: 1
CPU:
  Info: 8-core model: AMD Ryzen 7 7840HS bits: 64 type: MT MCP cache: L2: 8 MiB
Graphics:
  Device-1: NVIDIA AD107M [GeForce RTX 4060 Max-Q / Mobile] vendor: Testmaker
    driver: nvidia v: 550.90 pcie: gen: 1 speed: 2.5 GT/s lanes: 8 link-max:
    gen: 4 speed: 16 GT/s lanes: 8 bus-ID: 01:00.0 chip-ID: 10de:28e0
  Device-2: AMD Phoenix1 driver: amdgpu v: kernel bus-ID: 65:00.0 chip-ID: 1002:15bf
Memory:
  System RAM: total: 32 GiB available: 30.5 GiB used: 4.1 GiB (13.4%)
  Array-1: capacity: 64 GiB slots: 2
  Device-1: DIMM 0 type: DDR5 size: 16 GiB speed: 5600 MT/s
  Device-2: DIMM 1 type: DDR5 size: 16 GiB speed: 5600 MT/s
"""

LSHW = """\
box
    description: Desktop Computer
    product: Box
  *-core
     *-memory
          description: System Memory
          slot: System board or motherboard
          size: 64GiB
        *-bank:0
             description: DIMM DDR4 Synchronous 3200 MHz (0.3 ns)
             slot: DIMM_A1
             size: 32GiB
             clock: 3200MHz (0.3ns)
        *-bank:1
             description: DIMM [empty]
             slot: DIMM_A2
     *-cpu
          product: AMD Ryzen 9 5950X 16-Core Processor
          configuration: cores=16 enabledcores=16 threads=32
     *-pci:0
        *-display
             description: VGA compatible controller
             product: AD102 [GeForce RTX 4090]
             vendor: NVIDIA Corporation
             bus info: pci@0000:0a:00.0
             configuration: driver=nvidia latency=0
"""

LSHW_SHORT = """\
H/W path         Device      Class          Description
=======================================================
                             system         Box (SKU)
/0/10                        memory         128GiB System Memory
/0/10/0                      memory         64GiB DIMM DDR5 Synchronous 4800 MHz (0.2 ns)
/0/10/1                      memory         64GiB DIMM DDR5 Synchronous 4800 MHz (0.2 ns)
/0/4                         processor      Intel(R) Core(TM) i9-13900K
/0/100/1/0       /dev/fb0    display        GA102 [GeForce RTX 3090]
"""

HWINFO = """\
25: PCI 100.0: 0300 VGA compatible controller (VGA)
  [Created at pci.386]
  SysFS BusID: 0000:01:00.0
  Hardware Class: graphics card
  Model: "nVidia VGA compatible controller"
  Vendor: pci 0x10de "nVidia Corporation"
  Device: pci 0x2204 "GA102 [GeForce RTX 3090]"
  Driver: "nvidia"

01: None 00.0: 10102 Main Memory
  [Created at memory.74]
  Hardware Class: memory
  Model: "Main Memory"
  Memory Size: 62 GB + 512 MB

02: None 00.0: 10103 CPU
  [Created at cpu.465]
  Hardware Class: cpu
  Model: 25.33.0 "AMD Ryzen 9 5900X 12-Core Processor"
"""

LSPCI_MACHINE = """\
Slot:\t00:01.0
Class:\tPCI bridge [0604]
Vendor:\tIntel Corporation [8086]
Device:\tDevice [a70d]
Driver:\tpcieport

Slot:\t01:00.0
Class:\tVGA compatible controller [0300]
Vendor:\tNVIDIA Corporation [10de]
Device:\tAD102 [GeForce RTX 4090] [2684]
Driver:\tnvidia
NUMANode:\t0
"""

MACOS = """\
Hardware:

    Hardware Overview:

      Model Name: Mac Studio
      Chip: Apple M2 Ultra
      Total Number of Cores: 24 (16 performance and 8 efficiency)
      Memory: 192 GB

Graphics/Displays:

    Apple M2 Ultra:

      Chipset Model: Apple M2 Ultra
      Type: GPU
      Bus: Built-In
      Total Number of Cores: 76
      Vendor: Apple (0x106b)
"""

WINDOWS = """\
PS C:\\> Get-CimInstance Win32_VideoController | Select Name, AdapterRAM | fl

Name       : NVIDIA GeForce RTX 4070 Ti
AdapterRAM : 4293918720

PS C:\\> Get-CimInstance Win32_Processor | Select Name,NumberOfCores,NumberOfLogicalProcessors | fl

Name                      : AMD Ryzen 7 7700X 8-Core Processor
NumberOfCores             : 8
NumberOfLogicalProcessors : 16

PS C:\\> Get-CimInstance Win32_PhysicalMemory | Select DeviceLocator,Capacity,Speed,ConfiguredClockSpeed | fl

DeviceLocator        : DIMM 1
Capacity             : 34359738368
Speed                : 6000
ConfiguredClockSpeed : 4800

DeviceLocator        : DIMM 2
Capacity             : 34359738368
Speed                : 6000
ConfiguredClockSpeed : 4800
"""

WMIC = """\
C:\\>wmic cpu get Name,NumberOfCores
Name                                     NumberOfCores
Intel(R) Core(TM) i7-12700K              12

C:\\>wmic memorychip get Capacity,Speed
Capacity     Speed
17179869184  3600
17179869184  3600
"""

DF = """\
Filesystem     Type     Size  Used Avail Use% Mounted on
/dev/nvme0n1p2 ext4     1.8T  1.2T  540G  69% /
nas:/models    nfs4      20T   11T  9.0T  55% /models
/dev/sdb1      xfs      7.3T  7.0T  300G  96% /data
"""

UNAME = (
    "$ uname -a\n"
    "Linux gpu05 6.8.0-51-generic #52-Ubuntu SMP PREEMPT_DYNAMIC Thu Dec  5 13:09:44 UTC 2024 x86_64 x86_64 GNU/Linux\n"
)
PASTES = Path(__file__).resolve().parents[1] / "checks" / "pastes"

MORE = {
    "nvidia-smi": SMI_TABLE,
    "nvidia-smi -L": SMI_LIST,
    "amd-smi": AMD_STATIC,
    "rocm-smi": ROCM_SHOW,
    "xpu-smi discovery": XPU,
    "npu-smi info": NPU,
    "hy-smi": HY,
    "mthreads-gmi": MTHREADS,
    "mx-smi": METAX,
    "GPU-Z": GPUZ,
    "/proc/cpuinfo": CPUINFO,
    "/proc/meminfo": MEMINFO,
    "free": FREE,
    "nvidia-smi topo -p2p": P2P,
    "NCCL log": NCCL_LOG,
    "lspci -mm": LSPCI_MACHINE,
    "environment report": ENVIRONMENT,
    "inxi": INXI,
    "lshw": LSHW,
    "hwinfo": HWINFO,
    "system_profiler": MACOS,
    "Windows (WMI, systeminfo, dxdiag)": WINDOWS,
    "df, lsblk": DF,
    "gpustat": (PASTES / "gpustat.txt").read_text(encoding="utf-8"),
    "rocminfo": (PASTES / "rocminfo.txt").read_text(encoding="utf-8"),
    "log of llama.cpp or Ollama": (PASTES / "llama_log.txt").read_text(encoding="utf-8"),
    "neofetch, fastfetch": (PASTES / "neofetch.txt").read_text(encoding="utf-8"),
    "uname -a": UNAME,
}
