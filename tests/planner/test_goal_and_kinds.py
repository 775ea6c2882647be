"""Ranking preferences, placements and their words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, EXPERTS_ON_CPU, Engine, Layout, NumaPolicy, Offload
from wellfed.planner.goal import coarseness
from wellfed.planner.kinds import Kind, describe, kind_of


@given(st.floats(0, 32), st.floats(0, 32))
def test_coarser_weights_are_never_preferred_for_being_coarse(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert coarseness(low) >= coarseness(high) >= 1.0


def test_kinds() -> None:
    def kind(offload: Offload, gpus: int = 1) -> Kind:
        return kind_of(Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=gpus, offload=offload))

    assert kind(ALL_GPU) is Kind.GPU
    assert kind(CPU_ONLY) is Kind.CPU
    assert kind(ALL_GPU, gpus=0) is Kind.CPU
    assert kind(EXPERTS_ON_CPU) is Kind.BOTH
    assert kind(Offload(gpu_layers=7)) is Kind.BOTH
    assert kind(Offload(cpu_expert_layers=3)) is Kind.BOTH


def test_descriptions() -> None:
    assert describe(Layout(Engine.VLLM, "fp8", gpus=8, tensor_parallel=4, pipeline_parallel=2)) == "TP4 x PP2"
    assert describe(Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=2)) == "2 GPUs, layers split"
    spread = Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=0, offload=CPU_ONLY, numa=NumaPolicy.INTERLEAVE)
    assert describe(spread) == "CPU, memory: interleave"
    assert describe(Layout(Engine.LLAMA_CPP, "q4_k_m", offload=EXPERTS_ON_CPU)) == "1 GPU; experts on CPU"
