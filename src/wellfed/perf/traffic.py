"""What a decode step reads from memory, and how fast that memory is: the evidence of a limit by bandwidth."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.frozen import dataclass
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Work
from wellfed.nouns.plan import Request
from wellfed.perf.cpu import cpu_bandwidth
from wellfed.perf.hybrid import split_works
from wellfed.perf.ops import Step


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that one decode step reads of weights and cache, and bytes per second of the memory they are in.

    `memory` is how the bandwidth is known: measured, predicted, or a data sheet's.
    """

    step_bytes: float
    bytes_per_s: float
    memory: str


def decode_traffic(request: Request, calibration: Calibration, running: float = 1.0) -> Traffic | None:
    """Of a step of `running` sequences at the workload's mean context.

    None where a step reads from two kinds of memory, or where the bandwidth is not known.
    """
    split = split_works(request, Step.decode(running, max(1.0, request.workload.mean_decode_context)))
    cpu, gpu = _read(split.cpu), _read(split.gpu)
    if cpu and not gpu and not split.streamed_bytes:
        return _of_ram(request, calibration, cpu)
    return _of_gpus(request, gpu) if gpu and not cpu else None


def _read(works: Iterable[Work]) -> float:
    return sum(work.read_bytes + work.cache_bytes for work in works)


def _of_ram(request: Request, calibration: Calibration, step_bytes: float) -> Traffic:
    measured = request.machine.measured_memory_bandwidth_bytes_per_s
    if measured is not None:
        return Traffic(step_bytes, measured, "measured")
    predicted, _ = cpu_bandwidth(request.machine, request.layout, calibration)
    return Traffic(step_bytes, predicted, "predicted")


def _of_gpus(request: Request, step_bytes: float) -> Traffic | None:
    """A single GPU's, or of tensor-parallel ones together; layers on GPUs in turn have one's bandwidth at a time."""
    layout = request.layout
    specs = [gpu.spec for gpu in request.machine.gpus[: max(1, layout.gpus)]]
    bandwidths = [spec.memory_bandwidth_bytes_per_s for spec in specs if spec is not None]
    if not bandwidths or len(bandwidths) < len(specs):
        return None
    bandwidth = min(bandwidths) * layout.tensor_parallel
    return Traffic(step_bytes, bandwidth, "the data sheet's")
