"""What no estimate of a layout can beat, for the price of a few sums: of layouts that local engines run.

Weights in RAM are read once for every pass, however well all else overlaps, and those on the GPUs by them in turn, as
fast as the engine achieves on the fastest of them:

    pass   = bytes in RAM that it reads / bandwidth of the CPUs' share + the rest / the GPU's bandwidth, where routed
             experts take as long as their weights' unpacking at least
    prompt = micro-batches x bytes in RAM that one reads / that bandwidth, or the link's where they are copied over it,
             + what one reads on the GPUs / the bandwidth of all
    token  = pass + prompts of the others that come between

Of a division by what fits, at least what the GPUs' memory is too small for lies in RAM. Most of such a layout's time is
this, so that a search settles and estimates a few of them instead of all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Model
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Speeds
from wellfed.nouns.layout import ALL_GPU, EXPERTS_ON_CPU, MOST_SLOTS, SOME_EXPERTS, SOME_LAYERS, BackEnd
from wellfed.nouns.plan import Request
from wellfed.perf.cpu import cpu_bandwidth
from wellfed.perf.gpu import GpuDevice, build_name, gpu_device
from wellfed.perf.gpu_pass import prompt_steps
from wellfed.perf.gpu_rates import gpu_rates, weight_kind
from wellfed.perf.hybrid import link_bytes_per_s, micro_batch, streams
from wellfed.perf.identity import per_object_and_values
from wellfed.perf.memory.devices import gpu_capacity_bytes, gpu_free_bytes
from wellfed.perf.memory.held import residents, weight_sums
from wellfed.perf.ops import expert_share, layer_kinds, part_elements
from wellfed.perf.prefix import as_computed


@dataclass(frozen=True, slots=True)
class _InRam:
    """Bytes of weights that lie in RAM at least: routed experts, which are read in pieces, and the others."""

    plain: float
    routed: float


def fastest(request: Request, calibration: Calibration) -> Speeds | None:
    """Speeds that the layout cannot beat; None where only an estimate tells."""
    layout, load = request.layout, request.workload
    if not layout.engine.is_local or layout.speculation is not None or layout.overrides:
        return None
    away = _in_ram(request)
    devices = () if layout.offload.cpu_only else _devices(request.machine, layout.back_end)
    if not away.plain and not away.routed and (layout.offload != ALL_GPU or not devices):
        return None
    running = 1 if load.request_rate is not None else min(max(1, load.concurrency), layout.slots(MOST_SLOTS))
    gpus = [_achieved(device, request, calibration) for device in devices]
    cpu = _cpu(request, calibration)
    step_s = _cpu_s(request, cpu, away, running) + _gpu_s(request, gpus, away, running)
    prompt_s = _prompt_s(as_computed(request), calibration, cpu, gpus, away)
    token_s = step_s + (running - 1) * prompt_s / max(1, load.output_tokens)
    return Speeds(prompt_s, token_s, math.inf if load.request_rate is not None else running / token_s)


def _in_ram(request: Request) -> _InRam:
    layout, layers = request.layout, request.weights.layers
    sums = weight_sums(request.weights)
    routed, resident = sums.routed[-1], sums.resident(0, len(layers))
    if layout.offload.cpu_only or not layout.gpus:
        return _InRam(resident + request.weights.head, routed)
    if layout.offload == EXPERTS_ON_CPU:
        return _InRam(0.0, routed)
    divided = layout.offload in (SOME_EXPERTS, SOME_LAYERS)
    room = _gpu_bytes(request.machine, layout.gpus) if divided else None
    if room is None:
        return _InRam(0.0, 0.0)
    outside = max(0.0, resident + routed - room)
    return _InRam(0.0, outside) if routed else _InRam(outside, 0.0)


@per_object_and_values
def _gpu_bytes(machine: Machine, count: int) -> float | None:
    """What the `count` largest GPUs have room for; None where one does not tell."""
    rooms = []
    for gpu in machine.gpus:
        free = gpu_free_bytes(gpu, machine)
        rooms.append(gpu_capacity_bytes(gpu, machine) if free is None else free)
    known_rooms = [room for room in rooms if room is not None]
    return sum(sorted(known_rooms)[-count:]) if len(known_rooms) == len(rooms) else None


def _reached(request: Request, tokens: float) -> float:
    """The least share of a layer's routed experts that so many tokens read; 1 without any."""
    kinds = layer_kinds(request.model, range(len(request.model.layers)))
    experts = (layer.ffn for layer, _ in kinds if isinstance(layer.ffn, MoeFfn))
    return min((expert_share(ffn, tokens, request.layout.active_experts) for ffn in experts), default=1.0)


@dataclass(frozen=True, slots=True)
class _Achieved:
    """What an engine reaches on a device, in bytes of weights a second: of routed experts, and of the others."""

    plain: float
    routed: float


def _cpu(request: Request, calibration: Calibration) -> _Achieved:
    bandwidth, _ = cpu_bandwidth(request.machine, request.layout, calibration)
    return _Achieved(bandwidth, bandwidth * calibration.value("cpu", "expert_fraction"))


def _cpu_s(request: Request, cpu: _Achieved, away: _InRam, tokens: float) -> float:
    """Seconds in which the CPUs read what so many tokens need of the weights in RAM."""
    return away.plain / cpu.plain + away.routed * _reached(request, tokens) / cpu.routed


@per_object_and_values
def _devices(machine: Machine, back_end: BackEnd | None) -> tuple[GpuDevice, ...]:
    """The kinds of the machine's GPUs; none where one has no data sheet."""
    if not all(gpu.spec for gpu in machine.gpus):
        return ()
    return tuple(dict.fromkeys(gpu_device(gpu, machine, back_end) for gpu in machine.gpus))


def _achieved(device: GpuDevice, request: Request, calibration: Calibration) -> _Achieved:
    rates = gpu_rates(calibration, device, build_name(request.layout))
    kind = weight_kind(request.weights.types.get(Part.ROUTED_EXPERTS, ""))
    unpacked = device.issue_hz * rates.weights_per_cycle[kind] * _expert_bytes(request.weights, request.model)
    read = device.bandwidth * rates.bandwidth_fraction
    return _Achieved(read, min(read, unpacked) if unpacked else read)


@per_object_and_values
def _expert_bytes(weights: Weights, model: Model) -> float:
    """Bytes of an element of routed experts, in the layer where it takes most; 0 without any."""
    sizes = (
        (layer_weights.routed_experts, part_elements(layer, model.hidden).get(Part.ROUTED_EXPERTS))
        for layer, layer_weights in zip(model.layers, weights.layers, strict=True)
    )
    return max((size / elements for size, elements in sizes if elements), default=0.0)


def _on_gpus(request: Request, away: _InRam, tokens: float) -> tuple[float, float]:
    """Bytes that so many tokens need of the weights outside RAM: of routed experts, and of the others."""
    sums = weight_sums(request.weights)
    plain = max(0.0, residents(request.weights)[-1] - away.plain)
    return plain, max(0.0, sums.routed[-1] - away.routed) * _reached(request, tokens)


def _gpu_s(request: Request, gpus: Sequence[_Achieved], away: _InRam, tokens: float) -> float:
    """Seconds in which the GPUs, in turn, read and unpack what so many tokens need of the other weights."""
    plain, routed = _on_gpus(request, away, tokens)
    times = [plain / gpu.plain + routed / gpu.routed for gpu in gpus]
    return min(times, default=0.0)


def _prompt_s(
    request: Request, calibration: Calibration, cpu: _Achieved, gpus: Sequence[_Achieved], away: _InRam
) -> float:
    """Seconds in which the micro-batches of a prompt read the weights in RAM, or have them copied to a GPU; and in
    which the GPUs read the others, all at the same time.
    """
    layout, load = request.layout, request.workload
    step, repeats = prompt_steps(max(1, load.prompt_tokens), load.depth_tokens, micro_batch(layout))
    together = sum(_on_gpus(request, away, step.tokens)) / max(1, layout.gpus)
    read_s = min((together / gpu.plain for gpu in gpus), default=0.0)
    if not streams(request, step):
        return repeats * (_cpu_s(request, cpu, away, step.tokens) + read_s)
    copied = away.plain + away.routed * _reached(request, step.tokens)
    return repeats * (copied / link_bytes_per_s(request.machine, layout, calibration) + read_s)
