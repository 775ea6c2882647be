"""Seconds a GPU takes for the parts of a pass, from its peaks and an engine's rates.

Only arithmetic on the values: a fit passes arrays of rows through the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass

from wellfed.estimate import Work
from wellfed.perf.gpu import GpuDevice, GpuRates, weight_bits, weight_kind
from wellfed.perf.gpu_pass import Pass

_HOST_CLOCK_HZ = 3.5e9  # the clock at which host times are quoted
_ACTIVATION_BYTES = 4  # llama.cpp keeps activations in FP32


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by resource; `total` joins them: the slower one decides, softly."""

    memory: float
    compute: float
    norm: float

    @property
    def total(self) -> float:
        """The p-norm of both."""
        return joined(self.memory, self.compute, self.norm)

    @property
    def limited_by(self) -> str:
        """The slower resource; empty where the values are arrays, as in a fit."""
        if not isinstance(self.memory, float):
            return ""
        return "memory bandwidth" if self.memory >= self.compute else "compute"


def joined(one: float, other: float, norm: float) -> float:
    """The p-norm of two times: about the longer one, more where they are close."""
    both: float = (one**norm + other**norm) ** (1 / norm)
    return both


def elements(work: Work) -> float:
    """Weights a work reads."""
    return work.read_bytes * 8 / weight_bits(work.weight_type)


def matvec(work: Work, tokens: float, device: GpuDevice, rates: GpuRates) -> Cost:
    """Matrix-vector products for a few tokens: weights are read once, unpacked once, multiplied per token.

    Unpacking runs on the ordinary units: on a GPU with much bandwidth per unit and clock (A100, H100) it decides.
    """
    per_second = device.issue_hz * rates.weights_per_cycle[weight_kind(work.weight_type)]
    power = work.read_bytes * 1e-9 * rates.joules_per_gb / device.power_w
    return Cost(
        memory=joined(work.read_bytes / (device.bandwidth * rates.bandwidth_fraction), power, rates.norm),
        compute=elements(work) * (1 + rates.matvec_token_share * (tokens - 1)) / per_second,
        norm=rates.norm,
    )


def matmul(work: Work, device: GpuDevice, rates: GpuRates, expand: bool) -> Cost:
    """Matrix-matrix products: weights as int8 where they are quantised, else as FP16.

    `expand`: builds that write quantised weights out as FP16 first and read them back.
    """
    count = elements(work)
    pad = rates.expert_pad if work.name == "routed experts" else rates.gemm_pad
    padded = work.flops + 2 * count * pad
    quantised = weight_kind(work.weight_type) != "float"
    peak = device.int8_ops if quantised and not expand else device.matrix_flops
    bandwidth = device.bandwidth * rates.bandwidth_fraction
    read = 2 * count if expand else work.read_bytes
    units = padded / (peak * rates.gemm_fraction)
    return Cost(read / bandwidth, joined(units, _power(padded, device, rates), 2.0), rates.norm)


def _power(flops: float, device: GpuDevice, rates: GpuRates) -> float:
    """Seconds in which the board's power allows so many multiplications."""
    return flops * 1e-12 * rates.joules_per_tflop / device.power_w


def expansion(work: Work, device: GpuDevice, rates: GpuRates) -> Cost:
    """Writing quantised weights out as FP16."""
    count = elements(work)
    return Cost(
        memory=(2 * count + work.read_bytes) / (device.bandwidth * rates.bandwidth_fraction),
        compute=count / (device.issue_hz * rates.unpack_per_cycle),
        norm=rates.norm,
    )


def decode_cache(work: Work, step: Pass, device: GpuDevice, rates: GpuRates, flash: bool) -> float:
    """Attention of a decode step: reading the cache, and without flash attention a latency per context token."""
    compute = work.flops / _attention_flops(step, device, rates)
    if flash:
        return work.cache_bytes / (device.bandwidth * rates.cache_fraction) + compute
    read = work.cache_bytes / (device.bandwidth * rates.bandwidth_fraction)
    return read + step.context_tokens * rates.cache_cycles / device.clock_hz + compute


def prompt_attention(work: Work, step: Pass, device: GpuDevice, rates: GpuRates, flash: bool) -> float:
    """Attention of a prompt's pass; without flash attention the scores travel to memory and back."""
    units = work.flops / _attention_flops(step, device, rates)
    compute = joined(units, _power(work.flops, device, rates), 2.0)
    if flash:
        return compute + work.cache_bytes / (device.bandwidth * rates.cache_fraction)
    return compute + step.score_elements * rates.score_bytes / (device.bandwidth * rates.bandwidth_fraction)


def _attention_flops(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    fraction = rates.latent_attention_fraction if step.latent else rates.attention_fraction
    return device.matrix_flops * fraction


def activations(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    """Element-wise operations and conversions between matrix products: passes over the activations."""
    passed = rates.activation_hidden * step.hidden_elements + rates.activation_ffn * step.ffn_elements
    return passed * _ACTIVATION_BYTES / (device.bandwidth * rates.bandwidth_fraction)


def launches(works: tuple[Work, ...]) -> float:
    """Ops of a pass."""
    return sum(work.launches for work in works)


def decode_launches(step: Pass, device: GpuDevice, rates: GpuRates, replayed: bool) -> float:
    """Latency between dependent kernels; the host's share too where no CUDA graph replays them."""
    each = rates.launch_cycles / device.clock_hz + rates.launch_us * 1e-6
    if not replayed:
        each = each + rates.host_launch_us * 1e-6 * _HOST_CLOCK_HZ / device.host_clock_hz
    return launches(step.works) * each


def prompt_launches(step: Pass, rates: GpuRates) -> float:
    """Gaps between a prompt's kernels."""
    return launches(step.works) * rates.prefill_launch_us * 1e-6


def host_and_link(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    """Logits to the host, and the host's own work per step."""
    host = rates.token_host_us * 1e-6 * _HOST_CLOCK_HZ / device.host_clock_hz
    return host + step.logits_bytes / (device.host_link * rates.link_fraction)


def hop(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    """Handing a pass's activations to the next GPU."""
    return rates.hop_us * 1e-6 + step.hop_bytes / (device.host_link * rates.link_fraction)


def row_sync(step: Pass, gpus: float, device: GpuDevice, rates: GpuRates) -> float:
    """Row split: after each op the parts of its result come together on one GPU."""
    crossed = step.hidden_elements * _ACTIVATION_BYTES * rates.row_passes
    moved = crossed * (gpus - 1) / (device.host_link * rates.link_fraction)
    return launches(step.works) * gpus * rates.row_sync_us * 1e-6 + moved


def pipeline_share(step: Pass, gpus: float, rates: GpuRates, expand_loss: float) -> float:
    """Share of the serial time that `gpus` GPUs in a row need for a prompt of several micro-batches.

    Perfect: (m + g - 1) / (m g). Lost of the rest: a share that grows with the ops to launch per micro-batch.
    """
    perfect = (step.repeats + gpus - 1) / (step.repeats * gpus)
    loss = rates.pipeline_loss * launches(step.works) + expand_loss
    loss = loss / (1 + loss)
    return perfect + (1 - perfect) * loss
