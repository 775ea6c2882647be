"""What speculative decoding keeps beside the model: the draft's weights, its cache, and states to fall back to.

Prediction layers (MTP) are layers of the model's own kind, in its files; other drafts tell their sizes in
`Speculation`. Drafted tokens that are refused must be undone: a cache forgets them, a recurrent state cannot, so that
engines keep one state for every drafted token (llama.cpp pull request 25465; vLLM's blocks of states).
"""

from __future__ import annotations

from wellfed.models.model import Model
from wellfed.models.weights import Weights
from wellfed.nouns.layout import DraftKind, Layout
from wellfed.perf.memory.kv import kv_element_bytes, layer_bytes


def draft_weight_bytes(weights: Weights, layout: Layout) -> float:
    """The draft's weights, all ranks together."""
    guess = layout.speculation
    if guess is None:
        return 0.0
    return weights.mtp if guess.kind is DraftKind.MTP and not guess.draft_bytes else float(guess.draft_bytes)


def draft_cache_bytes(model: Model, layout: Layout, tokens: int, ranks: int = 1) -> float:
    """The draft's cache for `tokens` of context on one of `ranks` ranks that share attention."""
    guess = layout.speculation
    if guess is None:
        return 0.0
    if guess.kind is DraftKind.MTP:
        kinds = [layer.attention for layer in model.mtp_layers]
        return sum(layer_bytes(kind, layout, tokens) / kind.cache_shards(ranks) for kind in kinds)
    return guess.cache_elements * tokens * kv_element_bytes(layout.kv_type) / ranks
