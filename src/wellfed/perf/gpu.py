"""What of a GPU and its host decides speed: `GpuDevice`, peaks from the catalogue. All its numbers may be arrays.

A fit puts arrays of many rows in the place of numbers and calls the same formulas.
"""

from __future__ import annotations

from datetime import date

from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.parts import GpuSpec
from wellfed.hardware.pcie import PcieLink
from wellfed.message import sentence
from wellfed.nouns.layout import BackEnd, Engine, Layout
from wellfed.perf.host import host_speed
from wellfed.provenance import Assumption

# llama.cpp b3200 (June 2024) made int8 matrix-unit kernels the default for quantised prefill; before, weights were
# expanded to FP16 for cuBLAS.
_FIRST_CURRENT_BUILD = 3200
_IK_LATENT_KERNELS = date(2025, 5, 1)  # builds of ik_llama.cpp from about here run MLA on CUDA several times faster
_FIRST_LAYER_SPLIT_BUILD = 1850  # January 2024: layers over GPUs in turn, instead of every matrix over all of them
_CLOCK_BY_VENDOR_HZ = {"nvidia": 1.8e9, "amd": 2.3e9, "intel": 2.4e9, "apple": 1.4e9}
_UNLIMITED_W = 1e4  # stands for no limit, where neither card nor data sheet names one
# Back ends whose kernels multiply quantised weights as int8, activations quantised too (ggml-cuda's MMQ, and its HIP
# build); the others expand weights in registers and multiply as FP16.
_X86_ONLY = frozenset({BackEnd.ROCM, BackEnd.SYCL})  # as their vendors distribute them
_INTEGER_PRODUCTS = frozenset({BackEnd.CUDA, BackEnd.ROCM})


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """One GPU's peaks. `issue_hz` is compute units x clock: how many instructions per second its units start."""

    vendor: str
    architecture: str  # see `chip`
    bandwidth: float  # bytes/s
    issue_hz: float
    clock_hz: float
    matrix_flops: float  # FP16, accumulating in FP16 where that is faster (llama.cpp does)
    int8_ops: float  # what quantised weights multiply at: matrix_flops where that is faster, or int8 is not used
    power_w: float  # what the board may draw: it caps matrix products
    nominal_w: float  # what it draws as sold
    host_link: float  # bytes/s to the host, raw
    host_ratio: float = 1.0  # of the host's single-thread speed, a Ryzen 9 7950X = 1
    guessed: bool = False  # some of its own figures are assumed
    back_end: BackEnd = BackEnd.CUDA
    assumptions: tuple[Assumption, ...] = ()


def gpu_device(gpu: Gpu, machine: Machine, back_end: BackEnd | None = None) -> GpuDevice:
    """The peaks of a GPU in its machine; unknown clocks and units are assumed, and said so.

    Raises Unsupported for a GPU without a data sheet.
    """
    spec = gpu.spec
    if spec is None:
        name = gpu.name or f"GPU {gpu.index}"
        raise Unsupported(
            sentence("gpu.no-data-sheet", "no data sheet for {name}", name=name),
            sentence("gpu.describe-machine", "describe it in a machine file, or name a catalogued GPU"),
        )
    computes = back_end if back_end and back_end.runs_on(spec.vendor) else usual_back_end(spec.vendor, machine)
    assumed: list[Assumption] = []
    units, clock = _units_and_clock(gpu, spec, assumed)
    matrix = _matrix_flops(spec, units * clock, assumed)
    integer = (spec.peak.int8 or 0.0) if computes in _INTEGER_PRODUCTS else 0.0
    link = gpu.link or _default_link(spec, assumed)
    guessed = bool(assumed)
    host = host_speed(machine)
    return GpuDevice(
        vendor=spec.vendor,
        architecture=chip(spec),
        bandwidth=spec.memory_bandwidth_bytes_per_s * _ecc_factor(gpu, spec),
        issue_hz=units * clock,
        clock_hz=clock,
        matrix_flops=matrix,
        int8_ops=max(integer, matrix),
        power_w=_power(gpu, spec),
        nominal_w=spec.board_power_w or _power(gpu, spec),
        host_link=spec.memory_bandwidth_bytes_per_s if spec.unified_memory else link.bytes_per_s,
        host_ratio=host.ratio,
        guessed=guessed,
        back_end=computes,
        assumptions=(*assumed, *host.assumptions),
    )


def usual_back_end(vendor: str, machine: Machine) -> BackEnd:
    """What people install: the vendor's own, where there is one for the host's processor."""
    usual = BackEnd.usual(vendor)
    foreign = any(socket.cpu and socket.cpu.vendor not in ("amd", "intel") for socket in machine.sockets)
    return BackEnd.VULKAN if foreign and usual in _X86_ONLY else usual


def chip(spec: GpuSpec) -> str:
    """The architecture, chips with HBM or LPDDR apart: A100 and RTX 3090 are both Ampere and little alike."""
    kind = spec.memory_type.upper()
    suffix = "-hbm" if kind.startswith("HBM") else "-lpddr" if kind.startswith("LPDDR") else ""
    return f"{spec.architecture}{suffix}" if spec.vendor == "nvidia" else spec.architecture


def _units_and_clock(gpu: Gpu, spec: GpuSpec, assumed: list[Assumption]) -> tuple[float, float]:
    clock = gpu.clock_max_hz or spec.boost_clock_hz
    if clock is None:
        clock = _CLOCK_BY_VENDOR_HZ.get(spec.vendor, 1.8e9)
        assumed.append(
            Assumption(
                sentence("gpu.runs-ghz", "{spec} runs at {clock:.1f} GHz", spec=spec.name, clock=clock / 1e9),
                sentence("gpu.boost-clock", "its boost clock is not catalogued"),
            )
        )
    units = gpu.compute_units or spec.compute_units
    if units is None:
        # Vendors pair units with bandwidth; 9 GB/s per unit is the middle of consumer cards.
        units = max(4, round(spec.memory_bandwidth_bytes_per_s / 9e9))
        assumed.append(
            Assumption(
                sentence("gpu.compute-units", "{spec} has {units} compute units", spec=spec.name, units=units),
                sentence("gpu.catalogue-does-tell", "the catalogue does not tell"),
            )
        )
    return units, clock


def _matrix_flops(spec: GpuSpec, issue_hz: float, assumed: list[Assumption]) -> float:
    """FP16 rate with FP16 accumulation: half the int8 rate of NVIDIA tensor cores; else the FP16 or FP32 rate."""
    peak = spec.peak
    rates = [rate for rate in (peak.fp16, peak.bf16, peak.fp32) if rate]
    if not rates:
        assumed.append(
            Assumption(
                sentence("gpu.computes-256-flop", "{spec} computes 256 FLOP per clock and unit", spec=spec.name),
                sentence("gpu.no-rate-catalogued", "no rate is catalogued"),
            )
        )
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
        assumed.append(
            Assumption(
                sentence("gpu.sits-pcie-4", "{spec} sits in a PCIe 4.0 x16 slot", spec=spec.name),
                sentence("gpu.link-known", "its link is not known"),
            )
        )
    return PcieLink(spec.pcie_generation or 4, spec.pcie_lanes or 16)


def _ecc_factor(gpu: Gpu, spec: GpuSpec) -> float:
    """In-band ECC on GDDR takes 1/16 of the bandwidth: on where read so, and by default on server cards."""
    if not spec.memory_type.upper().startswith("GDDR"):
        return 1.0  # HBM carries its ECC beside the data
    enabled = gpu.ecc_enabled if gpu.ecc_enabled is not None else spec.ecc_by_default
    return 15 / 16 if enabled else 1.0


def build_name(layout: Layout) -> str:
    """Which calibration a layout's build is under: ik_llama.cpp's, or by the option `build` (b2824), or `current`.

    `ik.early` are builds of ik_llama.cpp before its fast flash attention on latents; all else they share with `ik`.
    """
    if layout.engine is Engine.IK_LLAMA_CPP:
        return "ik.early" if layout.is_built_before(_IK_LATENT_KERNELS) else "ik"
    if layout.engine is Engine.KTRANSFORMERS:
        return "ktransformers"
    number = build_number(layout)
    return "current" if number is None else "dec2023" if number < _FIRST_LAYER_SPLIT_BUILD else "may2024"


def build_number(layout: Layout) -> int | None:
    """The number of a llama.cpp build old enough to compute differently, else None."""
    if layout.engine is not Engine.LLAMA_CPP:
        return None
    text = dict(layout.options).get("build", "").lstrip("b")
    number = int(text) if text.isdecimal() else None
    return number if number is not None and number < _FIRST_CURRENT_BUILD else None
