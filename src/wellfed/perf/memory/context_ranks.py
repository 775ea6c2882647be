"""Context parallelism: one sequence's tokens divided over ranks.

Decode (vLLM's `--decode-context-parallel-size`, SGLang's `--dcp-size`): the ranks of a tensor-parallel group that would
hold copies of the same cache each keep a part of its tokens instead. Prefill (vLLM's
`--prefill-context-parallel-size`): so many times the GPUs, each computing a part of a prompt's tokens with the same
attention weights; routed experts are divided over all of them, the cache is whole on each
unless decode divides it, too.
TensorRT-LLM's Helix divides a cache over `context_parallel_size` times as many ranks as attention's; feed-forward
layers are divided over all of them.
Source: config/parallel.py and config/model.py of vLLM 0.33; arg_groups/attention_hook.py of SGLang 0.5.23;
docs/source/features/helix.md of NVIDIA/TensorRT-LLM (read 2026-11-30).
"""

from __future__ import annotations

from wellfed.models.attention import FullAttention, LatentAttention
from wellfed.models.model import Model
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.kv import cache_profile, option

DECODE, PREFILL = "decode_context_parallel", "prefill_context_parallel"
DIVIDES = frozenset({Engine.VLLM, Engine.SGLANG})  # engines that divide a cache's tokens over ranks


def context_ranks(layout: Layout) -> int:
    """Ranks that divide the tokens of one cache among themselves."""
    return max(1, int(option(layout, DECODE) or 1))


def prefill_ranks(layout: Layout) -> int:
    """Ranks that divide the tokens of one prompt among themselves, each with a tensor-parallel group of its own."""
    return max(1, int(option(layout, PREFILL) or 1))


def most_context_ranks(model: Model, tensor: int) -> int:
    """How many ranks of a tensor-parallel group may divide the cache's tokens: as many as would hold copies of the same
    heads; all where latents are cached. Queries of a head group have to divide, too.
    """
    fewest = tensor
    for attention in cache_profile(model).kinds:
        if isinstance(attention, LatentAttention):
            continue
        if not isinstance(attention, FullAttention) or attention.window is not None:
            return 1  # windows and states are not divided
        shared = tensor // attention.kv_heads
        queries = attention.heads // attention.kv_heads
        fewest = min(fewest, max((n for n in range(1, shared + 1) if tensor % n == 0 and queries % n == 0), default=1))
    return max(1, fewest)


def valid_context_ranks(model: Model, layout: Layout) -> bool:
    """Whether the engine takes the degrees together."""
    tensor, decode, prefill = layout.tensor_parallel, context_ranks(layout), prefill_ranks(layout)
    if layout.engine is Engine.TENSORRT_LLM and decode > 1:  # Helix: latents alone
        return tensor % decode == 0 and all(isinstance(kind, LatentAttention) for kind in cache_profile(model).kinds)
    if prefill > 1:
        return decode in (1, prefill, tensor * prefill)
    return decode == 1 or (tensor % decode == 0 and decode <= most_context_ranks(model, tensor))
