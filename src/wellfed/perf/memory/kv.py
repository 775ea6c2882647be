"""The KV cache: bytes per element, elements per sequence, as each engine keeps it."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

from wellfed.errors import BadInput, nearest
from wellfed.frozen import dataclass
from wellfed.message import listed, sentence
from wellfed.models.attention import Attention, FullAttention, LatentAttention
from wellfed.models.joint_attention import JointAttention
from wellfed.models.model import Model
from wellfed.models.recurrent import Recurrent
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.identity import per_object

# Bytes per element. Block types: bytes per 32 values (ggml-common.h); FP8 with a scale per tensor.
_ELEMENT_BYTES = {
    "f32": 4.0, "f16": 2.0, "bf16": 2.0, "fp16": 2.0, "auto": 2.0,
    "fp8": 1.0, "fp8_e4m3": 1.0, "fp8_e5m2": 1.0, "int8": 1.0,
    "q8_0": 34 / 32, "q6_0": 26 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32, "q4_1": 20 / 32, "q4_0": 18 / 32,
    "iq4_nl": 18 / 32, "q8_kv": 1.0, "nvfp4": 9 / 16, "fp4": 9 / 16, "int4": 18 / 32,
    **{f"exl{bits}": (32 * bits + 16) / 256 for bits in range(2, 9)},  # exllamav3: a scale for every 32 values
}  # fmt: skip

LOCAL = frozenset({Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP})
_WHOLE = frozenset({Engine.IK_LLAMA_CPP, Engine.EXLLAMAV3})
_PAGE = 256  # llama.cpp rounds a context up to this many cells


@lru_cache(maxsize=128)
def _pair(kv_type: str) -> tuple[float, float]:
    keys, _, values = kv_type.lower().partition("/")
    pair = keys, values or keys
    for name in pair:
        if name not in _ELEMENT_BYTES:
            near = nearest(name, _ELEMENT_BYTES)
            raise BadInput(
                sentence("kv.unknown-kv-cache", "unknown KV cache type: {kv_type!r}", kv_type=name),
                sentence("kv.one", "one of {near}", near=listed(near or sorted(_ELEMENT_BYTES))),
            )
    return _ELEMENT_BYTES[pair[0]], _ELEMENT_BYTES[pair[1]]


def kv_element_bytes(kv_type: str) -> float:
    """Bytes of one cached element; "q8_0/f16" means keys in one type and values in another, and gives their mean.

    Raises BadInput for an unknown type.
    """
    keys, values = _pair(kv_type)
    return (keys + values) / 2


@dataclass(frozen=True, slots=True)
class CacheProfile:
    """A model's attention kinds, and for each kind how many of the first i layers are of it."""

    kinds: tuple[Attention, ...]
    before: tuple[tuple[int, ...], ...]

    def count(self, kind: int, first: int, last: int) -> int:
        """Layers of `kind` in first <= layer < last."""
        return self.before[kind][last] - self.before[kind][first]


@per_object
def cache_profile(model: Model) -> CacheProfile:
    """The attention kinds of `model` and where they stand."""
    kinds = tuple(dict.fromkeys(layer.attention for layer in model.layers))
    table = []
    for kind in kinds:
        sums = [0]
        for layer in model.layers:
            sums.append(sums[-1] + (layer.attention == kind))
        table.append(tuple(sums))
    return CacheProfile(kinds, tuple(table))


def cells(layout: Layout, context: int) -> int:
    """Tokens of cache reserved for one sequence: the context, rounded as the engine rounds it."""
    return ceil(context / _PAGE) * _PAGE if layout.engine in LOCAL and context > _PAGE else context


def layer_bytes(attention: Attention, layout: Layout, context: int) -> float:
    """Bytes that one layer of one sequence takes in the cache, all ranks together, copies not counted.

    llama.cpp keeps a window plus one ubatch of a sliding-window layer, ik_llama.cpp the whole context, and so does
    exllamav3 (exllamav3/cache/fp16.py, August 2026). MLA caches latents, or with `latent_cache` off the expanded keys
    and values; ik_llama.cpp's `-mla 1` without flash attention also keeps the latents transposed.
    """
    keys, values = _pair(layout.kv_type)
    if isinstance(attention, JointAttention):
        return sum(layer_bytes(part, layout, context) for part in attention.parts)
    if isinstance(attention, Recurrent):
        states = _states(layout)
        return 2.0 * attention.cache_elements(context) * states  # the state's own type, whatever the cache's
    if isinstance(attention, LatentAttention):
        return _latent_bytes(attention, layout, context, keys, values)
    if isinstance(attention, FullAttention):
        if attention.shares_cache or attention.bidirectional:
            return 0.0
        tokens = _window_tokens(attention, layout, context)
        value_dim = attention.value_dim or attention.head_dim
        return attention.kv_heads * tokens * (attention.head_dim * keys + value_dim * values)
    return attention.cache_elements(context) * (keys + values) / 2


def _states(layout: Layout) -> int:
    """States of a mixer that one sequence holds: one for each token that may be taken back, and one at the last page's
    end where vLLM caches prefixes of such models, which it does when asked (MambaSpec.max_memory_usage_bytes of
    vllm/v1/kv_cache_interface.py, mode "align").
    """
    drafted = layout.speculation.tokens if layout.speculation and layout.speculation.kind else 0
    return 1 + drafted + (layout.engine is Engine.VLLM and option(layout, "prefix_states") == "1")


def _caches_whole(layout: Layout) -> bool:
    """Whether layers that see a window cache the whole context all the same."""
    return layout.engine in _WHOLE or option(layout, "swa_full") in ("1", "always")


def _window_tokens(attention: FullAttention, layout: Layout, context: int) -> int:
    if attention.window is None or _caches_whole(layout):
        return context
    if layout.engine is Engine.LLAMA_CPP:
        return min(context, cells(layout, attention.window + layout.ubatch_tokens))
    return min(context, attention.window)


def _latent_bytes(attention: LatentAttention, layout: Layout, context: int, keys: float, values: float) -> float:
    if not layout.latent_cache:
        expanded = attention.heads * ((attention.nope_dim + attention.rope_dim) * keys + attention.value_dim * values)
        return expanded * context
    if attention.indexer is not None and keys == 1.0:
        # DeepSeek-V3.2's own FP8 layout: 512 FP8 + 4 FP32 scales + 64 BF16; indexer keys FP8 + one FP32 scale.
        latent = attention.kv_rank + 4 * ceil(attention.kv_rank / 128) + 2 * attention.rope_dim
        index = 0 if attention.indexer.shared else attention.indexer.head_dim + 4
        return float((latent + index) * context)
    transposed = 0
    if layout.engine is Engine.IK_LLAMA_CPP and option(layout, "mla") == "1" and not layout.flash_attention:
        transposed = attention.kv_rank * context
    return attention.cache_elements(context) * keys + transposed * values


def option(layout: Layout, name: str, default: str = "") -> str:
    """The engine switch `name` of a layout."""
    for key, value in layout.options:
        if key == name:
            return value
    return default


def span_bytes(model: Model, layout: Layout, context: int, first: int, last: int) -> float:
    """Cache bytes of one sequence in the layers first <= layer < last."""
    profile = cache_profile(model)
    total = 0.0
    for kind, attention in enumerate(profile.kinds):
        count = profile.count(kind, first, last)
        if count:
            total += count * layer_bytes(attention, layout, context)
    return total


def pooled_bytes(model: Model, layout: Layout, context: int, slots: int, first: int, last: int) -> float:
    """The same for `slots` sequences that share one cache of `context` tokens (llama.cpp's `--kv-unified`): whole
    contexts once, windows and states once for each.
    """
    profile, total = cache_profile(model), 0.0
    for kind, attention in enumerate(profile.kinds):
        count = profile.count(kind, first, last)
        if not count:
            continue
        size = layer_bytes(attention, layout, context)
        if isinstance(attention, Recurrent):
            size *= slots
        elif isinstance(attention, FullAttention) and attention.window is not None and not _caches_whole(layout):
            wanted = cells(layout, attention.window * slots + layout.ubatch_tokens)
            size *= min(context, wanted) / max(1, _window_tokens(attention, layout, context))
        total += count * size
    return total


def is_pooled(layout: Layout) -> bool:
    """Whether llama.cpp's slots share one cache."""
    return layout.engine is Engine.LLAMA_CPP and option(layout, "kv_unified") == "1"


def kv_bytes_per_sequence(model: Model, layout: Layout, context: int) -> float:
    """Cache bytes of one sequence of `context` tokens, all layers, all ranks together without their copies."""
    return span_bytes(model, layout, cells(layout, context), 0, len(model.layers))
