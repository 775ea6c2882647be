"""Short dumps of our own making, one for each format, as the tools print them."""

from __future__ import annotations

LSPCI = """\
00:00.0 Host bridge [0600]: Intel Corporation Device [8086:09a2] (rev 20)
00:01.0 PCI bridge [0604]: Intel Corporation Device [8086:347a] (rev 04) (prog-if 00 [Normal decode])
\tNUMA node: 0
\tBus: primary=00, secondary=01, subordinate=01, sec-latency=0
\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00
\t\tLnkCap:\tPort #1, Speed 16GT/s, Width x16, ASPM not supported
\t\tLnkSta:\tSpeed 16GT/s, Width x8 (downgraded)
\tCapabilities: [220 v1] Access Control Services
\t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
\t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
\tKernel driver in use: pcieport
00:1f.0 ISA bridge [0601]: Intel Corporation Device [8086:7a04]
01:00.0 3D controller [0302]: NVIDIA Corporation GA100 [A100 PCIe 80GB] [10de:20b5] (rev a1)
\tNUMA node: 0
\tIOMMU group: 14
\tCapabilities: [68] Express (v2) Endpoint, MSI 00
\t\tLnkCap:\tPort #0, Speed 16GT/s, Width x16, ASPM not supported
\t\tLnkSta:\tSpeed 2.5GT/s (downgraded), Width x8 (downgraded)
\tKernel driver in use: nvidia
"""

LSPCI_PLAIN = """\
0000:00:00.0 Host bridge: Advanced Micro Devices, Inc. [AMD] Device 14a4 (rev 01)
0000:00:01.1 PCI bridge: Advanced Micro Devices, Inc. [AMD] Device 14ab (prog-if 00 [Normal decode])
\tBus: primary=00, secondary=01, subordinate=01, sec-latency=0
\tCapabilities: <access denied>
0000:01:00.0 VGA compatible controller: NVIDIA Corporation AD102 [GeForce RTX 4090] (rev a1) (prog-if 00 [VGA controller])
\tCapabilities: <access denied>
"""

LSPCI_TREE = """\
-+-[0000:40]-+-00.0
 |           \\-01.1-[41]----00.0
 \\-[0000:00]-+-00.0
             +-00.2
             +-02.1-[02-08]----00.0-[03-08]--+-00.0-[04]----00.0
             |                               +-08.0-[05]--+-00.0
             |                               |            \\-00.1
             |                               +-09.0-[06]----00.0
             |                               \\-0a.0-[07]----00.0
             +-03.1-[09]--+-00.0
             |            \\-00.1
             +-14.0
             \\-18.0
"""

LSPCI_TREE_NAMES = """\
-[0000:00]-+-00.0  Intel Corporation Device a700
           +-01.0-[01]--+-00.0  NVIDIA Corporation AD102 [GeForce RTX 4090]
           |            \\-00.1  NVIDIA Corporation AD102 High Definition Audio Controller
           +-1c.4-[05]----00.0  NVIDIA Corporation TU104GL [Tesla T4]
           \\-1f.0  Intel Corporation Z790 Chipset LPC/eSPI Controller
"""

UDEV = """\
P: /devices/pci0000:00/0000:00:1c.0
E: DRIVER=pcieport
E: PCI_CLASS=60400
E: PCI_ID=8086:A338
E: PCI_SLOT_NAME=0000:00:1c.0

P: /devices/pci0000:00/0000:00:1c.0/0000:02:00.0
E: PCI_CLASS=30000
E: PCI_ID=10DE:2204
E: PCI_SLOT_NAME=0000:02:00.0

P: /devices/pci0000:00/0000:00:1f.6/net/eno1
E: INTERFACE=eno1
"""

SMI_TEXT = """\
==============NVSMI LOG==============

Driver Version                            : 550.54.15

Attached GPUs                             : 1
GPU 00000000:C1:00.0
    Product Name                          : NVIDIA L40S
    Persistence Mode                      : Disabled
    MIG Mode
        Current                           : N/A
        Pending                           : N/A
    PCI
        Bus                               : 0xC1
        Device Id                         : 0x26B910DE
        GPU Link Info
            PCIe Generation
                Max                       : 4
                Current                   : 1
                Device Current            : 1
                Device Max                : 4
                Host Max                  : 3
            Link Width
                Max                       : 16x
                Current                   : 8x
        Replays Since Reset               : 12
    Performance State                     : P8
    Clocks Event Reasons
        Idle                              : Active
        SW Power Cap                      : Not Active
        HW Slowdown                       : Active
            HW Thermal Slowdown           : Active
    FB Memory Usage
        Total                             : 46068 MiB
        Free                              : 45592 MiB
    ECC Mode
        Current                           : Enabled
        Pending                           : Disabled
    ECC Errors
        Volatile
            SRAM Correctable              : 0
            SRAM Uncorrectable            : N/A
            DRAM Correctable              : 3
            DRAM Uncorrectable            : 2
        Aggregate
            DRAM Uncorrectable            : 9
    Remapped Rows
        Pending                           : Yes
        Remapping Failure Occurred        : No
    GPU Power Readings
        Average Power Draw                : 35.10 W
        Current Power Limit               : 350.00 W
    Processes
        GPU instance ID                   : N/A
        Process ID                        : 4242
            Type                          : C
"""

SMI_XML = """\
<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
  <driver_version>550.54.15</driver_version>
  <attached_gpus>1</attached_gpus>
  <gpu id="00000000:C1:00.0">
    <product_name>NVIDIA L40S</product_name>
    <persistence_mode>Enabled</persistence_mode>
    <pci>
      <pci_device_id>26B910DE</pci_device_id>
      <pci_bus_id>00000000:C1:00.0</pci_bus_id>
      <pci_gpu_link_info>
        <pcie_gen><max_link_gen>4</max_link_gen><current_link_gen>4</current_link_gen></pcie_gen>
        <link_widths><max_link_width>16x</max_link_width><current_link_width>8x</current_link_width></link_widths>
      </pci_gpu_link_info>
      <replay_counter>0</replay_counter>
    </pci>
    <performance_state>P0</performance_state>
    <clocks_event_reasons>
      <clocks_event_reason_gpu_idle>Not Active</clocks_event_reason_gpu_idle>
      <clocks_event_reason_sw_power_cap>Active</clocks_event_reason_sw_power_cap>
    </clocks_event_reasons>
    <fb_memory_usage><total>46068 MiB</total><free>N/A</free></fb_memory_usage>
    <ecc_mode><current_ecc>N/A</current_ecc><pending_ecc>N/A</pending_ecc></ecc_mode>
    <processes></processes>
  </gpu>
</nvidia_smi_log>
"""

TOPO = """\
\tGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID
GPU0\t X \tNV4\tPIX\t0-15,32-47\t0\t\tN/A
GPU1\tNV4\t X \tSYS\t16-31,48-63\t1\t\tN/A
NIC0\tPIX\tSYS\t X \t\t\t

NIC Legend:

  NIC0: mlx5_0
"""

DMIDECODE = """\
Handle 0x0001, DMI type 1, 27 bytes
System Information
\tManufacturer: Testmaker
\tProduct Name: Box

Handle 0x0004, DMI type 4, 48 bytes
Processor Information
\tSocket Designation: CPU0
\tType: Central Processor
\tVersion: Test CPU 9000
\tStatus: Populated, Enabled
\tCore Count: 16
\tCore Enabled: 16
\tThread Count: 32

Handle 0x0010, DMI type 16, 23 bytes
Physical Memory Array
\tUse: System Memory

Handle 0x0011, DMI type 17, 92 bytes
Memory Device
\tArray Handle: 0x0010
\tTotal Width: 72 bits
\tData Width: 64 bits
\tSize: 32 GB
\tLocator: CPU1_DIMM_A1
\tBank Locator: P0 CHANNEL A
\tType: DDR5
\tSpeed: 5600 MT/s
\tConfigured Memory Speed: 4800 MT/s

Handle 0x0012, DMI type 17, 92 bytes
Memory Device
\tArray Handle: 0x0010
\tSize: No Module Installed
\tLocator: CPU1_DIMM_B1
\tBank Locator: P0 CHANNEL B
"""

LSCPU = """\
Architecture:            x86_64
CPU(s):                  64
On-line CPU(s) list:     0-62
Off-line CPU(s) list:    63
Vendor ID:               GenuineIntel
Model name:              Test CPU 9000
Thread(s) per core:      2
Core(s) per socket:      16
Socket(s):               2
L3 cache:                60 MiB (2 instances)
NUMA node(s):            2
NUMA node0 CPU(s):       0-15,32-47
NUMA node1 CPU(s):       16-31,48-62
Flags:                   fpu avx2 amx_int8
"""

NUMACTL = """\
available: 2 nodes (0-1)
node 0 cpus: 0 1 2 3
node 0 size: 64000 MB
node 0 free: 1000 MB
node 1 cpus: 4 5 6 7
node 1 size: 64000 MB
node 1 free: 2000 MB
node distances:
node   0   1
  0:  10  21
  1:  21  10
"""

NVLINK = """\
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-x)
\t Link 0: 25 GB/s
\t Link 1: <inactive>
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-y)
\t Link 0: 25 GB/s
\t Link 1: 25 GB/s
"""

NCCL = """\
<system version="1">
  <cpu numaid="1" affinity="ffff0000" arch="x86_64" vendor="AuthenticAMD" familyid="25" modelid="1">
    <pci busid="0000:41:00.0" class="0x060400" vendor="0x1000" device="0xc030" link_speed="16.0 GT/s PCIe" link_width="16">
      <pci busid="0000:43:00.0" class="0x030200" vendor="0x10de" device="0x20b2" link_speed="16.0 GT/s PCIe" link_width="16">
        <gpu dev="0" sm="80" rank="0" gdr="1"><nvlink target="0000:44:00.0" count="4" tclass="0x030200"/></gpu>
      </pci>
      <pci busid="0000:44:00.0" class="0x030200" vendor="0x10de" device="0x20b2" link_speed="16.0 GT/s PCIe" link_width="8">
        <gpu dev="1" sm="80" rank="1" gdr="1"><nvlink target="0000:43:00.0" count="4" tclass="0x030200"/></gpu>
      </pci>
      <pci busid="0000:45:00.0" class="0x020700" vendor="0x15b3" device="0x101b" link_speed="16.0 GT/s PCIe" link_width="16">
        <nic><net name="mlx5_0" dev="0" speed="200000" port="1"/></nic>
      </pci>
    </pci>
  </cpu>
</system>
"""

LSTOPO = """\
<?xml version="1.0" encoding="UTF-8"?>
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0x0000000f" nodeset="0x00000001">
    <object type="Package" os_index="0" cpuset="0x0000000f" nodeset="0x00000001">
      <info name="CPUModel" value="Test CPU 9000"/>
      <object type="NUMANode" os_index="0" cpuset="0x0000000f" nodeset="0x00000001" local_memory="68719476736"/>
      <object type="Core" os_index="0"><object type="PU" os_index="0"/><object type="PU" os_index="2"/></object>
      <object type="Core" os_index="1"><object type="PU" os_index="1"/><object type="PU" os_index="3"/></object>
    </object>
    <object type="Bridge" bridge_type="0-1" bridge_pci="0000:[00-3f]">
      <object type="Bridge" bridge_type="1-1" pci_busid="0000:00:01.0" pci_type="0604 [8086:347a] [0000:0000] 04">
        <object type="PCIDev" pci_busid="0000:01:00.0" pci_type="0302 [10de:20b5] [10de:1533] a1" pci_link_speed="31.5"/>
      </object>
    </object>
  </object>
</topology>
"""

LSTOPO_CONSOLE = """\
Machine (P#0 total=134217728KB DMIProductName=Box DMIProductVersion=1)
  Package L#0 (P#0 total=67108864KB CPUModel="Test CPU 9000")
    NUMANode L#0 (P#0 local=67108864KB total=67108864KB)
    Core L#0 (P#0)
      PU L#0 (P#0)
      PU L#1 (P#2)
    HostBridge L#0 (buses=0000:[00-01])
      PCIBridge L#1 (busid=0000:00:01.0 id=8086:347a class=0604(PCIBridge) buses=0000:[01-01])
        PCI L#0 (busid=0000:01:00.0 id=10de:20b5 class=0302(3D) link=31.51GB/s)
  Package L#1 (P#1 total=67108864KB CPUModel="Test CPU 9000")
    NUMANode L#1 (P#1 local=67108864KB total=67108864KB)
    Core L#1 (P#0) + PU L#2 (P#1)
"""

DMESG = """\
[    0.000000] Command line: BOOT_IMAGE=/vmlinuz root=UUID=1234 ro iommu=off
[    1.000000] pci_bus 0000:80: on NUMA node 1
[    1.100000] pci 0000:80:01.0: PCI bridge to [bus 81]
[    1.200000] pci 0000:81:00.0: [10de:2684] type 00 class 0x030000 PCIe Legacy Endpoint
[    1.300000] pci 0000:81:00.0: 63.012 Gb/s available PCIe bandwidth, limited by 16.0 GT/s PCIe x4 link at \
0000:80:01.0 (capable of 252.048 Gb/s with 16.0 GT/s PCIe x16 link)
[ 9000.1000] NVRM: Xid (PCI:0000:81:00): 79, pid=1, GPU has fallen off the bus.
"""

SYSFS = """\
/sys/bus/pci/devices/0000:01:00.0/class: 0x030000
/sys/bus/pci/devices/0000:01:00.0/vendor: 0x10de
/sys/bus/pci/devices/0000:01:00.0/current_link_width: 8
/sys/bus/pci/devices/0000:01:00.0/current_link_speed: 16.0 GT/s PCIe
/sys/bus/pci/devices/0000:01:00.0/numa_node: 1
/proc/sys/kernel/numa_balancing: 1
"""

CSV = """\
index, name, pci.bus_id, pstate, pcie.link.gen.current, pcie.link.gen.max, pcie.link.width.current, \
pcie.link.width.max, memory.total [MiB]
0, NVIDIA L4, 00000000:3B:00.0, P0, 4, 4, 8, 16, 23034 MiB
1, NVIDIA L4, 00000000:86:00.0, P8, 1, 4, 16, 16, [N/A]
"""

SAMPLES = {
    "lspci": LSPCI,
    "lspci -tv": LSPCI_TREE,
    "udevadm": UDEV,
    "nvidia-smi -q": SMI_TEXT,
    "nvidia-smi -q -x": SMI_XML,
    "nvidia-smi topo -m": TOPO,
    "dmidecode": DMIDECODE,
    "lscpu": LSCPU,
    "numactl -H": NUMACTL,
    "nvidia-smi nvlink -s": NVLINK,
    "NCCL topology XML": NCCL,
    "lstopo XML": LSTOPO,
    "lstopo console": LSTOPO_CONSOLE,
    "kernel log": DMESG,
    "files of /sys": SYSFS,
    "nvidia-smi --query-gpu": CSV,
    "/proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro amd_iommu=off\n",
}
