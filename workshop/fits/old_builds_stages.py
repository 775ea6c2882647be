"""What is fitted for llama.cpp's builds of 2023 and 2024: which rows tell which rates, and where the search starts.

Start values are physically plausible ones; `prior_sigma` says how firmly they are held where rows are few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fits.fitting import Parameter
from wellfed.frozen import dataclass

_GPU = "local.gpu."
_NV, _APPLE = (f"{_GPU}{vendor}." for vendor in ("nvidia", "apple"))
_MAY, _DEC = _NV + "may2024.", _NV + "dec2023."

# Taken where nothing more special is known, and kept where no row tells.
START: Mapping[str, float] = {
    _GPU + name: value
    for name, value in {
        "bandwidth_fraction": 0.85,
        "weights_per_cycle_float": 12.0,
        "weights_per_cycle_block": 18.0,
        "weights_per_cycle_k": 15.0,
        "weights_per_cycle_codebook": 10.0,
        "joules_per_gb": 0.01,
        "matvec_token_share": 0.15,
        "bf16_passes": 1.0,
        "launch_cycles": 5000.0,
        "launch_us": 4.0,
        "host_launch_us": 1.0,
        "token_host_us": 1.0,
        "sample_ns": 0.0,
        "host_op_us": 0.0,
        "routing_share": 1.0,
        "score_flops_per_cycle": 64.0,
        "attention_tile": 32.0,
        "state_flops_per_cycle": 64.0,
        "bf16_gemm_share": 1.0,
        "link_fraction": 0.85,
        "hop_us": 80.0,
        "row_sync_us": 20.0,
        "row_passes": 8.0,
        "cache_fraction": 0.75,
        "cache_cycles": 17.0,
        "gemm_fraction": 0.4,
        "joules_per_tflop": 2.0,
        "gemm_pad": 8.0,
        "expert_pad": 32.0,
        "unpack_per_cycle": 3.0,
        "attention_fraction": 0.15,
        "latent_attention_fraction": 0.1,
        "latent_decode_share": 0.0,
        "score_bytes": 14.0,
        "activation_hidden": 3.0,
        "activation_ffn": 1.0,
        "prefill_launch_us": 9.0,
        "pipeline_loss": 0.00055,
        "expanded_loss": 2.0,
    }.items()
}

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Stage:
    """One fit: the rows of `phase` on `vendor` GPUs under `builds`, split by rows or not, tell `parameters`.

    `expand` turns the searched parameters, with those of earlier stages, into the calibration's: copies, ratios held.
    """

    name: str
    vendor: str
    phase: str  # decode | prefill | both
    builds: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    row_split: bool = False
    expand: Callable[[Values, Values], dict[str, float]] = lambda found, _: dict(found)


def _as_in_may(values: Values, _: Values) -> dict[str, float]:
    """Builds of December 2023 decode as those of May 2024 do."""
    return {**values, **{name.replace(_MAY, _DEC): value for name, value in values.items()}}


_SLOWNESS = "slowness of december 2023"
_TIMES = ("joules_per_tflop", "score_bytes", "activation_hidden", "activation_ffn", "prefill_launch_us")
_RATES = ("gemm_fraction", "unpack_per_cycle", "attention_fraction")


def _slower_than_may(values: Values, _: Values) -> dict[str, float]:
    """Builds of December 2023 prefill like those of May 2024, all of it slower by one factor."""
    found = {name: value for name, value in values.items() if name != _SLOWNESS}
    for name, value in tuple(found.items()):
        factor = values[_SLOWNESS] if name.endswith(_TIMES) else 1 / values[_SLOWNESS] if name.endswith(_RATES) else 1.0
        found[name.replace(_MAY, _DEC)] = value * factor
    return found


def stages() -> tuple[Stage, ...]:
    """In order: later stages stand on what earlier ones found."""
    old = ("may2024", "dec2023")
    return (
        Stage("decode", "nvidia", "decode", old, _OLD_DECODE, expand=_as_in_may),
        Stage("prefill", "nvidia", "prefill", old, _OLD_PREFILL, expand=_slower_than_may),
        Stage("split by rows", "nvidia", "both", ("dec2023",), _ROWS, row_split=True),
        Stage("apple, decode", "apple", "decode", old, _APPLE_DECODE),
        Stage("apple, prefill", "apple", "prefill", old, _APPLE_PREFILL),
    )


_OLD_DECODE = (
    Parameter(_NV + "bandwidth_fraction", 0.93, 0.6, 1.0, 0.1),
    Parameter(_NV + "joules_per_gb", 0.25, 0.02, 1.0, 0.5),
    Parameter(_MAY + "weights_per_cycle_float", 4, 1, 64),
    Parameter(_MAY + "weights_per_cycle_k", 12, 1, 64),
    Parameter(_MAY + "weights_per_cycle_block", 15, 5, 60, 0.4),
    Parameter(_MAY + "cache_cycles", 18, 1, 500),
    Parameter(_MAY + "launch_cycles", 10000, 100, 1e5),
    Parameter(_MAY + "launch_us", 3, 0.1, 50),
    Parameter(_MAY + "host_launch_us", 1, 0.05, 20),
    Parameter(_NV + "hop_us", 80, 5, 1000),
)
_OLD_PREFILL = (
    Parameter(_MAY + "gemm_fraction", 0.5, 0.1, 1, 0.5),
    Parameter(_MAY + "hopper-hbm.gemm_fraction", 0.35, 0.1, 1, 0.3),
    # Joules per 10^12 FLOP on 4 nm; Samsung's 8 nm, TSMC's 7 nm; Hopper's larger matrix units.
    Parameter(_MAY + "joules_per_tflop", 1.4, 0.2, 10, 0.3),
    Parameter(_MAY + "ampere.joules_per_tflop", 2.0, 0.2, 10, 0.3),
    Parameter(_MAY + "ampere-hbm.joules_per_tflop", 0.9, 0.2, 10, 0.3),
    Parameter(_MAY + "hopper-hbm.joules_per_tflop", 0.6, 0.2, 10, 0.3),
    Parameter(_MAY + "unpack_per_cycle", 3, 0.3, 64),
    Parameter(_MAY + "attention_fraction", 0.2, 0.02, 1),
    Parameter(_MAY + "score_bytes", 14, 4, 60),
    Parameter(_MAY + "activation_hidden", 8, 1, 100),
    Parameter(_MAY + "activation_ffn", 3, 0.5, 50),
    Parameter(_MAY + "prefill_launch_us", 16, 1, 300),
    Parameter(_MAY + "pipeline_loss", 0.0005, 0.00005, 0.01),
    Parameter(_MAY + "expanded_loss", 2, 0.1, 20),
    Parameter(_SLOWNESS, 1.3, 0.8, 2.0, 0.3),
)
_ROWS = (
    Parameter(_NV + "row_sync_us", 20, 1, 500),
    Parameter(_NV + "row_passes", 8, 1, 100),
)
_APPLE_DECODE = (
    Parameter(_APPLE + "bandwidth_fraction", 0.85, 0.5, 1, 0.1),
    Parameter(_APPLE + "weights_per_cycle_float", 15, 3, 100, 0.5),
    Parameter(_APPLE + "weights_per_cycle_k", 12, 3, 100, 0.5),
    Parameter(_APPLE + "weights_per_cycle_block", 14, 3, 100, 0.5),
    Parameter(_APPLE + "m1.weights_per_cycle_k", 9, 3, 100, 0.4),
    Parameter(_APPLE + "cache_cycles", 100, 1, 2000),
    Parameter(_APPLE + "launch_us", 8, 0.5, 200),
)
_APPLE_PREFILL = (
    Parameter(_APPLE + "gemm_fraction", 0.7, 0.2, 1, 0.3),
    Parameter(_APPLE + "unpack_per_cycle", 3, 0.3, 64),
    Parameter(_APPLE + "attention_fraction", 0.3, 0.02, 1, 0.5),
    Parameter(_APPLE + "score_bytes", 14, 4, 60, 0.5),
)
