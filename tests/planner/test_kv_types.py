"""The type of the KV cache: as named, else the engine's own, and coarser by itself only when nothing fits otherwise."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import planned
from wellfed.engines import llamacpp, sglang, vllm
from wellfed.engines.capabilities import CAPABILITIES
from wellfed.engines.spec import Endpoint
from wellfed.errors import BadInput
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.kv import kv_bytes_per_sequence, kv_element_bytes
from wellfed.verbs import inputs, planning

ON = "rtx 4090, ryzen 9 7950x, 2x32gb ddr5-5600"


def types(found: dict[str, object]) -> set[str]:
    return {plan["layout"]["kv_type"] for plan in found["plans"]}  # type: ignore[index, attr-defined]


def test_the_engines_own_type_where_it_fits() -> None:
    assert types(planned("qwen3-14b", "--on", ON)) == {"f16"}


def test_a_named_type_is_planned_and_nothing_else() -> None:
    found = planned("qwen3-14b", "--on", ON, "--kv-type", "q8_0")
    assert types(found) == {"q8_0"}
    assert {plan["layout"]["engine"] for plan in found["plans"]} <= {"llama.cpp", "ik_llama.cpp"}  # type: ignore[index, attr-defined]


def test_coarser_by_itself_when_nothing_fits_and_said_in_the_headline() -> None:
    words = ("qwen3-32b", "--on", ON, "--engine", "vllm", "--quant", "int4", "--context", "30720")
    found = planned(*words)
    assert types(found) and "f16" not in types(found)
    assert "KV cache in" in found["verdict"]["why"]  # type: ignore[index]
    assert planned(*words, "--kv-type", "f16")["plans"] == [], "a type that was named is never changed"


@pytest.mark.parametrize("name", ["q3", "", "fp8/", "fp8/fp8", "q8_0/none"])
def test_a_type_that_no_engine_has_is_one_error(name: str) -> None:
    with pytest.raises(BadInput, match="no engine has a KV cache"):
        planning.plan("qwen3-14b", planning.PlanOptions(on=ON, kv_types=(name,)))


def test_an_engine_without_the_type_says_so() -> None:
    with pytest.raises(BadInput) as error:
        planning.plan("qwen3-14b", planning.PlanOptions(on=ON, kv_types=("fp8",), engines=(Engine.LLAMA_CPP,)))
    assert "has no KV cache in fp8" in str(error.value.message) and "q8_0" in str(error.value.hint)


@pytest.mark.parametrize(
    ("engine", "kv_type", "flags"),
    [
        (Engine.LLAMA_CPP, "q8_0", ("--cache-type-k", "q8_0", "--cache-type-v", "q8_0")),
        (Engine.LLAMA_CPP, "q8_0/f16", ("--cache-type-k", "q8_0", "--cache-type-v", "f16")),
        (Engine.VLLM, "fp8", ("--kv-cache-dtype", "fp8")),
        (Engine.SGLANG, "fp8", ("--kv-cache-dtype", "fp8_e4m3")),
        (Engine.SGLANG, "fp8_e5m2", ("--kv-cache-dtype", "fp8_e5m2")),
    ],
)
def test_the_planned_type_reaches_the_command_line(engine: Engine, kv_type: str, flags: tuple[str, ...]) -> None:
    options = planning.PlanOptions(on=ON, kv_types=(kv_type,), engines=(engine,))
    plan = planning.plan("qwen3-8b", options).ranking.best
    assert plan is not None and plan.layout.kv_type == kv_type
    adapter = {Engine.LLAMA_CPP: llamacpp, Engine.VLLM: vllm, Engine.SGLANG: sglang}[engine]
    line = adapter.launch_spec(plan, ("server",), "m", Endpoint()).argv
    assert " ".join(flags) in " ".join(line)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(list(Engine)),
    st.sampled_from(["qwen3-30b-a3b", "deepseek-r1", "gemma-3-27b", "gpt-oss-20b", "llama-3.1-8b"]),
    st.integers(1, 32768),
)
def test_a_coarser_cache_never_takes_more_for_a_sequence(engine: Engine, name: str, context: int) -> None:
    capabilities = CAPABILITIES[engine]
    types = sorted({*capabilities.kv_types, *capabilities.kv_on_request}, key=kv_element_bytes)
    model = inputs.model(name).model
    sizes = [kv_bytes_per_sequence(model, Layout(engine, "bf16", kv_type=kv), context) for kv in types]
    assert all(finer >= coarser * 0.999 for coarser, finer in itertools.pairwise(sizes))
    assert sizes[-1] > 0
