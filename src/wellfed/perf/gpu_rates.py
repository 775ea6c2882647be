"""What a build achieves on GPUs (`GpuRates`), put together from what engines and what chips are found to reach.

Parameters of a back end (`local.cuda.launch_us`) hold for all its chips, those of a chip (`chip.ada.gemm_factor`) for
all engines on it; both stand on general ones (`local.launch_us`). Builds of before mid 2024 have values of their own,
`local.gpu.*`, which only `accuracy` loads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wellfed.frozen import dataclass, replace
from wellfed.models.gguf_types import plain
from wellfed.nouns.calibration import Calibration
from wellfed.perf.gpu import GpuDevice
from wellfed.perf.identity import per_object_and_values

OLD_BUILDS = frozenset({"may2024", "dec2023"})


@dataclass(frozen=True, slots=True)
class GpuRates:
    """Fractions are of peaks; `*_per_cycle` are per compute unit and clock.

    `weights_per_cycle`: weights a unit can unpack and multiply in matrix-vector products, by kind (see `weight_kind`).
    Host times are those of the reference core (`perf.host`).
    """

    bandwidth_fraction: float
    weights_per_cycle: Mapping[str, float]
    matvec_token_share: float  # cost of a further token in a matrix-vector product, against unpacking the weight
    bf16_passes: float  # over BF16 weights in matrix-vector products, in their bytes: more than one where converted
    launch_cycles: float  # GPU clocks between dependent kernels, per op
    launch_us: float  # the same in time that no clock shortens
    host_launch_us: float  # of the host, per op, where no graph replays the launches
    host_op_us: float  # of the host, per op, before each step: the graph built or checked
    token_host_us: float  # of the host, per step: the server's loop
    sample_ns: float  # of the host, per step and word of the vocabulary: sampling
    routing_share: float  # ops of experts' routing that are left after fusing, of those in the graph
    link_fraction: float  # achieved share of the host link
    hop_us: float  # handing activations to the next GPU
    row_sync_us: float  # per op and GPU, where matrices are split by rows
    row_passes: float  # times the residual stream crosses to each further GPU, per layer, where they are
    cache_fraction: float  # achieved share of bandwidth on the KV cache with flash attention
    cache_cycles: float  # clocks per layer and token of context, without flash attention
    score_flops_per_cycle: float  # of a decode step's attention, per unit
    attention_tile: float  # queries of a prompt that share one read of the cache
    state_flops_per_cycle: float  # of recurrent states (gated delta rule), per unit
    gemm_fraction: float  # of int8_ops, of quantised weights' matrix products
    float_gemm_fraction: float  # of matrix_flops, of weights in 16 bits
    bf16_gemm_share: float  # of it, of weights in BF16: back ends without kernels for them convert
    joules_per_tflop: float  # of matrix products
    joules_per_gb: float  # of matrix-vector products
    gemm_pad: float  # tokens that a matrix product wastes in tiles
    expert_pad: float  # the same for routed experts, whose shares of a batch are ragged
    unpack_per_cycle: float  # weights a unit expands to FP16 before matrix products
    attention_fraction: float  # of matrix_flops
    latent_attention_fraction: float  # the same for MLA, whose head sizes fewer kernels are made for
    latent_decode_share: float  # of it, for one query's heads; 0 where a back end has no such kernel
    score_bytes: float  # memory traffic per element of a score matrix that is written out
    activation_hidden: float  # passes over the residual stream, per layer
    activation_ffn: float  # passes over the feed-forward activations, per layer
    prefill_launch_us: float  # per op and ubatch
    pipeline_loss: float  # per op: the share of perfect GPU pipelining lost
    expanded_loss: float  # the same loss, in all, while large matrices are expanded
    norm: float = 3.0  # how sharply the slower of two resources decides


SCALARS = tuple(name for name in GpuRates.__dataclass_fields__ if name not in ("weights_per_cycle", "norm"))
WEIGHT_KINDS = ("float", "bf16", "block4", "block", "k", "codebook")
_RATES_OF = {"block4": "block"}  # kinds that one rate stands for: they differ by what drivers make of them
FACTORS = ("bandwidth", "unpack", "gemm", "joules")  # by which chips differ
PAIRED = (
    "unpack",
    "fine_unpack",
    "attention",
    "scores",
    "launch",
)  # by which vendors' drivers differ under one back end
FINE = frozenset({"k", "codebook"})  # kinds whose blocks have scales within scales, which some drivers unpack slowly
# Kinds that a vendor's Vulkan kernels multiply as floats, which `unpack` is not about: the others go as bytes.
# Source: `ggml_vk_should_use_mmvq` of ggml-vulkan.cpp (llama.cpp, read 2026-11-30): on Intel all but Q4_0 and Q5_1.
_WIDENED: Mapping[str, frozenset[str]] = {"intel": frozenset({"float", "bf16", "block4"})}


@per_object_and_values
def gpu_rates(calibration: Calibration, device: GpuDevice, build: str) -> GpuRates:
    """The rates of a build (`current`, `ik`, `may2024` ...) on a GPU."""
    if build in OLD_BUILDS:
        return _assembled(_old_value(calibration, device, build))
    engine = build.partition(".")[0]
    rates = _assembled(_value(calibration, engine, build, device.back_end.value))
    return _on_chip(_under(rates, calibration, device), calibration, device.architecture)


def _assembled(value: Callable[[str], float]) -> GpuRates:
    kinds = {kind: value(f"weights_per_cycle_{_RATES_OF.get(kind, kind)}") for kind in WEIGHT_KINDS}
    return GpuRates(weights_per_cycle=kinds, **{name: value(name) for name in SCALARS})


def _value(calibration: Calibration, engine: str, build: str, back_end: str) -> Callable[[str], float]:
    """The engine's own value, else the back end's, else the general one."""
    scopes = (*(f"local.{scope}." for scope in (build, engine, back_end)), "local.")
    parameters = calibration.parameters

    def value(name: str) -> float:
        for scope in scopes:
            if scope + name in parameters:
                return parameters[scope + name]
        raise KeyError(f"local.{name}")

    return value


def _old_value(calibration: Calibration, device: GpuDevice, build: str) -> Callable[[str], float]:
    """Of an old build: by vendor, build and chip, then vendor and build, then vendor; the general one last."""
    vendor, chip = device.vendor, device.architecture
    tails = ((vendor, build, chip), (vendor, chip), (vendor, build), (vendor,), ())
    scopes = tuple(".".join(("local.gpu", *tail, "")) for tail in tails)
    parameters = calibration.parameters
    today = _value(calibration, "current", "current", device.back_end.value)

    def value(name: str) -> float:
        # All went through one library's products.
        shared = {"float_gemm_fraction": "gemm_fraction", "weights_per_cycle_bf16": "weights_per_cycle_float"}.get(
            name, name
        )
        for scope in scopes:
            if scope + shared in parameters:
                return parameters[scope + shared]
        return today(name)

    return value


def _under(rates: GpuRates, calibration: Calibration, device: GpuDevice) -> GpuRates:
    """The same for a vendor's cards under a back end of several vendors: how far its drivers take the same kernels."""
    unpack, fine, attention, scores, launch = (
        calibration.parameters.get(f"pair.{device.back_end.value}.{device.vendor}.{name}_factor", 1.0)
        for name in PAIRED
    )
    widened = _WIDENED.get(device.vendor, frozenset())
    return replace(
        rates,
        weights_per_cycle={
            kind: rate if kind in widened else rate * unpack * (fine if kind in FINE else 1.0)
            for kind, rate in rates.weights_per_cycle.items()
        },
        launch_us=rates.launch_us * launch,
        attention_fraction=rates.attention_fraction * attention,
        latent_attention_fraction=rates.latent_attention_fraction * attention,
        score_flops_per_cycle=rates.score_flops_per_cycle * scores,
    )


def _on_chip(rates: GpuRates, calibration: Calibration, chip: str) -> GpuRates:
    """The same on one chip: what it reaches against the others of its peaks; 1 where no row tells."""
    bandwidth, unpack, gemm, joules = (
        calibration.parameters.get(f"chip.{chip}.{name}_factor", 1.0) for name in FACTORS
    )
    return replace(
        rates,
        bandwidth_fraction=rates.bandwidth_fraction * bandwidth,
        weights_per_cycle={kind: rate * unpack for kind, rate in rates.weights_per_cycle.items()},
        gemm_fraction=rates.gemm_fraction * gemm,
        float_gemm_fraction=rates.float_gemm_fraction * gemm,
        attention_fraction=rates.attention_fraction * gemm,
        joules_per_tflop=rates.joules_per_tflop * joules,
        joules_per_gb=rates.joules_per_gb * joules,
    )


def weight_kind(weight_type: str) -> str:
    """How a type's weights are unpacked: `float`, `bf16`, `block` (Q8_0), `block4` (Q4_0, Q5_1), `k` or `codebook`."""
    name = plain(weight_type.upper())
    if name == "BF16":
        return "bf16"
    if name in ("F32", "F16", ""):
        return "float"
    if name.startswith(("IQ", "TQ")) and name not in ("IQ4_NL", "IQ4_XS"):
        return "codebook"
    if name in ("Q4_0", "Q5_1"):
        return "block4"
    return "k" if "_K" in name or name == "IQ4_XS" else "block"
