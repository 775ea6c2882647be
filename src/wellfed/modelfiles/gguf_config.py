"""GGUF metadata read into the vocabulary of `wellfed.models.values`, so that one set of builders serves both readers.

Source: gguf-py/gguf/constants.py and conversion code of ggml-org/llama.cpp, read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from wellfed.errors import BadInput, Unsupported, nearest
from wellfed.message import listed, sentence
from wellfed.modelfiles.gguf_header import GgufHeader, Value

# general.architecture: model_type
_ARCHITECTURES = {
    "llama": "llama", "mistral3": "mistral3", "qwen2": "qwen2", "qwen3": "qwen3", "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe", "qwen3vl": "qwen3", "qwen3vlmoe": "qwen3_moe", "qwen3next": "qwen3_next",
    "qwen35": "qwen3_5", "qwen35moe": "qwen3_5_moe", "phi3": "phi3", "gemma": "gemma", "gemma2": "gemma2",
    "gemma3": "gemma3", "glm4": "glm4", "glm4moe": "glm4_moe", "glm-dsa": "glm_moe_dsa", "gptj": "gptj",
    "gpt-oss": "gpt_oss", "llama4": "llama4", "minimax-m2": "minimax_m2", "deepseek": "deepseek",
    "deepseek2": "deepseek_v2", "deepseek32": "deepseek_v32", "deepseek4": "deepseek_v4",
    "dots1": "dots1", "ernie4_5": "ernie4_5",
    "ernie4_5-moe": "ernie4_5_moe", "hunyuan-dense": "hunyuan_v1_dense", "hunyuan-moe": "hunyuan_v1_moe",
    "bitnet": "bitnet", "bitnet-25": "bitnet", "bitnet-b1.58": "bitnet", "seed_oss": "seed_oss",
    "smollm3": "smollm3",
}  # fmt: skip

# name in the vocabulary: the GGUF key after "<architecture>."
_KEYS = {
    "hidden_size": "embedding_length", "num_hidden_layers": "block_count", "max_position_embeddings": "context_length",
    "intermediate_size": "feed_forward_length", "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv", "head_dim": "attention.key_length",
    "sliding_window": "attention.sliding_window", "num_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length", "n_shared_experts": "expert_shared_count",
    "shared_expert_intermediate_size": "expert_shared_feed_forward_length",
    "first_k_dense_replace": "leading_dense_block_count", "num_nextn_predict_layers": "nextn_predict_layers",
    "q_lora_rank": "attention.q_lora_rank", "kv_lora_rank": "attention.kv_lora_rank",
    "index_n_heads": "attention.indexer.head_count", "index_head_dim": "attention.indexer.key_length",
    "index_topk": "attention.indexer.top_k", "interleave_moe_layer_step": "interleave_moe_layer_step",
    "attention_chunk_size": "attention.chunk_size", "linear_conv_kernel_dim": "ssm.conv_kernel",
    "full_attention_interval": "full_attention_interval", "vocab_size": "vocab_size",
    "o_lora_rank": "attention.output_lora_rank", "o_groups": "attention.output_group_count",
    "hc_mult": "hyper_connection.count", "num_kv_shared_layers": "attention.shared_kv_layers",
    "hidden_size_per_layer_input": "embedding_length_per_layer_input",
}  # fmt: skip
_LATENT = {"deepseek_v2", "deepseek_v32", "glm_moe_dsa"}
_MTP_COUNTED = {"glm4_moe", "glm_moe_dsa", "deepseek_v4"}  # block_count includes the MTP layers
_DELTA = {"qwen3_next", "qwen3_5", "qwen3_5_moe"}
_SHARED_COUNTED = {"ernie4_5_moe": "moe_num_shared_experts", "hunyuan_v1_moe": "num_shared_expert"}


def architecture_of(header: GgufHeader) -> str:
    """What the header calls its architecture. Raises BadInput where it does not."""
    architecture = header.metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise BadInput(
            sentence("gguf-config.gguf-header-names", "the GGUF header names no architecture"),
            sentence("gguf-config.language-model", "is it a language model?"),
        )
    if architecture in _NOT_LANGUAGE_MODELS:
        raise Unsupported(
            sentence(
                "gguf-config.gguf-architecture",
                "a GGUF of the architecture {named!r}: no language model",
                named=architecture,
            ),
            sentence("gguf-config.name-model-own", "name the model's own file"),
        )
    return architecture


_NOT_LANGUAGE_MODELS = frozenset(
    {"clip", "mmproj", "whisper", "flux", "sd1", "sdxl", "sd3", "wan", "ltxv", "qwen_image"}
)


def config_of(header: GgufHeader) -> dict[str, object]:
    """The header's values. Raises Unsupported for an architecture without a builder."""
    architecture = architecture_of(header)
    if architecture not in _ARCHITECTURES:
        near = nearest(architecture, _ARCHITECTURES)
        raise Unsupported(
            sentence(
                "gguf-config.no-description-gguf",
                "no description of the GGUF architecture {named!r}",
                named=architecture[:60],
            ),
            sentence("gguf-config.nearest-known", "nearest known: {near}", near=listed(near)),
        )
    kind = _ARCHITECTURES[architecture]
    config = _translated(header.metadata, architecture)
    tensors = {tensor.name: tensor.shape for tensor in header.tensors}
    if "token_embd.weight" in tensors:
        config["vocab_size"] = tensors["token_embd.weight"][0]
    config["tie_word_embeddings"] = "output.weight" not in tensors
    config["model_type"] = kind
    _by_kind(config, kind, header.metadata, architecture, tensors)
    return config


def _translated(metadata: Mapping[str, Value], architecture: str) -> dict[str, object]:
    config: dict[str, object] = {}
    for key, ours in _KEYS.items():
        value = metadata.get(f"{architecture}.{ours}")
        if value is not None and value != ():
            config[key] = _uniform(value, ours) if isinstance(value, tuple) else value
    return config


def loose_values(header: GgufHeader) -> dict[str, object]:
    """The header's values for an architecture that is read from its tensors: lists stay lists, one a layer."""
    architecture, metadata = architecture_of(header), header.metadata
    values: dict[str, object] = {"model_type": architecture}
    for key, ours in (_KEYS | _LOOSE).items():
        value = metadata.get(f"{architecture}.{ours}")
        if value is not None and value != ():
            values[key] = list(value) if isinstance(value, tuple) else value
    heads, inner = values.get("linear_num_value_heads"), values.get("inner_size")
    if isinstance(heads, int) and isinstance(inner, int) and heads > 0:
        values["linear_value_head_dim"] = inner // heads
    pattern = values.get("layer_types")
    if isinstance(pattern, list):
        values["layer_types"] = ["sliding" if windowed else "full" for windowed in pattern]
    elif isinstance(pattern, int) and not isinstance(pattern, bool) and pattern > 0:
        count = values.get("num_hidden_layers")
        layers = count if isinstance(count, int) and 0 < count <= _MOST_LAYERS else 0
        values["layer_types"] = ["full" if (index + 1) % pattern == 0 else "sliding" for index in range(layers)]
    return values


_MOST_LAYERS = 2048
_LOOSE = {
    "qk_rope_head_dim": "rope.dimension_count", "mamba_d_state": "ssm.state_size", "mamba_n_groups": "ssm.group_count",
    "linear_num_value_heads": "ssm.time_step_rank", "linear_num_key_heads": "ssm.group_count",
    "linear_key_head_dim": "ssm.state_size", "inner_size": "ssm.inner_size",
    "layer_types": "attention.sliding_window_pattern",
}  # fmt: skip


def _uniform(values: tuple[int | float | bool | str, ...], key: str) -> int | float | bool | str:
    """A value given once per layer, all alike; layers without (0) are left out of the comparison."""
    distinct = {value for value in values if value}
    if len(distinct) != 1:
        raise Unsupported(
            sentence(
                "gguf-config.differs-from-layer",
                "{key} differs from layer to layer: this architecture variant has no description",
                key=key,
            )
        )
    return distinct.pop()


def _by_kind(
    config: dict[str, object], kind: str, metadata: Mapping[str, Value], architecture: str, tensors: Collection[str]
) -> None:
    """What an architecture's converter stores in its own way."""
    if kind == "llama" and config.get("num_experts"):
        config["model_type"] = "mixtral"
    if kind in {"llama", "mistral3"}:
        config.pop("sliding_window", None)  # llama.cpp gives these models full attention
    if kind in _LATENT:
        _latent(config, metadata, architecture)
    if kind in _DELTA:
        _delta(config, metadata, architecture)
    if kind == "deepseek_v4":
        config["compress_ratios"] = metadata.get(f"{architecture}.attention.compress_ratios")
    if kind in _MTP_COUNTED and isinstance(config.get("num_nextn_predict_layers"), int):
        config["num_hidden_layers"] = _difference(config.get("num_hidden_layers"), config["num_nextn_predict_layers"])
    if kind == "gptj":
        config.update(n_embd=config.get("hidden_size"), n_positions=config.get("max_position_embeddings"))
    if kind == "qwen3_5" or kind == "qwen3_next":
        config.setdefault("full_attention_interval", 4)
    if kind in _SHARED_COUNTED:
        config[_SHARED_COUNTED[kind]] = config.get("n_shared_experts", 0)
    _experts(config, kind, metadata, architecture)
    config["attention_bias"] = any(name.endswith(("attn_q.bias", "attn_qkv.bias")) for name in tensors)
    config["use_qk_norm"] = any(name.endswith("attn_q_norm.weight") for name in tensors)
    if any(name.endswith("exp_probs_b.bias") for name in tensors):
        config["topk_method"] = "noaux_tc"


def _latent(config: dict[str, object], metadata: Mapping[str, Value], architecture: str) -> None:
    """Key width is nope + rope; files made for MLA store the latent's widths and the heads' beside them."""
    key = metadata.get(f"{architecture}.attention.key_length_mla", metadata.get(f"{architecture}.attention.key_length"))
    value = metadata.get(
        f"{architecture}.attention.value_length_mla", metadata.get(f"{architecture}.attention.value_length")
    )
    rope = metadata.get(f"{architecture}.rope.dimension_count")
    config.update(qk_rope_head_dim=rope, v_head_dim=value, qk_nope_head_dim=_difference(key, rope))
    config.pop("head_dim", None)
    if not config.get("q_lora_rank"):
        config.pop("q_lora_rank", None)


def _delta(config: dict[str, object], metadata: Mapping[str, Value], architecture: str) -> None:
    """State size is the key width; inner size over heads is the value width."""
    heads, inner = metadata.get(f"{architecture}.ssm.time_step_rank"), metadata.get(f"{architecture}.ssm.inner_size")
    if not isinstance(heads, int) or not isinstance(inner, int) or heads < 1:
        raise BadInput(
            sentence("gguf-config.gguf-header-ssm", "the GGUF header has no ssm.time_step_rank and ssm.inner_size")
        )
    config.update(
        linear_num_value_heads=heads,
        linear_value_head_dim=inner // heads,
        linear_num_key_heads=metadata.get(f"{architecture}.ssm.group_count"),
        linear_key_head_dim=metadata.get(f"{architecture}.ssm.state_size"),
    )


def _experts(config: dict[str, object], kind: str, metadata: Mapping[str, Value], architecture: str) -> None:
    """Models whose experts config.json sizes by other keys."""
    width = config.get("moe_intermediate_size")
    if kind == "llama4":
        config["intermediate_size_mlp"] = config.get("intermediate_size")
        config["intermediate_size"] = width
    if kind in {"gpt_oss", "minimax_m2"} and width is not None:
        config["intermediate_size"] = width
    if kind == "minimax_m2":
        config["qk_norm_type"] = "per_layer"
    if kind == "ernie4_5_moe":
        config["moe_layer_start_index"] = config.get("first_k_dense_replace", 0)
    if kind == "hunyuan_v1_moe":
        config["moe_topk"] = config.get("num_experts_per_tok")
    if kind == "ernie4_5_moe":
        config["moe_k"] = config.get("num_experts_per_tok")
    if kind == "gpt_oss":
        config.setdefault("sliding_window", metadata.get(f"{architecture}.attention.sliding_window"))


def _difference(total: object, part: object) -> int:
    if not isinstance(total, int) or not isinstance(part, int) or total <= part:
        raise BadInput(
            sentence(
                "gguf-config.gguf-header-sizes",
                "the GGUF header's sizes do not fit together: {total} less {part}",
                total=total,
                part=part,
            )
        )
    return total - part
