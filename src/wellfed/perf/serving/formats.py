"""Which matrix units a part of a model uses on a GPU, and how wide its stored weights are."""

from __future__ import annotations

from collections.abc import Mapping

from wellfed.errors import Unsupported
from wellfed.hardware.machine import Machine
from wellfed.hardware.parts import GpuSpec
from wellfed.message import sentence
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights
from wellfed.nouns.layout import Layout
from wellfed.perf.identity import per_object, per_pair
from wellfed.perf.memory.kv import option

UNPACKED = "unpacked"
TILED = "fp8-tiles"  # FP8 with a scale a tile of 128 x 128: partial sums are scaled outside the matrix units
_ONE_SCALE = ("FP8-TENSOR", "FP8-ROW")


def matrix_format(weight_type: str, gpu: GpuSpec) -> str:
    """The format the matrix units compute in: the weights' own where the GPU knows it, else FP16.

    FP8 with one scale for a tensor or row is quicker than in tiles; AMD's units then reach the share that they reach in
    FP16. Narrow weights that are widened to FP16 on their way are `unpacked`: the same peak, less of it.
    """
    name, peak = weight_type.upper(), gpu.peak
    if name.startswith("FP8"):
        one_scale = "fp8-amd" if gpu.vendor == "amd" else "fp8"
        return UNPACKED if not peak.fp8 else one_scale if name in _ONE_SCALE else TILED
    if name.startswith("INT8"):
        return "int8" if peak.int8 else UNPACKED
    if name.startswith("NVFP4"):
        return "fp4" if peak.fp4 else UNPACKED
    if name.startswith("MXFP4"):
        return "fp8" if peak.fp4 else UNPACKED  # activations are MXFP8 where FP4 is known, else BF16
    return UNPACKED if width(weight_type) == "w4" else "fp16"


def width(weight_type: str) -> str:
    """How wide a stored weight is: w16, w8 or w4."""
    name = weight_type.upper()
    if name.startswith(("NVFP4", "MXFP4", "INT4")):
        return "w4"
    return "w8" if name.startswith(("FP8", "INT8")) else "w16"


# Watts per dense FP16 TFLOP/s of the modules that are sold with power for their whole rate (H100 SXM5: 700 W, 989;
# MI325X: 1,000 W, 1,307). Cards of the same chip with less power cannot hold their data sheet's rate.
_WATTS_PER_TFLOP = {"hopper": 0.7, "cdna3": 0.765}


def sustained(gpu: GpuSpec) -> float:
    """The share of its peak rates that a GPU's power allows: energy per operation is the chip's."""
    watts, fp16 = _WATTS_PER_TFLOP.get(gpu.architecture), gpu.peak.bf16 or gpu.peak.fp16
    if watts is None or gpu.board_power_w is None or not fp16:
        return 1.0
    return min(1.0, gpu.board_power_w / (watts * fp16 / 1e12))


# A board's power does not hold four times the rate of FP16: energy falls less than the width of numbers does. Four-bit
# submissions to MLPerf reach 0.41 to 0.50 of the data sheet over whole models where FP8 ones reach 0.6.
_FP4_SUSTAINED = 0.7


def peak_rate(kind: str, gpu: GpuSpec) -> float:
    """FLOP/s of `kind`: the data sheet's dense peak, as far as power allows."""
    peak = gpu.peak
    half = peak.bf16 or peak.fp16
    rates = {"fp16": half, UNPACKED: half, "fp4": peak.fp4, "int8": peak.int8}
    rate = rates.get(kind, peak.fp8)
    if not rate:
        raise Unsupported(sentence("formats.no-rate-known", "{gpu}: no {kind} rate is known", gpu=gpu.name, kind=kind))
    return rate * sustained(gpu) * (_FP4_SUSTAINED if kind == "fp4" else 1.0)


@per_object
def gpu_of(machine: Machine) -> GpuSpec:
    """The GPU all of the machine's are: serving engines need equal ones."""
    specs = [gpu.spec for gpu in machine.gpus]
    if not specs:
        raise Unsupported(sentence("formats.engine-needs-gpu", "this engine needs a GPU"))
    first = specs[0]
    if first is None:
        raise Unsupported(
            sentence("formats.no-data-sheet", "no data sheet for {name}", name=machine.gpus[0].name or "this GPU")
        )
    return min((spec for spec in specs if spec), key=_pace)


def _pace(spec: GpuSpec) -> tuple[float, float]:
    """The others wait for the one with the slowest memory, and of equal ones for that with the slowest units."""
    return spec.memory_bandwidth_bytes_per_s, spec.peak.bf16 or spec.peak.fp16 or 0.0


_HALVED = 3.0  # int8 against FP16 on data sheets: 2 where both are whole, 4 where FP16 sums at half rate; between them


@per_object
def scopes(gpu: GpuSpec) -> tuple[str, ...]:
    """What kinds of device a GPU is, for factors of achieved shares: vendor, generation, memory, and the last two.

    `halved`: chips that sum FP16 products in FP32 at half their rate, as GeForce do. Their data sheets tell the halved
    rate, of which they reach more.
    """
    kind = memory_kind(gpu)
    names = (gpu.vendor, gpu.architecture, kind, f"{gpu.architecture}-{kind}")
    half, int8 = gpu.peak.bf16 or gpu.peak.fp16, gpu.peak.int8
    return (*names, "halved") if half and int8 and kind == "gddr" and int8 > _HALVED * half else names


def kinds(gpu: GpuSpec, layout: Layout) -> tuple[str, ...]:
    """The device's kinds; `tuned` where the engine's kernels were tuned for model and machine (option `tuned`), and
    `submitted` where that was done to win a comparison (`tuned` is `submitted`).
    """
    tuned = option(layout, "tuned") or None
    return scopes(gpu) if tuned is None else (*scopes(gpu), "tuned", *(("submitted",) if tuned == "submitted" else ()))


def memory_kind(gpu: GpuSpec) -> str:
    """hbm, gddr or lpddr."""
    name = gpu.memory_type.upper()
    return "hbm" if name.startswith("HBM") else "gddr" if name.startswith("GDDR") else "lpddr"


@per_pair
def formats(weights: Weights, gpu: GpuSpec) -> Mapping[str, str]:
    """The matrix format of each part of the model on this GPU."""
    kinds = weights.types
    attention = matrix_format(kinds.get(Part.ATTENTION, ""), gpu)
    routed = matrix_format(kinds.get(Part.ROUTED_EXPERTS, ""), gpu)
    return {
        "attention_read": width(kinds.get(Part.ATTENTION, "")),
        "dense_read": width(kinds.get(Part.DENSE_FFN, "")),
        "shared_read": width(kinds.get(Part.SHARED_EXPERTS) or ""),
        "routed_read": width(kinds.get(Part.ROUTED_EXPERTS, "")),
        "head_read": width(kinds.get(Part.OUTPUT) or ""),
        "attention_rate": attention,
        "dense_rate": matrix_format(kinds.get(Part.DENSE_FFN, ""), gpu),
        "shared_rate": matrix_format(kinds.get(Part.SHARED_EXPERTS) or "", gpu),
        "routed_rate": routed,
        "head_rate": matrix_format(kinds.get(Part.OUTPUT) or "", gpu),
        "tower_rate": "fp16",
    }
