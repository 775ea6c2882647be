"""Seconds a GPU takes for the parts of a pass, from its peaks and an engine's rates.

Only arithmetic on the values: a fit passes arrays of rows through the same functions.
"""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.nouns.estimate import Work, slower_side
from wellfed.perf.gpu import GpuDevice
from wellfed.perf.gpu_pass import Pass
from wellfed.perf.gpu_rates import GpuRates, weight_kind

_LOGIT_BYTES = 4  # llama.cpp keeps logits in FP32
# W that a large board draws without work, and the share of its limit that work gets at least: assumed.
_IDLE_W, _LEAST_SHARE = 75.0, 0.03
_ACTIVATION_BYTES = 4  # llama.cpp keeps activations in FP32
_ADDED = 1.0  # the norm of kernels that run one after the other


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by resource; `total` joins them: the slower one decides, softly."""

    memory: float
    compute: float
    norm: float

    @property
    def total(self) -> float:
        """Seconds: the p-norm of memory's and computing's."""
        return joined(self.memory, self.compute, self.norm)

    @property
    def limited_by(self) -> str:
        """The slower resource; empty where the values are arrays, as in a fit."""
        if not isinstance(self.memory, float):
            return ""
        return slower_side(self.memory, self.compute)


def joined(first: float, second: float, norm: float) -> float:
    """The p-norm of two times: about the longer one, more where they are close."""
    both: float = (first**norm + second**norm) ** (1 / norm)
    return both


def matvec(work: Work, tokens: float, device: GpuDevice, rates: GpuRates) -> Cost:
    """Matrix-vector products for a few tokens: weights are read once, unpacked once, multiplied per token.

    Unpacking runs on the ordinary units: on a GPU with much bandwidth per unit and clock (A100, H100) it decides.
    """
    kind = weight_kind(work.weight_type)
    per_second = device.issue_hz * rates.weights_per_cycle[kind]
    read = work.read_bytes * (rates.bf16_passes if kind == "bf16" else 1.0)
    power = read * 1e-9 * rates.joules_per_gb / _watts(device)
    return Cost(
        memory=joined(read / (device.bandwidth * rates.bandwidth_fraction), power, rates.norm),
        compute=work.elements * (1 + rates.matvec_token_share * (tokens - 1)) / per_second,
        norm=rates.norm,
    )


def matmul(work: Work, device: GpuDevice, rates: GpuRates, expand: bool) -> Cost:
    """Matrix-matrix products: weights as int8 where they are quantised, else as FP16.

    `expand`: builds that write quantised weights out as FP16 first and read them back.
    """
    count = work.elements
    pad = rates.expert_pad if work.name == "routed experts" else rates.gemm_pad
    padded = work.flops + 2 * count * pad
    kind = weight_kind(work.weight_type)
    quantised = kind not in ("float", "bf16")
    integer = quantised and not expand
    peak = device.int8_ops if integer else device.matrix_flops
    fraction = rates.gemm_fraction if quantised else rates.float_gemm_fraction
    if kind == "bf16":
        fraction = fraction * rates.bf16_gemm_share
    bandwidth = device.bandwidth * rates.bandwidth_fraction
    read = 2 * count if expand else work.read_bytes
    units = padded / (peak * fraction)
    return Cost(read / bandwidth, joined(units, _power(padded, device, rates), 2.0), rates.norm)


def _power(flops: float, device: GpuDevice, rates: GpuRates) -> float:
    """Seconds in which the board's power allows so many multiplications."""
    return flops * 1e-12 * rates.joules_per_tflop / _watts(device)


def _watts(device: GpuDevice) -> float:
    """What a board's limit leaves for the work itself: less what it draws without any, some 60 W of a large one."""
    idle = device.nominal_w * _IDLE_W / (device.nominal_w + _IDLE_W)
    left = device.power_w - idle
    least = _LEAST_SHARE * device.nominal_w  # nothing is slower than at this share, whatever limit is set
    watts: float = (left + least + abs(left - least)) / 2
    return watts


def expansion(work: Work, device: GpuDevice, rates: GpuRates) -> Cost:
    """Writing quantised weights out as FP16."""
    count = work.elements
    return Cost(
        memory=(2 * count + work.read_bytes) / (device.bandwidth * rates.bandwidth_fraction),
        compute=count / (device.issue_hz * rates.unpack_per_cycle),
        norm=rates.norm,
    )


def decode_cache(work: Work, step: Pass, device: GpuDevice, rates: GpuRates, flash: bool) -> Cost:
    """Attention of a decode step: reading the cache, and without flash attention a latency per context token."""
    if flash:
        scores = work.flops / _score_flops(step, device, rates)
        return Cost(work.cache_bytes / (device.bandwidth * rates.cache_fraction), scores, 2.0)
    compute = work.flops / _attention_flops(step, device, rates)
    read = work.cache_bytes / (device.bandwidth * rates.bandwidth_fraction)
    return Cost(read + step.context_tokens * rates.cache_cycles / device.clock_hz, compute, _ADDED)


def _score_flops(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    """Of one query's attention: ordinary units, or for latents, where it is faster, the matrix units.

    All heads read the same latents, so that they are the rows of one matrix.
    """
    ordinary = device.issue_hz * rates.score_flops_per_cycle
    if not step.latent:
        return ordinary
    units = _attention_flops(step, device, rates) * rates.latent_decode_share
    faster: float = (ordinary + units + abs(ordinary - units)) / 2
    return faster


def prompt_attention(work: Work, step: Pass, device: GpuDevice, rates: GpuRates, flash: bool) -> Cost:
    """Attention of a prompt's pass; without flash attention the scores travel to memory and back."""
    units = work.flops / _attention_flops(step, device, rates)
    compute = joined(units, _power(work.flops, device, rates), 2.0)
    if flash:
        reads = 1 + step.tokens / rates.attention_tile
        return Cost(work.cache_bytes * reads / (device.bandwidth * rates.cache_fraction), compute, 2.0)
    scores = step.score_elements * rates.score_bytes / (device.bandwidth * rates.bandwidth_fraction)
    return Cost(scores, compute, _ADDED)


def _attention_flops(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    fraction = rates.latent_attention_fraction if step.latent else rates.attention_fraction
    return device.matrix_flops * fraction


def activations(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    """Element-wise operations and conversions between matrix products: passes over the activations."""
    passed = rates.activation_hidden * step.hidden_elements + rates.activation_ffn * step.ffn_elements
    return passed * _ACTIVATION_BYTES / (device.bandwidth * rates.bandwidth_fraction)


def state(work: Work, device: GpuDevice, rates: GpuRates) -> Cost:
    """Recurrent states: read and written, and updated token by token on the ordinary units."""
    return Cost(
        memory=work.cache_bytes / (device.bandwidth * rates.bandwidth_fraction),
        compute=work.flops / (device.issue_hz * rates.state_flops_per_cycle),
        norm=rates.norm,
    )


def launches(works: tuple[Work, ...], rates: GpuRates) -> float:
    """Ops of a pass, less what the build fuses."""
    return sum(work.launches - work.fusable * (1 - rates.routing_share) for work in works)


def decode_launches(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    """Seconds that a decode step loses between kernels that wait for one another."""
    return launches(step.works, rates) * (rates.launch_cycles / device.clock_hz + rates.launch_us * 1e-6)


def host_launches(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    """The host's time to launch a pass, op by op."""
    return launches(step.works, rates) * rates.host_launch_us * 1e-6 / device.host_ratio


def prompt_launches(step: Pass, rates: GpuRates) -> float:
    """Gaps between a prompt's kernels."""
    return launches(step.works, rates) * rates.prefill_launch_us * 1e-6


def host_work(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    """The host's own work per step, which the GPU waits for: graph built or checked, sampling, the server's loop."""
    served = rates.token_host_us + rates.sample_ns * 1e-3 * step.logits_bytes / _LOGIT_BYTES if step.served else 0.0
    return (launches(step.works, rates) * rates.host_op_us + served) * 1e-6 / device.host_ratio


def logits(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    """Seconds in which logits are copied to the host."""
    return step.logits_bytes / (device.host_link * rates.link_fraction)


def hop(step: Pass, device: GpuDevice, rates: GpuRates) -> float:
    """Handing a pass's activations to the next GPU."""
    return rates.hop_us * 1e-6 + step.hop_bytes / (device.host_link * rates.link_fraction)


def row_sync(step: Pass, gpus: float, device: GpuDevice, rates: GpuRates) -> float:
    """Row split: after each op the parts of its result come together on one GPU."""
    crossed = step.hidden_elements * _ACTIVATION_BYTES * rates.row_passes
    moved = crossed * (gpus - 1) / (device.host_link * rates.link_fraction)
    return launches(step.works, rates) * gpus * rates.row_sync_us * 1e-6 + moved


def pipeline_share(step: Pass, gpus: float, rates: GpuRates, expand_loss: float) -> float:
    """Share of the serial time that `gpus` GPUs in a row need for a prompt of several micro-batches.

    Perfect: (m + g - 1) / (m g). Lost of the rest: a share that grows with the ops to launch per micro-batch.
    """
    perfect = (step.repeats + gpus - 1) / (step.repeats * gpus)
    loss = rates.pipeline_loss * launches(step.works, rates) + expand_loss
    loss = loss / (1 + loss)
    return perfect + (1 - perfect) * loss
