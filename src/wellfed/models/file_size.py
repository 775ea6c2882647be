"""How large a published file is: to the byte where its recipe is one, else a range that says so.

llama.cpp's mixes are what most makers publish. Some widen attention or the first layers, so that the same name is up to
8 % larger; Unsloth's dynamic mixes differ by model and month. A range is never wider than 8 % either way.
"""

from __future__ import annotations

from dataclasses import dataclass

from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation, weights

# Mixes of a single type: every maker's file is the same.
_ONE_TYPE = frozenset({"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4"})
_OF_IK = ("_KS", "_KT", "_KL", "_KSS", "_R4", "_R8")
_IK_K = frozenset({"IQ2_K", "IQ3_K", "IQ4_K", "IQ5_K", "IQ6_K"})
_KEEP_MTP = frozenset({"glm4_moe", "glm4v_moe", "glm4v_moe_text", "glm_moe_dsa", "deepseek_v4"})  # in their GGUFs
_BYTES_PER_WORD = 30  # of the vocabulary in a GGUF: text, score, type, merge
_DYNAMIC = (0.925, 1.075)
_UPSTREAM = (0.975, 1.08)  # makers widen, they rarely narrow
_IK_CENTRE, _IK = 1.08, (0.921, 1.079)  # by the cards of those who publish them: 23 files of five MoE models
_MADE = (0.97, 1.06)  # safetensors that somebody else quantised: what they left wide is their choice


@dataclass(frozen=True, slots=True)
class FileSize:
    """Bytes of the files, and the range they lie in where makers differ (`low` = `high` where they do not).

    `loaded` is what an engine loads of them: without multi-token-prediction layers.
    """

    bytes: float
    low: float
    high: float
    loaded: float

    @property
    def is_range(self) -> bool:
        """Whether the size is known only as a range."""
        return self.low < self.high


def file_size(model: Model, quantisation: Quantisation) -> FileSize:
    """The size of `model`'s files in `quantisation`, as published."""
    held = weights(model, quantisation)
    if quantisation.family != "gguf":
        whole = held.total + held.mtp
        native = quantisation.id == model.native_quantisation
        low, high = (1.0, 1.0) if native or quantisation.recipe in {"bf16", "fp16", "fp32"} else _MADE
        return FileSize(whole, whole * low, whole * high, held.total)
    words = _BYTES_PER_WORD * model.vocabulary
    mtp = held.mtp if model.architecture in _KEEP_MTP else 0.0
    whole, loaded = held.total + mtp + words, held.total
    if quantisation.file_bytes is not None:
        return FileSize(quantisation.file_bytes, quantisation.file_bytes, quantisation.file_bytes, loaded)
    centre, (low, high) = _spread(quantisation)
    return FileSize(whole * centre, whole * centre * low, whole * centre * high, loaded * centre)


def _spread(quantisation: Quantisation) -> tuple[float, tuple[float, float]]:
    """Where the middle lies against llama.cpp's own mix, and how far makers lie from it."""
    label = quantisation.recipe
    if label in _ONE_TYPE or quantisation.maker == "ollama":
        return 1.0, (1.0, 1.0)
    if label.startswith("UD-"):
        return 1.0, _DYNAMIC
    if label in _IK_K or label.endswith(_OF_IK):
        return _IK_CENTRE, _IK
    return 1.0, _UPSTREAM
