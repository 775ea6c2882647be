"""Builders of the models before Llama's keys became everybody's, and of pure Mamba.

Learned positions, norms and projections with biases, feed-forwards of four times the width.
"""

from __future__ import annotations

from wellfed.message import sentence
from wellfed.models.attention import FullAttention
from wellfed.models.config_ordinary import tied
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, MoeFfn
from wellfed.models.model import Layer
from wellfed.models.state_space import Mamba1
from wellfed.models.tensor import Part, Tensor


def _heads(config: Config, kv_heads: int | None = None, bias: bool = True) -> FullAttention:
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    width = config.divided(hidden, heads, sentence("config-classic.hidden-size-per", "hidden_size per head"))
    return FullAttention(heads, kv_heads or heads, width, bias=bias, output_bias=bias, fused=True)


def _wide(config: Config, bias: bool = True) -> DenseFfn:
    width = config.optional("intermediate_size") or 4 * config.integer("hidden_size")
    return DenseFfn(width, gated=False, bias=bias)


def _positions(config: Config, more: int = 0) -> Tensor:
    rows = config.integer("max_position_embeddings") + more
    return Tensor("position_embd", Part.LOOKUP, rows, config.integer("hidden_size"))


def _bias_of_last_norm(config: Config) -> Tensor:
    return Tensor("output_norm_bias", Part.NORM, 1, config.integer("hidden_size"))


def gpt2(config: Config) -> Shape:
    """GPT-2, and StarCoder (gpt_bigcode) with one key-value head for all."""
    kv_heads = 1 if config.flag("multi_query") else None
    layer = Layer(_heads(config, kv_heads), _wide(config), norms=4)
    return Shape((layer,) * config.layers, _tied(config), extra=(_positions(config), _bias_of_last_norm(config)))


def _tied(config: Config) -> bool:
    return config.flag("tie_word_embeddings", default=True)


def opt(config: Config) -> Shape:
    """OPT: positions have two rows more than there are."""
    layer = Layer(_heads(config), _wide(config), norms=4)
    return Shape((layer,) * config.layers, _tied(config), extra=(_positions(config, 2), _bias_of_last_norm(config)))


def bloom(config: Config) -> Shape:
    """BLOOM: ALiBi instead of positions, a norm behind the embedding."""
    layer = Layer(_heads(config), _wide(config), norms=4)
    first = Tensor("token_embd_norm", Part.NORM, 1, 2 * config.integer("hidden_size"))
    return Shape((layer,) * config.layers, _tied(config), extra=(first, _bias_of_last_norm(config)))


def mpt(config: Config) -> Shape:
    """MPT: no biases at all."""
    attention = config.inner("attn_config")
    layer = Layer(_heads(config, attention.optional("kv_n_heads"), bias=False), _wide(config, bias=False), norms=2)
    return Shape((layer,) * config.layers, _tied(config))


def falcon(config: Config) -> Shape:
    """Falcon: attention and feed-forward side by side; one key-value head, or with the newer blocks a few."""
    newer = config.flag("new_decoder_architecture")
    kv_heads = (
        config.integer("num_key_value_heads", default=8) if newer else 1 if config.flag("multi_query", True) else None
    )
    bias = config.flag("bias")
    layer = Layer(_heads(config, kv_heads, bias), _wide(config, bias), norms=4 if newer else 2)
    return Shape((layer,) * config.layers, _tied(config), extra=(_bias_of_last_norm(config),))


def qwen(config: Config) -> Shape:
    """The first Qwen: packed q, k, v with biases; `intermediate_size` counts gate and up together."""
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    width = config.divided(hidden, heads, sentence("config-classic.hidden-size-per", "hidden_size per head"))
    attention = FullAttention(heads, heads, width, bias=True, fused=True)
    wide = config.divided(config.integer("intermediate_size"), 2, sentence("config-classic.gate-up", "gate and up"))
    return Shape((Layer(attention, DenseFfn(wide)),) * config.layers, tied(config))


def dbrx(config: Config) -> Shape:
    """DBRX: sixteen experts of which four are picked, keys of its own for both halves."""
    attn_config, wide = config.inner("attn_config"), config.inner("ffn_config")
    experts = wide.integer("num_experts")
    routed = MoeFfn(experts, min(wide.integer("num_experts_per_tok"), experts), wide.integer("intermediate_size"))
    layer = Layer(_heads(config, attn_config.integer("kv_n_heads"), bias=False), routed)
    return Shape((layer,) * config.layers, tied(config))


def mamba(config: Config) -> Shape:
    """Mamba and Falcon-Mamba: nothing but Mamba blocks."""
    hidden = config.integer("hidden_size")
    rank = config.find("time_step_rank")
    mixer = Mamba1(
        inner=config.optional("intermediate_size") or config.integer("expand", default=2) * hidden,
        state=config.integer("state_size", "mamba_d_state", default=16),
        rank=config.checked(rank, "time_step_rank") if isinstance(rank, int) else -(-hidden // 16),
        kernel=config.integer("mamba_d_conv", default=4),
        conv_bias=config.flag("use_conv_bias", default=True),
        bias=config.flag("use_bias"),
        inner_norms=False,
    )
    return Shape((Layer(mixer, DenseFfn(0), norms=1),) * config.layers, _tied(config))
