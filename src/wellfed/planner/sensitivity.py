"""The weakest part: each part made better in turn, and the same plan estimated again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.parts import CpuSpec, GpuSpec, PeakRates
from wellfed.hardware.pcie import PcieLink
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.plan import Plan, Request

Estimator = Callable[[Request], Estimate]
_NOTHING = 1.005  # gains below half a percent are none


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What a part made `factor` times as good buys: ratios of tokens/s and of time to first token (1 = nothing)."""

    part: str
    factor: float
    decode_gain: float
    total_gain: float
    ttft_gain: float

    @property
    def gain(self) -> float:
        """The larger of what users and operators see: tokens/s of one user, or of all."""
        return max(self.decode_gain, self.total_gain)

    @property
    def limits(self) -> bool:
        """Whether a better part changes anything worth telling."""
        return max(self.gain, self.ttft_gain) > _NOTHING


def sensitivities(plan: Plan, estimate: Estimator, factor: float = 1.5) -> tuple[Sensitivity, ...]:
    """Every part of the plan's machine, the one that gains most tokens/s first. Every figure is an estimate."""
    now = plan.estimate
    rows = []
    for part, machine in improved(plan.machine, factor):
        # links come in powers of two
        times = 2.0 if part == "PCIe link" else factor
        then = estimate(Request(machine, plan.model, plan.weights, plan.layout, plan.workload))
        rows.append(
            Sensitivity(
                part,
                times,
                now.tpot_s.value / then.tpot_s.value,
                then.total_tok_s.value / now.total_tok_s.value,
                now.ttft_s.value / then.ttft_s.value,
            )
        )
    return tuple(sorted(rows, key=lambda sensitivity: (-sensitivity.gain, -sensitivity.ttft_gain)))


def weakest(sensitivities: tuple[Sensitivity, ...]) -> Sensitivity | None:
    """The part whose improvement raises tokens/s most; None when none does."""
    return sensitivities[0] if sensitivities and sensitivities[0].gain > _NOTHING else None


def improved(machine: Machine, factor: float) -> Iterator[tuple[str, Machine]]:
    """The machine with one part `factor` times as good, part by part."""
    if machine.gpus and all(gpu.spec for gpu in machine.gpus):
        for part, change in _GPU_PARTS.items():
            yield part, _with_gpus(machine, partial(_respec, change=change, factor=factor))
        if any(gpu.link for gpu in machine.gpus):
            yield "PCIe link", _with_gpus(machine, lambda gpu: _wider(gpu, factor))
        if machine.gpu_links:
            links = tuple(
                replace(link, bytes_per_s=link.bytes_per_s * factor if link.bytes_per_s else None)
                for link in machine.gpu_links
            )
            linked = _with_gpus(machine, partial(_respec, change=_link_rate, factor=factor))
            yield "GPU-to-GPU links", replace(linked, gpu_links=links)
    if machine.memory_bandwidth_bytes_per_s is not None:
        sockets = tuple(replace(s, mt_s=s.mt_s * factor if s.mt_s else None) for s in machine.sockets)
        measured = machine.measured_memory_bandwidth_bytes_per_s
        yield (
            "DRAM bandwidth",
            replace(
                machine, sockets=sockets, measured_memory_bandwidth_bytes_per_s=measured * factor if measured else None
            ),
        )
    if any(socket.cpu for socket in machine.sockets):
        yield "CPU clock", _with_cpus(machine, lambda cpu: _faster(cpu, factor))


def _with_gpus(machine: Machine, change: Callable[[Gpu], Gpu]) -> Machine:
    return replace(machine, gpus=tuple(change(gpu) for gpu in machine.gpus))


def _with_cpus(machine: Machine, change: Callable[[CpuSpec], CpuSpec]) -> Machine:
    sockets = tuple(replace(s, cpu=change(s.cpu)) if s.cpu else s for s in machine.sockets)
    return replace(machine, sockets=sockets)


def _respec(gpu: Gpu, change: Callable[[GpuSpec, float], GpuSpec], factor: float) -> Gpu:
    return replace(gpu, spec=change(gpu.spec, factor)) if gpu.spec else gpu


def _bandwidth(spec: GpuSpec, factor: float) -> GpuSpec:
    return replace(spec, memory_bandwidth_bytes_per_s=spec.memory_bandwidth_bytes_per_s * factor)


def _compute(spec: GpuSpec, factor: float) -> GpuSpec:
    rates = {name: getattr(spec.peak, name) for name in PeakRates.__dataclass_fields__}
    peak = PeakRates(**{name: rate * factor if rate else None for name, rate in rates.items()})
    clock = spec.boost_clock_hz * factor if spec.boost_clock_hz else None
    return replace(spec, peak=peak, boost_clock_hz=clock)


def _link_rate(spec: GpuSpec, factor: float) -> GpuSpec:
    return replace(spec, link_bytes_per_s=spec.link_bytes_per_s * factor if spec.link_bytes_per_s else None)


_GPU_PARTS: Mapping[str, Callable[[GpuSpec, float], GpuSpec]] = {
    "GPU memory bandwidth": _bandwidth,
    "GPU compute": _compute,
}


def _wider(gpu: Gpu, factor: float) -> Gpu:
    """Links come in powers of two: a better one is twice as wide."""
    if gpu.link is None or factor <= 1:
        return gpu
    return replace(gpu, link=PcieLink(gpu.link.generation, gpu.link.width * 2))


def _faster(cpu: CpuSpec, factor: float) -> CpuSpec:
    return replace(
        cpu,
        base_clock_hz=cpu.base_clock_hz * factor if cpu.base_clock_hz else None,
        boost_clock_hz=cpu.boost_clock_hz * factor if cpu.boost_clock_hz else None,
        single_thread_rating=cpu.single_thread_rating * factor if cpu.single_thread_rating else None,
    )
