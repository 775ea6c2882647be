"""Latent attention as engines run it: on the latents (absorbed), or on keys and values expanded from them.

llama.cpp runs on latents throughout, ik_llama.cpp (-mla 2, 3) expands the whole cache for every large batch, and
engines without MLA expand before they cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache

from wellfed.frozen import dataclass, replace
from wellfed.models.attention import FullAttention, LatentAttention, visible_pairs
from wellfed.models.gguf_types import TYPES
from wellfed.models.model import Model
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights
from wellfed.nouns.estimate import Work
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.ops import Step

_FEW = 16  # queries up to which latent attention runs absorbed: assumed


@dataclass(frozen=True, slots=True)
class ExpandedLatentAttention(LatentAttention):
    """The same weights; the cache holds every head's key and value."""

    @property
    def _expanded(self) -> int:
        return self.heads * (self.nope_dim + self.rope_dim + self.value_dim)

    def cache_elements(self, context: int) -> int:
        """heads x (nope + rope + value) a token."""
        return self._expanded * context

    def cache_read_elements(self, context: int) -> int:
        """Elements that a step reads: the whole cache."""
        return self._expanded * context

    def score_flops(self, queries: int, context: int) -> float:
        """FLOP of scores and their sums over expanded keys and values, as in multi-head attention."""
        return 2.0 * self._expanded * visible_pairs(queries, context)

    def cache_shards(self, tensor_parallel: int) -> int:
        """Parts that the cache is divided into over the ranks: by head."""
        return min(tensor_parallel, self.heads)


@dataclass(frozen=True, slots=True)
class AbsorbedLatentAttention(LatentAttention):
    """Runs on the latents whatever the batch: fewer bytes, more arithmetic."""

    def score_flops(self, queries: int, context: int) -> float:
        """2 x heads x (two latents and the rotary part) per pair."""
        per_pair = 2.0 * self.heads * (2 * self.kv_rank + self.rope_dim)
        if self.indexer is None:
            return per_pair * visible_pairs(queries, context)
        index = 2.0 * self.indexer.heads * self.indexer.head_dim * visible_pairs(queries, context)
        return index + per_pair * visible_pairs(queries, context, self.indexer.top_k)


def as_run(model: Model, layout: Layout) -> Model:
    """`model` with latent attention as the layout's engine runs it, and for ik_llama.cpp without sliding windows.

    ik_llama.cpp caches and reads the whole context in windowed layers too. Other models are unchanged.
    """
    if layout.engine is Engine.IK_LLAMA_CPP:
        model = _without_windows(model)
    if not layout.latent_cache:
        return _with_kind(model, ExpandedLatentAttention)
    if layout.engine is Engine.LLAMA_CPP or dict(layout.options).get("mla") == "1":
        return _with_kind(model, AbsorbedLatentAttention)
    return model


@lru_cache(maxsize=64)
def _without_windows(model: Model) -> Model:
    layers = tuple(
        replace(layer, attention=replace(layer.attention, window=None))
        if isinstance(layer.attention, FullAttention) and layer.attention.window is not None
        else layer
        for layer in model.layers
    )
    return model if layers == model.layers else replace(model, layers=layers)


def expansion_work(model: Model, weights: Weights, layers: Sequence[int], step: Step, layout: Layout) -> Work | None:
    """ik_llama.cpp's expansion of the tokens already cached, for a batch: keys and values of all heads, every layer."""
    cached = step.context - step.tokens / step.sequences
    if (
        layout.engine is not Engine.IK_LLAMA_CPP
        or as_run(model, layout) != model  # equal models need not be one object
        or step.tokens <= _FEW
        or cached <= 0
    ):
        return None
    attentions = [model.layers[index].attention for index in layers]
    elements = sum(
        _up_projection(attention)
        for attention in attentions
        if isinstance(attention, LatentAttention) and attention.indexer is None
    )
    if not elements:
        return None
    mix = weights.mixes.get(Part.ATTENTION, ())
    kind = weights.types.get(Part.ATTENTION, "")
    bits = TYPES[kind].bits if kind in TYPES else 16
    return Work(
        "cache expansion",
        flops=2 * elements * cached * step.sequences,
        read_bytes=elements * bits / 8,
        launches=len(attentions),
        weight_type=kind,
        elements=elements,
        mix=mix,
    )


def _up_projection(attention: LatentAttention) -> int:
    return attention.heads * (attention.nope_dim + attention.value_dim) * attention.kv_rank


@lru_cache(maxsize=64)
def _with_kind(model: Model, kind: type[LatentAttention]) -> Model:
    layers = tuple(
        replace(layer, attention=_as_kind(layer.attention, kind))
        if isinstance(layer.attention, LatentAttention)
        else layer
        for layer in model.layers
    )
    return model if layers == model.layers else replace(model, layers=layers)


def _as_kind(attention: LatentAttention, kind: type[LatentAttention]) -> LatentAttention:
    return kind(**{field.name: getattr(attention, field.name) for field in fields(attention)})
