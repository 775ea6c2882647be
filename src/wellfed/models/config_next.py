"""Builders of hybrids of 2026: Kimi delta beside grouped-query (Solar-Open2) or latent attention (GLM-5-Next).

Source: the configuration and model classes of huggingface/transformers (solar_open2, glm5_next; read 2026-11-29).
"""

from __future__ import annotations

from dataclasses import replace

from wellfed.models.attention import Attention
from wellfed.models.config_latent import latent_attention
from wellfed.models.config_ordinary import attention, ffn, moe, mtp, tied
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, Ffn
from wellfed.models.model import Layer
from wellfed.models.state_space import KimiDelta
from wellfed.models.tensor import Part, Tensor
from wellfed.models.traits import Traits

_SOLAR = Traits("solar", router_bias=True)
_GLM = Traits("glm", router_bias=True)
_DENSE_LAYERS = 3
_PERIOD = 4


def solar_open2(config: Config) -> Shape:
    """Three layers of Kimi delta attention to one of gated grouped-query attention, which comes first."""
    full = attention(config, _SOLAR)
    gated = config.flag("use_gqa_gate", default=True)
    full = replace(full, gate_rows=full.heads * full.head_dim if gated else 0)
    rank = None if config.flag("kda_use_full_proj") else full.head_dim
    delta = _delta(config, full.heads, full.head_dim, rank)
    listed, kinds = config.find("gqa_layers"), config.per_layer("layer_types")
    period = config.whole("gqa_interval", default=3) + 1

    def is_full(index: int) -> bool:
        if kinds is not None:
            return str(kinds[index]).startswith("full")
        return index in listed if isinstance(listed, list) else index % period == 0

    def mixer(index: int) -> Attention:
        return full if is_full(index) else delta

    layers = tuple(Layer(mixer(index), ffn(config, _SOLAR, index)) for index in range(config.layers))
    return Shape(layers, tied(config), mtp_layers=mtp(config, layers[0]))


def _delta(config: Config, heads: int, width: int, rank: int | None) -> KimiDelta:
    linear = config.inner("linear_attn_config")
    heads = linear.whole("num_heads", default=config.whole("linear_num_heads", default=heads))
    width = linear.whole("head_dim", default=config.whole("linear_head_dim", default=width))
    kernel = linear.whole("short_conv_kernel_size", default=config.whole("linear_conv_kernel_dim", default=4))
    return KimiDelta(heads, width, rank and width, rank and width, kernel)


def glm5_next(config: Config) -> Shape:
    """Three layers of Kimi delta attention to one of sparse latent attention, four streams mixed around each half."""
    delta = _delta(config, config.whole("num_attention_heads"), 128, 128)
    kinds = config.per_layer("layer_types")
    streams = _hyper_connections(config)

    def mixer(index: int) -> Attention:
        linear = index % _PERIOD != _PERIOD - 1 if kinds is None else str(kinds[index]).startswith("linear")
        return delta if linear else latent_attention(config, index)

    layers = tuple(Layer(mixer(index), _glm_ffn(config, index), extra=streams) for index in range(config.layers))
    ahead = Layer(latent_attention(config, config.layers - 1), layers[-1].ffn)
    return Shape(layers, tied(config), mtp_layers=mtp(config, ahead), mtp_copies=True)


def _glm_ffn(config: Config, index: int) -> Ffn:
    kinds = config.per_layer("mlp_layer_types")
    config.knows("first_k_dense_replace")
    dense = index < _DENSE_LAYERS if kinds is None else str(kinds[index]) == "dense"
    return DenseFfn(config.whole("intermediate_size")) if dense else moe(config, _GLM, index)


def _hyper_connections(config: Config) -> tuple[Tensor, ...]:
    """Two sets a layer: (2 + s) s rows over all s streams, with offsets and three scales, as DeepSeek-V4's."""
    streams = config.count("hc_mult", default=4)
    if not streams:
        return ()
    rows = (2 + streams) * streams
    columns = streams * config.whole("hidden_size")
    return (Tensor("hyper_connections", Part.NORM, 2, rows * columns + rows + 3),)
