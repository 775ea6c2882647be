"""The few parameters of the serving model, by role; calibrations hold them under `serving.*` keys.

Three kinds: of devices (shares of data-sheet peaks, time of a small kernel) shared by all engines; of engines (host
work by step, sequence and request) shared by all devices; of what joins devices. A device's share is a common value
times a factor of its memory's kind and one of its chip's generation, where the calibration has any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from math import prod

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.layout import Engine
from wellfed.perf.identity import per_object_and_values


@dataclass(frozen=True, slots=True)
class Knobs:
    """Achieved fractions (of data-sheet peaks) and overheads that one replica's steps are made with.

    Host seconds are of the reference core (`perf.host`).
    """

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
    tower_rate: float  # of towers for pictures, in 16 bits
    score_rate: float  # attention scores and values, fp16
    expert_read: float  # of what weights are read with, when experts are: many small matrices
    expert_rate: float  # of routed experts' grouped multiplications, on top of routed_rate
    expert_half_width: float  # width of a rank's expert that halves their rate, on units of 1 PFLOP/s
    expert_tile: float  # tokens each touched expert is padded by
    expert_imbalance: float  # extra load of the busiest rank under expert parallelism
    kernel_s: float  # time a small kernel takes on the GPU at least
    launch_s: float  # host work to launch one kernel that no graph replays
    step_s: float  # host work per pass: scheduler, inputs, sampling's rest, hand-over between processes
    sequence_s: float  # the same per running sequence
    hidden: float  # share of a pass's host work that overlap can hide behind the GPU
    request_s: float  # host work per request on the way to its first token: HTTP, tokeniser, scheduler, hand-overs
    frontend_s: float  # of it, what one process does for all requests, one after the other
    reduce_s: float  # latency of one all-reduce between two GPUs
    reduce_hop_s: float  # more for every doubling of the group
    link_fraction: float  # of the links' data-sheet bandwidth
    bus_fraction: float  # of what PCIe or a network carries, copy by copy
    exchange_s: float  # latency of one expert dispatch or combine
    clumping: float  # queue for the prefill against random arrivals': answers of like length end together
    in_step: float  # prompts of others that one waits for where lengths are equal
    group_wait: float  # steps a prompt waits until all attention groups take one
    prefill_wait: float  # decode steps until a finished prompt's first token is out
    handover_s: float  # disaggregated: host work of routing a request twice and of announcing its cache
    kv_transfer_fraction: float  # disaggregated: achieved share of the link when the cache moves


_COMMON: Mapping[str, str] = {
    "expert_spread": "expert_spread",
    "score_rate": "score_compute_fraction",
    "expert_read": "expert_bandwidth_fraction",
    "expert_rate": "expert_compute_fraction",
    "expert_half_width": "expert_half_width",
    "expert_tile": "expert_tile_tokens",
    "expert_imbalance": "expert_imbalance",
    "reduce_s": "reduce_s",
    "reduce_hop_s": "reduce_hop_s",
    "link_fraction": "link_fraction",
    "bus_fraction": "bus_fraction",
    "exchange_s": "exchange_s",
    "hidden": "hidden_share",
    "step_s": "step_s",
    "sequence_s": "sequence_s",
    "request_s": "request_s",
    "frontend_s": "frontend_s",
    "clumping": "clumping",
    "in_step": "in_step_prompts",
    "handover_s": "handover_s",
    "kv_transfer_fraction": "kv_transfer_fraction",
}
_BY_ENGINE = ("launch_s",)
_WAITS = {"group_wait": "group_wait_steps", "prefill_wait": "prefill_wait_steps"}
_LIKE = {Engine.LMDEPLOY: Engine.VLLM}  # of which no measurement is known: taken to be as quick (assumed)
_READS = ("attention_read", "dense_read", "shared_read", "routed_read", "head_read")
_RATES = ("attention_rate", "dense_rate", "shared_rate", "routed_rate", "head_rate", "tower_rate")
# Factors of devices, and the fields they multiply.
_FACTORS: Mapping[str, tuple[str, ...]] = {
    "memory_factor": (*_READS, "cache_fraction"),
    "compute_factor": (*_RATES, "score_rate"),
    "kernel_factor": ("kernel_s",),
    "launch_factor": ("launch_s",),
    "reduce_factor": ("reduce_s", "reduce_hop_s"),
}
Keys = Mapping[str, tuple[str, ...]]
MOST_OF_A_PEAK = 0.93  # of memory bandwidth and links: no knob reaches beyond it (assumed)
# Of a matrix peak over a whole model's layers: the best single products of large modules reach 0.70 to 0.80 of it
# (assumed).
MOST_OF_THE_UNITS = 0.72


def keys(engine: Engine, formats: Mapping[str, str], scopes: Iterable[str], available: Collection[str]) -> Keys:
    """Field of Knobs -> calibration keys whose product it is.

    `formats` tells each part's matrix format (attention_rate -> fp8 ...); `scopes` the device's kinds (hopper, hbm
    ...); factors that the calibration (`available`) has not are 1.
    """
    engine = _LIKE.get(engine, engine)
    parameter_names = {field: [f"serving.{name}"] for field, name in _COMMON.items()}
    parameter_names |= {field: [f"serving.{engine.value}.{field}"] for field in _BY_ENGINE}
    parameter_names |= {field: [f"serving.{engine.value}.{name}"] for field, name in _WAITS.items()}
    parameter_names["kernel_s"] = ["serving.kernel_s", f"serving.{engine.value}.kernel_share"]
    parameter_names["cache_fraction"] = ["serving.cache_bandwidth_fraction"]
    parameter_names |= {field: [f"serving.bandwidth_fraction.{formats[field]}"] for field in _READS}
    parameter_names |= {field: [f"serving.compute_fraction.{formats[field]}"] for field in _RATES}
    for scope in scopes:
        for factor, fields in _FACTORS.items():
            key = f"serving.{factor}.{scope}"
            if key in available:
                for field in fields:
                    parameter_names[field].append(key)
    return {field: tuple(names) for field, names in parameter_names.items()}


def bounded(field: str, value: float) -> float:
    """Shares of a peak stay below it, whatever their factors say: tuning gains less, the more is reached already.

    Numbers or arrays.
    """
    most = _MOST.get(field)
    if most is None:
        return value
    softly_bounded: float = value * (1 + (value / most) ** _KNEE) ** (-1 / _KNEE)
    return softly_bounded


_KNEE = 6  # how sharply a factor bends below its bound (assumed)
_MOST = dict.fromkeys(_RATES, MOST_OF_THE_UNITS) | dict.fromkeys(
    (*_READS, "cache_fraction", "link_fraction", "bus_fraction"), MOST_OF_A_PEAK
)


def knobs(calibration: Calibration, engine: Engine, formats: Mapping[str, str], scopes: Iterable[str]) -> Knobs:
    """The parameters for one engine, device and set of matrix formats. Raises BadInput where one is missing."""
    return _knobs(calibration, engine, tuple(formats.items()), tuple(scopes))


@per_object_and_values  # a search asks hundreds of times for the knobs of a few formats
def _knobs(
    calibration: Calibration, engine: Engine, formats: tuple[tuple[str, str], ...], scopes: tuple[str, ...]
) -> Knobs:
    values = calibration.parameters
    try:
        names_by_field = keys(engine, dict(formats), scopes, values.keys())
        return Knobs(
            **{field: bounded(field, prod(values[key] for key in names)) for field, names in names_by_field.items()}
        )
    except KeyError as error:
        hint = sentence("knobs.wellfed-accuracy", "`wellfed accuracy --refit` makes calibrations that hold all of them")
        raise BadInput(
            sentence(
                "knobs.calibration",
                "calibration {calibration} has no {args}",
                calibration=calibration.id,
                args=error.args[0],
            ),
            hint,
        ) from error


def required(engines: Iterable[Engine]) -> tuple[str, ...]:
    """Every key a calibration of the serving model has to hold; factors of devices are not among them."""
    widths = ("w16", "w8", "w4")
    kinds = ("fp16", "fp8", "fp8-amd", "fp8-tiles", "fp4", "int8", "unpacked")
    formats = [dict.fromkeys(_READS, width) | dict.fromkeys(_RATES, kind) for width in widths for kind in kinds]
    parameter_names = {
        key
        for engine in engines
        for fields in formats
        for names in keys(engine, fields, (), ()).values()
        for key in names
    }
    return tuple(sorted(parameter_names))
