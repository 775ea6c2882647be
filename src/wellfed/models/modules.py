"""What a tensor's module is called in a checkpoint: the names that quantisation configs list.

Publishers differ in prefixes ("model.language_model.layers.3.") and in some inner names; a tensor answers to every
name that any of them gives it. Prefixes are taken off both sides, so that one short name stands for all.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from wellfed.models.tensor import Part, Tensor
from wellfed.patterns import regex

_PREFIX = regex(r"^(?:(?:model|language_model|backbone|transformer|text_model|llm)\.)+(?=.)")
_ATTENTION = ("self_attn", "attn", "attention", "mixer", "linear_attn", "mamba", "self_attention", "conv")
_FFN = ("mlp", "feed_forward", "ffn", "mixer", "block_sparse_moe")

# role: the last part of its module's name, in any of the ways in which it is written
_NAMES: dict[str, tuple[str, ...]] = {
    "attn_q": ("q_proj", "wq", "qkv_proj", "query_key_value"),
    "attn_k": ("k_proj", "wk", "qkv_proj", "query_key_value"),
    "attn_v": ("v_proj", "wv", "qkv_proj", "query_key_value"),
    "attn_qkv": ("qkv_proj", "in_proj_qkv", "in_proj_qkvz", "query_key_value", "W_pack", "Wqkv", "wqkv"),
    "attn_output": ("o_proj", "wo", "out_proj", "dense"),
    "attn_gate": ("in_proj_z", "in_proj_qkvz", "gate_proj", "g_proj"),
    "attn_q_a": ("q_a_proj", "wq_a", "fused_qkv_a_proj"),
    "attn_q_b": ("q_b_proj", "wq_b"),
    "attn_kv_a_mqa": ("kv_a_proj_with_mqa", "fused_qkv_a_proj"),
    "attn_k_b": ("kv_b_proj",),
    "attn_v_b": ("kv_b_proj",),
    "attn_kv": ("wkv",),
    "attn_output_a": ("wo_a",),
    "attn_output_b": ("wo_b",),
    "attn_compressor": ("compressor.wkv", "compressor.wgate"),
    "indexer_q_b": ("indexer.wq_b",),
    "indexer_k": ("indexer.wk",),
    "indexer_weights": ("indexer.weights_proj", "indexers_proj"),
    "indexer_compressor": ("indexer.compressor.wkv",),
    "indexer_q": ("indexer.q_proj", "index_q_proj"),
    "ssm_ba": ("in_proj_ba", "in_proj_b", "in_proj_a"),
    "ssm_in": ("in_proj",),
    "ssm_out": ("out_proj",),
    "ssm_x": ("x_proj",),
    "ssm_dt": ("dt_proj",),
    "ssm_f_a": ("f_a_proj", "f_proj"),
    "ssm_f_b": ("f_b_proj",),
    "ssm_g_a": ("g_a_proj", "g_proj"),
    "ssm_g_b": ("g_b_proj",),
    "ssm_beta": ("b_proj",),
    "small_conv1d": ("conv1d",),
    "shortconv_in": ("in_proj",),
    "shortconv_out": ("out_proj",),
    "ffn_gate": ("gate_proj", "gate_up_proj", "w1", "fc1"),
    "ffn_up": ("up_proj", "gate_up_proj", "w3", "fc1"),
    "ffn_down": ("down_proj", "w2", "fc2"),
    "ffn_latent_down": ("fc1_latent_proj",),
    "ffn_latent_up": ("fc2_latent_proj",),
}
_SHARED = ("shared_experts", "shared_expert", "share_expert", "shared_mlp")
_OUTSIDE: dict[Part, tuple[str, ...]] = {
    Part.OUTPUT: ("lm_head", "head", "output"),
    Part.EMBEDDING: ("embed_tokens", "word_embeddings", "embed", "wte"),
    Part.VISION: ("visual.blocks.0", "vision_tower.encoder.layers.0", "vision_model.encoder.layers.0"),
    Part.AUDIO: ("audio_tower.layers.0",),
}


def short(name: str) -> str:
    """`name` without the prefixes that say only where the language model sits."""
    return _PREFIX.sub("", name)


@lru_cache(maxsize=4096)
def inner_names(role: str, family: str) -> tuple[str, ...]:
    """What stands after "layers.N." for a tensor of this role, in every way it is written."""
    if role.endswith("_exps"):
        return tuple(_experts(_NAMES.get(role[:-5], (role,)), family))
    if role.endswith("_shexp"):
        return tuple(_shared(_NAMES.get(role[:-6], (role,)), family))
    names = _NAMES.get(role)
    if names is None:
        return (role,)
    rooms = _FFN if role.startswith("ffn") else _ATTENTION
    return tuple(f"{room}.{name}" for room in rooms for name in names)


def _experts(names: Iterable[str], family: str) -> Iterable[str]:
    for name in names:
        if family == "gemma":  # beside the dense feed-forward that is called mlp
            yield from (f"experts.0.{name}", f"moe.experts.0.{name}", f"moe.{name}")
            continue
        yield from (f"{room}.experts.0.{name}" for room in _FFN)
        yield from (f"moe.{name}", f"mlp.experts.{name}")


def _shared(names: Iterable[str], family: str) -> Iterable[str]:
    for name in names:
        if family == "gemma":
            yield f"mlp.{name}"
            continue
        yield from (f"{room}.{shared}.{name}" for room in _FFN for shared in _SHARED)
        yield from (f"{shared}.{name}" for shared in _SHARED)


def module_names(tensor: Tensor, layers: int, family: str) -> tuple[str, ...]:
    """Every short name of `tensor`'s module, in a model of `layers` layers."""
    if tensor.part is Part.MTP:
        inner = inner_names(tensor.role, family)
        places = ("mtp.layers.0", "mtp.0", f"layers.{layers}", "mtp")
        return tuple(f"{place}.{name}" for place in places for name in inner)
    if tensor.layer is None:
        return _OUTSIDE.get(tensor.part, (tensor.role,))
    return tuple(f"layers.{tensor.layer}.{name}" for name in inner_names(tensor.role, family))
