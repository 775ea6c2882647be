"""The machine: one type for a live one, a captured one and one that nobody owns yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import IntEnum, StrEnum

from wellfed.frozen import dataclass
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.partial_sums import total_if_all_known
from wellfed.provenance import Assumption


class Origin(StrEnum):
    """How we know the machine."""

    LIVE = "live"
    SNAPSHOT = "snapshot"
    DUMP = "dump"
    PARTS = "parts"


@dataclass(frozen=True, slots=True)
class Dimm:
    """One memory slot; `bytes` is 0 when empty, None when unknown."""

    slot: str
    bytes: int | None
    channel: str | None = None
    socket: int | None = None
    mt_s: float | None = None  # as configured
    rated_mt_s: float | None = None
    type: str | None = None
    manufacturer: str | None = None
    part: str | None = None
    ranks: int | None = None
    ecc: bool | None = None  # total width exceeds data width


@dataclass(frozen=True, slots=True)
class CpuSignature:
    """What CPUID tells of an x86 core where its name does not: leaf 0 (vendor) and leaf 1 (family, model, stepping)."""

    vendor: str  # AuthenticAMD | GenuineIntel
    family: int
    model: int
    stepping: int


@dataclass(frozen=True, slots=True)
class Socket:
    """One CPU package and the memory on it. Unknown is None."""

    index: int
    cpu: CpuSpec | None = None
    name: str | None = None
    cores: int | None = None  # physical, online
    threads: int | None = None
    channels: int | None = None  # memory channels that have a DIMM
    mt_s: float | None = None  # configured speed
    memory_bytes: int | None = None
    dimms: tuple[Dimm, ...] = ()
    channels_named: int | None = None  # channels the firmware names, populated or not; None = locators unclear
    numa_nodes: tuple[int, ...] = ()
    l3_bytes: int | None = None  # of one L3 instance
    isa: frozenset[str] = frozenset()  # the kernel's CPU flags that matter here: avx2 avx512f amx_int8 ...
    clock_max_hz: float | None = None
    signature: CpuSignature | None = None

    @property
    def memory_bandwidth_bytes_per_s(self) -> float | None:
        """Theoretical: populated channels x configured MT/s x bytes per transfer (8, or the part's own)."""
        if self.channels is None or self.mt_s is None:
            return None
        bus_bytes = self.cpu.memory_bus_bytes if self.cpu else 8
        return self.channels * self.mt_s * 1e6 * bus_bytes


@dataclass(frozen=True, slots=True)
class Cpu:
    """One online hardware thread (PU). Threads with equal `socket` and `core` share a physical core."""

    os_index: int
    socket: int | None = None
    core: int | None = None
    numa_node: int | None = None
    l3: int | None = None  # id of the L3 it shares (a core complex); None = unknown
    efficiency: bool | None = None  # True on an E-core of a hybrid part


@dataclass(frozen=True, slots=True)
class NumaNode:
    """One NUMA node; `distances` maps node number to the firmware's relative distance (10 = local)."""

    os_index: int
    socket: int | None = None
    cpus: tuple[int, ...] = ()
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    distances: Mapping[int, int] = field(default_factory=dict)
    gpu_memory: bool = False  # the node is a GPU's own memory (Grace Hopper, POWER9 with V100)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU in the machine. `spec` is None for a card the catalogue does not know."""

    index: int
    spec: GpuSpec | None = None
    name: str | None = None
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    pci_address: str | None = None
    numa_node: int | None = None
    socket: int | None = None
    link: PcieLink | None = None  # the narrowest and slowest hop up to the host, as it would run under load
    compute_units: int | None = None  # overrides the spec (cut-down Apple GPUs, MIG)
    power_limit_w: float | None = None
    # State, read on live machines only.
    performance_state: int | None = None
    clock_hz: float | None = None
    throttle_reasons: tuple[str, ...] = ()
    ecc_enabled: bool | None = None
    ecc_uncorrected: int | None = None
    remapped_rows_pending: bool | None = None
    persistence: bool | None = None
    xids: tuple[int, ...] = ()
    foreign_processes: int | None = None
    vendor: str | None = None  # nvidia | amd | intel | apple
    display_only: bool = False  # cannot run models (a virtual display adapter): for checks, not for plans
    cpu_affinity: tuple[int, ...] = ()
    link_host_generation: int | None = None  # what the slot's side offers, where the driver tells
    link_generation: int | None = None  # where only the driver tells, and no width: current ...
    link_generation_max: int | None = None  # ... and the card's own maximum
    link_width: int | None = None  # lanes, where only the driver tells, and no generation: current ...
    link_width_max: int | None = None  # ... and the most
    driver_told_all: bool = False  # a dump has all that the driver knows: what is not in it is not there
    replays: int | None = None  # PCIe replays since the driver loaded
    clock_max_hz: float | None = None
    power_draw_w: float | None = None
    temperature_c: float | None = None
    bar1_bytes: int | None = None
    driver: str | None = None  # driver version
    mig: bool | None = None
    server: int = 0  # an RPC server's number, from 1, where the GPU is in another machine
    virtualisation: str | None = None  # none | pass-through | vgpu ...
    ecc_pending: bool | None = None  # ECC after the next reset
    ecc_corrected: int | None = None
    remapping_failed: bool | None = None
    retired_pages_pending: bool | None = None
    fabric_state: str | None = None  # completed | in progress | not started ...; None = no NVSwitch fabric seen
    nvlinks_active: int | None = None
    nvlinks_total: int | None = None
    nvlink_bytes_per_s: float | None = None  # active links together, one direction
    link_under_load: bool = False  # the link was read while copies kept it awake
    memory_clock_hz: float | None = None
    memory_clock_max_hz: float | None = None
    power_limit_default_w: float | None = None  # as the card leaves the factory
    gtt_bytes: int | None = None  # RAM that the driver lets graphics inside the CPU map, beside its own `memory_bytes`

    @property
    def maker(self) -> str | None:
        """The vendor as it was seen, else as the catalogue has it; None where neither tells."""
        return self.vendor or (self.spec.vendor if self.spec else None)


@dataclass(frozen=True, slots=True)
class GpuLink:
    """A direct link between two GPUs: `kind` is nvlink, nvswitch, xgmi, another vendor's own (hccs, mtlink ...) or p2p.

    p2p is PCIe with one common switch; every other kind carries no PCIe traffic.
    """

    a: int
    b: int
    kind: str
    bytes_per_s: float | None = None  # one direction
    active: bool = True
    count: int | None = None  # NVLinks bonded


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface worth feeding: InfiniBand, RoCE, Ethernet from 10 Gb/s up."""

    name: str
    pci_address: str | None = None
    numa_node: int | None = None
    bytes_per_s: float | None = None
    kind: str | None = None  # infiniband | ethernet | rdma (one of both, as nvidia-smi lists them)
    up: bool | None = None
    driver: str | None = None
    physical: bool = True  # False for bridges and other software interfaces


@dataclass(frozen=True, slots=True)
class DevicePath:
    """How far apart two devices are, in nvidia-smi's terms: `a` and `b` like GPU0, NIC3.

    PIX = one PCIe bridge between them, PXB = several, PHB = a host bridge, NODE = host bridges of one NUMA
    node, SYS = the link between NUMA nodes (some drivers say SYS within one node too: do not infer sockets
    from it), NV# = # bonded NVLinks.
    """

    a: str
    b: str
    kind: str


@dataclass(frozen=True, slots=True)
class PeerAccess:
    """Whether two GPUs can copy to each other without a detour by RAM, as driver or NCCL say; `why` in their words."""

    a: int
    b: int
    works: bool
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """A place where files lie. `kind`: nvme | ssd | hdd | usb | network | overlay | memory; None = not told."""

    name: str
    kind: str | None = None
    pci_address: str | None = None
    bytes: int | None = None
    free_bytes: int | None = None
    file_system: str | None = None
    mount: str | None = None
    holds_models: bool = False  # the folder that models are kept in lies on it


class Unlimited(IntEnum):
    """A limit that the system does not set. Its number is the one in JSON."""

    UNLIMITED = -1


UNLIMITED = Unlimited.UNLIMITED


@dataclass(frozen=True, slots=True)
class OsSettings:
    """What the operating system imposes. None = not readable or absent; `Machine.unknown` has the reason."""

    kernel: str | None = None
    virtualised: bool | None = None
    container: bool | None = None
    cpus_online: tuple[int, ...] | None = None
    cpus_present: tuple[int, ...] | None = None
    cpus_allowed: tuple[int, ...] | None = None  # cpuset and affinity of this process
    cpu_quota: float | None = None  # cores' worth of time, from cgroup cpu.max
    memory_limit_bytes: int | None = None  # cgroup
    memory_free_bytes: int | None = None  # MemAvailable
    swap_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    swappiness: int | None = None
    numa_balancing: bool | None = None
    transparent_huge_pages: str | None = None  # always | madvise | never
    huge_pages: Mapping[int, Mapping[int, int]] = field(default_factory=dict)  # node -> page bytes -> count
    governor: str | None = None
    memlock_bytes: int | None = None  # `UNLIMITED` where there is no limit
    iommu: str | None = None  # off | passthrough | on
    fabric_manager_running: bool | None = None
    cpus_offline: tuple[int, ...] | None = None  # present but not online
    cpus_isolated: tuple[int, ...] | None = None
    memory_nodes_allowed: tuple[int, ...] | None = None  # cpuset.mems
    huge_pages_free: Mapping[int, Mapping[int, int]] = field(default_factory=dict)  # like huge_pages
    transparent_huge_pages_defrag: str | None = None
    governors: Mapping[str, int] = field(default_factory=dict)  # governor -> number of CPUs under it
    boost: bool | None = None
    smt: bool | None = None
    zone_reclaim_mode: int | None = None
    command_line: str | None = None  # the kernel's, without identifiers
    hypervisor: str | None = None
    architecture: str | None = None  # x86_64, aarch64, ...
    memory_used_by_cgroup_bytes: int | None = None
    shared_memory_bytes: int | None = None  # size of /dev/shm
    nvidia_driver: str | None = None
    nvswitches: int | None = None  # NVSwitch devices seen on PCI
    family: str | None = None  # linux | windows | macos
    wsl: bool | None = None  # Windows Subsystem for Linux
    chassis: str | None = None  # laptop | desktop | server
    cloud: str | None = None  # whose cloud: aws, azure, google ...
    rocm: str | None = None  # ROCm version
    others_running: float | None = None  # threads of other programs that want a core; looked at before a start


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything between the models and the plug. `count` equal machines are joined by `network_bytes_per_s`.

    `unknown` tells, for what could not be seen, why: a mapping from a field's or subject's name to a reason,
    with keys such as `pci`, `gpus`, `dimms`, `numa_nodes`, `sockets`, `os.governor`, `gpu0.ecc`, `nics`.
    """

    name: str
    origin: Origin
    sockets: tuple[Socket, ...] = ()
    numa_nodes: tuple[NumaNode, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    gpu_links: tuple[GpuLink, ...] = ()
    pci: tuple[PciDevice, ...] = ()
    nics: tuple[Nic, ...] = ()
    memory_bytes: int | None = None
    os: OsSettings = OsSettings()
    count: int = 1
    network_bytes_per_s: float | None = None
    power_supply_w: float | None = None
    price: float | None = None
    measured_memory_bandwidth_bytes_per_s: float | None = None  # all sockets, each on its own memory
    measured_small_pages_bytes_per_s: float | None = None  # the same where no huge pages back the memory
    measured_clock_hz: float | None = None  # of a core with all cores at work
    assumptions: tuple[Assumption, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    cpus: tuple[Cpu, ...] = ()  # online and allowed; empty = unknown
    dimms: tuple[Dimm, ...] = ()  # every memory slot, also those whose socket is unknown
    paths: tuple[DevicePath, ...] = ()
    pci_complete: bool | None = None  # False: the source shows only some devices; absence proves nothing
    peers: tuple[PeerAccess, ...] = ()  # pairs of GPUs for which peer access was told
    disks: tuple[Disk, ...] = ()
    cpu_name: str | None = None  # where a source names the CPU and no packages
    unsupported: frozenset[str] = frozenset()  # keys of `unknown` that the driver answered with: this card has none
    kinds_read: tuple[str, ...] = ()  # the kinds of dump that were read, by their readers' titles
    free_stated: bool = False  # what is free of GPUs and RAM was said by whoever asks, and holds for any origin

    @property
    def memory_bandwidth_bytes_per_s(self) -> float | None:
        """Theoretical, all sockets together; None as soon as one socket's is unknown."""
        return total_if_all_known(socket.memory_bandwidth_bytes_per_s for socket in self.sockets)

    @property
    def cores(self) -> int | None:
        """Physical cores of all sockets; None as soon as one socket's is unknown."""
        return total_if_all_known(socket.cores for socket in self.sockets)

    @property
    def unified_memory(self) -> bool:
        """Whether CPU and GPU share one pool of memory (Apple, DGX Spark, Jetson, Strix Halo, integrated graphics).

        What both need must fit `memory_bytes` together. GH200 and GB200 are not such: two pools behind one address
        space.
        """
        return any(gpu.spec is not None and gpu.spec.unified_memory for gpu in self.gpus)

    @property
    def memory_usable_bytes(self) -> int | None:
        """RAM this process may use: installed, or less where a cgroup says so."""
        limits = (self.memory_bytes, self.os.memory_limit_bytes)
        return min((size for size in limits if size is not None), default=None)
