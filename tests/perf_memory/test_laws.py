"""What must hold of every ledger."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.perf_memory.parts import DEEPSEEK_R1, GEMMA_LIKE, LLAMA_8B, local, machine, request, served

from wellfed.models.model import Model
from wellfed.nouns.estimate import Memory
from wellfed.nouns.layout import CPU_ONLY, EXPERTS_ON_CPU, Engine, Layout, NumaPolicy, Offload
from wellfed.nouns.plan import Request
from wellfed.perf.memory import (
    kv_bytes_per_sequence,
    kv_element_bytes,
    ledgers,
    memory,
    rank_weights,
    running_capacity,
    spare_bytes,
)
from wellfed.perf.memory.shards import stages

MODELS = {model.id: model for model in (LLAMA_8B, GEMMA_LIKE, DEEPSEEK_R1)}
KV_BY_SIZE = ("q4_0", "q5_0", "q8_0", "f16", "f32")

layouts = st.one_of(
    st.builds(
        local,
        st.sampled_from([Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP]),
        gpus=st.integers(1, 4),
        offload=st.sampled_from([Offload(), CPU_ONLY, EXPERTS_ON_CPU, Offload(gpu_layers=3)]),
        flash_attention=st.booleans(),
        latent_cache=st.booleans(),
        ubatch_tokens=st.sampled_from([64, 512, 2048]),
    ),
    st.builds(local, st.just(Engine.KTRANSFORMERS), gpus=st.integers(1, 2), offload=st.just(EXPERTS_ON_CPU)),
    st.builds(
        served,
        st.sampled_from([1, 2, 4, 8]),
        st.sampled_from([Engine.VLLM, Engine.SGLANG, Engine.TENSORRT_LLM]),
        pipeline_parallel=st.sampled_from([1, 2]),
    ),
)
contexts = st.integers(1, 131072)
names = st.sampled_from(sorted(MODELS))


def needed(found: Memory) -> list[float]:
    return [device.needed_bytes for device in found.devices]


def ask(model: Model, layout: Layout, context: int = 8192, users: int = 1, **box: object) -> Request:
    where = machine(**{"gpus": 8, "gpu_gib": 141, **box})  # type: ignore[arg-type]
    return request(model, "q4_k_m" if layout.quantisation == "q4_k_m" else "bf16", where, layout, context, users)


@given(names, layouts, contexts)
def test_terms_are_named_positive_and_add_up(name: str, layout: Layout, context: int) -> None:
    for device in memory(ask(MODELS[name], layout, context)).devices:
        assert device.terms
        assert all(term.bytes >= 0 and term.name and term.device == device.device for term in device.terms)
        assert math.isclose(device.needed_bytes, sum(term.bytes for term in device.terms))


@given(names, layouts, contexts, contexts)
def test_longer_context_never_needs_less(name: str, layout: Layout, one: int, other: int) -> None:
    short, long = sorted((one, other))
    less = needed(memory(ask(MODELS[name], layout, short)))
    more = needed(memory(ask(MODELS[name], layout, long)))
    assert all(a <= b + 1 for a, b in zip(less, more, strict=True))


@given(names, layouts, st.integers(1, 64), st.integers(1, 64))
def test_more_users_never_need_less(name: str, layout: Layout, one: int, other: int) -> None:
    few, many = sorted((one, other))
    less = needed(memory(ask(MODELS[name], layout, users=few)))
    more = needed(memory(ask(MODELS[name], layout, users=many)))
    assert all(a <= b + 1 for a, b in zip(less, more, strict=True))


@given(names, layouts, st.integers(0, 3), contexts)
def test_a_larger_cache_type_never_needs_less(name: str, layout: Layout, index: int, context: int) -> None:
    small = kv_bytes_per_sequence(MODELS[name], replace(layout, kv_type=KV_BY_SIZE[index]), context)
    large = kv_bytes_per_sequence(MODELS[name], replace(layout, kv_type=KV_BY_SIZE[index + 1]), context)
    assert 0 < small < large


@given(names, st.sampled_from([1, 2, 4, 8, 16]), st.sampled_from([1, 2, 4]))
def test_tensor_parallelism_never_raises_a_ranks_weights(name: str, ranks: int, factor: int) -> None:
    model = MODELS[name]
    size = ask(model, served(1)).weights
    span = stages(len(model.layers), 1)[0]
    narrow = rank_weights(model, size, served(ranks), span).total
    wide = rank_weights(model, size, served(ranks * factor), span).total
    assert wide <= narrow
    assert narrow * ranks >= size.total * (1 - 1e-9)


@given(names, layouts, st.integers(16, 256), st.integers(0, 256))
@settings(deadline=None)
def test_larger_cards_never_hold_less(name: str, layout: Layout, gib: int, more: int) -> None:
    small = memory(ask(MODELS[name], layout, gpu_gib=gib))
    large = memory(ask(MODELS[name], layout, gpu_gib=gib + more))
    assert small.max_sequences is not None
    assert large.max_sequences is not None
    assert small.max_sequences <= large.max_sequences
    assert (small.max_context or 0) <= (large.max_context or 0)


@given(names, layouts, st.integers(1, 32768))
def test_what_is_said_to_fit_does_fit(name: str, layout: Layout, context: int) -> None:
    asked = ask(MODELS[name], layout, context)
    found = memory(asked)
    if found.fits and found.max_context is not None:
        assert found.max_context >= context
        again = replace(asked, workload=replace(asked.workload, context_tokens=found.max_context))
        assert memory(again).fits


@given(names, layouts, st.integers(256, 32768))
def test_most_sequences_fit_and_one_more_does_not(name: str, layout: Layout, context: int) -> None:
    if layout.engine not in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP):
        return
    asked = ask(MODELS[name], layout, context, gpu_gib=24)
    most = memory(asked).max_sequences
    assert most is not None
    if most:
        assert memory(_with_slots(asked, most)).fits
    assert not memory(_with_slots(asked, most + 1)).fits


def _with_slots(asked: Request, slots: int) -> Request:
    workload = replace(asked.workload, concurrency=slots)
    return replace(asked, workload=workload, layout=replace(asked.layout, max_sequences=slots))


@given(names, layouts)
def test_an_unknown_size_is_not_an_answer(name: str, layout: Layout) -> None:
    found = memory(ask(MODELS[name], layout, ram_gib=None))
    ram = found.devices[-1]
    assert ram.capacity_bytes is None
    assert ram.spare_bytes is None
    assert found.fits is not True


def test_unknown_ram_leaves_capacity_open() -> None:
    asked = ask(LLAMA_8B, local(offload=CPU_ONLY), ram_gib=None)
    assert memory(asked).max_sequences is None
    assert running_capacity(asked) is None


def test_weights_copied_to_each_socket() -> None:
    plain = ask(DEEPSEEK_R1, local(offload=CPU_ONLY), sockets=2)
    copied = ask(DEEPSEEK_R1, local(offload=CPU_ONLY, numa=NumaPolicy.DUPLICATE), sockets=2)
    grown = copied.weights.total
    assert math.isclose(needed(memory(copied))[-1] - needed(memory(plain))[-1], grown, rel_tol=1e-6)


def test_element_bytes() -> None:
    assert kv_element_bytes("f16") == 2
    assert kv_element_bytes("q8_0") == 34 / 32
    assert kv_element_bytes("q8_0/f16") == (34 / 32 + 2) / 2


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([Engine.VLLM, Engine.SGLANG, Engine.TENSORRT_LLM]),
    st.sampled_from([(), (("redundant_experts", "32"),), (("lora", "1"),), (("decode_context_parallel", "2"),)]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2]),
)
def test_what_a_search_sees_of_experts_whole_or_in_parts_is_their_ledger(
    tensor: int, engine: Engine, options: tuple[tuple[str, str], ...], data: int, pipeline: int
) -> None:
    where = machine(gpus=16, gpu_gib=141)
    for degree in (1, tensor, tensor * data):
        layout = served(
            tensor, engine, pipeline_parallel=pipeline, data_parallel=data, expert_parallel=degree, options=options
        )
        asked = request(DEEPSEEK_R1, "bf16", where, layout)
        tightest = min(device.spare_bytes for device in ledgers(asked).devices if device.spare_bytes is not None)
        assert math.isclose(spare_bytes(asked) or 0.0, tightest, abs_tol=4096)
