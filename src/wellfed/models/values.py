"""The values that describe a model: one vocabulary, Hugging Face's field names, whatever a file calls them.

A config.json and a GGUF header are two readers of it: each gives a mapping whose keys are these names or one of the
other names that configs use for the same thing. Builders ask for the first name only.
"""

from __future__ import annotations

from collections.abc import Mapping

# name: the other names under which published configs give the same value
ALIASES: dict[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd", "d_model", "n_embed"),
    "num_hidden_layers": ("n_layer", "num_layers", "n_layers"),
    "num_attention_heads": ("n_head", "num_heads", "n_heads"),
    "num_key_value_heads": ("num_attention_groups", "multi_query_group_num", "n_kv_heads", "num_kv_heads", "n_head_kv"),
    "head_dim": ("kv_channels", "attention_head_dim", "d_kv"),
    "intermediate_size": ("ffn_hidden_size", "n_inner", "d_ff", "ffn_dim", "ffn_length"),
    "vocab_size": ("padded_vocab_size",),
    "max_position_embeddings": (
        "n_positions",
        "seq_length",
        "model_max_length",
        "max_seq_len",
        "max_sequence_length",
        "n_ctx",
    ),
    "num_experts": ("num_local_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts"),
    "num_experts_per_tok": ("num_experts_per_token", "moe_topk", "moe_top_k", "moe_k", "top_k_experts"),
    "moe_intermediate_size": ("expert_ffn_hidden_size", "moe_ffn_hidden_size"),
    "n_shared_experts": ("num_shared_experts", "moe_num_shared_experts", "num_shared_expert"),
    "shared_expert_intermediate_size": (
        "moe_shared_expert_intermediate_size",
        "share_expert_dim",
        "shared_intermediate_size",
    ),
    "first_k_dense_replace": ("num_dense_layers", "moe_layer_start_index"),
    "num_nextn_predict_layers": ("mtp_num_hidden_layers", "num_mtp_layers", "mtp_num_layers"),
    "sliding_window": ("sliding_window_size", "attention_window_size"),
    "layer_types": ("layers_block_type", "attn_type_list"),
    "tie_word_embeddings": ("tie_embedding",),
    "attention_bias": ("use_qkv_bias", "add_qkv_bias", "qkv_bias"),
    "qk_layernorm": ("use_qk_norm", "qk_norm", "use_query_key_norm"),
    "moe_latent_size": ("routed_expert_hidden_size",),
    "mamba_n_heads": ("mamba_num_heads",),
    "mamba_d_head": ("mamba_head_dim",),
    "mamba_d_state": ("ssm_state_size",),
    "mamba_n_groups": ("n_groups",),
    "mamba_d_conv": ("conv_kernel",),
    "conv_L_cache": ("conv_l_cache",),
}

# Values that only mean something where a part exists that takes memory: a builder that does not ask for one that is
# there does not know the model.
SIZE_GIVING: tuple[str, ...] = (
    "num_experts",
    "moe_intermediate_size",
    "n_shared_experts",
    "shared_expert_intermediate_size",
    "moe_latent_size",
    "zero_expert_num",
    "kv_lora_rank",
    "q_lora_rank",
    "o_lora_rank",
    "index_topk",
    "index_n_heads",
    "compress_ratios",
    "hc_mult",
    "engram_layer_ids",
    "ngram_vocab_size_ratio",
    "hidden_size_per_layer_input",
    "num_kv_shared_layers",
    "altup_num_inputs",
    "laurel_rank",
    "mamba_n_heads",
    "mamba_d_state",
    "mamba_d_ssm",
    "conv_L_cache",
    "linear_num_value_heads",
    "linear_attn_config",
    "layer_group_size",
    "hybrid_override_pattern",
    "block_configs",
    "cross_attention_layers",
    "sparse_attention_config",
    "attention_other_setting",
    "num_attention_heads_per_layer",
    "hybrid_layer_pattern",
    "residual_moe",
    "global_head_dim",
    "num_global_key_value_heads",
    "num_decoder_layers",
)


def names_of(name: str) -> tuple[str, ...]:
    """`name` and the other names of the same value, in the order in which they are looked for."""
    return (name, *ALIASES.get(name, ()))


def is_given(values: Mapping[str, object], name: str) -> bool:
    """Whether `values` hold `name` under any of its names, other than as null, 0, false or empty."""
    return any(values.get(key) for key in names_of(name))
