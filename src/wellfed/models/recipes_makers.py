"""What makers of GGUF files do differently from llama.cpp's own mixes, where it is known.

Ollama: server/quantization.go of ollama/ollama (read 2026-11-29); that its library's Qwen3 files keep the values'
projection in F16 follows from their sizes (8B, 14B and 32B, to 0.1 %).
"""

from __future__ import annotations

from wellfed.models.tensor import Part, Tensor

_LATENT = frozenset({"attn_k_b", "attn_v_b", "attn_kv_a_mqa", "attn_q_a", "attn_q_b"})
_DELTA = frozenset({"qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"})
_QWEN3 = frozenset({"qwen3", "qwen3_moe"})
_SIX = frozenset({"attn_v", "ffn_down_exps", "ffn_down_shexp"})
_FOUR = frozenset(
    {"attn_q", "attn_k", "attn_output", "attn_qkv", "attn_gate", "ssm_ba", "ssm_out", "ffn_gate_exps", "ffn_up_exps",
     "ffn_gate_shexp", "ffn_up_shexp"}
)  # fmt: skip


def ollama_type(architecture: str, mix: str, tensor: Tensor) -> str | None:
    """The type that Ollama gives `tensor` instead of the mix's own; None where it follows llama.cpp."""
    if not tensor.is_matrix:
        return None
    if tensor.role in _LATENT:
        return "Q8_0"
    if tensor.part is Part.LOOKUP:
        return "F16"
    if architecture in _QWEN3 and tensor.role == "attn_v" and mix.startswith("Q4_K"):
        return "F16"
    if architecture in _DELTA and mix.startswith("Q4_K"):
        return "Q6_K" if tensor.role in _SIX else "Q4_K" if tensor.role in _FOUR else None
    return None
