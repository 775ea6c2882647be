"""What no layout of a machine can beat, of a model by its sizes alone: all parts at work together, at their best.

token  = weights of one token beyond the GPUs' memory / CPUs' bandwidth + the others / all GPUs' bandwidth
prompt = the larger of 2 x matrix elements x tokens / (rates of CPUs and GPUs, added up) and
         micro-batches x weights beyond the GPUs' memory / (the CPUs' bandwidth or the link's, if that is more)

Cache, attention scores, launches and waits are left out: they only add. A comparison of hundreds of models estimates
those alone that this leaves in doubt.
"""

from __future__ import annotations

import math

from wellfed.catalog.sizes import Sizes
from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.layout import CPU_ONLY, Engine, Layout
from wellfed.nouns.workload import Workload
from wellfed.perf.cpu import cpu_bandwidth, most_flops
from wellfed.perf.gpu import gpu_device
from wellfed.perf.hybrid import micro_batch, raw_link_bytes_per_s
from wellfed.perf.memory.devices import gpu_nominal_bytes

LEAST_BYTES_PER_WEIGHT = 0.5  # of 4-bit weights, the coarsest that are tried
_ON_CPU = Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=0, offload=CPU_ONLY)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a machine's CPUs and GPUs read and multiply in a second at most, and what the GPUs hold."""

    cpu_bytes_per_s: float
    gpu_bytes_per_s: float
    flops: float
    gpu_bytes: float
    link_bytes_per_s: float

    def ttft_s(self, sizes: Sizes, load: Workload) -> float:
        """Seconds of the part of a prompt that no cache holds."""
        tokens = max(1, load.prompt_tokens - load.shared_prefix_tokens)
        batches = max(1.0, tokens / micro_batch(_ON_CPU))
        read = self._outside_bytes(sizes) * (1 - math.pow(1 - sizes.expert_share, tokens / batches))
        multiplied_s = 2 * sizes.multiplied * tokens / self.flops
        return max(multiplied_s, batches * read / max(self.cpu_bytes_per_s, self.link_bytes_per_s))

    def decode_tok_s(self, sizes: Sizes) -> float:
        """Tokens a second of one sequence, which reads the weights of its token."""
        read = (sizes.multiplied + sizes.head) * LEAST_BYTES_PER_WEIGHT
        outside = min(read, self._outside_bytes(sizes) * sizes.expert_share)
        on_cpus = _seconds(read, self.cpu_bytes_per_s)
        return 1 / min(
            on_cpus, _seconds(outside, self.cpu_bytes_per_s) + _seconds(read - outside, self.gpu_bytes_per_s)
        )

    def _outside_bytes(self, sizes: Sizes) -> float:
        return max(0.0, sizes.held * LEAST_BYTES_PER_WEIGHT - self.gpu_bytes)


def reach(machine: Machine, calibration: Calibration) -> Reach:
    """The CPUs of one node and the GPUs of all: no layout computes on several nodes' CPUs."""
    cpu = machine.sockets or not machine.gpus
    rates = [_of_gpu(gpu, machine) for gpu in machine.gpus]
    multiplied = sum(flops for _, flops in rates) * machine.count
    return Reach(
        cpu_bytes_per_s=cpu_bandwidth(machine, _ON_CPU, calibration)[0] if cpu else 0.0,
        gpu_bytes_per_s=sum(read for read, _ in rates) * machine.count,
        flops=multiplied + (most_flops(machine, _ON_CPU, calibration) if cpu else 0.0),
        gpu_bytes=sum(gpu_nominal_bytes(gpu) or math.inf for gpu in machine.gpus) * machine.count,
        link_bytes_per_s=raw_link_bytes_per_s(machine) if machine.gpus else 0.0,
    )


def _seconds(size_bytes: float, bytes_per_s: float) -> float:
    return 0.0 if not size_bytes else size_bytes / bytes_per_s if bytes_per_s else math.inf


def _of_gpu(gpu: Gpu, machine: Machine) -> tuple[float, float]:
    """Bytes and FLOPs a second at its peaks; nothing of a GPU that no estimate can be made for."""
    try:
        device = gpu_device(gpu, machine)
    except Unsupported:
        return 0.0, 0.0
    peak = gpu.spec.peak if gpu.spec else None
    rates = () if peak is None else (peak.fp32, peak.fp16, peak.bf16, peak.fp8, peak.fp4, peak.int8, peak.int4)
    return device.bandwidth, max(device.matrix_flops, device.int8_ops, *(rate or 0.0 for rate in rates))
