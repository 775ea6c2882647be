"""Builders of models that mix linear with full attention."""

from __future__ import annotations

from dataclasses import replace

from wellfed.models.attention import Attention
from wellfed.models.config_dense import grouped_attention, tied
from wellfed.models.config_moe import qwen_ffn
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, Ffn
from wellfed.models.linear_attention import LinearAttention
from wellfed.models.model import Layer


def delta_hybrid(config: Config) -> Shape:
    """Qwen3-Next and Qwen3.5: three gated delta layers to one of gated full attention."""
    linear = LinearAttention(
        key_heads=config.whole("linear_num_key_heads"),
        value_heads=config.whole("linear_num_value_heads"),
        key_dim=config.whole("linear_key_head_dim"),
        value_dim=config.whole("linear_value_head_dim"),
        kernel=config.whole("linear_conv_kernel_dim", default=4),
    )
    full = replace(grouped_attention(config), qk_norm=True, output_gate=True)
    kinds, period = config.per_layer("layer_types"), config.whole("full_attention_interval", default=4)
    ffn: Ffn = qwen_ffn(config) if config.find("num_experts") else DenseFfn(config.whole("intermediate_size"))

    def attention(index: int) -> Attention:
        is_full = str(kinds[index]).startswith("full") if kinds is not None else (index + 1) % period == 0
        return full if is_full else linear

    layers = tuple(Layer(attention(index), ffn) for index in range(config.layers))
    mtp = (Layer(full, ffn, norms=5),) * min(config.count("mtp_num_hidden_layers", "num_nextn_predict_layers"), 8)
    return Shape(layers, tied(config), mtp_layers=mtp)
