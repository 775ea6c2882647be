"""Builders of models that mix linear with full attention: Qwen3-Next and 3.5, Kimi-Linear, MiniMax-M1, Ling hybrids."""

from __future__ import annotations

from dataclasses import replace

from wellfed.errors import BadInput
from wellfed.message import sentence
from wellfed.models.attention import Attention
from wellfed.models.config_latent import latent_attention
from wellfed.models.config_ordinary import attention, ffn, mtp, tied
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import Ffn, MoeFfn
from wellfed.models.linear_attention import LinearAttention
from wellfed.models.model import Layer
from wellfed.models.state_space import KimiDelta, LightningAttention
from wellfed.models.traits import TRAITS, Traits

_QWEN = Traits("qwen", qk_norm="head", shared_gate=True)
_MINIMAX = Traits("minimax", expert_width="intermediate_size")
_BAILING = Traits("bailing", fused=True)
_MOST_MTP = 8
_MTP_NORMS = 5  # two of the layer, and those of embedding, hidden state and end


def delta_hybrid(config: Config) -> Shape:
    """Qwen3-Next and Qwen3.5: three gated delta layers to one of gated full attention."""
    linear = LinearAttention(
        key_heads=config.integer("linear_num_key_heads"),
        value_heads=config.integer("linear_num_value_heads"),
        key_dim=config.integer("linear_key_head_dim"),
        value_dim=config.integer("linear_value_head_dim"),
        kernel=config.integer("linear_conv_kernel_dim", default=4),
    )
    full = replace(attention(config, _QWEN), output_gate=True)
    kinds, period = config.per_layer("layer_types"), config.integer("full_attention_interval", default=4)

    def mixer(index: int) -> Attention:
        is_full = str(kinds[index]).startswith("full") if kinds is not None else (index + 1) % period == 0
        return full if is_full else linear

    layers = tuple(Layer(mixer(index), ffn(config, _QWEN, index)) for index in range(config.layers))
    predictors = min(config.count("num_nextn_predict_layers"), _MOST_MTP)
    return Shape(layers, tied(config), mtp_layers=(Layer(full, layers[-1].ffn, norms=_MTP_NORMS),) * predictors)


def kimi_linear(config: Config) -> Shape:
    """Kimi-Linear and Kimi-K3: three layers of Kimi delta attention to one of MLA; K3's experts work on a latent."""
    linear = config.inner("linear_attn_config")
    width = linear.integer("head_dim")
    full_rank = linear.flag("use_full_rank_gate")
    delta = KimiDelta(
        linear.integer("num_heads"),
        width,
        width,
        None if full_rank else width,
        linear.integer("short_conv_kernel_size", default=4),
    )
    listed = linear.find("kda_layers")
    if not isinstance(listed, list):
        raise BadInput(
            sentence("config-hybrid.config-linear-attn", "config: linear_attn_config has no kda_layers"),
            sentence("config-hybrid.file-complete", "is the file complete?"),
        )
    traits = TRAITS["kimi_linear"]
    full = latent_attention(config)
    if config.flag("mla_use_output_gate"):
        full = replace(full, gate_rows=full.heads * full.value_dim)

    def layer(index: int) -> Layer:
        return Layer(delta if index + 1 in listed else full, _latent_experts(config, ffn(config, traits, index)))

    layers = tuple(layer(index) for index in range(config.layers))
    return Shape(layers, tied(config), mtp_layers=mtp(config, layers[-1]))


def _latent_experts(config: Config, block: Ffn) -> Ffn:
    width = config.optional("moe_latent_size")
    if width is None or not isinstance(block, MoeFfn):
        return block
    return replace(block, latent=width, latent_norm=config.flag("latent_moe_use_norm"))


def lightning(config: Config) -> Shape:
    """MiniMax-01 and M1: seven lightning layers to one of full attention, experts everywhere."""
    full = attention(config, _MINIMAX)
    linear = LightningAttention(full.heads, full.head_dim)
    kinds = config.per_layer("layer_types")
    if kinds is None:
        raise BadInput(
            sentence("config-hybrid.config-minimax-model", "config of a MiniMax model has no attn_type_list"),
            sentence("config-hybrid.file-complete", "is the file complete?"),
        )

    def mixer(index: int) -> Attention:
        return linear if kinds[index] in (0, "linear_attention") else full

    return Shape(
        tuple(Layer(mixer(index), ffn(config, _MINIMAX, index)) for index in range(config.layers)), tied(config)
    )


def bailing_hybrid(config: Config) -> Shape:
    """Ling and Ring hybrids: groups of linear layers that end in one of full attention or MLA.

    Ling 3's linear layers are Kimi delta attention with full-rank gates, the others' lightning attention.
    """
    group = config.integer("layer_group_size")
    grouped = config.layers // group * group
    heads = config.integer("num_attention_heads")
    linear: Attention
    if config.kind.startswith("bailing_moe_v3"):
        linear = KimiDelta(heads, config.integer("kda_head_dim", "head_dim"), None, None, 4)
    else:
        width = config.optional("head_dim") or config.divided(
            config.integer("hidden_size"), heads, sentence("config-hybrid.hidden-size-per", "hidden_size per head")
        )
        linear = LightningAttention(heads, width, qk_norm=config.flag("qk_layernorm"))
    full = _bailing_full(config)

    def layer(index: int) -> Layer:
        is_full = (index + 1) % group == 0 or index >= grouped
        return Layer(full if is_full else linear, ffn(config, _BAILING, index))

    layers = tuple(layer(index) for index in range(config.layers))
    return Shape(layers, tied(config), mtp_layers=mtp(config, Layer(full, layers[-1].ffn)))


def _bailing_full(config: Config) -> Attention:
    if not config.find("kv_lora_rank"):
        return attention(config, _BAILING)
    full = latent_attention(config)
    return replace(full, gate_rows=full.heads) if config.kind.startswith("bailing_moe_v3") else full
