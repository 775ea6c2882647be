"""One model of each family, counted from its config: the published number of parameters."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from architecture_cases import CASES

from wellfed.errors import BadInput, Unsupported
from wellfed.modelfiles.hf_config import read_config
from wellfed.models.attention import FullAttention, LatentAttention
from wellfed.models.config import BUILDERS, from_config
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Model, tensors
from wellfed.models.recurrent import Recurrent
from wellfed.models.tensor import Part

_SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "models"
_BY_NAME = {name: config for name, _, config in CASES}


def _model(name: str) -> Model:
    return from_config(_BY_NAME[name], name)


@pytest.mark.parametrize(("name", "billions", "config"), CASES, ids=[name for name, _, _ in CASES])
def test_the_count_is_the_published_one(name: str, billions: float, config: dict[str, object]) -> None:
    """Within half a unit of the last digit published, or 0.6 % where a card rounds."""
    assert from_config(config, name).parameters / 1e9 == pytest.approx(billions, rel=0.006)


@pytest.mark.parametrize("name", _BY_NAME)
def test_what_follows_from_the_layers_is_sane(name: str) -> None:
    model = _model(name)
    assert 0 < model.active_parameters <= model.parameters <= model.total_parameters
    assert all(tensor.elements > 0 for tensor in tensors(model))
    assert 0 <= model.cache_elements(1024) <= model.cache_elements(8192)
    for layer in model.layers:
        assert layer.attention.cache_read_elements(4096) >= 0
        assert layer.attention.score_flops(1, 4096) >= 0
        assert layer.attention.cache_shards(4) >= 1


def test_layers_that_share_a_cache_have_none_of_their_own() -> None:
    """Gemma 3n E4B: 15 of 35 layers read what earlier layers cached, and the file keeps their unused projections."""
    layers = _model("gemma3n-e4b").layers
    sharing = [layer for layer in layers if isinstance(layer.attention, FullAttention) and layer.attention.shares_cache]
    assert len(sharing) == 15
    assert all(
        layer.attention.cache_elements(4096) == 0 < layer.attention.cache_read_elements(4096) for layer in sharing
    )


def test_states_do_not_grow() -> None:
    for name in ("granite4-h-tiny", "jamba-v0.1", "kimi-linear", "minimax-m1", "lfm2-1.2b", "nemotron-h-56b"):
        states = [layer.attention for layer in _model(name).layers if isinstance(layer.attention, Recurrent)]
        assert states
        assert all(state.cache_elements(100) == state.cache_elements(100_000) > 0 for state in states)
        assert all(state.cache_elements(0) == 0 for state in states)


def test_per_layer_embeddings_are_looked_up() -> None:
    model = _model("gemma3n-e4b")
    lookup = [tensor for tensor in tensors(model) if tensor.part is Part.LOOKUP]
    assert sum(tensor.elements for tensor in lookup) == pytest.approx(2.35e9, rel=0.01)
    assert model.active_parameters < model.parameters - 2.3e9


def test_an_encoder_caches_nothing_and_is_for_embedding() -> None:
    model = _model("bge-m3")
    assert model.cache_elements(8192) == 0
    assert model.task == "embedding"
    ranker = from_config({**_BY_NAME["bge-m3"], "architectures": ["XLMRobertaForSequenceClassification"]}, "ranker")
    assert ranker.task == "reranker"


def test_a_shared_indexer_has_no_weights_and_no_keys() -> None:
    base = {**_BY_NAME["glm-4.7-flash"], "model_type": "glm_moe_dsa", "index_topk": 2048, "index_n_heads": 32}
    plain = from_config({**base, "index_head_dim": 128}, "plain")
    kinds = ["full" if index % 4 == 0 else "shared" for index in range(47)]
    sharing = from_config({**base, "index_head_dim": 128, "indexer_types": kinds}, "sharing")
    assert sharing.parameters < plain.parameters
    assert sharing.cache_elements(4096) < plain.cache_elements(4096)
    attention = sharing.layers[1].attention
    assert isinstance(attention, LatentAttention)
    assert attention.cache_read_elements(100_000) < plain.layers[1].attention.cache_read_elements(100_000)


@pytest.mark.parametrize(
    "extra",
    [
        {"n_routed_experts": 64, "num_experts_per_tok": 6, "moe_intermediate_size": 512, "kv_lora_rank": 512},
        {"kv_lora_rank": 512},
        {"mamba_d_state": 128},
        {"linear_attn_config": {"num_heads": 3}},
        {"hidden_size_per_layer_input": 256},
        {"hc_mult": 4},
        {"engram_layer_ids": [1, 2]},
        {"sparse_attention_config": {"sparse_topk_blocks": 4}},
    ],
)
def test_a_size_that_the_builder_does_not_ask_for_makes_it_refuse(extra: dict[str, object]) -> None:
    with pytest.raises(Unsupported, match=r"does not know"):
        from_config({**_BY_NAME["olmo3-7b"], **extra}, "odd")


def test_an_inner_model_of_unknown_kind_is_not_its_wrapper() -> None:
    inner = {**_BY_NAME["olmo3-7b"], "model_type": "hyena9"}
    with pytest.raises(Unsupported, match="hyena9"):
        from_config({"model_type": "gemma3", "text_config": inner}, "odd")


@pytest.mark.parametrize("extra", [{"_class_name": "FluxPipeline"}, {"model_type": "whisper", "d_model": 1280}])
def test_what_is_no_language_model_is_said(extra: dict[str, object]) -> None:
    with pytest.raises(Unsupported, match="no language model"):
        from_config(extra, "odd")


def test_every_builder_refuses_an_empty_config() -> None:
    for kind in BUILDERS:
        with pytest.raises((BadInput, Unsupported)):
            from_config({"model_type": kind}, kind)


def test_a_latent_expert_works_on_the_latent() -> None:
    block = MoeFfn(8, 2, 64, gated=False, latent=32)
    routed = sum(tensor.elements for tensor in block.tensors(128) if tensor.part is Part.ROUTED_EXPERTS)
    assert routed == 8 * 2 * 64 * 32


def _rows() -> list[dict[str, str]]:
    file = _SHARED / "configs.tsv"
    return list(csv.DictReader(file.open(), delimiter="\t")) if file.is_file() else []


@pytest.mark.shared
@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["folder"])
def test_real_configs_are_read_and_counted(row: dict[str, str]) -> None:
    """Counted totals within 0.1 %; rounded ones within their rounding."""
    model = read_config(_SHARED / "configs" / row["folder"])
    if row["total_b"]:
        counted = row["how_known"].startswith("counted")
        assert model.parameters / 1e9 == pytest.approx(float(row["total_b"]), rel=0.001 if counted else 0.03)


def test_shared_streams_and_engrams() -> None:
    """DeepSeek-V4.1: only source layers keep compressed entries; n-gram tables are looked up, not multiplied with."""
    config: dict[str, object] = {
        "model_type": "deepseek_v41",
        "text_config": {
            "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "head_dim": 64, "vocab_size": 1000,
            "compress_ratios": [0, 1, 2, 2], "kv_source_layer_ids": [1, 2], "index_source_layer_ids": [1, 3],
            "sliding_window": 128, "q_lora_rank": 64, "o_groups": 2, "o_lora_rank": 64, "hc_mult": 2,
            "index_n_heads": 4, "index_head_dim": 32, "index_topk": 64, "n_routed_experts": 8,
            "num_experts_per_tok": 2, "moe_intermediate_size": 128, "n_shared_experts": 1,
            "engram_layer_ids": [1], "engram_num_embeddings": [100_000_000], "engram_head_dim": 16,
            "engram_n_heads": 2, "engram_max_ngram_size": 3,
        },
    }  # fmt: skip
    model = from_config(config, "streams")
    caches = [layer.attention.cache_elements(10_000) for layer in model.layers]
    assert caches[0] == caches[3] == 64 * 128
    assert caches[1] > caches[2] > caches[0]
    lookup = sum(tensor.elements for tensor in tensors(model) if tensor.part is Part.LOOKUP)
    assert lookup == 1_600_000_000
    assert model.active_parameters < 20_000_000 < model.parameters
