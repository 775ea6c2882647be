"""What vLLM keeps for the tokens of a pass in layers that remember a window only.

A prompt's pass writes all its tokens before those beyond the window go: `SlidingWindowSpec` of
vllm/v1/kv_cache_interface.py asks for window - 1 + tokens in flight, in whole blocks, and one block more. While one
pass is computed the next is scheduled, so that two are in flight (pull request 47728). Requests share those tokens, so
they count once here; "GPU KV cache size" of the log divides the pool by what one request may take (issue 51041).
"""

from __future__ import annotations

from math import ceil

from wellfed.models.attention import FullAttention
from wellfed.models.compressed_attention import CompressedAttention
from wellfed.models.model import Model
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.identity import per_object
from wellfed.perf.memory.kv import cache_profile, kv_element_bytes, layer_bytes, option
from wellfed.perf.memory.pools import paddings
from wellfed.perf.memory.split import Span

_BLOCK = 256  # tokens of a page of compressed entries
_WINDOW_BLOCK, _SPARSE_BLOCK, _DENSE_BLOCK = 64, 4, 8  # tokens of a page of plain entries, of compressors' states
_ENTRY_BYTES, _INDEX_BYTES, _ALIGNED = 584, 132, 576  # fp8_ds_mla: 448 + 2 x 64 + 8 bytes; an indexer's key in FP8
_STATE_BYTES = 4  # vLLM keeps compressors' states in 32 bits


def in_flight_bytes(model: Model, layout: Layout, context: int, span: Span) -> float:
    """Bytes of a rank beyond what a sequence of `context` tokens keeps once its prompt is read."""
    if layout.engine is not Engine.VLLM or not _forgets(model) or option(layout, "swa_full"):
        return 0.0
    profile = cache_profile(model)
    factors = paddings(model, layout) or (1.0,) * len(profile.kinds)
    counts = [(kind, profile.count(index, span.first, span.last)) for index, kind in enumerate(profile.kinds)]
    compressed = [(kind, count) for kind, count in counts if isinstance(kind, CompressedAttention) and count]
    if compressed and kv_element_bytes(layout.kv_type) == 1:
        return _compressed_bytes(compressed, layout, context)
    ranks = max(1, layout.tensor_parallel // max(1, layout.attention_data_parallel))
    return sum(
        count * factor * _window_bytes(kind, layout, context) / kind.cache_shards(ranks)
        for (kind, count), factor in zip(counts, factors, strict=True)
        if isinstance(kind, FullAttention) and kind.window is not None
    )


@per_object
def _forgets(model: Model) -> bool:
    """Whether some layer remembers a window only, or keeps its plain entries for one."""
    return any(
        isinstance(kind, CompressedAttention) or (isinstance(kind, FullAttention) and kind.window is not None)
        for kind in cache_profile(model).kinds
    )


def _window_bytes(kind: FullAttention, layout: Layout, context: int) -> float:
    """Of one layer, all ranks together: in proportion to the tokens beyond the window."""
    window = min(context, kind.window or context)
    beyond = min(context, window - 1 + tokens_in_flight(layout)) - window
    return layer_bytes(kind, layout, context) * max(0, beyond) / max(1, window)


def tokens_in_flight(layout: Layout) -> int:
    """Of one pass, or of two."""
    return layout.batch_tokens * int(option(layout, "passes_in_flight") or 2)


def _pages(context: int, window: int, block: int, in_flight: int) -> int:
    return ceil(min(context, window - 1 + in_flight) / block) + 1


def _aligned(size: float) -> float:
    return ceil(size / _ALIGNED) * _ALIGNED


def _compressed_bytes(kinds: list[tuple[CompressedAttention, int]], layout: Layout, context: int) -> float:
    """DeepSeek-V4 has five groups of layers, whose blocks are all of the largest group's size: 1,002,240 bytes with 43
    layers in FP8 (issue 54703's table of groups).
    """
    in_flight = tokens_in_flight(layout)
    sparse = sum(count for kind, count in kinds if kind.indexer is not None)
    dense = sum(count for kind, count in kinds if kind.ratio and kind.indexer is None)
    entries = {kind.ratio: _BLOCK // kind.ratio for kind, _ in kinds if kind.ratio}
    grown = sum(
        count * (_aligned(entries[kind.ratio] * _ENTRY_BYTES) + _index_bytes(kind, entries[kind.ratio]))
        for kind, count in kinds
        if kind.ratio
    )
    windowed = _aligned(_WINDOW_BLOCK * _ENTRY_BYTES)
    layers = sum(count for _, count in kinds)
    pages = ceil(context / _BLOCK)
    window = max(kind.window for kind, _ in kinds)
    pages += 2 * _pages(context, window, _WINDOW_BLOCK, in_flight) if layers else 0
    if sparse:
        pages += _pages(context, 2 * min(entries), _SPARSE_BLOCK, in_flight)
    if dense:
        pages += _pages(context, max(entries), _DENSE_BLOCK, in_flight)
    states = [_state_bytes(kind, count) for kind, count in kinds if kind.ratio]
    block = max(grown, ceil(layers / 2) * windowed, *states)
    kept = sum(count * layer_bytes(kind, layout, context) for kind, count in kinds)
    return max(0.0, pages * block - kept)


def _index_bytes(kind: CompressedAttention, entries: int) -> float:
    return _aligned(entries * _INDEX_BYTES) if kind.indexer is not None else 0.0


def _state_bytes(kind: CompressedAttention, layers: int) -> float:
    """A block of states of a group: keys and gates, of two windows that overlap where the layers are sparse."""
    if kind.indexer is None:
        return layers * _aligned(_DENSE_BLOCK * 2 * kind.head_dim * _STATE_BYTES)
    own, index = (_SPARSE_BLOCK * 4 * width * _STATE_BYTES for width in (kind.head_dim, kind.indexer.head_dim))
    return layers * (_aligned(own) + _aligned(index))
