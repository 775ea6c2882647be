"""Tiny GGUF files and configs of many architectures, written by us."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from wellfed.models.config import from_config
from wellfed.models.gguf_types import TYPES
from wellfed.models.model import Model, tensors
from wellfed.models.tensor import Part, Tensor

Metadata = dict[str, int | float | str | bool | list[int] | list[str]]

_COMMON = {
    "hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
    "intermediate_size": 512, "vocab_size": 512, "max_position_embeddings": 4096,
}  # fmt: skip
_COMMON_GGUF: Metadata = {
    "embedding_length": 256, "block_count": 3, "attention.head_count": 4, "attention.head_count_kv": 2,
    "attention.key_length": 64, "feed_forward_length": 512, "context_length": 4096,
}  # fmt: skip
_LATENT = {"kv_lora_rank": 64, "qk_nope_head_dim": 32, "qk_rope_head_dim": 32, "v_head_dim": 32}
_ROUTED = {"n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 128}
_ROUTED_GGUF: Metadata = {
    "expert_count": 8, "expert_used_count": 2, "expert_shared_count": 1, "expert_feed_forward_length": 128,
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """An architecture as config.json has it and as GGUF metadata has it."""

    name: str
    architecture: str
    config: dict[str, object]
    metadata: Metadata


SAMPLES = (
    Sample("llama", "llama", {"model_type": "llama"}, {}),
    Sample("llama tied", "llama", {"model_type": "llama", "tie_word_embeddings": True}, {}),
    Sample(
        "mixtral",
        "llama",
        {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2},
        {"expert_count": 8, "expert_used_count": 2},
    ),
    Sample("qwen2", "qwen2", {"model_type": "qwen2"}, {}),
    Sample("qwen3", "qwen3", {"model_type": "qwen3"}, {}),
    Sample("phi3", "phi3", {"model_type": "phi3"}, {}),
    Sample("glm4", "glm4", {"model_type": "glm4"}, {}),
    Sample(
        "gemma3",
        "gemma3",
        {"model_type": "gemma3_text", "sliding_window": 128, "num_hidden_layers": 7},
        {"attention.sliding_window": 128, "block_count": 7},
    ),
    Sample(
        "qwen3moe",
        "qwen3moe",
        {"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128},
        {"expert_count": 8, "expert_used_count": 2, "expert_feed_forward_length": 128},
    ),
    Sample(
        "qwen2moe",
        "qwen2moe",
        {
            "model_type": "qwen2_moe", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
            "shared_expert_intermediate_size": 256,
        },
        {
            "expert_count": 8, "expert_used_count": 2, "expert_feed_forward_length": 128,
            "expert_shared_feed_forward_length": 256,
        },
    ),
    Sample(
        "deepseek2, heads' widths",
        "deepseek2",
        {"model_type": "deepseek_v2", **_LATENT, **_ROUTED, "first_k_dense_replace": 1},
        {
            **_ROUTED_GGUF, "leading_dense_block_count": 1, "attention.kv_lora_rank": 64, "attention.key_length": 64,
            "attention.value_length": 32, "rope.dimension_count": 32,
        },
    ),
    Sample(
        "deepseek2, latent's widths",
        "deepseek2",
        {
            "model_type": "deepseek_v3", **_LATENT, **_ROUTED, "first_k_dense_replace": 1, "q_lora_rank": 128,
            "topk_method": "noaux_tc",
        },
        {
            **_ROUTED_GGUF, "leading_dense_block_count": 1, "attention.kv_lora_rank": 64, "attention.q_lora_rank": 128,
            "attention.key_length": 96, "attention.value_length": 64, "attention.key_length_mla": 64,
            "attention.value_length_mla": 32, "rope.dimension_count": 32, "attention.head_count_kv": 1,
        },
    ),
    Sample(
        "deepseek4",
        "deepseek4",
        {
            "model_type": "deepseek_v4", **_ROUTED, "num_key_value_heads": 1, "q_lora_rank": 64, "o_lora_rank": 32,
            "o_groups": 2, "sliding_window": 128, "index_n_heads": 2, "index_head_dim": 32, "index_topk": 16,
            "hc_mult": 4, "compress_ratios": [0, 4, 128], "topk_method": "noaux_tc",
        },
        {
            **_ROUTED_GGUF, "attention.head_count_kv": 1, "attention.q_lora_rank": 64,
            "attention.output_lora_rank": 32, "attention.output_group_count": 2, "attention.sliding_window": 128,
            "attention.indexer.head_count": 2, "attention.indexer.key_length": 32, "attention.indexer.top_k": 16,
            "hyper_connection.count": 4, "attention.compress_ratios": [0, 4, 128],
        },
    ),
    Sample(
        "glm4moe with an MTP layer",
        "glm4moe",
        {
            "model_type": "glm4_moe", **_ROUTED, "first_k_dense_replace": 1, "attention_bias": True,
            "num_nextn_predict_layers": 1,
        },
        {**_ROUTED_GGUF, "leading_dense_block_count": 1, "nextn_predict_layers": 1, "block_count": 4},
    ),
    Sample(
        "dots1",
        "dots1",
        {"model_type": "dots1", **_ROUTED, "first_k_dense_replace": 1, "topk_method": "noaux_tc"},
        {**_ROUTED_GGUF, "leading_dense_block_count": 1},
    ),
    Sample(
        "gpt-oss",
        "gpt-oss",
        {
            "model_type": "gpt_oss", "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": 128,
            "attention_bias": True, "num_hidden_layers": 4,
        },
        {
            "expert_count": 8, "expert_used_count": 2, "expert_feed_forward_length": 512,
            "attention.sliding_window": 128, "block_count": 4,
        },
    ),
    Sample(
        "minimax-m2",
        "minimax-m2",
        {
            "model_type": "minimax_m2", "num_local_experts": 8, "num_experts_per_tok": 2, "use_qk_norm": True,
            "qk_norm_type": "per_layer", "intermediate_size": 128,
        },
        {"expert_count": 8, "expert_used_count": 2, "expert_feed_forward_length": 128, "feed_forward_length": 128},
    ),
    Sample(
        "llama4",
        "llama4",
        {
            "model_type": "llama4_text", "num_local_experts": 8, "num_experts_per_tok": 1, "intermediate_size": 128,
            "intermediate_size_mlp": 512, "interleave_moe_layer_step": 2, "attention_chunk_size": 256,
        },
        {
            "expert_count": 8, "expert_used_count": 1, "expert_feed_forward_length": 128,
            "interleave_moe_layer_step": 2, "attention.chunk_size": 256,
        },
    ),
    Sample(
        "qwen3next",
        "qwen3next",
        {
            "model_type": "qwen3_next", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
            "shared_expert_intermediate_size": 128, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
            "linear_key_head_dim": 64, "linear_value_head_dim": 64, "num_hidden_layers": 4,
        },
        {
            "expert_count": 8, "expert_used_count": 2, "expert_feed_forward_length": 128,
            "expert_shared_feed_forward_length": 128, "ssm.conv_kernel": 4, "ssm.state_size": 64, "ssm.group_count": 2,
            "ssm.time_step_rank": 4, "ssm.inner_size": 256, "block_count": 4,
        },
    ),
)  # fmt: skip


def model_of(sample: Sample) -> Model:
    """The sample's model by its config."""
    return from_config({**_COMMON, **sample.config}, sample.name)


def config_of(sample: Sample) -> dict[str, object]:
    """The whole config."""
    return {**_COMMON, **sample.config}


_NAMES = {
    "attn_qk_norm": "attn_q_norm.weight", "attn_qkv_bias": "attn_q.bias", "exp_probs_b": "exp_probs_b.bias",
    "small_conv1d": "ssm_conv1d.weight", "shortconv_in": "shortconv.in_proj.weight",
    "shortconv_out": "shortconv.out_proj.weight", "small_shortconv": "shortconv.conv.weight",
    "ssm_vectors": "ssm_norm.weight",
}  # fmt: skip
_OUTSIDE = {Part.EMBEDDING, Part.OUTPUT}


def _name(tensor: Tensor, layers: int) -> str:
    if tensor.part is Part.MTP:
        return f"blk.{layers}.{_NAMES.get(tensor.role, tensor.role + '.weight')}"
    role = _NAMES.get(tensor.role, f"{tensor.role}.weight")
    return role if tensor.layer is None else f"blk.{tensor.layer}.{role}"


def write_gguf(path: Path, sample: Sample, kind: str = "Q8_0", vocabulary: int = 512) -> None:
    """A GGUF of zeros with the sample's metadata and every tensor of its model, matrices in `kind`."""
    model = model_of(sample)
    writer = GGUFWriter(path, sample.architecture)
    writer.add_name(sample.name)
    for key, value in {**_COMMON_GGUF, **sample.metadata}.items():
        if isinstance(value, list):
            writer.add_array(f"{sample.architecture}.{key}", value)
        else:
            writer.add_uint32(f"{sample.architecture}.{key}", int(value))
    writer.add_token_list([f"token{index}" for index in range(vocabulary)])
    for tensor in tensors(model):
        _add(writer, _name(tensor, len(model.layers)), tensor, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add(writer: GGUFWriter, name: str, tensor: Tensor, kind: str) -> None:
    wide = tensor.is_matrix and tensor.part not in {Part.NORM, Part.ROUTER} and TYPES[kind].fits(tensor.columns)
    if not wide:
        writer.add_tensor(name, np.zeros(tensor.elements, np.float32).reshape(tensor.rows, tensor.columns).squeeze())
        return
    width = int(TYPES[kind].size(1, tensor.columns))
    shape = (tensor.count, tensor.rows, width) if tensor.count > 1 else (tensor.rows, width)
    writer.add_tensor(name, np.zeros(shape, np.uint8), raw_dtype=GGMLQuantizationType[kind])
