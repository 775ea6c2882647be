"""Totals of configs that say a size in a way of their own, against the counts that the hub gives of their files."""

from __future__ import annotations

from typing import Any

import pytest

from wellfed.models.config import from_config
from wellfed.models.counts import counts

_QWEN2 = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": False, "max_position_embeddings": 32768,
}  # fmt: skip
_MISTRAL = {
    "model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000, "max_position_embeddings": 32768,
}  # fmt: skip
_MINICPM3 = {
    "model_type": "minicpm3", "hidden_size": 2560, "num_hidden_layers": 62, "intermediate_size": 6400,
    "num_attention_heads": 40, "num_key_value_heads": 40, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32,
    "q_lora_rank": 768, "kv_lora_rank": 256, "vocab_size": 73448, "max_position_embeddings": 32768,
}  # fmt: skip
_PHI3_VISION = {
    "model_type": "phi3_v", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32064, "tie_word_embeddings": False,
    "max_position_embeddings": 131072,
    "img_processor": {"image_dim_out": 1024, "model_name": "openai/clip-vit-large-patch14-336",
                      "name": "clip_vision_model", "num_img_tokens": 144},
}  # fmt: skip
_TOWER_OF_QWEN2_VL = {
    "depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "in_chans": 3, "hidden_size": 3584,
    "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14, "temporal_patch_size": 2,
}  # fmt: skip
_TOWER_OF_LLAMA_3_2 = {
    "attention_heads": 16, "hidden_size": 1280, "image_size": 560, "intermediate_size": 5120, "max_num_tiles": 4,
    "model_type": "mllama_vision_model", "num_channels": 3, "num_global_layers": 8, "num_hidden_layers": 32,
    "patch_size": 14, "vision_output_dim": 7680,
    "supported_aspect_ratios": [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]],
}  # fmt: skip
_LLAMA_3_2 = {
    "model_type": "mllama_text_model", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 40,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
    "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38], "max_position_embeddings": 131072,
}  # fmt: skip

_TOTALS: list[tuple[str, dict[str, Any], float, float]] = [
    ("Qwen2-VL-7B", {"model_type": "qwen2_vl", **_QWEN2, "vision_config": _TOWER_OF_QWEN2_VL}, 8.291376e9, 0.001),
    (
        "Llama-3.2-11B-Vision",
        {"model_type": "mllama", "text_config": _LLAMA_3_2, "vision_config": _TOWER_OF_LLAMA_3_2},
        10.670220835e9,
        0.001,
    ),
    ("E5-Mistral-7B", {**_MISTRAL, "architectures": ["MistralModel"]}, 7.110660096e9, 1e-6),
    ("Mistral-7B-v0.1", {**_MISTRAL, "architectures": ["MistralForCausalLM"]}, 7.241732096e9, 1e-6),
    ("MiniCPM3-4B", _MINICPM3, 4.074e9, 0.001),
    ("Phi-3-vision-128k", _PHI3_VISION, 4.146621440e9, 1e-6),
]


@pytest.mark.parametrize(("name", "config", "total", "slack"), _TOTALS, ids=[row[0] for row in _TOTALS])
def test_totals_are_those_of_the_files(name: str, config: dict[str, Any], total: float, slack: float) -> None:
    assert counts(from_config(config, name)).total == pytest.approx(total, rel=slack)


def test_what_is_published_without_a_head_is_an_embedding_model() -> None:
    assert from_config({**_MISTRAL, "architectures": ["MistralModel"]}, "e5").task == "embedding"
    assert from_config(_MISTRAL, "mistral").task == "text"


def test_an_empty_list_says_nothing_of_the_layers() -> None:
    config = {
        "model_type": "llama4_text", "hidden_size": 5120, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
        "num_hidden_layers": 48, "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128,
        "vocab_size": 202048, "num_local_experts": 16, "num_experts_per_tok": 1, "interleave_moe_layer_step": 1,
        "attention_chunk_size": 8192, "tie_word_embeddings": False,
    }  # fmt: skip
    plain = from_config(config, "scout")
    assert from_config({**config, "no_rope_layers": []}, "scout").layers == plain.layers
