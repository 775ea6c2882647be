"""Catalogue parts: what a vendor's data sheet says of a GPU, a CPU, an interconnect. Peaks only."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.provenance import Source


@dataclass(frozen=True, slots=True)
class PeakRates:
    """Dense peak rates in FLOP/s (integer types: OP/s), without sparsity; None = unknown or absent.

    `fp32` is the vector rate; the others are matrix-unit rates where the part has matrix units.
    `fp16` accumulates in FP32 where the part distinguishes (GeForce halves it).
    """

    fp32: float | None = None
    fp16: float | None = None
    bf16: float | None = None
    fp8: float | None = None
    fp4: float | None = None
    int8: float | None = None
    int4: float | None = None


@dataclass(frozen=True, slots=True)
class GpuSpec:
    """One GPU as sold. `form` tells PCIe card from SXM module; equal names with other memory are other ids."""

    id: str
    name: str
    vendor: str  # nvidia | amd | intel | apple | huawei | hygon | moorethreads | metax | cambricon | kunlun ...
    architecture: str  # pascal turing ampere ada hopper blackwell | rdna2.. cdna3.. | xe2 | m1..
    form: str  # pcie | mobile | sxm | nvl | oam | superchip | soc
    memory_bytes: int
    memory_bandwidth_bytes_per_s: float
    memory_type: str
    peak: PeakRates
    pcie_generation: int | None
    pcie_lanes: int | None
    link_bytes_per_s: float | None = None  # NVLink / Infinity Fabric, one direction, all links together
    link_kind: str | None = None  # nvlink | nvswitch | xgmi | hccs | ub | mtlink ... None: as the vendor's other parts
    link_switched: bool = False  # every pair at the full rate (a switch), else wired pair by pair
    link_peers: int = 0  # largest group it joins: 2 for a bridge, 8 for a baseboard, 72 for a rack; 0 none
    compute_units: int | None = None  # SMs, CUs, Xe cores, Apple GPU cores
    boost_clock_hz: float | None = None
    l2_bytes: int | None = None
    board_power_w: float | None = None
    ecc_by_default: bool = False  # in-band ECC on GDDR as shipped (passively cooled server cards): takes bandwidth
    compute_capability: str | None = None
    year: int | None = None
    unified_memory: bool = False  # shares the CPU's memory (Apple, Strix Halo, GB10): one pool, not two
    serving_build: str | None = None  # what "vLLM" means on it, where that is a build of the vendor's own
    memory_of_host: bool = False  # integrated graphics: its memory is the machine's modules, whatever these are
    network_bytes_per_s: float | None = None  # of a network port that is built in, one direction
    cpu_id: str | None = None  # the CPU that comes with it (superchips and SoCs)
    aliases: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class CpuSpec:
    """One CPU as sold. `memory_mt_s[n - 1]` is the official speed with n DIMMs per channel."""

    id: str
    name: str
    vendor: str
    architecture: str  # zen4, golden-cove, ...
    cores: int
    threads: int
    memory_channels: int
    memory_type: str
    memory_mt_s: tuple[float, ...]
    pcie_generation: int | None
    pcie_lanes: int | None  # usable by slots, straight from this CPU
    pcie_lanes_of_two: int | None = None  # per socket where two are joined and lanes serve the link between them
    sockets_max: int = 1
    base_clock_hz: float | None = None
    boost_clock_hz: float | None = None
    performance_cores: int | None = None  # hybrid parts: cores worth binding inference to
    isa: frozenset[str] = frozenset()  # avx2 avx512 avx512_vnni avx512_bf16 amx neon sve ...
    l3_bytes: int | None = None
    mesh: bool = False  # server cores on a mesh or double ring: one of them draws less bandwidth than a desktop's
    dies: int | None = None  # core complexes that share the memory controllers
    memory_bus_bytes: int = 8  # data bytes per channel and transfer
    memory_validated_mt_s: float | None = None  # beyond the data sheet, on boards the vendor validated, 1 per channel
    other_memory_mt_s: tuple[tuple[str, tuple[float, ...]], ...] = ()  # further types: ("MRDIMM", (8800,))
    soldered_memory_bytes: int | None = None  # where one size comes with the part (Grace)
    power_w: float | None = None
    year: int | None = None
    # PassMark CPU Mark, single-thread rating (one core at its boost clock): what launches, samples and tokenises.
    single_thread_rating: float | None = None
    single_thread_derived: bool = False  # True: not published; from parts of the same core, by boost clock
    stands_for_unknown: bool = False  # True: usual figures for a CPU that no catalogue has; speeds are a guess
    graphics_id: str | None = None  # the GPU inside it that can run models (APUs)
    aliases: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()

    def memory_bandwidth_bytes_per_s(self, dimms_per_channel: int = 1) -> float:
        """Theoretical bandwidth of one socket: channels x MT/s x bytes per transfer."""
        speed = self.memory_mt_s[min(dimms_per_channel, len(self.memory_mt_s)) - 1]
        return self.memory_channels * speed * 1e6 * self.memory_bus_bytes
