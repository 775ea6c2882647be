"""Layers that are not one attention: none, several side by side, or one that looks at an encoder's output."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.models.attention import Attention
from wellfed.models.tensor import Part, Tensor


@dataclass(frozen=True, slots=True)
class NoAttention:
    """A block without attention: Nemotron-H's feed-forward blocks, layers that a search removed it from."""

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """No tensors: the layer has no attention."""
        return ()

    def cache_elements(self, context: int) -> int:
        """No cache."""
        return 0

    def cache_read_elements(self, context: int) -> int:
        """No cache to read."""
        return 0

    def score_flops(self, queries: int, context: int) -> float:
        """No scores to compute."""
        return 0.0

    def score_pairs(self, queries: int, context: int) -> float:
        """No pairs of queries and keys."""
        return 0.0

    def cache_shards(self, tensor_parallel: int) -> int:
        """Nothing to divide."""
        return 1


@dataclass(frozen=True, slots=True)
class JointAttention:
    """Several in one layer, all run for every token: attention beside Mamba (Falcon-H1), self before cross."""

    parts: tuple[Attention, ...]

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """The tensors of all parts."""
        return tuple(tensor for part in self.parts for tensor in part.tensors(hidden))

    def cache_elements(self, context: int) -> int:
        """The sum of the parts'."""
        return sum(part.cache_elements(context) for part in self.parts)

    def cache_read_elements(self, context: int) -> int:
        """The sum of the parts'."""
        return sum(part.cache_read_elements(context) for part in self.parts)

    def score_flops(self, queries: int, context: int) -> float:
        """The sum of the parts'."""
        return sum(part.score_flops(queries, context) for part in self.parts)

    def score_pairs(self, queries: int, context: int) -> float:
        """The sum of the parts'."""
        return sum(part.score_pairs(queries, context) for part in self.parts)

    def cache_shards(self, tensor_parallel: int) -> int:
        """As the part that divides least."""
        return min((part.cache_shards(tensor_parallel) for part in self.parts), default=1)


@dataclass(frozen=True, slots=True)
class CrossAttention:
    """Attention to `source` tokens of an encoder or a picture, whose keys and values are computed once."""

    heads: int
    kv_heads: int
    head_dim: int
    source: int
    qk_norm: bool = False

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """q, k, v, o."""
        rows = {"cross_q": self.heads, "cross_k": self.kv_heads, "cross_v": self.kv_heads}
        norm = (Tensor("cross_qk_norm", Part.NORM, 1, 2 * self.head_dim),) if self.qk_norm else ()
        return (
            *(Tensor(role, Part.ATTENTION, heads * self.head_dim, hidden) for role, heads in rows.items()),
            Tensor("cross_output", Part.ATTENTION, hidden, self.heads * self.head_dim),
            *norm,
        )

    def cache_elements(self, context: int) -> int:
        """kv_heads x (key + value) for each source token, whatever the context."""
        return 2 * self.kv_heads * self.head_dim * self.source if context else 0

    def cache_read_elements(self, context: int) -> int:
        """The whole cache: every query looks at all source tokens."""
        return self.cache_elements(context)

    def score_flops(self, queries: int, context: int) -> float:
        """4 x heads x head_dim for each query and source token."""
        return 4.0 * self.heads * self.head_dim * queries * self.source

    def score_pairs(self, queries: int, context: int) -> float:
        """Heads x queries x source tokens."""
        return float(self.heads * queries * self.source)

    def cache_shards(self, tensor_parallel: int) -> int:
        """Parts that the cache is divided into over the ranks: by KV head."""
        return min(tensor_parallel, self.kv_heads)
