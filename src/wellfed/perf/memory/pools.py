"""How serving engines share one pool among layers of several kinds.

vLLM puts the layers into groups of one size, each with a block table of its own, and fills the last group of a kind up
with layers that are none (`_get_kv_cache_groups_uniform_page_size` of vllm/v1/core/kv_cache_utils.py, 0.11.2 and
0.32.0). SGLang divides its pool by fixed ratios: layers that see a window get 0.8 of the tokens of those that see all
(`--swa-full-tokens-ratio`), states 0.9 of the bytes of the cache (`--mamba-full-memory-ratio`;
`_handle_max_mamba_cache` of srt/mem_cache/kv_cache_configurator.py, 0.5.23). A model whose windows it does not tell
apart caches them whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from math import ceil

from wellfed.models.attention import Attention, FullAttention, LatentAttention
from wellfed.models.model import Model
from wellfed.models.recurrent import Recurrent
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.identity import per_object_and_values
from wellfed.perf.memory.kv import cache_profile, layer_bytes, option
from wellfed.perf.memory.split import Span

GROUP_RULE = "group_rule"  # the option: how unlike the counts of two kinds may be to share one size, in per cent
_NEARLY_ALIKE = 150
WINDOW_RATIO, STATE_RATIO = "window_ratio", "state_ratio"  # options by SGLang's flags
_WINDOW_RATIO, _STATE_RATIO = 0.8, 0.9
# Architectures whose windows SGLang keeps in a pool of their own (`is_hybrid_swa_model` of srt/configs/model_config.py,
# 0.5.23), by the first version that was read with them.
_APART = {
    "llama4_text": (0, 5, 3), "gpt_oss": (0, 5, 9), "step3p5": (0, 5, 9), "mimo_v2_flash": (0, 5, 9),
    "gemma4_text": (0, 5, 12), "laguna": (0, 5, 12), "mellum": (0, 5, 16),
}  # fmt: skip
WINDOWS_SINCE = "windows_since"  # the option: SGLang's version, as text


def _bucket(kind: Attention) -> Hashable:
    """What layers of one group have in common; None where nothing is cached, or by rules of its own."""
    if isinstance(kind, FullAttention):
        return None if kind.shares_cache or kind.bidirectional else (kind.window or "all")
    if isinstance(kind, LatentAttention):
        return "all"
    return kind if isinstance(kind, Recurrent) else None


@per_object_and_values
def padded_counts(model: Model, nearly_alike: int) -> tuple[float, ...]:
    """For each kind of `cache_profile(model)` the layers that its groups have room for, against its own."""
    profile = cache_profile(model)
    counts: Counter[Hashable] = Counter()
    buckets = [_bucket(kind) for kind in profile.kinds]
    for index, bucket in enumerate(buckets):
        counts[bucket] += profile.count(index, 0, len(model.layers))
    if None in counts or len(counts) < 2:
        return (1.0,) * len(buckets)
    size, most = min(counts.values()), max(counts.values())
    if 100 * most < nearly_alike * size:
        size = most
    return tuple(ceil(counts[bucket] / size) * size / counts[bucket] for bucket in buckets)


def are_grouped(model: Model, layout: Layout) -> bool:
    """Whether vLLM keeps several groups of layers for this model."""
    if layout.engine is not Engine.VLLM or option(layout, "swa_full"):
        return False
    buckets = {_bucket(kind) for kind in cache_profile(model).kinds}
    return len(buckets) > 1 and None not in buckets


def paddings(model: Model, layout: Layout) -> tuple[float, ...] | None:
    """`padded_counts` as the layout's version has them; None where there is one group."""
    if not are_grouped(model, layout):
        return None
    return padded_counts(model, int(option(layout, GROUP_RULE) or _NEARLY_ALIKE))


def pooled_layer_bytes(model: Model, attention: Attention, layout: Layout, context: int) -> float:
    """`layer_bytes` as the engine's pools count a sequence."""
    if layout.engine is Engine.SGLANG and isinstance(attention, FullAttention) and attention.window is not None:
        whole = layer_bytes(replace(attention, window=None), layout, context)
        return whole * _window_ratio(model, layout)
    return layer_bytes(attention, layout, context)


def _window_ratio(model: Model, layout: Layout) -> float:
    since = _APART.get(model.architecture)
    numbers = tuple(int(part) for part in (option(layout, WINDOWS_SINCE) or "99").split("."))
    if since is None or numbers < since:
        return 1.0
    return float(option(layout, WINDOW_RATIO) or _WINDOW_RATIO)


def logged_token_bytes(model: Model, layout: Layout, span: Span, ranks: int) -> float:
    """Bytes of a rank by which vLLM before 0.20 divided its pool to log a number of tokens: all groups as if each
    cached everything, the page of the attention layers for each.
    """
    profile, factors = cache_profile(model), paddings(model, layout) or ()
    layers, widest = 0.0, 0.0
    for index, kind in enumerate(profile.kinds):
        layers += profile.count(index, span.first, span.last) * factors[index]
        if not isinstance(kind, Recurrent):
            unbounded = replace(kind, window=None) if isinstance(kind, FullAttention) else kind
            widest = max(widest, layer_bytes(unbounded, layout, 1) / kind.cache_shards(ranks))
    return layers * widest


def state_pool_bytes(layout: Layout, cached: float, states: float) -> float:
    """What SGLang's division of its pool leaves unused beside a load's `cached` and `states` bytes: the tighter of both
    pools decides.
    """
    if layout.engine is not Engine.SGLANG or not states:
        return 0.0
    ratio = _state_ratio(layout)
    return max(cached * (1 + ratio), states * (1 + 1 / ratio)) - cached - states


def cached_token_bytes(layout: Layout, cached: float, states: float) -> float:
    """By which SGLang divides its pool to count tokens: what is `cached`, and its part for states where some are."""
    return cached * (1 + _state_ratio(layout)) if states else cached


def _state_ratio(layout: Layout) -> float:
    return float(option(layout, STATE_RATIO) or _STATE_RATIO)
