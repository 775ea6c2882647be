"""Weights: how many bytes each part of a model holds in some quantisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from wellfed.frozen import dataclass, replace
from wellfed.models.tensor import Part


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """Bytes of one layer by part."""

    attention: float = 0  # with indexer
    dense_ffn: float = 0
    routed_experts: float = 0
    shared_experts: float = 0
    router: float = 0
    norms: float = 0

    @property
    def total(self) -> float:
        """Bytes of all parts of the layer."""
        return self.attention + self.dense_ffn + self.routed_experts + self.shared_experts + self.router + self.norms

    @property
    def resident(self) -> float:
        """All but the routed experts: what hybrid layouts keep on the GPU."""
        return self.total - self.routed_experts


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes by part; `layers[i]` belongs to layer i. `types` names the type of most of a part's bytes, `mixes` all."""

    quantisation: str
    embedding: float
    output: float  # the head's bytes; tied embeddings: 0, and the head reads the embedding
    layers: tuple[LayerWeights, ...]
    other: float = 0  # output norm, extras
    mtp: float = 0
    towers: float = 0  # for pictures and sound
    lookup: float = 0  # tables of which a token takes a few rows (per-layer embeddings)
    types: Mapping[Part, str] = field(default_factory=dict)
    exact: bool = False  # read from a file's own table, not computed by recipe
    mixes: Mapping[Part, tuple[tuple[str, float], ...]] = field(default_factory=dict)  # type, share of a part's weights

    @property
    def total(self) -> float:
        """What a loaded model holds, multi-token-prediction layers excluded."""
        outside = self.embedding + self.output + self.other + self.towers + self.lookup
        return outside + sum(layer.total for layer in self.layers)

    @property
    def head(self) -> float:
        """Bytes the output projection reads."""
        return self.output or self.embedding

    def scaled(self, total_bytes: float) -> Weights:
        """The same model in a file of known size whose recipe is not: every layer scaled alike."""
        inner = sum(layer.total for layer in self.layers)
        factor = (total_bytes - self.total + inner) / inner
        return replace(self, layers=tuple(_scale(layer, factor) for layer in self.layers))


def _scale(layer: LayerWeights, factor: float) -> LayerWeights:
    return LayerWeights(
        attention=layer.attention * factor,
        dense_ffn=layer.dense_ffn * factor,
        routed_experts=layer.routed_experts * factor,
        shared_experts=layer.shared_experts * factor,
        router=layer.router * factor,
        norms=layer.norms * factor,
    )
