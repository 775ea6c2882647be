"""DeepSeek-V4's attention: a short window of plain entries, beyond it one entry per `ratio` tokens."""

from __future__ import annotations

from typing import Protocol

from wellfed.frozen import dataclass
from wellfed.models.attention import SparseIndexer, visible_pairs
from wellfed.models.tensor import Part, Tensor


class SharedHead(Protocol):
    """Heads that share one key-value head: queries of low rank, an output of low rank in groups."""

    @property
    def heads(self) -> int: ...
    @property
    def head_dim(self) -> int: ...
    @property
    def q_rank(self) -> int: ...
    @property
    def output_groups(self) -> int: ...
    @property
    def output_rank(self) -> int: ...


def projections(shape: SharedHead, hidden: int) -> tuple[Tensor, ...]:
    """Low-rank q, the shared key-value, grouped low-rank output, norms and sinks."""
    width = shape.heads * shape.head_dim
    return (
        Tensor("attn_q_a", Part.ATTENTION, shape.q_rank, hidden),
        Tensor("attn_q_b", Part.ATTENTION, width, shape.q_rank),
        Tensor("attn_kv", Part.ATTENTION, shape.head_dim, hidden),
        Tensor("attn_output_a", Part.ATTENTION, shape.output_rank, width // shape.output_groups, shape.output_groups),
        Tensor("attn_output_b", Part.ATTENTION, hidden, shape.output_groups * shape.output_rank),
        Tensor("attn_vectors", Part.NORM, 1, shape.q_rank + shape.head_dim + shape.heads),
    )


def mixers(streams: int, hidden: int) -> tuple[Tensor, ...]:
    """Hyper-connections: two sets a layer of (2 + s) s rows over all s streams, with offsets and three scales."""
    if not streams:
        return ()
    rows = (2 + streams) * streams
    return (Tensor("hyper_connections", Part.NORM, 2, rows * streams * hidden + rows + 3),)


@dataclass(frozen=True, slots=True)
class CompressedAttention:
    """One shared key-value head; `ratio` 0 is the window alone, 4 is sparse with an indexer, 128 is dense.

    Source: DeepSeek-V4 configs and technical report (layer kinds CSA and HCA), read 2026-11-23.
    """

    heads: int
    head_dim: int
    window: int
    ratio: int
    q_rank: int
    output_groups: int
    output_rank: int
    indexer: SparseIndexer | None = None
    streams: int = 0  # hyper-connections: parallel residual streams, mixed around attention and feed-forward

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """Low-rank q, the shared key-value, grouped low-rank output; the compressor; the indexer."""
        inner = (*self._compressor(hidden), *self._indexer(hidden))
        return (*projections(self, hidden), *inner, *mixers(self.streams, hidden))

    @property
    def _overlap(self) -> int:
        """Windows of the sparse kind overlap, which doubles the compressor's width."""
        return 2 if self.indexer else 1

    def _compressor(self, hidden: int) -> tuple[Tensor, ...]:
        if not self.ratio:
            return ()
        width = self._overlap * self.head_dim
        return (
            Tensor("attn_compressor", Part.ATTENTION, 2 * width, hidden),
            Tensor("attn_compressor_vectors", Part.NORM, 1, self.ratio * width + self.head_dim),
        )

    def _indexer(self, hidden: int) -> tuple[Tensor, ...]:
        if self.indexer is None:
            return ()
        rows, width = self.indexer.heads * self.indexer.head_dim, 2 * self.indexer.head_dim
        return (
            Tensor("indexer_q_b", Part.INDEXER, rows, self.q_rank),
            Tensor("indexer_compressor", Part.INDEXER, 2 * width, hidden),
            Tensor("indexer_weights", Part.INDEXER, self.indexer.heads, hidden),
            Tensor("indexer_vectors", Part.NORM, 1, self.ratio * width + self.indexer.head_dim),
        )

    def _entries(self, context: int) -> int:
        return context // self.ratio if self.ratio else 0

    def cache_elements(self, context: int) -> int:
        """head_dim (key and value are one) for the window and for each compressed entry, plus the indexer's key."""
        width = self.head_dim + (self.indexer.head_dim if self.indexer else 0)
        return self.head_dim * min(context, self.window) + width * self._entries(context)

    def cache_read_elements(self, context: int) -> int:
        """The window, all index keys, and the chosen (or all) compressed entries."""
        entries = self._entries(context)
        window = self.head_dim * min(context, self.window)
        if self.indexer is None:
            return window + self.head_dim * entries
        return window + self.indexer.head_dim * entries + self.head_dim * min(entries, self.indexer.top_k)

    def score_flops(self, queries: int, context: int) -> float:
        """4 x heads x head_dim per visible entry; the indexer 2 x heads x dim per compressed entry."""
        per_pair = 4 * self.heads * self.head_dim
        flops = per_pair * visible_pairs(queries, context, self.window)
        if not self.ratio:
            return flops
        pairs = visible_pairs(queries, context) / self.ratio
        if self.indexer is None:
            return flops + per_pair * pairs
        chosen = visible_pairs(queries, context, self.indexer.top_k * self.ratio) / self.ratio
        return flops + per_pair * chosen + 2 * self.indexer.heads * self.indexer.head_dim * pairs

    def score_pairs(self, queries: int, context: int) -> float:
        """Heads x visible entries; the indexer's heads x compressed entries."""
        local_pairs = self.heads * visible_pairs(queries, context, self.window)
        if not self.ratio:
            return local_pairs
        pairs = visible_pairs(queries, context) / self.ratio
        if self.indexer is None:
            return local_pairs + self.heads * pairs
        chosen = visible_pairs(queries, context, self.indexer.top_k * self.ratio) / self.ratio
        return local_pairs + self.heads * chosen + self.indexer.heads * pairs

    def cache_shards(self, tensor_parallel: int) -> int:
        """One head serves all: every rank holds the whole of it."""
        return 1
