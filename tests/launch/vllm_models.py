"""Tiny models as vLLM reads them: a config.json and a tokenizer of whole words; weights are made up at its start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_WORDS = 1024
_COMMON = {
    "hidden_size": 256, "intermediate_size": 512, "vocab_size": _WORDS, "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu", "torch_dtype": "bfloat16",
    "bos_token_id": _WORDS - 2, "eos_token_id": _WORDS - 1, "tie_word_embeddings": False,
}  # fmt: skip
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "llama": {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 4,
        "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64,
    },
    "deepseek_v2": {
        "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 4, "moe_intermediate_size": 128, "n_shared_experts": 1,
        "n_routed_experts": 8, "num_experts_per_tok": 2, "first_k_dense_replace": 1, "moe_layer_freq": 1,
        "kv_lora_rank": 512, "q_lora_rank": None, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "n_group": 1, "topk_group": 1, "topk_method": "greedy", "norm_topk_prob": False,
        "routed_scaling_factor": 1.0, "scoring_func": "softmax",
    },
}  # fmt: skip


def write(folder: Path, kind: str) -> Path:
    """The model's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**_COMMON, **CONFIGS[kind]}))
    words = {f"w{number}": number for number in range(_WORDS)}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "w0"}
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "post_processor", "decoder"))
    tokenizer = {"version": "1.0", "added_tokens": [], **empty, "pre_tokenizer": {"type": "Whitespace"}, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    kind_of = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "w0", "model_max_length": 4096}
    (folder / "tokenizer_config.json").write_text(json.dumps(kind_of))
    return folder
