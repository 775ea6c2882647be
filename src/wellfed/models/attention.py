"""Attention kinds: their tensors, what they cache for a sequence, and what a step reads and computes.

Each kind answers the same questions (`Attention`); a new architecture is a new kind here, not a branch elsewhere.
"""

from __future__ import annotations

from typing import Protocol

from wellfed.frozen import dataclass
from wellfed.models.tensor import Part, Tensor


class Attention(Protocol):
    """What every attention kind can tell about one layer. Contexts and queries are in tokens."""

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """The layer's attention weights, for a residual stream of width `hidden`."""
        ...

    def cache_elements(self, context: int) -> int:
        """Elements cached for one sequence of `context` tokens."""
        ...

    def cache_read_elements(self, context: int) -> int:
        """Elements of that cache that one decode step reads."""
        ...

    def score_flops(self, queries: int, context: int) -> float:
        """FLOPs of scores and values, projections excluded, for the last `queries` tokens of `context`."""
        ...

    def score_pairs(self, queries: int, context: int) -> float:
        """Head-key pairs that are scored for the last `queries` tokens of `context`."""
        ...

    def cache_shards(self, tensor_parallel: int) -> int:
        """Into how many different parts tensor parallelism divides the cache (the rest are copies)."""
        ...


def visible_pairs(queries: int, context: int, window: int | None = None) -> float:
    """Query-key pairs under a causal mask for the last `queries` of `context` tokens, at most `window` back."""
    first = context - queries
    if window is None or context <= window:
        return queries * first + queries * (queries + 1) / 2
    ramp = max(0, min(queries, window - first))  # queries that still see everything before them
    return ramp * first + ramp * (ramp + 1) / 2 + (queries - ramp) * window


@dataclass(frozen=True, slots=True)
class SparseIndexer:
    """A small head set that picks which `top_k` tokens (or DeepSeek-V4 entries) the other heads attend to.

    A `shared` one has no weights and no keys: the layer uses what an earlier layer picked (GLM-5.2).
    """

    heads: int
    head_dim: int
    top_k: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class FullAttention:
    """Multi-head, grouped-query or multi-query attention; with `window`, sliding-window attention.

    `shares_cache`: the layer reads keys and values that an earlier layer cached, and has no projections for them
    (Gemma 3n and 4). `bidirectional`: an encoder's layer, which sees everything and caches nothing.
    """

    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int | None = None  # where it differs from head_dim
    window: int | None = None
    bias: bool = False  # on q, k, v
    output_bias: bool = False
    qk_norm: bool = False
    sinks: bool = False
    output_gate: bool = False  # q projection twice as wide, the second half gates the output
    fused: bool = False  # one attn_qkv tensor: quantisation mixes treat it as attn_v
    wide_norm: bool = False  # qk_norm over all heads together
    shared_projection: bool = False  # one projection gives key and value (both are cached)
    gate_rows: int = 0  # rows of a separate output gate: one a head, or one a channel
    shares_cache: bool = False
    keeps_projections: bool = False  # of a layer that shares its cache: in the file, never used (Gemma 3n)
    bidirectional: bool = False
    indexer: SparseIndexer | None = None  # MiniMax-M3: picks blocks of tokens; `top_k` counts tokens

    @property
    def _lacks_keys(self) -> bool:
        return self.shares_cache and not self.keeps_projections

    @property
    def _pair_width(self) -> int:
        return self.head_dim + (self.value_dim or self.head_dim)

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """q, k, v, o and their small companions."""
        value = self.value_dim or self.head_dim
        q_rows = self.heads * self.head_dim * (2 if self.output_gate else 1)
        k_rows, v_rows = self.kv_heads * self.head_dim, self.kv_heads * value
        rows = {"attn_q": q_rows, "attn_k": k_rows, "attn_v": v_rows}
        if self.fused:
            rows = {"attn_qkv": q_rows + k_rows + v_rows}
        elif self._lacks_keys:
            rows, k_rows, v_rows = {"attn_q": q_rows}, 0, 0
        elif self.shared_projection:
            del rows["attn_v"]
        if self.gate_rows:
            rows["attn_gate"] = self.gate_rows
        matrices = (
            *(Tensor(role, Part.ATTENTION, count, hidden) for role, count in rows.items()),
            Tensor("attn_output", Part.ATTENTION, hidden, self.heads * value),
        )
        return (*matrices, *self._vectors(hidden, q_rows, k_rows, v_rows), *self._indexer_tensors(hidden))

    def _vectors(self, hidden: int, q_rows: int, k_rows: int, v_rows: int) -> list[Tensor]:
        vectors = [Tensor("attn_qkv_bias", Part.NORM, 1, q_rows + k_rows + v_rows)] if self.bias else []
        if self.output_bias:
            vectors.append(Tensor("attn_output_bias", Part.NORM, 1, hidden))
        if self.qk_norm:
            width = q_rows + k_rows if self.wide_norm else (1 if self._lacks_keys else 2) * self.head_dim
            vectors.append(Tensor("attn_qk_norm", Part.NORM, 1, width))
        if self.sinks:
            vectors.append(Tensor("attn_sinks", Part.NORM, 1, self.heads))
        return vectors

    def _indexer_tensors(self, hidden: int) -> tuple[Tensor, ...]:
        if self.indexer is None or self.indexer.shared:
            return ()
        return (
            Tensor("indexer_q", Part.INDEXER, self.indexer.heads * self.indexer.head_dim, hidden),
            Tensor("indexer_k", Part.INDEXER, self.indexer.head_dim, hidden),
            Tensor("indexer_qk_norm", Part.NORM, 1, 2 * self.indexer.head_dim),
        )

    def _tokens(self, context: int) -> int:
        return context if self.window is None else min(context, self.window)

    def cache_elements(self, context: int) -> int:
        """kv_heads x (key + value) for each token in the window, and the indexer's key."""
        if self.shares_cache or self.bidirectional:
            return 0
        index = self.indexer.head_dim if self.indexer and not self.indexer.shared else 0
        return (self.kv_heads * self._pair_width + index) * self._tokens(context)

    def cache_read_elements(self, context: int) -> int:
        """All in the window (of an earlier layer's cache where it is shared); with an indexer what it picks."""
        if self.bidirectional:
            return 0
        tokens, index = self._tokens(context), 0
        if self.indexer is not None:
            index = self.indexer.head_dim * tokens
            tokens = min(tokens, self.indexer.top_k)
        return self.kv_heads * self._pair_width * tokens + index

    def _pairs(self, queries: int, context: int) -> float:
        if self.bidirectional:
            return float(queries * self._tokens(context))
        window = self.window
        if self.indexer is not None:
            window = min(window or self.indexer.top_k, self.indexer.top_k)
        return visible_pairs(queries, context, window)

    def score_flops(self, queries: int, context: int) -> float:
        """2 x heads x (key + value) per visible pair; the indexer 2 x heads x dim for all pairs."""
        flops = 2 * self.heads * self._pair_width * self._pairs(queries, context)
        if self.indexer is None or self.indexer.shared:
            return flops
        return flops + 2 * self.indexer.heads * self.indexer.head_dim * visible_pairs(queries, context)

    def score_pairs(self, queries: int, context: int) -> float:
        """Pairs of a query and a key that it sees, for all heads."""
        return self.heads * self._pairs(queries, context)

    def cache_shards(self, tensor_parallel: int) -> int:
        """By KV head; with more ranks than KV heads, heads are copied."""
        return min(tensor_parallel, self.kv_heads)


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): one latent per token is cached."""

    heads: int
    kv_rank: int
    nope_dim: int
    rope_dim: int
    value_dim: int
    q_rank: int | None = None
    indexer: SparseIndexer | None = None
    gate_rows: int = 0  # rows of a separate output gate (Kimi-K3, Ling 3)
    bias: bool = False  # on the down projections and the output

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """q (through its rank, if any), the latent's down and up projections, o; the indexer's own.

        The up projection is one matrix in safetensors and two in GGUF: `attn_k_b` and `attn_v_b`, a matrix a head.
        """
        q_rows = self.heads * (self.nope_dim + self.rope_dim)
        if self.q_rank is None:
            query: tuple[Tensor, ...] = (Tensor("attn_q", Part.ATTENTION, q_rows, hidden),)
        else:
            query = (
                Tensor("attn_q_a", Part.ATTENTION, self.q_rank, hidden),
                Tensor("attn_q_a_norm", Part.NORM, 1, self.q_rank),
                Tensor("attn_q_b", Part.ATTENTION, q_rows, self.q_rank),
            )
        latent = (
            Tensor("attn_kv_a_mqa", Part.ATTENTION, self.kv_rank + self.rope_dim, hidden),
            Tensor("attn_kv_a_norm", Part.NORM, 1, self.kv_rank),
            Tensor("attn_k_b", Part.ATTENTION, self.kv_rank, self.nope_dim, self.heads),
            Tensor("attn_v_b", Part.ATTENTION, self.value_dim, self.kv_rank, self.heads),
            Tensor("attn_output", Part.ATTENTION, hidden, self.heads * self.value_dim),
        )
        gate = (Tensor("attn_gate", Part.ATTENTION, self.gate_rows, hidden),) if self.gate_rows else ()
        biased = (self.q_rank or 0) + self.kv_rank + self.rope_dim + hidden
        bias = (Tensor("attn_bias", Part.NORM, 1, biased),) if self.bias else ()
        return (*query, *latent, *gate, *bias, *self._indexer_tensors(hidden))

    def _indexer_tensors(self, hidden: int) -> tuple[Tensor, ...]:
        if self.indexer is None or self.indexer.shared:
            return ()
        rows = self.indexer.heads * self.indexer.head_dim
        return (
            Tensor("indexer_q_b", Part.INDEXER, rows, self.q_rank or hidden),
            Tensor("indexer_k", Part.INDEXER, self.indexer.head_dim, hidden),
            Tensor("indexer_k_norm", Part.NORM, 1, 2 * self.indexer.head_dim),
            Tensor("indexer_weights", Part.INDEXER, self.indexer.heads, hidden),
        )

    def cache_elements(self, context: int) -> int:
        """(kv_rank + rope_dim) a token, plus the indexer's key."""
        indexer = self.indexer.head_dim if self.indexer and not self.indexer.shared else 0
        return (self.kv_rank + self.rope_dim + indexer) * context

    def cache_read_elements(self, context: int) -> int:
        """All latents, or every indexer key and the chosen latents."""
        if self.indexer is None:
            return self.cache_elements(context)
        chosen = min(context, self.indexer.top_k)
        keys = 0 if self.indexer.shared else self.indexer.head_dim * context
        return keys + (self.kv_rank + self.rope_dim) * chosen

    def score_flops(self, queries: int, context: int) -> float:
        """Few queries run absorbed, on the latents; many run expanded, as multi-head attention does."""
        absorbed = queries <= 16
        key, value = (
            (self.kv_rank + self.rope_dim, self.kv_rank)
            if absorbed
            else (self.nope_dim + self.rope_dim, self.value_dim)
        )
        pairs = visible_pairs(queries, context)
        if self.indexer is None:
            return 2 * self.heads * (key + value) * pairs
        index = 0 if self.indexer.shared else 2 * self.indexer.heads * self.indexer.head_dim * pairs
        return index + 2 * self.heads * (key + value) * visible_pairs(queries, context, self.indexer.top_k)

    def score_pairs(self, queries: int, context: int) -> float:
        """Heads x visible pairs; with an indexer, its heads see all and the others what it picks."""
        pairs = visible_pairs(queries, context)
        if self.indexer is None:
            return self.heads * pairs
        index_pairs = 0.0 if self.indexer.shared else self.indexer.heads * pairs
        return index_pairs + self.heads * visible_pairs(queries, context, self.indexer.top_k)

    def cache_shards(self, tensor_parallel: int) -> int:
        """One latent serves all heads: every rank holds the whole of it."""
        return 1
