"""The few fitted parameters of the serving model, by role; calibrations hold them under `serving.*` keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wellfed.calibration import Calibration
from wellfed.errors import BadInput
from wellfed.layout import Engine


@dataclass(frozen=True, slots=True)
class Knobs:
    """Achieved fractions (of data-sheet peaks) and overheads that one replica's steps are made with."""

    attention_read: float  # fraction of memory bandwidth when weights are read, by their width
    dense_read: float
    shared_read: float
    routed_read: float
    head_read: float
    expert_spread: float  # how evenly tokens choose experts: 1 = independently, less = alike
    cache_fraction: float  # KV cache reads
    attention_rate: float  # fraction of the matrix peak, by the format the part computes in
    dense_rate: float
    shared_rate: float
    routed_rate: float
    head_rate: float
    score_rate: float  # attention scores and values, fp16
    expert_rate: float  # of routed experts' grouped multiplications, on top of routed_rate
    expert_half_width: float  # width of a rank's expert at which their multiplications run at half their rate
    expert_tile: float  # tokens each touched expert is padded by
    expert_imbalance: float  # extra load of the busiest rank under expert parallelism
    kernel_s: float  # time a small kernel takes at least, CUDA graphs on
    step_s: float  # host work per step that the GPU waits for
    sequence_s: float  # the same per running sequence
    reduce_s: float  # latency of one all-reduce between two GPUs
    reduce_hop_s: float  # more for every doubling of the group
    link_fraction: float  # of the links' data-sheet bandwidth
    exchange_s: float  # latency of one expert dispatch or combine
    burst: float  # share of the other clients' prompts that stand before one's own
    group_wait: float  # steps a prompt waits until all attention groups take one
    prefill_wait: float  # steps a prompt waits and runs beyond its own computation
    request_s: float  # time to first token that no computation explains: HTTP, tokeniser, scheduler
    kv_transfer_fraction: float  # disaggregated: achieved share of the link when the cache moves


# Field -> (key without prefix, whether each engine has its own).
_COMMON: Mapping[str, str] = {
    "expert_spread": "expert_spread",
    "cache_fraction": "cache_bandwidth_fraction",
    "score_rate": "score_compute_fraction",
    "expert_rate": "expert_compute_fraction",
    "expert_half_width": "expert_half_width",
    "expert_tile": "expert_tile_tokens",
    "expert_imbalance": "expert_imbalance",
    "reduce_s": "reduce_s",
    "reduce_hop_s": "reduce_hop_s",
    "link_fraction": "link_fraction",
    "exchange_s": "exchange_s",
    "prefill_wait": "prefill_wait_steps",
    "burst": "burst_share",
    "kv_transfer_fraction": "kv_transfer_fraction",
}
_BY_ENGINE: Mapping[str, str] = {
    "kernel_s": "kernel_s",
    "step_s": "step_s",
    "sequence_s": "sequence_s",
    "request_s": "request_s",
    "group_wait": "group_wait_steps",
}
_READS = ("attention_read", "dense_read", "shared_read", "routed_read", "head_read")
_RATES = ("attention_rate", "dense_rate", "shared_rate", "routed_rate", "head_rate")


def keys(engine: Engine, formats: Mapping[str, str]) -> dict[str, str]:
    """Field of Knobs -> calibration key. `formats` tells each part's matrix format: attention_rate -> fp8 ..."""
    found = {field: f"serving.{name}" for field, name in _COMMON.items()}
    found |= {field: f"serving.{engine.value}.{name}" for field, name in _BY_ENGINE.items()}
    found |= {field: f"serving.bandwidth_fraction.{formats[field]}" for field in _READS}
    return found | {field: f"serving.compute_fraction.{formats[field]}" for field in _RATES}


def knobs(calibration: Calibration, engine: Engine, formats: Mapping[str, str]) -> Knobs:
    """The parameters for one engine and one set of matrix formats. Raises BadInput where the calibration has none."""
    parameters = calibration.parameters
    try:
        return Knobs(**{field: parameters[key] for field, key in keys(engine, formats).items()})
    except KeyError as error:
        hint = "`wellfed accuracy --refit` makes calibrations that hold all of them"
        raise BadInput(f"calibration {calibration.id} has no {error.args[0]}", hint) from error


def required(engines: Iterable[Engine]) -> tuple[str, ...]:
    """Every key a calibration of the serving model has to hold."""
    formats = [dict.fromkeys(_RATES, name) for name in ("fp16", "fp8", "fp4", "int8")]
    return tuple(sorted({key for engine in engines for each in formats for key in keys(engine, each).values()}))
