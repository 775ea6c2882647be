"""What is fitted for local engines on GPUs, with today's builds: parameters of back ends, engines and chips.

Start values are physically plausible ones; `prior_sigma` says how firmly they are held where rows are few. A chip's
factors stand on the general rates: few rows leave them near 1 (partial pooling).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fits.fitting import Parameter
from wellfed.frozen import dataclass

_L = "local."

# Kept where no row tells, and taken where nothing more special is known.
START: Mapping[str, float] = {
    _L + name: value
    for name, value in {
        "bandwidth_fraction": 0.88,
        "weights_per_cycle_float": 14.0,
        "weights_per_cycle_bf16": 14.0,
        "weights_per_cycle_block": 20.0,
        "weights_per_cycle_k": 15.0,
        "weights_per_cycle_codebook": 9.0,
        "bf16_passes": 1.0,
        "matvec_token_share": 0.15,
        "joules_per_gb": 0.1,
        "launch_cycles": 2500.0,
        "launch_us": 1.0,
        "host_launch_us": 5.0,
        "host_op_us": 0.3,
        "token_host_us": 100.0,
        "sample_ns": 2.0,
        "routing_share": 0.5,
        "link_fraction": 0.8,
        "hop_us": 80.0,
        "row_sync_us": 20.0,
        "row_passes": 8.0,
        "cache_fraction": 0.7,
        "cache_cycles": 60.0,
        "score_flops_per_cycle": 64.0,
        "attention_tile": 32.0,
        "state_flops_per_cycle": 64.0,
        "gemm_fraction": 0.4,
        "float_gemm_fraction": 0.5,
        "bf16_gemm_share": 1.0,
        "joules_per_tflop": 1.2,
        "gemm_pad": 8.0,
        "expert_pad": 32.0,
        "unpack_per_cycle": 3.0,
        "attention_fraction": 0.2,
        "latent_attention_fraction": 0.12,
        "latent_decode_share": 0.0,
        "score_bytes": 14.0,
        "activation_hidden": 3.0,
        "activation_ffn": 1.0,
        "prefill_launch_us": 6.0,
        "pipeline_loss": 0.00055,
        "expanded_loss": 2.0,
    }.items()
}
BACK_ENDS = ("cuda", "rocm", "vulkan", "sycl", "metal")
# What a unit unpacks a cycle against an SM of 128 lanes: compute units of GCN and CDNA have 64, of RDNA 64 that may
# issue twice; an Xe core and an Apple core have 128.
LANES: Mapping[str, float] = {
    "gcn": 0.4, "cdna": 0.4, "cdna2": 0.4, "cdna3": 0.4, "cdna4": 0.4, "rdna1": 0.5, "rdna2": 0.5, "rdna3": 0.6,
    "rdna3.5": 0.6, "rdna4": 0.7,
}  # fmt: skip
_GEMM = {"cuda": 0.4, "rocm": 0.3, "vulkan": 0.3, "sycl": 0.25, "metal": 0.7}
_FLOAT_GEMM = {"cuda": 0.6, "rocm": 0.45, "vulkan": 0.4, "sycl": 0.4, "metal": 0.75}
# SYCL runs a batch's experts one after the other.
_EXPERT_PAD = {"sycl": 300.0}
# SYCL has no kernels for BF16: weights of 2 bytes are read, written as FP32 and read again, (2 + 4 + 4) / 2 passes.
# Source: `ggml_sycl_op_mul_mat_sycl` of ggml-sycl.cpp (llama.cpp, read 2026-11-30).
_BF16_PASSES = {"sycl": 5.0}
_HOST_LAUNCH = {"cuda": 4.0, "rocm": 6.0, "vulkan": 4.0, "sycl": 10.0, "metal": 4.0}


@dataclass(frozen=True, slots=True)
class Stage:
    """One fit: the rows of `phase` under `builds` tell `parameters`."""

    name: str
    phase: str
    builds: tuple[str, ...]
    parameters: tuple[Parameter, ...]


def stages(chips: Iterable[str]) -> tuple[Stage, ...]:
    """In order: later stages stand on what earlier ones found. `chips` are those with rows."""
    known = sorted(set(chips))
    return (
        Stage("decode", "decode", ("current",), (*_decode(), *_chips(known, ("bandwidth", "unpack")))),
        Stage("prefill", "prefill", ("current",), (*_prefill(), *_chips(known, ("gemm",)))),
        Stage("ik_llama.cpp, decode", "decode", ("ik", "ik.early"), _ik_decode()),
        Stage("ik_llama.cpp, prefill", "prefill", ("ik", "ik.early"), _ik_prefill()),
    )


def priors() -> dict[str, float]:
    """Every value before a row is seen."""
    per_back_end = {
        "gemm_fraction": _GEMM, "float_gemm_fraction": _FLOAT_GEMM, "host_launch_us": _HOST_LAUNCH,
    }  # fmt: skip
    found = dict(START) | {f"{_L}sycl.expert_pad": 300.0}
    found |= {f"{_L}{back_end}.bf16_passes": value for back_end, value in _BF16_PASSES.items()}
    for name, values in per_back_end.items():
        found |= {f"{_L}{back_end}.{name}": value for back_end, value in values.items()}
    found["chip.ampere.joules_factor"] = 2.0  # 8 nm and GDDR6X: RTX 3090 held at 100 to 350 W (host_effects.csv)
    # Slopes with depth of DeepSeek-R1's decode on an RTX 3090 and an RTX 4080 (hybrids of ik_llama.cpp).
    found[f"{_L}cuda.latent_decode_share"] = 0.6
    found[f"{_L}ktransformers.host_launch_us"] = 30.0  # PyTorch's own, kernel by kernel
    return found | {f"chip.{chip}.unpack_factor": value for chip, value in LANES.items()}


def _by_back_end(name: str, low: float, high: float, sigma: float, starts: Mapping[str, float] | None = None,
                 back_ends: Iterable[str] = BACK_ENDS) -> tuple[Parameter, ...]:  # fmt: skip
    values = starts or {}
    return tuple(
        Parameter(f"{_L}{one}.{name}", values.get(one, START[_L + name]), low, high, sigma) for one in back_ends
    )


def _chips(chips: Iterable[str], factors: Iterable[str]) -> tuple[Parameter, ...]:
    spread = {"bandwidth": (0.6, 1.12, 0.06), "unpack": (0.1, 4.0, 0.3), "gemm": (0.1, 4.0, 0.35)}
    return tuple(
        Parameter(f"chip.{chip}.{name}_factor", LANES.get(chip, 1.0) if name == "unpack" else 1.0, *spread[name])
        for chip in chips
        for name in factors
    )


def _pairs(name: str, low: float, high: float, sigma: float) -> tuple[Parameter, ...]:
    """Of vendors under Vulkan, the one back end that has several."""
    return tuple(Parameter(f"pair.vulkan.{vendor}.{name}_factor", 1.0, low, high, sigma) for vendor in _VENDORS)


_VENDORS = ("intel",)  # AMD's and NVIDIA's drivers take the kernels equally far


def _general(name: str, low: float, high: float, sigma: float) -> Parameter:
    return Parameter(_L + name, START[_L + name], low, high, sigma)


def _decode() -> tuple[Parameter, ...]:
    return (
        _general("bandwidth_fraction", 0.6, 0.95, 0.05),
        _general("weights_per_cycle_float", 4, 60, 0.3),
        _general("weights_per_cycle_block", 4, 80, 0.3),
        _general("weights_per_cycle_k", 4, 60, 0.3),
        _general("weights_per_cycle_codebook", 2, 40, 0.4),
        _general("launch_cycles", 100, 20000, 0.7),
        _general("host_op_us", 0.02, 5, 0.7),
        _general("token_host_us", 20, 1000, 0.7),
        _general("sample_ns", 0.2, 10, 0.7),
        _general("routing_share", 0.1, 1.0, 0.4),
        *_by_back_end("weights_per_cycle_bf16", 0.3, 40, 0.7, back_ends=("vulkan",)),
        *_pairs("unpack", 0.1, 2.0, 0.3),
        *_pairs("fine_unpack", 0.1, 2.0, 0.3),
        *_pairs("scores", 0.02, 3.0, 1.5),
        *_pairs("launch", 0.2, 30.0, 1.5),
        *_by_back_end("launch_us", 0.1, 30, 0.7),
        *_by_back_end("host_launch_us", 0.3, 60, 0.7, _HOST_LAUNCH, BACK_ENDS[1:]),
        *_by_back_end("cache_fraction", 0.1, 1.0, 0.35),
        *_by_back_end("score_flops_per_cycle", 2, 500, 0.7),
        _general("joules_per_gb", 0.03, 0.3, 0.25),
    )


def _prefill() -> tuple[Parameter, ...]:
    return (
        *_by_back_end("gemm_fraction", 0.03, 1.0, 0.4, _GEMM),
        *_by_back_end("float_gemm_fraction", 0.05, 1.0, 0.4, _FLOAT_GEMM),
        *_by_back_end("attention_fraction", 0.01, 1.0, 0.6),
        *_by_back_end("bf16_gemm_share", 0.1, 1.5, 0.4),
        *_pairs("attention", 0.1, 3.0, 0.5),
        *_by_back_end("expert_pad", 4, 1500, 0.7, _EXPERT_PAD),
        *_by_back_end("prefill_launch_us", 0.5, 200, 0.6),
        _general("latent_attention_fraction", 0.02, 1.0, 0.6),
        _general("joules_per_tflop", 0.2, 5, 0.4),
        _general("state_flops_per_cycle", 4, 2000, 0.8),
        _general("attention_tile", 4, 256, 0.7),
    )


def _ik_decode() -> tuple[Parameter, ...]:
    scope = _L + "ik."
    return (
        Parameter(scope + "weights_per_cycle_codebook", 10, 2, 60, 0.5),
        Parameter(scope + "weights_per_cycle_k", 14, 4, 60, 0.4),
        Parameter(scope + "weights_per_cycle_block", 16, 4, 60, 0.4),
        Parameter(scope + "launch_us", 1.0, 0.1, 50, 0.7),
        Parameter(scope + "host_launch_us", 4, 0.05, 30, 0.7),
        Parameter(scope + "cache_fraction", 0.6, 0.05, 1, 0.5),
        Parameter(scope + "routing_share", 0.5, 0.1, 1, 0.4),
    )


def _ik_prefill() -> tuple[Parameter, ...]:
    scope = _L + "ik."
    return (
        Parameter(scope + "gemm_fraction", 0.4, 0.05, 1, 0.5),
        Parameter(scope + "expert_pad", 64, 4, 256, 0.7),
        Parameter(scope + "attention_fraction", 0.2, 0.02, 1, 0.7),
        Parameter(scope + "latent_attention_fraction", 0.2, 0.02, 1, 0.5),
        Parameter(_L + "ik.early.latent_attention_fraction", 0.1, 0.01, 1, 0.7),
        Parameter(scope + "prefill_launch_us", 9, 1, 300, 0.7),
        Parameter(scope + "pipeline_loss", 0.001, 0.0001, 0.1, 1.0),
    )
