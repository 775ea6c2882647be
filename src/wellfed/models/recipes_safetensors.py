"""Which type each tensor of a safetensors checkpoint gets, by quantisation scheme.

Sources: config.json and hf_quant_config.json of deepseek-ai/DeepSeek-V3 and V4, nvidia/*-NVFP4 and -FP8,
moonshotai/Kimi-K2-Thinking, openai/gpt-oss (read 2026-11-23), AutoAWQ and GPTQ defaults (group of 128).
"""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.models.tensor import MEMORY, Part, Tensor


@dataclass(frozen=True, slots=True)
class Scheme:
    """The type of the linear layers, and of those parts that have another. Embeddings and head stay BF16."""

    linear: str
    attention: str = ""
    shared: str = ""
    routed: str = ""
    dense: str = ""
    mtp: str = ""
    output: str = ""  # attention's output projection, where it is not as the rest of attention
    wide: str = "BF16"  # embeddings, head, norms, router


SCHEMES: dict[str, Scheme] = {
    "fp32": Scheme("F32", wide="F32"),
    "bf16": Scheme("BF16"),
    "fp16": Scheme("F16", wide="F16"),
    "fp8": Scheme("FP8"),
    "int8": Scheme("INT8"),
    "int4": Scheme("INT4-G128"),
    "mxfp4": Scheme("MXFP4", attention="BF16"),
    "nvfp4": Scheme("NVFP4-16", mtp="BF16"),
    "nvfp4-ffn": Scheme("NVFP4-16", attention="BF16", mtp="BF16"),  # nvidia's DeepSeek, GLM, Kimi, MiniMax, Qwen3.5
    "nvfp4-ffn-output": Scheme("NVFP4-16", attention="BF16", mtp="BF16", output="NVFP4-16"),  # DeepSeek-R1-0528-FP4-v2
    "mxfp4-experts": Scheme("BF16", routed="MXFP4"),  # gpt-oss
    "fp8-fp4-experts": Scheme("FP8-UE8M0", routed="MXFP4"),  # DeepSeek-V4
    "int2": Scheme("INT2-G128X"),
    "int3": Scheme("INT3-G128X"),
    "int5": Scheme("MLX5-G64"),
    "int6": Scheme("MLX6-G64"),
    "nf4": Scheme("NF4"),
    "bnb-fp4": Scheme("NF4-PLAIN"),
    "aqlm": Scheme("AQLM2"),
    "vptq": Scheme("VPTQ3"),
    "mxfp6": Scheme("MXFP6"),
    "mxfp8": Scheme("MXFP8"),
    "ternary": Scheme("TERNARY"),
    "int4-experts": Scheme("BF16", routed="INT4-G32"),  # Kimi-K2-Thinking and later
}

# Families whose FP8 files have one scale a tensor or row (nvidia/*-FP8, RedHatAI/*-FP8); others': a tile of 128 x 128.
ONE_SCALE = frozenset({"llama", "gemma", "mistral", "nemotron", "phi", "granite"})

_WIDE = {Part.EMBEDDING, Part.OUTPUT, Part.NORM, Part.ROUTER, Part.VISION, Part.AUDIO, Part.LOOKUP}
_QUANTISED_COLUMNS = 64  # narrower matrices (gates, low ranks of linear attention) are left alone


def scheme(name: str) -> Scheme:
    """The scheme called `name`; "4.25bpw" is EXL's with so many bits. Raises KeyError."""
    if name.endswith("bpw"):
        return Scheme(f"EXL{float(name.removesuffix('bpw')):g}", wide="F16")
    return SCHEMES[name]


def scheme_type(scheme: Scheme, tensor: Tensor, native: str) -> str:
    """The name of the weight type that `scheme` gives `tensor`; `native` is what the publisher's own files hold."""
    if tensor.role == "exp_probs_b" or (tensor.part is Part.ROUTER and native == "fp32"):
        return "F32"
    if tensor.role == MEMORY and scheme.linear not in {"BF16", "F16", "F32"}:
        return "MXFP8"
    if tensor.part in _WIDE or not tensor.is_matrix or tensor.columns < _QUANTISED_COLUMNS:
        return scheme.wide
    if tensor.role.startswith(("small_", "indexer_weights")):
        return scheme.wide
    if tensor.role == "attn_output" and tensor.part is Part.ATTENTION and scheme.output:
        return scheme.output
    by_part = {
        Part.ATTENTION: scheme.attention,
        Part.INDEXER: scheme.attention,
        Part.SHARED_EXPERTS: scheme.shared,
        Part.ROUTED_EXPERTS: scheme.routed,
        Part.DENSE_FFN: scheme.dense,
        Part.MTP: scheme.mtp,
    }
    part = Part.ROUTED_EXPERTS if tensor.role.endswith("_exps") and not scheme.mtp else tensor.part
    return by_part.get(part) or scheme.linear
