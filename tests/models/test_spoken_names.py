"""Names with less in them than any name of the model's own: said, misspelt, or of what was made from it."""

from __future__ import annotations

import pytest

from wellfed.catalog.model_names import resolve
from wellfed.catalog.name_words import parse
from wellfed.errors import UnknownName


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("gpt oss 120", "gpt-oss-120b"),
        ("qwen coder 30b", "qwen3-coder-30b-a3b"),
        ("ernie 21b a3b thinking", "ernie-4.5-21b-a3b"),
        ("nemotron super 120b", "nemotron-3-super-120b-a12b"),
        ("r1 0528 qwen3 8b", "deepseek-r1-0528-qwen3-8b"),
        ("qwen three 8b", "qwen3-8b"),
        ("llama 3.3 seventy b", "llama-3.3-70b"),
        ("阶跃 3.5 flash", "step-3.5-flash"),
        ("美团 longcat flash", "longcat-flash-chat"),
    ],
)
def test_a_name_with_less_in_it_is_taken_and_said_to_be(name: str, identity: str) -> None:
    answer = resolve(name)
    assert answer.entry.id == identity
    assert answer.assumptions or answer.how == "exact"


@pytest.mark.parametrize("name", ["llama 70b", "gemma 12b", "mistral 24b", "qwen 27b", "somebody/qwen-coder-30b-mine"])
def test_what_several_models_are_called_is_refused(name: str) -> None:
    with pytest.raises(UnknownName):
        resolve(name)


@pytest.mark.parametrize(
    ("name", "near"), [("qwen 38b", "qwen3-8b"), ("llama 270b", "llama-2-70b"), ("gemma 327b", "gemma-3-27b")]
)
def test_a_generation_and_a_size_are_two_numbers(name: str, near: str) -> None:
    with pytest.raises(UnknownName) as refusal:
        resolve(name)
    assert refusal.value.near[0] == near


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("TeichAI/GLM-4.7-Flash-Claude-Opus-4.5-High-Reasoning-Distill-GGUF", "glm-4.7-flash"),
        ("TeichAI/Qwen3-14B-Claude-4.5-Opus-High-Reasoning-Distill-GGUF", "qwen3-14b"),
        ("khazarai/Qwen3-4B-Gemini-3-Pro-Distilled", "qwen3-4b"),
        ("failspy/Meta-Llama-3-70B-Instruct-abliterated-v3.5", "llama-3-70b"),
    ],
)
def test_a_distilled_model_is_planned_as_the_one_that_learnt(name: str, identity: str) -> None:
    answer = resolve(name)
    assert answer.entry.id == identity
    assert answer.assumptions[0].reason


@pytest.mark.parametrize(
    "name", ["Qwen3-14B-Wonder-Claude-Distill", "DeepSeek-R1-Distill-Qwen-33B", "Qwen3-14B-Distill", "Claude-Distill"]
)
def test_other_distilled_models_are_not(name: str) -> None:
    with pytest.raises(UnknownName):
        resolve(name)


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("qwen3 32b q4km", "q4_k_m"),
        ("qwen3 32b gguf q4 k m", "q4_k_m"),
        ("Qwen3-32B-Q6K", "q6_k"),
        ("qwen3-32b iq4xs", "iq4_xs"),
        ("qwen3-32b q8 0", "q8_0"),
        ("Qwen3-32B UD-Q4_K_XL", "ud-q4_k_xl"),
    ],
)
def test_a_type_may_be_written_without_its_lines(written: str, form: str) -> None:
    assert parse(written).format == form


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("deepseek-r1-distill-qwen-32b 4bit awq", "INT4 (AWQ, GPTQ)"),
        ("deepseek r1 1.58bit", "UD-IQ1_S"),
        ("embeddinggemma:300m-qat-q8_0", "Q8_0"),
        ("qwen3-8b 4bit", "Q4_K_M"),
    ],
)
def test_words_of_a_format_are_read_together(name: str, label: str) -> None:
    quantisation = resolve(name).quantisation
    assert quantisation is not None
    assert quantisation.label == label


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("lama 3.1 70b", "llama-3.1-70b"),
        ("qwne3 8b", "qwen3-8b"),
        ("deepsek r1 32b", "deepseek-r1-distill-qwen-32b"),
        ("Qwen3-30B-A3B-Instuct-2507", "qwen3-30b-a3b-instruct-2507"),
        ("llama 70b", "llama-3.3-70b"),
    ],
)
def test_a_slip_leads_to_what_was_meant(name: str, near: str) -> None:
    with pytest.raises(UnknownName) as refusal:
        resolve(name)
    assert refusal.value.near[0] == near
