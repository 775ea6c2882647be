"""Who computes what, and what crosses the link."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.perf_cpu.cpu_parts import CALIBRATION, cpu_step, experts_on_cpu, machine, partial, request, seconds

from wellfed.hardware.machine import Machine
from wellfed.hardware.pcie import PcieLink
from wellfed.models.attention import LatentAttention
from wellfed.models.model import Model
from wellfed.nouns.estimate import Work
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, Engine, Layout
from wellfed.nouns.workload import Workload
from wellfed.perf.hybrid import split_works, streams
from wellfed.perf.latent import as_run
from wellfed.perf.local import local_times
from wellfed.perf.ops import Step

ONE_GPU = machine("threadripper pro 7965wx", gpus=("rtx 4090",))
DECODE, PREFILL = Step.decode(1, 1000), Step.prefill(512, 512)


def read(works: tuple[Work, ...]) -> float:
    return sum(work.read_bytes for work in works)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["llama-3.1-8b", "deepseek-v2-lite", "qwen3-30b-a3b"]), st.integers(0, 60), st.integers(0, 60))
def test_every_byte_is_read_once_wherever_it_lies(model: str, on_gpu: int, expert_layers: int) -> None:
    asked = request(ONE_GPU, model)
    offload = replace(ALL_GPU, gpu_layers=on_gpu, cpu_expert_layers=expert_layers)
    split = split_works(replace(asked, layout=replace(asked.layout, offload=offload, gpus=1)), DECODE)
    whole = split_works(replace(asked, layout=replace(asked.layout, offload=CPU_ONLY)), DECODE)
    assert read(split.gpu) + read(split.cpu) == pytest.approx(read(whole.cpu))


def test_cpu_only_puts_nothing_on_a_gpu() -> None:
    assert split_works(request(machine()), DECODE).gpu == ()


def test_experts_on_the_cpu_leave_only_experts_there() -> None:
    split = split_works(request(ONE_GPU, "deepseek-v2-lite", layout=experts_on_cpu()), DECODE)
    assert {work.name for work in split.cpu} == {"routed experts"}
    assert split.crossings == 2 * 26  # every MoE layer hands over twice; the first layer is dense


def test_dense_layers_have_no_experts_to_leave() -> None:
    assert split_works(request(ONE_GPU, layout=experts_on_cpu()), DECODE).cpu == ()


def test_partial_layers_hand_over_once_and_keep_the_head() -> None:
    split = split_works(request(ONE_GPU, layout=partial(20)), DECODE)
    assert "output head" in {work.name for work in split.cpu}
    assert split.crossings == 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 32))
def test_more_layers_on_the_gpu_are_never_slower(layers: int) -> None:
    def tpot(count: int) -> float:
        return local_times(request(ONE_GPU, layout=partial(count)), CALIBRATION).decode_s

    assert tpot(layers + 1) <= tpot(layers) * (1 + 1e-9)


def test_llama_cpp_streams_weights_for_batches() -> None:
    asked = request(ONE_GPU, "deepseek-v2-lite", layout=experts_on_cpu())
    assert not streams(asked, DECODE)
    assert streams(asked, PREFILL)
    split = split_works(asked, PREFILL)
    assert split.cpu == ()
    assert split.streamed_bytes == pytest.approx(sum(one.routed_experts for one in asked.weights.layers), rel=0.01)


def linked(link: PcieLink) -> Machine:
    return replace(ONE_GPU, gpus=tuple(replace(gpu, link=link) for gpu in ONE_GPU.gpus))


def test_streamed_prefill_scales_with_the_ubatch() -> None:
    """Every ubatch copies the experts again (ik_llama.cpp PR 520: 53 to 166 tok/s from ub 1024 to 4096, Gen3 x8)."""
    on = linked(PcieLink(3, 8))

    def speed(ubatch: int) -> float:
        layout = experts_on_cpu(ubatch_tokens=ubatch)
        workload = Workload(prompt_tokens=8192, output_tokens=1)
        asked = request(on, "deepseek-r1", "iq2_xxs", layout, workload)
        return 8192 / local_times(asked, CALIBRATION).prefill_s

    assert 2.5 < speed(4096) / speed(1024) < 4


def test_a_slower_link_slows_streaming_and_not_decode() -> None:
    wide, narrow = (
        request(linked(PcieLink(4, width)), "deepseek-v2-lite", layout=experts_on_cpu()) for width in (16, 4)
    )
    assert seconds(narrow, PREFILL) > 2 * seconds(wide, PREFILL)
    assert seconds(narrow, DECODE) == pytest.approx(seconds(wide, DECODE))


def test_ktransformers_computes_experts_on_the_cpu_whatever_the_batch() -> None:
    asked = request(ONE_GPU, "deepseek-v2-lite", layout=experts_on_cpu(Engine.KTRANSFORMERS))
    assert not streams(asked, PREFILL)
    assert {work.name for work in split_works(asked, PREFILL).cpu} == {"routed experts"}


def test_ik_llama_cpp_streams_experts_once_each_has_a_batch_of_its_own() -> None:
    asked = request(ONE_GPU, "deepseek-r1", "iq2_xxs", experts_on_cpu(Engine.IK_LLAMA_CPP))
    assert not streams(asked, PREFILL)
    assert streams(asked, Step.prefill(2048, 2048))


def test_repacked_weights_are_not_streamed() -> None:
    asked = request(ONE_GPU, "deepseek-v2-lite", layout=experts_on_cpu(options=(("rtr", "1"),)))
    assert not streams(asked, PREFILL)


def test_terms_name_their_devices() -> None:
    terms = cpu_step(request(ONE_GPU, "deepseek-v2-lite", layout=experts_on_cpu()), DECODE)
    assert {term.device for term in terms} == {"cpu", "pcie"}


def attention(model: Model) -> LatentAttention:
    found = model.layers[0].attention
    assert isinstance(found, LatentAttention)
    return found


def test_latent_attention_as_engines_run_it() -> None:
    asked = request(ONE_GPU, "deepseek-v2-lite")
    model = asked.model
    own = attention(model)
    llama = attention(as_run(model, asked.layout))
    old = attention(as_run(model, replace(asked.layout, latent_cache=False)))
    assert llama.cache_elements(100) == own.cache_elements(100) == (512 + 64) * 100
    assert old.cache_elements(100) == 16 * (128 + 64 + 128) * 100
    assert llama.score_flops(512, 4096) > own.score_flops(512, 4096)  # absorbed: fewer bytes, more arithmetic
    assert llama.score_flops(1, 4096) == own.score_flops(1, 4096)


def test_ik_expands_what_is_cached_for_every_batch() -> None:
    layout = Layout(Engine.IK_LLAMA_CPP, "q4_k_m", gpus=0, offload=CPU_ONLY)
    asked = request(machine(), "deepseek-v2-lite", layout=layout)
    names = {work.name for work in split_works(asked, Step.prefill(512, 8192)).cpu}
    assert "cache expansion" in names
    assert "cache expansion" not in {work.name for work in split_works(asked, Step.decode(1, 8192)).cpu}
    assert "cache expansion" not in {work.name for work in split_works(asked, Step.prefill(512, 512)).cpu}
