"""Machines and requests for the CPU's tests, written down in a line."""

from __future__ import annotations

from dataclasses import replace

from wellfed.catalog.calibration import bundled
from wellfed.catalog.hardware import cpu, gpu
from wellfed.catalog.model_names import model
from wellfed.hardware.machine import Gpu, Machine, Origin, Socket
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.estimate import Term, total_seconds
from wellfed.nouns.layout import CPU_ONLY, EXPERTS_ON_CPU, Engine, Layout, NumaPolicy, Offload
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.hybrid import step_terms
from wellfed.perf.ops import Step

CALIBRATION = bundled()
LAYOUT = Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=0, offload=CPU_ONLY, numa=NumaPolicy.ONE_SOCKET)


def machine(name: str = "ryzen 9 7950x", channels: int | None = None, mt_s: float | None = None, sockets: int = 1,
            gpus: tuple[str, ...] = ()) -> Machine:  # fmt: skip
    """So many sockets of a catalogued CPU; memory as its data sheet has it unless told."""
    spec = cpu(name)
    one = Socket(0, spec, cores=spec.cores, channels=channels or spec.memory_channels, mt_s=mt_s or spec.memory_mt_s[0])
    cards = tuple(Gpu(index, gpu(text)) for index, text in enumerate(gpus))
    return Machine("test", Origin.PARTS, tuple(replace(one, index=i) for i in range(sockets)), gpus=cards)


def request(on: Machine, name: str = "llama-3.1-8b", quant: str = "q4_k_m", layout: Layout = LAYOUT,
            workload: Workload | None = None) -> Request:  # fmt: skip
    """A model on a machine under a layout."""
    chosen, kind = model(name), quantisation(quant)
    laid = replace(layout, quantisation=kind.id)
    return Request(on, chosen, weights(chosen, kind), laid, workload or Workload(prompt_tokens=512, output_tokens=128))


def experts_on_cpu(engine: Engine = Engine.LLAMA_CPP, gpus: int = 1, **more: object) -> Layout:
    """Everything but the routed experts on the GPUs."""
    made = Layout(engine, "q4_k_m", gpus=gpus, offload=EXPERTS_ON_CPU, numa=NumaPolicy.ONE_SOCKET)
    return replace(made, **more)  # type: ignore[arg-type]


def partial(layers: int, engine: Engine = Engine.LLAMA_CPP) -> Layout:
    """The last `layers` layers on one GPU."""
    return Layout(engine, "q4_k_m", gpus=1, offload=Offload(gpu_layers=layers), numa=NumaPolicy.ONE_SOCKET)


def cpu_step(asked: Request, step: Step) -> tuple[Term, ...]:
    """Terms of a step whose GPU takes no time."""
    return step_terms(asked, step, CALIBRATION, lambda works: ())


def seconds(asked: Request, step: Step) -> float:
    """Their sum."""
    return total_seconds(cpu_step(asked, step))
