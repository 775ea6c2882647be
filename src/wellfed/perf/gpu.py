"""What of a GPU and an engine's build decides speed: `GpuDevice` (peaks, from the catalogue) and `GpuRates` (achieved).

All fields are plain numbers, so that a fit may put arrays of many rows in their place and call the same formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wellfed.calibration import Calibration
from wellfed.errors import Unsupported
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.parts import GpuSpec
from wellfed.hardware.pcie import PcieLink
from wellfed.layout import Engine, Layout
from wellfed.models.gguf_types import TYPES, plain
from wellfed.provenance import Assumption

# llama.cpp b3200 (June 2024) made int8 matrix-unit kernels the default for quantised prefill; before, weights were
# expanded to FP16 for cuBLAS.
_FIRST_CURRENT_BUILD = 3200
_IK_LATENT_KERNELS = "2025-05-01"  # builds of ik_llama.cpp from about here run MLA on CUDA several times faster
_FIRST_LAYER_SPLIT_BUILD = 1850  # January 2024: layers over GPUs in turn, instead of every matrix over all of them
_CLOCK_BY_VENDOR_HZ = {"nvidia": 1.8e9, "amd": 2.3e9, "intel": 2.4e9, "apple": 1.4e9}
_HOST_CLOCK_HZ = 3.5e9
_UNLIMITED_W = 1e4


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """One GPU's peaks. `issue_hz` is compute units x clock: how many instructions per second its units start."""

    vendor: str
    architecture: str  # see `chip`
    bandwidth: float  # bytes/s
    issue_hz: float
    clock_hz: float
    matrix_flops: float  # FP16, accumulating in FP16 where that is faster (llama.cpp does)
    int8_ops: float  # what quantised weights multiply at: matrix_flops where that is faster
    power_w: float  # what the board may draw: it caps matrix products
    host_link: float  # bytes/s to the host, raw
    host_clock_hz: float = _HOST_CLOCK_HZ
    guessed: bool = False  # some of its own figures are assumed
    assumptions: tuple[Assumption, ...] = ()


def gpu_device(gpu: Gpu, machine: Machine) -> GpuDevice:
    """The peaks of a GPU in its machine; unknown clocks and units are assumed, and said so.

    Raises Unsupported for a GPU without a data sheet.
    """
    spec = gpu.spec
    if spec is None:
        name = gpu.name or f"GPU {gpu.index}"
        raise Unsupported(f"no data sheet for {name}", "describe it in a machine file, or name a catalogued GPU")
    assumed: list[Assumption] = []
    units, clock = _units_and_clock(gpu, spec, assumed)
    matrix = _matrix_flops(spec, units * clock, assumed)
    link = gpu.link or _default_link(spec, assumed)
    guessed = bool(assumed)
    return GpuDevice(
        vendor=spec.vendor,
        architecture=chip(spec),
        bandwidth=spec.memory_bandwidth_bytes_per_s * _ecc_factor(gpu, spec),
        issue_hz=units * clock,
        clock_hz=clock,
        matrix_flops=matrix,
        int8_ops=max(spec.peak.int8 or 0.0, matrix),
        power_w=_power(gpu, spec),
        host_link=spec.memory_bandwidth_bytes_per_s if spec.unified_memory else link.bytes_per_s,
        host_clock_hz=_host_clock(machine, assumed),
        guessed=guessed,
        assumptions=tuple(assumed),
    )


def chip(spec: GpuSpec) -> str:
    """The architecture, chips with HBM or LPDDR apart: A100 and RTX 3090 are both Ampere and little alike."""
    kind = spec.memory_type.upper()
    suffix = "-hbm" if kind.startswith("HBM") else "-lpddr" if kind.startswith("LPDDR") else ""
    return f"{spec.architecture}{suffix}" if spec.vendor == "nvidia" else spec.architecture


def _units_and_clock(gpu: Gpu, spec: GpuSpec, assumed: list[Assumption]) -> tuple[float, float]:
    clock = gpu.clock_max_hz or spec.boost_clock_hz
    if clock is None:
        clock = _CLOCK_BY_VENDOR_HZ.get(spec.vendor, 1.8e9)
        assumed.append(Assumption(f"{spec.name} runs at {clock / 1e9:.1f} GHz", "its boost clock is not catalogued"))
    units = gpu.compute_units or spec.compute_units
    if units is None:
        # Vendors pair units with bandwidth; 9 GB/s per unit is the middle of consumer cards.
        units = max(4, round(spec.memory_bandwidth_bytes_per_s / 9e9))
        assumed.append(Assumption(f"{spec.name} has {units} compute units", "the catalogue does not tell"))
    return units, clock


def _matrix_flops(spec: GpuSpec, issue_hz: float, assumed: list[Assumption]) -> float:
    """FP16 rate with FP16 accumulation: half the int8 rate of NVIDIA tensor cores; else the FP16 or FP32 rate."""
    peak = spec.peak
    rates = [rate for rate in (peak.fp16, peak.bf16, peak.fp32) if rate]
    if not rates:
        assumed.append(Assumption(f"{spec.name} computes 256 FLOP per clock and unit", "no rate is catalogued"))
        return 256 * issue_hz
    if spec.vendor == "nvidia" and peak.int8 and _has_matrix_units(spec):
        rates.append(peak.int8 / 2)
    return max(rates)


def _has_matrix_units(spec: GpuSpec) -> bool:
    peak = spec.peak
    return bool(peak.fp16 and (peak.fp32 is None or peak.fp16 > 1.5 * peak.fp32))


def _power(gpu: Gpu, spec: GpuSpec) -> float:
    """Watts; where nobody tells, so many that they do not limit."""
    return gpu.power_limit_w or spec.board_power_w or _UNLIMITED_W


def _default_link(spec: GpuSpec, assumed: list[Assumption]) -> PcieLink:
    if spec.pcie_generation is None and not spec.unified_memory:
        assumed.append(Assumption(f"{spec.name} sits in a PCIe 4.0 x16 slot", "its link is not known"))
    return PcieLink(spec.pcie_generation or 4, spec.pcie_lanes or 16)


def _ecc_factor(gpu: Gpu, spec: GpuSpec) -> float:
    """In-band ECC on GDDR takes 1/16 of the bandwidth: on where read so, and by default on server cards."""
    if not spec.memory_type.upper().startswith("GDDR"):
        return 1.0  # HBM carries its ECC beside the data
    enabled = gpu.ecc_enabled if gpu.ecc_enabled is not None else spec.ecc_by_default
    return 15 / 16 if enabled else 1.0


def _host_clock(machine: Machine, assumed: list[Assumption]) -> float:
    clocks = [s.clock_max_hz or (s.cpu.boost_clock_hz if s.cpu else None) for s in machine.sockets]
    known = [clock for clock in clocks if clock]
    if known:
        return min(known)
    assumed.append(Assumption(f"the host's cores reach {_HOST_CLOCK_HZ / 1e9:.1f} GHz", "its CPU is not known"))
    return _HOST_CLOCK_HZ


@dataclass(frozen=True, slots=True)
class GpuRates:
    """What a build achieves on a vendor's GPUs. Fractions are of peaks; `*_per_cycle` are per compute unit and clock.

    `weights_per_cycle`: weights a unit can unpack and multiply in matrix-vector products, by kind (see `weight_kind`).
    """

    bandwidth_fraction: float
    weights_per_cycle: Mapping[str, float]
    matvec_token_share: float  # cost of a further token in a matrix-vector product, against unpacking the weight
    launch_cycles: float  # GPU clocks between dependent kernels, per op
    launch_us: float  # the same in time that no clock shortens
    host_launch_us: float  # per op, on a 3.5 GHz host, where no graph replays the launches
    token_host_us: float  # sampling and the server's loop, per step, on a 3.5 GHz host
    link_fraction: float  # achieved share of the host link
    hop_us: float  # handing activations to the next GPU
    row_sync_us: float  # per op and GPU, where matrices are split by rows
    row_passes: float  # times the residual stream crosses to each further GPU, per layer, where they are
    cache_fraction: float  # achieved share of bandwidth on the KV cache with flash attention
    cache_cycles: float  # clocks per layer and token of context, without flash attention
    gemm_fraction: float  # of matrix_flops, or of int8_ops where quantised weights multiply as int8
    joules_per_tflop: float  # of matrix products
    joules_per_gb: float  # of matrix-vector products
    gemm_pad: float  # tokens that a matrix product wastes in tiles
    expert_pad: float  # the same for routed experts, whose shares of a batch are ragged
    unpack_per_cycle: float  # weights a unit expands to FP16 before matrix products
    attention_fraction: float  # of matrix_flops
    latent_attention_fraction: float  # the same for MLA, whose head sizes fewer kernels are made for
    score_bytes: float  # memory traffic per element of a score matrix that is written out
    activation_hidden: float  # passes over the residual stream, per layer
    activation_ffn: float  # passes over the feed-forward activations, per layer
    prefill_launch_us: float  # per op and ubatch
    pipeline_loss: float  # per op: the share of perfect GPU pipelining lost
    expanded_loss: float  # the same loss, in all, while large matrices are expanded
    norm: float = 3.0  # how sharply the slower of two resources decides


_SCALARS = tuple(name for name in GpuRates.__dataclass_fields__ if name not in ("weights_per_cycle", "norm"))
WEIGHT_KINDS = ("float", "block", "k", "codebook")


def gpu_rates(calibration: Calibration, vendor: str, architecture: str, build: str) -> GpuRates:
    """The rates of a vendor's GPUs under a build (`may2024`, `current`, `ik` ...): the most special there are.

    Looked up by vendor, build and chip, then vendor and chip, then vendor and build, then vendor, then for all.
    """
    family = build.partition(".")[0]
    tails = (
        (vendor, build, architecture),
        (vendor, family, architecture),
        (vendor, architecture),
        (vendor, build),
        (vendor, family),
        (vendor,),
        (),
    )
    scopes = tuple(".".join(("local.gpu", *tail, "")) for tail in tails)
    known = calibration.parameters

    def value(name: str) -> float:
        for scope in scopes:
            if scope + name in known:
                return known[scope + name]
        raise KeyError(f"local.gpu.{name}")

    kinds = {kind: value(f"weights_per_cycle_{kind}") for kind in WEIGHT_KINDS}
    return GpuRates(weights_per_cycle=kinds, **{name: value(name) for name in _SCALARS})


def weight_kind(weight_type: str) -> str:
    """How a type's weights are unpacked: `float`, `block` (Q4_0, Q8_0 ...), `k` or by `codebook`."""
    name = plain(weight_type.upper())
    if name in ("F32", "F16", "BF16", ""):
        return "float"
    if name.startswith(("IQ", "TQ")) and name not in ("IQ4_NL", "IQ4_XS"):
        return "codebook"
    return "k" if "_K" in name or name == "IQ4_XS" else "block"


def weight_bits(weight_type: str) -> float:
    """Bits per weight of a type; 16 where it is not known."""
    known = TYPES.get(weight_type.upper()) or TYPES.get(plain(weight_type.upper()))
    return known.bits if known else 16.0


def build_name(layout: Layout) -> str:
    """Which calibration a layout's build is under: ik_llama.cpp's, or by the option `build` (b2824), or `current`.

    `ik.early` are builds of ik_llama.cpp before its fast flash attention on latents; all else they share with `ik`.
    """
    if layout.engine is Engine.IK_LLAMA_CPP:
        built = dict(layout.options).get("built", "")
        return "ik.early" if "" < built < _IK_LATENT_KERNELS else "ik"
    number = build_number(layout)
    return "current" if number is None else "dec2023" if number < _FIRST_LAYER_SPLIT_BUILD else "may2024"


def build_number(layout: Layout) -> int | None:
    """The number of a llama.cpp build old enough to compute differently, else None."""
    if layout.engine is not Engine.LLAMA_CPP:
        return None
    text = dict(layout.options).get("build", "").lstrip("b")
    number = int(text) if text.isdigit() else None
    return number if number is not None and number < _FIRST_CURRENT_BUILD else None
