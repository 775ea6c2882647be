"""Names of tensors in safetensors checkpoints: which part, which layer, which role, and how many parameters."""

from __future__ import annotations

import re

from wellfed.frozen import dataclass
from wellfed.models.gguf_types import TYPES
from wellfed.models.modules import short
from wellfed.models.recipe import Recipe
from wellfed.models.tensor import Part

_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.(.+)$")
_SEES = ("visual.", "vision_", "vision.", "mm_projector", "multi_modal_projector", "embed_vision", "image_newline",
         "view_seperator", "sam_model", "img_projector", "aligner.", "vit.", "patch_embed", "vision_model",
         "connector.", "merger.")  # fmt: skip
_HEARS = ("audio_", "embed_audio", "audio.", "speech_", "code2wav", "talker.", "token2wav")
_EMBEDDINGS = ("embed_tokens.weight", "word_embeddings.weight", "wte.weight", "tok_embeddings.weight", "shared.weight",
               "embed.weight", "embed_in.weight", "embeddings.weight", "tok_emb.weight")  # fmt: skip
_LOOKUPS = ("embed_tokens_per_layer", "position_embeddings", "token_type_embeddings", "engram",
            "ngram_embeddings.embedders", "wpe.weight")  # fmt: skip
_HEADS = ("lm_head", "output", "head", "embed_out")
_SCALES = ("weight_scale", "weight_scale_inv", "weight_scale_2", "input_scale", "scales", "scale", "qzeros", "g_idx",
           "weight_zero_point", "weight_shape", "weight_g_idx", "absmax", "quant_map", "nested_absmax",
           "nested_quant_map", "k_scale", "v_scale", "biases", "suh", "svh", "su", "sv", "SCB", "weight_format",
           "centroids", "codebooks", "weight_global_scale", "input_global_scale", "output_scale", "zero", "mcg", "mul1",
           "bitsandbytes__nf4", "bitsandbytes__fp4", "input_zero_point", "meta", "q_scale",
           "weight_bias", "res_centroids")  # fmt: skip
_PACKED = ("qweight", "weight_packed", "blocks", "trellis", "q_weight", "W_q", "indices", "codes")

# last word(s) of a module's name: the role it plays, in GGUF's words
_ROLES = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "wq": "attn_q", "wk": "attn_k", "wv": "attn_v",
    "qkv_proj": "attn_qkv", "query_key_value": "attn_qkv", "W_pack": "attn_qkv", "c_attn": "attn_qkv",
    "Wqkv": "attn_qkv", "wqkv": "attn_qkv", "in_proj_qkv": "attn_qkv", "in_proj_z": "attn_gate",
    "o_proj": "attn_output", "out_proj": "attn_output", "wo": "attn_output", "q_a_proj": "attn_q_a",
    "q_b_proj": "attn_q_b", "kv_a_proj_with_mqa": "attn_kv_a_mqa", "kv_b_proj": "attn_kv_b", "g_proj": "attn_gate",
    "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down", "w1": "ffn_gate", "w3": "ffn_up",
    "w2": "ffn_down", "gate_up_proj": "ffn_gate_up", "gate": "ffn_gate_inp", "router": "ffn_gate_inp",
    "in_proj": "ssm_in", "x_proj": "ssm_x", "dt_proj": "ssm_dt", "conv1d": "ssm_conv1d", "A_log": "ssm_a",
    "shared_expert_gate": "ffn_gate_inp_shexp", "e_score_correction_bias": "exp_probs_b",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor belongs; `inner` is its name within the layer."""

    part: Part
    layer: int | None = None
    inner: str = ""


def place(name: str, layers: int, shape: tuple[int, ...]) -> Place:
    """Part and layer of a tensor by its name in transformers, in a model of `layers` layers."""
    lowered = name.lower()
    if any(word in lowered for word in _HEARS):
        return Place(Part.AUDIO)
    if any(word in lowered for word in _SEES):
        return Place(Part.VISION)
    words = name.split(".")
    if "mtp" in words or "nextn" in lowered:
        return Place(Part.MTP)
    if any(word in name for word in _LOOKUPS):
        return Place(Part.LOOKUP)
    match = _LAYER.search(name)
    if match is None:
        return Place(_outside(name))
    layer, inner = int(match[1]), match[2]
    if layer >= layers:
        return Place(Part.MTP)
    return Place(_within(inner, shape), layer, inner)


def _outside(name: str) -> Part:
    if name.endswith(_EMBEDDINGS):
        return Part.EMBEDDING
    return Part.OUTPUT if any(word in _HEADS for word in name.split(".")) else Part.NORM


def _within(inner: str, shape: tuple[int, ...]) -> Part:
    words = inner.split(".")
    is_scale = words[-1] in _SCALES
    if "norm" in inner or (not is_scale and (len(shape) < 2 or words[-1] == "bias")):
        return Part.NORM
    if "indexer" in inner:
        return Part.INDEXER
    if any(word.startswith(("shared_expert", "share_expert", "shared_mlp")) for word in words):
        return Part.NORM if "shared_expert_gate" in words else Part.SHARED_EXPERTS
    if "experts" in words or "switch_mlp" in words:
        return Part.ROUTED_EXPERTS
    if words[-1] in {"weight", *_SCALES} and len(words) > 1 and words[-2] in {"gate", "router", "classifier"}:
        return Part.ROUTER
    attention = ("attn", "mixer", "attention", "mamba", "conv", "linear_attn", "temporal_block", "ssm")
    is_attention = any(sign in word.lower() for word in words[:-1] for sign in attention)
    ffn = ("up_proj", "down_proj", "gate_proj")
    return Part.ATTENTION if is_attention and not any(word in ffn for word in words) else Part.DENSE_FFN


def is_companion(name: str) -> bool:
    """Whether the tensor holds scales and the like of another one, and no parameters of its own."""
    last = name.rpartition(".")[2]
    return last in _SCALES or last.endswith(("_scales", "_scale", "_scale_inv"))


def module_of(name: str) -> str:
    """The module that a tensor belongs to, by its short name."""
    head, _, last = name.rpartition(".")
    plain = last.removesuffix("_blocks").removesuffix("_scales")
    return short(head if last in {"weight", "bias", *_SCALES, *_PACKED} else f"{head}.{plain}")


def parameters(name: str, dtype: str, elements: int, kind: str) -> int:
    """The parameters that a tensor stores, unpacked: `kind` is its module's weight type."""
    if is_companion(name):
        return 0
    bits = round(TYPES[kind].bits) if kind in TYPES else 16
    last = name.rpartition(".")[2]
    word = {"I32": 32, "U32": 32, "I16": 16, "U8": 8, "I8": 8}.get(dtype, 0)
    packed = last in _PACKED or last.endswith("_blocks") or (last == "weight" and dtype in {"U8", "U32", "I32"})
    if not packed or not word or bits >= word:
        return elements
    nominal = next((n for n in (1, 2, 3, 4, 5, 6, 8) if n >= int(TYPES[kind].bits)), 8)
    return elements * word // nominal


def kind_of(module: str, dtype: str, layer: int | None, recipe: Recipe | None) -> str:
    """The weight type of a stored tensor: its dtype, or for packed values what the recipe says of its module."""
    stored = {"F8_E4M3": "FP8", "F8_E5M2": "FP8", "F8_E8M0": "FP8", "I8": "INT8"}.get(dtype, dtype)
    if recipe is None or dtype in {"BF16", "F16", "F32"}:
        return stored if stored in TYPES else "BF16"
    weight_kind = recipe.type_of_module(module, layer)
    if dtype.startswith("F8") and not weight_kind.startswith(("FP8", "MXFP8")):
        return "FP8"
    return weight_kind


def role_of(inner: str) -> str:
    """The role of a tensor by its name within the layer, in GGUF's words; the name itself where it is not known."""
    words = [word for word in inner.split(".") if word not in {"weight", "bias"} and not word.isdecimal()]
    last = words[-1] if words else inner
    if "norm" in inner:
        return inner.removesuffix(".weight")
    role = _ROLES.get(last, inner.removesuffix(".weight"))
    if "experts" in words and role.startswith("ffn"):
        return f"{role}_exps"
    if (
        any(word.startswith(("shared_expert", "share_expert")) for word in words)
        and role.startswith("ffn_")
        and last != "shared_expert_gate"
    ):
        return f"{role}_shexp"
    return "ssm_out" if last == "out_proj" and words[0] in {"mamba", "mixer", "linear_attn"} else role
