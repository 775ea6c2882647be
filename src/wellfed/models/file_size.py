"""How large a published file is: to the byte where its recipe is one, else a range that says so.

llama.cpp's mixes are what most makers publish. Some widen attention or the first layers, and Unsloth's dynamic mixes
differ by model and month: see `maker_spread`. A range is never wider than 8 % either way.
"""

from __future__ import annotations

from datetime import date

from wellfed.frozen import dataclass
from wellfed.models import recipes_ollama
from wellfed.models.maker_spread import spread
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation, weights

_KEEP_MTP = frozenset({"glm4_moe", "glm4v_moe", "glm4v_moe_text", "glm_moe_dsa", "deepseek_v4"})  # in their GGUFs
# llama.cpp runs prediction layers since #22673 of 2026 and its converter keeps them: unsloth's Qwen3.8-27B files are as
# large as those of Qwen3.6-27B that say MTP (lemonade-sdk/lemonade server_models.json, 2026-08-22)
_MTP_SINCE = date(2026, 6, 1)
_BYTES_PER_WORD = 30  # of the vocabulary in a GGUF: text, score, type, merge
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
    in_memory = weights(model, quantisation)
    if quantisation.family != "gguf":
        ahead = in_memory.mtp if quantisation.mtp_bytes is None else quantisation.mtp_bytes
        total = in_memory.total + ahead
        native = quantisation.id == model.native_quantisation or quantisation.file_bytes is not None
        low, high = (1.0, 1.0) if native or quantisation.recipe in {"bf16", "fp16", "fp32"} else _MADE
        return FileSize(total, total * low, total * high, in_memory.total)
    words = _BYTES_PER_WORD * model.vocabulary
    mtp = in_memory.mtp if quantisation.predictors or _keeps_mtp(model, quantisation.maker) else 0.0
    total, loaded = in_memory.total + mtp + words, in_memory.total
    if quantisation.file_bytes is not None:
        return FileSize(quantisation.file_bytes, quantisation.file_bytes, quantisation.file_bytes, loaded)
    makers = spread(model, quantisation)
    middle = total * makers.centre
    return FileSize(middle, middle * makers.low, middle * makers.high, loaded * makers.centre)


def _keeps_mtp(model: Model, maker: str) -> bool:
    """Whether `maker`'s GGUF files of this model hold its prediction layers."""
    if maker == recipes_ollama.MAKER:
        return recipes_ollama.holds_prediction(model)
    is_recent = model.released is not None and model.released >= _MTP_SINCE
    return model.architecture in _KEEP_MTP or is_recent
