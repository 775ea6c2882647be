"""Names that nobody gave as examples: families alone, packagers, cut experts, contexts, what is no model of its own."""

from __future__ import annotations

import pytest

from wellfed.catalog.model_names import resolve
from wellfed.catalog.model_tables import entry_ids, tags
from wellfed.catalog.models import entry
from wellfed.errors import UnknownName, Unsupported
from wellfed.models.counts import counts
from wellfed.resolution import Resolved
from wellfed.resolution import resolve as facts_of


@pytest.mark.parametrize(
    ("name", "newest"),
    [("deepseek", "deepseek-v4"), ("千问", "qwen3"), ("智谱", "glm-5"), ("kimi", "kimi-k3"), ("llama", "llama-")],
)
def test_a_family_alone_leads_to_its_newest(name: str, newest: str) -> None:
    with pytest.raises(UnknownName) as refusal:
        resolve(name)
    assert refusal.value.near and refusal.value.near[0].startswith(newest)


@pytest.mark.parametrize("name", ["qwen", "gemma", "mistral", "phi", "mixtral", "llama3.1", "qwen3"])
def test_a_short_name_of_ollama_s_library_is_read_and_told_so(name: str) -> None:
    found = resolve(name)
    assert found.entry.id == tags()[f"{name}:latest"] or name in found.entry.aliases
    assert any("Ollama" in assumption.reason for assumption in found.assumptions)


@pytest.mark.parametrize("name", ["deepseek-r1", "deepseek-coder-v2"])
def test_a_name_that_the_library_uses_for_another_says_so(name: str) -> None:
    found = resolve(name)
    assert found.entry.id == name
    other = entry(tags()[f"{name}:latest"])
    assert any(other.name in assumption.text for assumption in found.assumptions)


def test_a_plus_is_a_word() -> None:
    assert resolve("Command R+").entry.id == "command-r-plus"
    assert resolve("command-a+").entry.id == "command-a-plus"
    assert resolve("command-r").entry.id != "command-r-plus"


@pytest.mark.parametrize(
    ("name", "identity", "context"),
    [
        ("unsloth/Qwen3-14B-128K-GGUF", "qwen3-14b", 131072),
        ("01-ai/Yi-34B-200K", "yi-34b", 200000),
        ("gradientai/Llama-3-8B-Instruct-262k", "llama-3-8b", 262144),
        ("microsoft/Phi-3-mini-4k-instruct", "phi-3-mini-4k", 4096),
        ("Phi-3-mini-128k-instruct", "phi-3-mini", 131072),
    ],
)
def test_a_context_in_a_name_is_the_models(name: str, identity: str, context: int) -> None:
    found = resolve(name)
    assert found.entry.id == identity and found.model is not None and found.model.context_limit == context


@pytest.mark.parametrize(
    ("name", "experts"),
    [
        ("cerebras/MiniMax-M2-REAP-172B-A10B", 192),
        ("cerebras/Qwen3-Coder-REAP-25B-A3B", 103),
        ("0xSero/GLM-4.7-REAP-50-W4A16", 80),
        ("0xSero/MiniMax-M2.1-REAP-40", 154),
    ],
)
def test_cut_experts_by_size_or_by_share(name: str, experts: int) -> None:
    """Cuts are whole five per cents of a layer's experts; what is cut has a size in every format."""
    found = resolve(name)
    assert found.model is not None
    assert max(getattr(layer.ffn, "experts", 0) for layer in found.model.layers) == experts
    (answer,) = facts_of([name])
    assert isinstance(answer, Resolved) and answer.weight_bytes


@pytest.mark.parametrize("form", ["Q4_K_M", "FP8", "AWQ", "UD-Q2_K_XL"])
def test_a_cut_model_has_a_size_in_every_format(form: str) -> None:
    (answer,) = facts_of([f"GLM-4.6-REAP-268B-A32B {form}"])
    assert isinstance(answer, Resolved) and answer.weight_bytes and answer.weight_bytes > 50e9


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("cerebras/GLM-4.5-Air-REAP-82B-A12B", 0.035, 0.05),  # with or without the layer that predicts ahead
        ("cerebras/Qwen3-Coder-REAP-25B-A3B", 0.009, 0.015),
        ("0xSero/gemma-4-21b-a4b-it-REAP", 0.009, 0.015),
    ],
)
def test_a_cut_model_s_size_is_a_range(name: str, least: float, most: float) -> None:
    (answer,) = facts_of([name])
    assert isinstance(answer, Resolved) and answer.weight_bytes and answer.weight_bytes_range
    low, high = answer.weight_bytes_range
    assert low < answer.weight_bytes < high and least < (high - low) / answer.weight_bytes < most
    assert answer.total_parameters and answer.total_parameters * 2 == pytest.approx(answer.weight_bytes, rel=0.01)


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("bartowski/huihui-ai_Qwen3-14B-abliterated-GGUF", "qwen3-14b"),
        ("huihui-ai_Qwen3-14B-abliterated-Q4_K_M.gguf", "qwen3-14b"),
        ("bartowski/TheDrummer_Cydonia-24B-v4.1-GGUF", "cydonia-24b"),
    ],
)
def test_packers_write_the_owner_before_the_name(name: str, identity: str) -> None:
    assert resolve(name).entry.id == identity


@pytest.mark.parametrize("name", ["Crow-4B-Opus-4.6-Distill-Heretic_Qwen3.5-Q4_K_M.gguf", "Foo_Bar-7B-Q4_K_M.gguf"])
def test_what_tells_a_size_or_nothing_is_no_owner(name: str) -> None:
    with pytest.raises(UnknownName):
        resolve(name)


@pytest.mark.parametrize("name", ["mmproj-F16.gguf", "Qwen2.5-VL-7B-Instruct-mmproj-f16.gguf"])
def test_a_projector_is_no_model_of_its_own(name: str) -> None:
    with pytest.raises(Unsupported, match="runs beside"):
        resolve(name)


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("VPTQ-community/Meta-Llama-3.1-70B-Instruct-v8-k65536-0-woft", 2),
        ("VPTQ-community/Meta-Llama-3.1-70B-Instruct-v8-k65536-256-woft", 3),
        ("ModelCloud/Meta-Llama-3.1-70B-Instruct-gptqmodel-4bit-vortex-v1", 4.15),
    ],
)
def test_makers_ways_of_telling_bits(name: str, bits: float) -> None:
    (answer,) = facts_of([name])
    inner, ends = 68.45e9, 2 * 128256 * 8192  # linear layers; embedding and head stay in 16 bits
    assert isinstance(answer, Resolved) and answer.weight_bytes == pytest.approx(inner * bits / 8 + ends * 2, rel=0.02)


@pytest.mark.parametrize("name", ["X/Llama-3.3-70B-Instruct-HIGGS-4bit", "Llama-3.3-70B-SINQ-4bit"])
def test_a_method_without_a_recipe_has_no_size_and_is_named(name: str) -> None:
    (answer,) = facts_of([name])
    assert isinstance(answer, Resolved) and answer.id == "llama-3.3-70b" and answer.weight_bytes is None
    assert any("no recipe" in assumption.text for assumption in answer.assumptions)


@pytest.mark.parametrize("name", ["mlx-community/GLM-4.5-Air-4bit", "turboderp/GLM-4.5-Air-exl3_4.0bpw"])
def test_converters_leave_prediction_layers_out(name: str) -> None:
    found = resolve(name)
    assert found.model is not None and not found.model.mtp_layers


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("upstage/Solar-Open2-250B", 250.3),
        ("zai-org/GLM-5.3-Flash", 313.3),
        ("llm-jp/llm-jp-4-8b-instruct", 8.590200832),
        ("ibm-granite/granite-4.1-3b", 3.4),
        ("ibm-granite/granite-4.1-8b", 8.79),
    ],
)
def test_families_of_2026_by_their_layers(name: str, billions: float) -> None:
    found = resolve(name)
    assert found.model is not None
    assert counts(found.model).parameters / 1e9 == pytest.approx(billions, rel=0.001)


def test_sizes_only_entries_have_sizes_in_gguf_formats() -> None:
    (answer,) = facts_of(["mistral-medium-3.5-128b Q4_K_M"])
    assert isinstance(answer, Resolved) and answer.how == "sizes" and answer.weight_bytes_range
    low, high = answer.weight_bytes_range
    assert low <= 128e9 * 4.85 / 8 <= high and high <= 1.0801 * answer.weight_bytes


def test_the_catalogue_has_no_second_spelling_that_a_plus_makes_equal() -> None:
    assert {"command-a-plus", "command-r-plus"} <= set(entry_ids())


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("R1 蒸馏版 32B", "deepseek-r1-distill-qwen-32b"),
        ("R1 蒸餾 70B", "deepseek-r1-distill-llama-70b"),
        ("r1-distill-7b", "deepseek-r1-distill-qwen-7b"),
        ("DeepSeek 满血版", "deepseek-r1"),
        ("滿血 DeepSeek 671B", "deepseek-r1"),
        ("DeepSeek V3 满血版", "deepseek-v3"),
        ("月之暗面 Kimi K2", "kimi-k2"),
        ("智譜 GLM-4.6", "glm-4.6"),
        ("通義千問3 32B", "qwen3-32b"),
        ("qwen3 32B 四位量化", "qwen3-32b"),
    ],
)
def test_models_as_they_are_called_in_chinese(name: str, identity: str) -> None:
    assert resolve(name).entry.id == identity


@pytest.mark.parametrize(
    ("name", "first"),
    [("满血版", "deepseek-r1"), ("滿血", "deepseek-r1"), ("蒸馏版", "deepseek-r1-distill-llama-70b"),
     ("蒸馏版 14B", "deepseek-r1-distill-qwen-14b")],
)  # fmt: skip
def test_a_form_of_no_model_leads_to_the_one_that_is_mostly_meant(name: str, first: str) -> None:
    with pytest.raises(UnknownName) as refused:
        resolve(name)
    assert refused.value.near[0] == first
    assert first in str(refused.value.hint)
