"""How much wider an interval must be where no measurement stands behind it: a vendor without rows, an unknown CPU."""

from __future__ import annotations

import math

from wellfed.frozen import replace
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Z80, Estimate, Quantity
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request
from wellfed.perf.numa import cpu_share, crowding
from wellfed.provenance import Assumption

# Log errors, assumed. A vendor without rows: what leaving a whole vendor out of the local fit costs (AMD and Intel
# from NVIDIA's constants: medians of 27 to 48 %), so that 80 % lie within about x2. An unknown CPU: its single-thread
# rate and memory may be off by half; it matters where the CPU computes, little where it only launches.
_VENDOR, _CPU_COMPUTES, _CPU_LAUNCHES = 0.5, 0.45, 0.15
_CLOCK_KNOWN = 0.3  # the first of these where the clock was measured: what memory and caches leave open
# CPUs that are cores or threads of cores: a factor of the root of two either way holds both; taken as 80 %.
_SIBLINGS = math.log(math.sqrt(2)) / Z80


def with_doubt(estimate: Estimate, request: Request, calibration: Calibration) -> Estimate:
    """The estimate with the intervals that its machine deserves, and with the reasons among its assumptions."""
    doubts = tuple(_vendor_doubts(request, calibration)) + tuple(_cpu_doubts(request))
    if not doubts:
        return estimate
    sigma = math.hypot(*(extra for extra, _ in doubts))
    return replace(
        estimate,
        ttft_s=_wider(estimate.ttft_s, sigma),
        tpot_s=_wider(estimate.tpot_s, sigma),
        prefill_tok_s=_wider(estimate.prefill_tok_s, sigma),
        total_tok_s=_wider(estimate.total_tok_s, sigma),
        assumptions=(*estimate.assumptions, *(assumption for _, assumption in doubts)),
    )


def _wider(quantity: Quantity, sigma: float) -> Quantity:
    """The same middle, with independent log errors added to the interval's own."""
    if not (0 < quantity.low <= quantity.high) or not math.isfinite(quantity.high):
        return quantity
    log_width = math.log(quantity.high / quantity.low) / 2
    factor = math.exp(math.hypot(log_width, Z80 * sigma) - log_width)
    return replace(quantity, low=quantity.low / factor, high=quantity.high * factor)


def _vendor_doubts(request: Request, calibration: Calibration) -> list[tuple[float, Assumption]]:
    if request.layout.gpus == 0:
        return []
    vendors = {gpu.spec.vendor: gpu.spec.serving_build for gpu in request.machine.gpus if gpu.spec is not None}
    doubts = []
    for vendor, build in vendors.items():
        if _has_rows(vendor, request.layout.engine, calibration):
            continue
        how = sentence("doubt.vllm-means", "; vLLM means {build}", build=build) if build else ""
        text = sentence(
            "doubt.no-measurement-gpus",
            "no measurement of {vendor} GPUs stands behind these speeds{how}",
            vendor=vendor,
            how=how,
        )
        doubts.append(
            (
                _VENDOR,
                Assumption(
                    text,
                    sentence(
                        "doubt.other-vendors-gpus", "other vendors' GPUs say how far peaks are reached: a wide interval"
                    ),
                ),
            )
        )
    return doubts


def _has_rows(vendor: str, engine: Engine, calibration: Calibration) -> bool:
    return vendor == "nvidia" or calibration.support.get(vendor_key(vendor, engine), 0) > 0


def vendor_key(vendor: str, engine: Engine) -> str:
    """What measured rows of a vendor's GPUs are counted by: under local engines, and under those that serve."""
    return sentence(
        "doubt.vendor", "{value} vendor {vendor}", value="local" if engine.is_local else "serving", vendor=vendor
    )


def _cpu_doubts(request: Request) -> list[tuple[float, Assumption]]:
    computes = _cpu_computes(request)
    shared = _shared_cores(request) if computes else []
    if not _unknown_cpu(request.machine):
        return shared
    measured = _CLOCK_KNOWN if request.machine.measured_clock_hz else _CPU_COMPUTES
    sigma = measured if computes else _CPU_LAUNCHES
    return [
        *shared,
        (
            sigma,
            Assumption(
                sentence("doubt.cpu-known", "the CPU is not known"),
                sentence("doubt.usual-class-stands", "its usual class stands for it: a wide interval"),
            ),
        ),
    ]


def _cpu_computes(request: Request) -> bool:
    offload, layers = request.layout.offload, len(request.model.layers)
    computes = request.layout.gpus == 0 or offload.layers_on_gpu(layers) < layers
    return computes or bool(request.model.is_moe and offload.expert_layers_on_cpu(layers))


def _shared_cores(request: Request) -> list[tuple[float, Assumption]]:
    share = cpu_share(request.machine, request.layout)
    crowd = crowding(request.machine, share.threads, share.cores)
    if not crowd:
        return []
    text = sentence("doubt.virtual-cpus", "a CPU of this virtual machine does what 0.7 cores do")
    why = sentence("doubt.virtual-cpus.why", "it may be a core, or one of the two threads of a core: it does not tell")
    return [(_SIBLINGS * crowd, Assumption(text, why))]


def _unknown_cpu(machine: Machine) -> bool:
    return any(socket.cpu is not None and socket.cpu.stands_for_unknown for socket in machine.sockets)
