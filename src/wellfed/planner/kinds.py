"""CPU, GPU or both: the placement a layout stands for."""

from __future__ import annotations

from enum import StrEnum

from wellfed.layout import Layout


class Kind(StrEnum):
    """Where the weights live."""

    GPU = "GPU"
    BOTH = "GPU + CPU"
    CPU = "CPU"


def kind_of(layout: Layout) -> Kind:
    """Which it is."""
    if layout.offload.cpu_only or layout.gpus == 0:
        return Kind.CPU
    some_layers = layout.offload.gpu_layers is not None
    some_experts = layout.offload.cpu_expert_layers != 0
    return Kind.BOTH if some_layers or some_experts else Kind.GPU


def describe(layout: Layout) -> str:
    """The layout in a few words: `TP4 x PP2`, `experts on CPU`, `33/80 layers on GPU`."""
    words = []
    for name, degree in (
        ("TP", layout.tensor_parallel),
        ("PP", layout.pipeline_parallel),
        ("DP", layout.data_parallel),
    ):
        if degree > 1:
            words.append(f"{name}{degree}")
    if layout.expert_parallel > 1:
        words.append(f"EP{layout.expert_parallel}")
    if layout.attention_data_parallel > 1:
        words.append(f"DP-attention {layout.attention_data_parallel}")
    if layout.gpus > 1 and not words:
        words.append(f"layers over {layout.gpus} GPUs")
    words += _offload_words(layout)
    if layout.offload.cpu_only:
        words.append(f"NUMA: {layout.numa}")
    return ", ".join(words) or ("1 GPU" if layout.gpus == 1 else "CPU")


def _offload_words(layout: Layout) -> list[str]:
    offload = layout.offload
    if offload.cpu_only:
        return []
    words = []
    if offload.gpu_layers is not None:
        words.append(f"{offload.gpu_layers} layers on GPU")
    if offload.cpu_expert_layers is None:
        words.append("experts on CPU")
    elif offload.cpu_expert_layers:
        words.append(f"experts of {offload.cpu_expert_layers} layers on CPU")
    return words
