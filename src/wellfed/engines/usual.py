"""Which engines a person with such a machine would install: what stands first must be what can be started.

Assumed, from what the engines' own installation pages ask for: llama.cpp, vLLM and SGLang come as packages or
images for the hardware they support; TensorRT-LLM is an NVIDIA container for data-centre and workstation cards;
ik_llama.cpp is built from source, which people do for mixture-of-experts models whose experts stay in RAM;
KTransformers likewise.
"""

from __future__ import annotations

from wellfed.hardware.machine import Machine
from wellfed.models.model import Model
from wellfed.nouns.layout import Engine, Layout

_GEFORCE = ("geforce", "titan")


def is_usual(machine: Machine, model: Model, layout: Layout) -> bool:
    """Whether a plan's engine is one that this machine's owner would install."""
    match layout.engine:
        case Engine.TENSORRT_LLM:
            return not _consumer(machine, layout) and can_be_started(machine, layout)
        case Engine.IK_LLAMA_CPP | Engine.KTRANSFORMERS:
            return model.is_moe and bool(machine.gpus)
        case _:
            return True


def can_be_started(machine: Machine, layout: Layout) -> bool:
    """Whether there is a command or an export for the plan; else it is an estimate only.

    TensorRT-LLM spans machines by MPI, which wellfed does not write down, and its server has no flag for copies.
    """
    spans = layout.gpus > len(machine.gpus) and machine.count > 1
    return not (layout.engine is Engine.TENSORRT_LLM and (spans or layout.data_parallel > 1))


def _consumer(machine: Machine, layout: Layout) -> bool:
    used = [gpu for gpu in machine.gpus if gpu.index in layout.devices] or machine.gpus[: max(1, layout.gpus)]
    names = [gpu.spec.name.lower() for gpu in used if gpu.spec]
    return any(name.startswith(_GEFORCE) for name in names)
