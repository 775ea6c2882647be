"""What a name means: every word explained, or another model."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import holds_for_all, shares
from wellfed.catalog.identities import How
from wellfed.catalog.model_names import exact, loose, model, resolve
from wellfed.catalog.model_tables import entry_ids, key, model_ids, names
from wellfed.catalog.models import Task, by_id, entry
from wellfed.catalog.name_match import without_sizes
from wellfed.catalog.name_words import parse
from wellfed.catalog.other_kinds import NotALanguageModel
from wellfed.errors import UnknownName, Unsupported, WellfedError
from wellfed.identity import identify
from wellfed.models.counts import counts

LANGUAGE_MODELS = [i for i in entry_ids() if entry(i).task is not Task.NOT_A_LANGUAGE_MODEL]


@pytest.mark.parametrize("identities", shares(LANGUAGE_MODELS, 3))
def test_ids_names_aliases_and_repositories(identities: Sequence[str]) -> None:
    holds_for_all(_is_named, identities)


def _is_named(identity: str) -> None:
    facts = entry(identity)
    for spelling in (*facts.spellings, identity.upper()):
        found = exact(spelling)
        assert found is not None and found.entry.id == identity


def test_what_is_no_language_model_is_refused_with_its_kind() -> None:
    holds_for_all(_is_refused, sorted(set(entry_ids()) - set(LANGUAGE_MODELS)))


def _is_refused(identity: str) -> None:
    for spelling in entry(identity).spellings:
        with pytest.raises(NotALanguageModel) as refusal:
            resolve(spelling)
        assert refusal.value.kind_of == entry(identity).kind_of


def test_no_alias_belongs_to_two_models() -> None:
    claims: dict[str, set[str]] = {}
    for identity in entry_ids():
        for name in entry(identity).spellings:
            claims.setdefault(key(name), set()).add(identity)
    assert {name: owners for name, owners in claims.items() if len(owners) > 1} == {}
    assert set(names().values()) == set(entry_ids())


@pytest.mark.parametrize("identities", shares(model_ids(), 4))
def test_counts_are_the_models_own(identities: Sequence[str]) -> None:
    holds_for_all(_is_counted, identities)


def _is_counted(identity: str) -> None:
    built, count = by_id(identity), counts(by_id(identity))
    assert count.parameters == built.parameters
    assert abs(count.active - built.active_parameters) <= 2
    assert count.total >= count.parameters >= count.active > 0


@pytest.mark.parametrize(
    ("text", "identity", "quantisation"),
    [
        ("r1:70b", "deepseek-r1-distill-llama-70b", None),
        ("deepseek-r1:671b", "deepseek-r1-0528", None),
        ("llama3.1:8b", "llama-3.1-8b", None),
        ("DeepSeek-R1-Distill-Llama-70B", "deepseek-r1-distill-llama-70b", None),
        ("qwen3 30b a3b iq4_xs", "qwen3-30b-a3b", "iq4_xs"),
        ("Qwen3-30B-A3B UD-Q4_K_XL", "qwen3-30b-a3b", "ud-q4_k_xl"),
        ("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", "llama-3.1-8b", None),
        ("Qwen_Qwen3-8B-Q4_K_M.gguf", "qwen3-8b", "q4_k_m"),
        ("nvidia/DeepSeek-V3.1-NVFP4", "deepseek-v3.1", "nvfp4"),  # its own size is known
        ("nvidia/DeepSeek-V3-0324-NVFP4", "deepseek-v3-0324", "nvfp4-ffn"),
        ("gemma3:27b-it-q4_K_M", "gemma-3-27b", "q4_k_m"),
        ("Kimi-K2.6 1T", "kimi-k2.6", None),
        ("gpt-oss-120b MXFP4", "gpt-oss-120b", "mxfp4-experts"),
        ("gpt-oss-120b-mxfp4-00001-of-00003.gguf", "gpt-oss-120b", "gguf-mxfp4"),
        ("unsloth/Qwen3-8B-GGUF:BF16", "qwen3-8b", "gguf-bf16"),
        ("https://huggingface.co/Qwen/Qwen3-8B", "qwen3-8b", None),
        ("https://huggingface.co/Qwen/Qwen3-8B/tree/main", "qwen3-8b", None),
        ("https://www.modelscope.cn/models/Qwen/Qwen3-8B/summary", "qwen3-8b", None),
        ("hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M", "qwen3-8b", "q4_k_m"),
        ("https://ollama.com/library/qwen3:8b", "qwen3-8b", None),
        ("ollama run qwen3:8b", "qwen3-8b", None),
        ("TheBloke/Llama-2-70B-Chat-AWQ", "llama-2-70b", "int4"),
        ("RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8", "llama-3.3-70b", "int8"),
        ("Llama-4-Scout-17B-16E", "llama-4-scout", None),
        ("通义千问3 32B", "qwen3-32b", None),
        ("千问3-320亿", "qwen3-32b", None),
        ("深度求索 R1 70B", "deepseek-r1-distill-llama-70b", None),
        ("深度求索 R1 满血版", "deepseek-r1", None),
        ("DeepSeek-R1 满血版 671B", "deepseek-r1", None),
        ("DeepSeek R1 蒸馏版 32B", "deepseek-r1-distill-qwen-32b", None),
        ("智谱 GLM-4.5 Air", "glm-4.5-air", None),
        ("ｑｗｅｎ３ ８ｂ", "qwen3-8b", None),
    ],
)
def test_names_as_people_write_them(text: str, identity: str, quantisation: str | None) -> None:
    found = resolve(text)
    assert found.entry.id == identity
    assert (found.quantisation.id if found.quantisation else None) == quantisation


def test_what_differs_from_the_name_is_told() -> None:
    assert not resolve("DeepSeek-R1 Q4_K_M").assumptions
    assert not resolve("deepseek-v3.1:671b").assumptions
    assert resolve("deepseek-r1:671b").assumptions  # R1-0528 in Ollama's library
    assert resolve("qwen3").assumptions  # no size is named
    assert resolve("unsloth/Qwen3-8B-GGUF").assumptions
    assert resolve("someone/Qwen3-8B").how is How.LOOSE


def test_experts_that_were_cut_make_up_the_named_size() -> None:
    cut = resolve("cerebras/GLM-4.5-Air-REAP-82B-A12B")
    assert cut.model is not None and cut.model.id != "glm-4.5-air"
    assert counts(cut.model).parameters == pytest.approx(82e9, rel=0.01)
    assert counts(cut.model).active == pytest.approx(counts(by_id("glm-4.5-air")).active, rel=0.01)
    assert cut.assumptions
    for impossible in ("GLM-4.5-Air-REAP-820B-A12B", "Qwen3-8B-REAP-4B", "GLM-4.5-Air-REAP"):
        with pytest.raises(UnknownName):
            resolve(impossible)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("deepseek-v33", "deepseek-v3"),
        ("deepseek-v9", "deepseek-v"),
        ("qwen3-9b", "qwen3-8b"),
        ("lama 3.1 8b", "llama"),
    ],
)
def test_neighbours_are_of_the_family(text: str, near: str) -> None:
    with pytest.raises(UnknownName) as refusal:
        resolve(text)
    assert any(offered.startswith(near) for offered in refusal.value.near)
    assert near in (refusal.value.hint or "")


@pytest.mark.parametrize("text", ["gpt5", "claude 3 opus", "models", "", "foo-7b", "7", "8b", "r", "-", "q4_k_m"])
def test_unknown_names_are_not_guessed_and_told_how_to_name(text: str) -> None:
    with pytest.raises(UnknownName) as refusal:
        model(text)
    assert "config.json" in (refusal.value.hint or "")


@given(
    st.sampled_from(LANGUAGE_MODELS),
    st.sampled_from(["flash", "mini", "lite", "nano", "ocr", "vl", "omni", "coder", "math", "reap", "base"]),
)
def test_a_variant_that_is_not_the_entrys_is_another_model(identity: str, variant: str) -> None:
    """A variant's word at the end of an id means another model, which some other entry has or nothing has."""
    if variant in parse(identity).words:
        return
    try:
        found = resolve(f"{identity}-{variant}")
    except WellfedError:
        return
    known_as = (*found.entry.spellings, *found.entry.tags)
    assert variant in {word for spelling in known_as for word in parse(spelling).words}


_PIECES = """qwen 3 3.5 v3 v3.2 r1 deepseek llama glm 4.5 4.7 flash air mini vl coder 8b 30b a3b 70b 671b 32b instruct
base gguf q4_k_m fp8 2507 0528 kimi k2 k2.5 gemma gpt oss 20b 120b full distill unsloth/ :latest reap tts"""


@given(st.lists(st.sampled_from(_PIECES.split()), min_size=1, max_size=6).map("-".join))
def test_no_id_differs_from_the_name_without_an_assumption(text: str) -> None:
    """Where nothing is assumed, the name has the words of the model's own id, name or repository, sizes aside."""
    try:
        found = resolve(text)
    except WellfedError:
        return
    if found.assumptions or found.model is None:
        return
    own = (found.entry.id, found.entry.name, found.entry.repository or found.entry.id)
    assert _bare(text) in {_bare(spelling) for spelling in own}


def _bare(text: str) -> frozenset[str]:
    return without_sizes(parse(text).distinguishing)


@given(st.text(max_size=400))
def test_any_text_is_a_model_or_a_clear_error(text: str) -> None:
    try:
        assert resolve(text).entry.id in entry_ids()
    except WellfedError as error:
        assert error.message and error.hint
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", error.message)


def test_long_names_are_refused_at_once() -> None:
    for piece in ("a", "qwen3-", "1.", "-", "a/", "/tree/"):
        text = piece * 200_000
        with pytest.raises(UnknownName):
            loose(text)
        with pytest.raises(UnknownName) as refusal:
            identify(text, hub="huggingface")
        assert len(refusal.value.message) < 400


def test_sizes_alone_cannot_be_planned() -> None:
    for identity in entry_ids():
        facts = entry(identity)
        if not facts.has_config and facts.task is not Task.NOT_A_LANGUAGE_MODEL:
            assert resolve(identity).how is How.SIZES
            with pytest.raises(Unsupported):
                model(identity)
