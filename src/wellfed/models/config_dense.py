"""Builders of dense models: Llama and its kin, Gemma, GPT-J."""

from __future__ import annotations

from collections.abc import Callable

from wellfed.models.attention import FullAttention
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn
from wellfed.models.model import Layer
from wellfed.models.tensor import Part, Tensor

_QKV_BIAS = {"qwen2", "qwen2_moe", "seed_oss", "glm4_moe"}
_QK_NORM = {"qwen3", "qwen3_moe", "qwen3_vl", "qwen3_vl_text", "qwen3_vl_moe", "qwen3_vl_moe_text", "dots1",
            "hunyuan_v1_moe", "hunyuan_v1_dense", "gemma3", "gemma3_text"}  # fmt: skip
_TIED_BY_DEFAULT = {"gemma", "gemma2", "gemma3", "gemma3_text", "gemma4", "gemma4_text"}
_NORMS = {"glm4": 4, "gemma2": 4, "gemma3": 4, "gemma3_text": 4, "bitnet": 3}
_FUSED = {"phi3"}


def grouped_attention(config: Config, window: int | None = None) -> FullAttention:
    """Multi-head or grouped-query attention under the common keys."""
    heads = config.whole("num_attention_heads", "n_head")
    hidden = config.whole("hidden_size", "n_embd")
    kv_heads = config.whole("num_key_value_heads", default=heads)
    config.divided(heads, kv_heads, "query heads per key-value head")
    bias = config.flag("attention_bias", config.kind in _QKV_BIAS) or config.flag("qkv_bias")
    return FullAttention(
        heads=heads,
        kv_heads=kv_heads,
        head_dim=config.optional("head_dim") or config.divided(hidden, heads, "hidden_size per head"),
        window=window,
        bias=bias,
        output_bias=bias and config.kind in {"llama", "gpt_oss"},
        qk_norm=config.flag("use_qk_norm", config.kind in _QK_NORM),
        fused=config.kind in _FUSED,
    )


def windows(config: Config, full: Callable[[int], bool] | None = None) -> list[int | None]:
    """The sliding window of each layer: by layer_types, else wherever `full` does not hold."""
    size = config.optional("sliding_window")
    kinds = config.per_layer("layer_types")
    if size is None or config.values.get("use_sliding_window") is False:
        return [None] * config.layers
    if kinds is not None:
        return [size if str(kinds[i]).startswith(("sliding", "chunked")) else None for i in range(config.layers)]
    return [None if full is not None and full(index) else size for index in range(config.layers)]


def tied(config: Config) -> bool:
    """Whether the head reads the embedding."""
    return config.flag("tie_word_embeddings", config.kind in _TIED_BY_DEFAULT)


def dense(config: Config) -> Shape:
    """Llama and its kin: grouped attention and a gated feed-forward."""
    ffn = DenseFfn(config.whole("intermediate_size"), bias=config.flag("mlp_bias"))
    norms = _NORMS.get(config.kind, 2)
    layers = tuple(Layer(grouped_attention(config, window), ffn, norms) for window in windows(config))
    return Shape(layers, tied(config))


def gemma(config: Config) -> Shape:
    """Gemma 1 to 3: sliding windows between full layers, every second (2) or all but every sixth (3)."""
    period = config.whole("sliding_window_pattern", default=6 if config.kind.startswith("gemma3") else 2)
    ffn = DenseFfn(config.whole("intermediate_size"))
    norms = _NORMS.get(config.kind, 2)
    spans = windows(config, lambda index: (index + 1) % period == 0)
    return Shape(tuple(Layer(grouped_attention(config, span), ffn, norms) for span in spans), tied(config))


def gptj(config: Config) -> Shape:
    """GPT-J: one norm, parallel attention and a plain feed-forward with biases; the head has a bias too."""
    hidden = config.whole("n_embd", "hidden_size")
    ffn = DenseFfn(config.optional("n_inner") or 4 * hidden, gated=False, bias=True)
    layer = Layer(grouped_attention(config), ffn, norms=2)  # weight and bias
    head_bias = Tensor("output_bias", Part.NORM, 1, config.whole("vocab_size") + hidden)
    return Shape((layer,) * config.layers, tied(config), extra=(head_bias,))
