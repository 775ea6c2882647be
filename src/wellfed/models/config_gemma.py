"""Builders of Gemma 3n and Gemma 4: per-layer embeddings, layers that share an earlier one's cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wellfed.models.attention import FullAttention
from wellfed.models.config_ordinary import attention, tied
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, Ffn, MoeFfn
from wellfed.models.model import Layer
from wellfed.models.tensor import Part, Tensor
from wellfed.models.traits import Traits

_GEMMA = Traits("gemma", qk_norm="head", norms=4, tied=True)


def _is_full(config: Config, period: int) -> Callable[[int], bool]:
    """Whether a layer sees everything: by layer_types, else every `period`-th."""
    kinds = config.per_layer("layer_types")
    period = config.integer("sliding_window_pattern", default=period)
    return lambda index: (index + 1) % period == 0 if kinds is None else str(kinds[index]).startswith("full")


def _first_shared(config: Config) -> int:
    """The first layer that uses the cache of an earlier one."""
    shared = config.count("num_kv_shared_layers")
    return config.layers - shared if shared else config.layers


def _per_layer(config: Config) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """A layer's own tensors for its per-layer embedding, and those outside the layers."""
    width = config.count("hidden_size_per_layer_input")
    if not width:
        return (), ()
    hidden, layers = config.integer("hidden_size"), config.layers
    rows = config.integer("vocab_size_per_layer_input", "vocab_size")
    inner = (
        Tensor("per_layer_gate", Part.DENSE_FFN, width, hidden),
        Tensor("per_layer_proj", Part.DENSE_FFN, hidden, width),
        Tensor("per_layer_norm", Part.NORM, 1, hidden),
    )
    outside = (
        Tensor("per_layer_token_embd", Part.LOOKUP, rows, layers * width),
        Tensor("per_layer_model_proj", Part.ATTENTION, layers * width, hidden),
        Tensor("per_layer_model_norm", Part.NORM, 1, width),
    )
    return inner, outside


def gemma4(config: Config) -> Shape:
    """Gemma 4: windows between full layers, which have wider heads and may have one projection for key and value.

    With `enable_moe_block` a dense feed-forward runs beside the experts, as a shared expert does. The E models have
    per-layer embeddings, and their last layers share the cache and have feed-forwards of twice the width.
    """
    near = attention(config, _GEMMA, window=config.integer("sliding_window"))
    one_projection = config.flag("attention_k_eq_v")
    global_heads = config.integer("num_global_key_value_heads", default=near.kv_heads)
    far = replace(
        near,
        window=None,
        head_dim=config.integer("global_head_dim", default=near.head_dim),
        kv_heads=global_heads if one_projection else near.kv_heads,
        shared_projection=one_projection,
    )
    full, first = _is_full(config, 6), _first_shared(config)
    inner, outside = _per_layer(config)
    double = config.flag("use_double_wide_mlp") and first < config.layers

    def layer(index: int) -> Layer:
        mixer = far if full(index) else near
        shares = index >= first
        wide = config.at("intermediate_size", index) * (2 if double and shares else 1)
        extra = (*inner, Tensor("layer_scalar", Part.NORM, 1, 1))
        block, norms = _gemma4_ffn(config, wide)
        return Layer(replace(mixer, shares_cache=shares), block, norms=norms, extra=extra)

    idle = _idle_projections([far if full(index) else near for index in range(first, config.layers)], config)
    return Shape(tuple(layer(index) for index in range(config.layers)), tied(config, _GEMMA), extra=(*outside, *idle))


def _idle_projections(sharing: list[FullAttention], config: Config) -> tuple[Tensor, ...]:
    """Key and value projections of layers that share an earlier one's cache: in the files, and read by nobody.

    mlx-lm drops them when it reads the publisher's files, llama.cpp's files hold them.
    """
    hidden = config.integer("hidden_size")
    rows = (mixer.kv_heads * mixer.head_dim * (1 if mixer.shared_projection else 2) for mixer in sharing)
    return tuple(Tensor("attn_kv_unused", Part.UNUSED, count, hidden) for count in rows)


def _gemma4_ffn(config: Config, wide: int) -> tuple[Ffn, int]:
    """The feed-forward, and how many norms (and hidden-wide scales) its layer has."""
    if not config.flag("enable_moe_block"):
        for key in ("num_experts", "moe_intermediate_size"):
            config.find(key)  # the dense model's config names them too
        return DenseFfn(wide), 4
    experts, active = config.integer("num_experts"), config.integer("num_experts_per_tok")
    width = config.integer("moe_intermediate_size")
    return MoeFfn(experts, min(active, experts), width, shared=1, shared_intermediate=wide, router_bias=True), 8


def gemma3n(config: Config) -> Shape:
    """Gemma 3n: four streams mixed by small matrices (AltUp), low-rank side paths (LAuReL), per-layer embeddings."""
    hidden, streams = config.integer("hidden_size"), config.integer("altup_num_inputs", default=4)
    rank = config.integer("laurel_rank", default=64)
    near = attention(config, _GEMMA, window=config.integer("sliding_window", default=512))
    far = replace(near, window=None)
    full, first = _is_full(config, 5), _first_shared(config)
    inner, outside = _per_layer(config)
    mixing = (
        Tensor("laurel_l", Part.ATTENTION, rank, hidden),
        Tensor("laurel_r", Part.ATTENTION, hidden, rank),
        Tensor("small_altup", Part.ATTENTION, streams + streams * streams, streams),
        Tensor("small_altup_router", Part.ATTENTION, streams, hidden),
        Tensor("altup_vectors", Part.NORM, 1, 3 * hidden),
    )
    streams_out = Tensor("altup_proj", Part.ATTENTION, hidden, hidden, 2 * (streams - 1))

    def layer(index: int) -> Layer:
        mixer: FullAttention = replace(far if full(index) else near)
        return Layer(own_shared(mixer, index), DenseFfn(config.at("intermediate_size", index)), 4, (*inner, *mixing))

    def own_shared(mixer: FullAttention, index: int) -> FullAttention:
        # the checkpoint keeps key and value projections of the sharing layers, unused
        return mixer if index < first else replace(mixer, shares_cache=True, keeps_projections=True)

    layers = tuple(layer(index) for index in range(config.layers))
    return Shape(layers, tied(config, _GEMMA), extra=(*outside, streams_out))
