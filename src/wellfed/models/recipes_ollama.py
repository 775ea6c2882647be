"""What the files of Ollama's library do differently from llama.cpp's own mixes.

Sources: server/quantization.go of ollama/ollama (read 2026-11-29), and the sizes of the library's tags as
github.com/auditomatic/ollama-models-registry lists them (2026-08-21, to two digits): each rule below is what a family's
sizes tell.
"""

from __future__ import annotations

from datetime import date

from wellfed.models.model import Model
from wellfed.models.tensor import Part, Tensor

MAKER = "ollama"
# until then Gemma's files, in F16 too, keep the embedding that is also its head in Q8_0; Gemma 1.1's do not
_GEMMA_EIGHT_BITS = date(2024, 3, 1)
_LATENT = frozenset({"attn_k_b", "attn_v_b", "attn_kv_a_mqa", "attn_q_a", "attn_q_b"})
_DELTA = frozenset({"qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"})
_PREDICTING = _DELTA - {"qwen3_next"}
_SIX = frozenset({"attn_v", "ffn_down_exps", "ffn_down_shexp"})
_FOUR = frozenset(
    {"attn_q", "attn_k", "attn_output", "attn_qkv", "attn_gate", "ssm_ba", "ssm_out", "ffn_gate_exps", "ffn_up_exps",
     "ffn_gate_shexp", "ffn_up_shexp"}
)  # fmt: skip
# of models that came out then, its converter left the values' projection wide: Qwen3, Phi-4-reasoning
_WIDE_VALUES = (date(2025, 4, 1), date(2025, 6, 1))
_VALUES = {"qwen3": "attn_v", "qwen3_moe": "attn_v", "phi3": "attn_qkv"}
_OWN_CONVERTER = date(2024, 12, 1)  # files of earlier models are llama.cpp's
# whose files hold the language model alone, though the model sees; they lack prediction layers too
_TEXT_ONLY = frozenset({"gemma-3n-e2b", "gemma-3n-e4b", "ornith-1.0-9b", "ornith-1.0-35b"})
# whose files hold the tied head a second time, as their publishers' safetensors or GGUF files do
_HEAD_TWICE = frozenset({"qwen1.5-0.5b", "qwen3-0.6b", "qwen3-1.7b", "granite-3.0-2b", "granite-3.0-3b-a800m",
                         "exaone-3.5-2.4b", "exaone-deep-2.4b", "smallthinker-3b", "llama-guard-3-1b",
                         "cogito-3b"})  # fmt: skip


def ollama_type(model: Model, mix: str, tensor: Tensor) -> str | None:
    """The type that Ollama gives `tensor` instead of the mix's own; None where it follows llama.cpp."""
    if not tensor.is_matrix:
        return None
    released = model.released
    if tensor.role in _LATENT and released is not None and released >= _OWN_CONVERTER:
        return "Q8_0"
    if tensor.part is Part.LOOKUP:
        return "F16"
    is_early = released is None or released < _GEMMA_EIGHT_BITS
    if tensor.part is Part.EMBEDDING and model.architecture == "gemma" and is_early:
        return "Q8_0"
    if _VALUES.get(model.architecture) == tensor.role and mix in {"Q4_K", "Q8_0"} and _has_wide_values(model):
        return "F16"
    if model.architecture in _DELTA and mix == "Q4_K":
        return "Q6_K" if tensor.role in _SIX else "Q4_K" if tensor.role in _FOUR else None
    return None


def _has_wide_values(model: Model) -> bool:
    """Of its Qwen3 and Phi-4-reasoning files; those that see are llama.cpp's."""
    first, end = _WIDE_VALUES
    came_out = model.released
    return came_out is not None and first <= came_out < end and model.task in ("text", "")


_LEAST_WIDE = 1152  # columns, Gemma 3 1B's


def trained_at_four_bits(model: Model, tensor: Tensor) -> str | None:
    """The types of quantisation-aware checkpoints that are not Q4_0: Google leaves Gemma 3's embeddings in F16 (its
    own files of 27B take 17.2 GB), Gemma 4's tables for each layer are Q6_K.
    """
    if tensor.part is Part.EMBEDDING and model.architecture.startswith("gemma3") and model.hidden >= _LEAST_WIDE:
        return "F16"
    return "Q6_K" if tensor.part is Part.LOOKUP and tensor.is_matrix else None


def holds_towers(model: Model) -> bool:
    """Whether its files come with what sees and hears, in F16."""
    return model.id not in _TEXT_ONLY


def holds_prediction(model: Model) -> bool:
    """Whether its files hold prediction layers: those of Qwen3.5 and 3.6 do."""
    return model.architecture in _PREDICTING and model.id not in _TEXT_ONLY


def holds_head_twice(model: Model) -> bool:
    """Whether its files hold a tied head beside the embedding that it is."""
    return model.id in _HEAD_TWICE
