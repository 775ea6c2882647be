"""DeepSeek-V4.1's attention: a few source layers compress keys and values, the others read what they publish."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.models.attention import SparseIndexer, visible_pairs
from wellfed.models.compressed_attention import mixers, projections
from wellfed.models.tensor import Part, Tensor


@dataclass(frozen=True, slots=True)
class StreamAttention:
    """A short window of the layer's own entries, and a stream of compressed ones that several layers share.

    `source`: the layer compresses its own entries, one per `ratio` tokens, and derives index keys from them.
    `picks`: the layer's index heads pick which entries it and the following layers attend to. `ratio` 0 is the window
    alone. Source: architecture file of ggml-org/llama.cpp (deepseek41, read 2026-11-29).
    """

    heads: int
    head_dim: int
    window: int
    ratio: int
    q_rank: int
    output_groups: int
    output_rank: int
    indexer: SparseIndexer
    source: bool = False
    picks: bool = False
    streams: int = 0  # hyper-connections

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """Low-rank q, the shared key-value, grouped low-rank output; compressor and index heads where it has them."""
        inner = (*self._compressor(hidden), *self._index_heads(hidden))
        return (*projections(self, hidden), *inner, *mixers(self.streams, hidden))

    def _compressor(self, hidden: int) -> tuple[Tensor, ...]:
        if not self.source:
            return ()
        parts = 2 if self.ratio > 1 else 1  # pooling more than one token takes a gate
        return (
            Tensor("attn_compressor", Part.ATTENTION, parts * self.head_dim, hidden),
            Tensor("indexer_k", Part.INDEXER, self.indexer.head_dim, self.head_dim),
            Tensor("attn_compressor_vectors", Part.NORM, 1, self.head_dim + self.indexer.head_dim),
        )

    def _index_heads(self, hidden: int) -> tuple[Tensor, ...]:
        if not self.picks:
            return ()
        return (
            Tensor("indexer_q_b", Part.INDEXER, self.indexer.heads * self.indexer.head_dim, self.q_rank),
            Tensor("indexer_weights", Part.INDEXER, self.indexer.heads, hidden),
        )

    def _entries(self, context: int) -> int:
        return context // self.ratio if self.ratio else 0

    def cache_elements(self, context: int) -> int:
        """The window; a source also keeps its compressed entries and their index keys."""
        window_elements = self.head_dim * min(context, self.window)
        return window_elements + (self.head_dim + self.indexer.head_dim) * self._entries(context) * self.source

    def cache_read_elements(self, context: int) -> int:
        """The window and the entries picked; where the layer picks, all index keys."""
        entries = self._entries(context)
        keys = self.indexer.head_dim * entries if self.picks else 0
        return self.head_dim * (min(context, self.window) + min(entries, self.indexer.top_k)) + keys

    def _picked_pairs(self, queries: int, context: int) -> float:
        if not self.ratio:
            return 0.0
        return visible_pairs(queries, context, self.indexer.top_k * self.ratio) / self.ratio

    def score_flops(self, queries: int, context: int) -> float:
        """4 x heads x head_dim per visible entry; picking 2 x heads x dim per compressed entry."""
        pairs = visible_pairs(queries, context, self.window) + self._picked_pairs(queries, context)
        picking = 0.0
        if self.picks and self.ratio:
            picking = 2 * self.indexer.heads * self.indexer.head_dim * visible_pairs(queries, context) / self.ratio
        return 4 * self.heads * self.head_dim * pairs + picking

    def score_pairs(self, queries: int, context: int) -> float:
        """Heads x visible entries, and the index heads x compressed entries."""
        pairs = visible_pairs(queries, context, self.window) + self._picked_pairs(queries, context)
        index = self.indexer.heads * visible_pairs(queries, context) / self.ratio if self.picks and self.ratio else 0.0
        return self.heads * pairs + index

    def cache_shards(self, tensor_parallel: int) -> int:
        """One head serves all: every rank holds the whole of it."""
        return 1
