"""Latent attention as engines without MLA run it: keys and values expanded before they are cached."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache

from wellfed.models.attention import LatentAttention, visible_pairs
from wellfed.models.model import Model


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
        """All of it."""
        return self._expanded * context

    def score_flops(self, queries: int, context: int) -> float:
        """As multi-head attention."""
        return 2.0 * self._expanded * visible_pairs(queries, context)

    def cache_shards(self, tensor_parallel: int) -> int:
        """By head."""
        return min(tensor_parallel, self.heads)


@lru_cache(maxsize=32)
def expanded(model: Model) -> Model:
    """`model` with every latent attention expanded; other models unchanged."""
    layers = tuple(
        replace(layer, attention=_expand(layer.attention)) if isinstance(layer.attention, LatentAttention) else layer
        for layer in model.layers
    )
    return replace(model, layers=layers)


def _expand(attention: LatentAttention) -> ExpandedLatentAttention:
    return ExpandedLatentAttention(**{field.name: getattr(attention, field.name) for field in fields(attention)})
