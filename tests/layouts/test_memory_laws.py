"""Whatever a layout pins: a coarser cache never needs more memory, a longer context or more drafts never less."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import DraftKind, Engine, Layout, Speculation
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import ledgers
from wellfed.verbs import inputs

MACHINE = inputs.machine("2x rtx 4090, ryzen 9 7950x, 128gb")
MODELS = {
    name: inputs.model(name).model for name in ("qwen3.6-27b", "qwen3-30b-a3b", "deepseek-v2-lite", "gemma-3-27b")
}
CACHES = {Engine.LLAMA_CPP: ("f16", "q8_0", "q5_1", "q4_0"), Engine.VLLM: ("f16", "fp8")}


@st.composite
def requests(draw: st.DrawFn) -> Request:
    model = MODELS[draw(st.sampled_from(list(MODELS)))]
    engine = draw(st.sampled_from(list(CACHES)))
    gpus = draw(st.sampled_from([1, 2]))
    held = weights(model, quantisation("q4_k_m" if engine is Engine.LLAMA_CPP else "int4"))
    layout = Layout(
        engine, held.quantisation, gpus=gpus, max_sequences=draw(st.sampled_from([2, 4, 8])),
        tensor_parallel=gpus if engine is Engine.VLLM else 1,
        options=(("kv_unified", "1"),) if draw(st.booleans()) else (),
    )  # fmt: skip
    context = draw(st.sampled_from([1024, 4096, 16384]))
    workload = Workload(
        prompt_tokens=256, output_tokens=128, context_tokens=context, concurrency=draw(st.integers(1, 8))
    )
    return Request(MACHINE, model, held, layout, workload)


def needed(request: Request, **changes: object) -> float:
    layout = replace(request.layout, **changes)  # type: ignore[arg-type]
    return sum(device.needed_bytes for device in ledgers(replace(request, layout=layout)).devices)


@settings(max_examples=40, deadline=None)
@given(requests())
def test_a_coarser_cache_never_needs_more(request: Request) -> None:
    if request.layout.engine is Engine.VLLM:  # what it does not need, it holds for more sequences
        return
    sizes = [needed(request, kv_type=kind) for kind in CACHES[request.layout.engine]]
    assert sizes == sorted(sizes, reverse=True)


@settings(max_examples=40, deadline=None)
@given(requests(), st.sampled_from([2, 8]))
def test_a_longer_context_never_needs_less(request: Request, times: int) -> None:
    if request.layout.engine is Engine.VLLM:
        return
    longer = replace(request, workload=replace(request.workload, context_tokens=request.workload.context * times))
    assert needed(longer) >= needed(request)


@settings(max_examples=40, deadline=None)
@given(requests(), st.integers(1, 8))
def test_drafts_never_need_less(request: Request, tokens: int) -> None:
    if request.layout.engine is Engine.VLLM:
        return
    plain = needed(request)
    guess = Speculation(tokens, 1.0, kind=DraftKind.DRAFT, draft_bytes=2**30, cache_elements=4096.0)
    more = needed(request, speculation=guess)
    assert more >= plain + 2**30
    assert needed(request, speculation=replace(guess, tokens=tokens + 1)) >= more
