"""Builders of models with Mamba or short convolutions: Nemotron-H, Granite 4, Jamba, Falcon-H1, LFM2."""

from __future__ import annotations

from math import ceil

from wellfed.errors import BadInput, Unsupported
from wellfed.message import sentence
from wellfed.models.attention import Attention, FullAttention
from wellfed.models.config_ordinary import attention, ffn, moe, tied
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, Ffn, MoeFfn
from wellfed.models.joint_attention import JointAttention, NoAttention
from wellfed.models.model import Layer
from wellfed.models.state_space import Mamba1, Mamba2, ShortConvolution
from wellfed.models.tensor import Part, Tensor
from wellfed.models.traits import Traits

_NEMOTRON = Traits("nemotron", gated=False, router_bias=True)
_GRANITE = Traits("granite", tied=True, expert_width="intermediate_size")
_JAMBA = Traits("jamba", expert_width="intermediate_size")
_FALCON = Traits("falcon")
_LFM2 = Traits("lfm", qk_norm="head", tied=True)
_BLOCKS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
_MOST_MTP = 8


def mamba2(config: Config) -> Mamba2:
    """Mamba-2 under the common keys."""
    heads = config.integer("mamba_n_heads")
    return Mamba2(
        heads=heads,
        head_dim=_head_dim(config, heads),
        state=config.integer("mamba_d_state"),
        groups=config.integer("mamba_n_groups", default=1),
        kernel=config.integer("mamba_d_conv", default=4),
        conv_bias=config.flag("mamba_conv_bias", config.flag("use_conv_bias", default=True)),
        bias=config.flag("mamba_proj_bias"),
        gated_norm=config.flag("mamba_rms_norm", default=True),
    )


def _head_dim(config: Config, heads: int) -> int:
    width = config.find("mamba_d_head")
    if isinstance(width, int) and not isinstance(width, bool):
        return config.integer("mamba_d_head")
    inner = config.optional("mamba_d_ssm") or config.integer("mamba_expand", "expand", default=2) * config.integer(
        "hidden_size"
    )
    return config.divided(inner, heads, sentence("config-mamba.mamba-width-per", "Mamba's width per head"))


def nemotron_h(config: Config) -> Shape:
    """Nemotron-H and Nemotron 3: blocks of one thing each, Mamba-2, attention, dense or routed feed-forward."""
    blocks = _blocks(config.find("hybrid_override_pattern"), config.find("layer_types"))
    if not blocks:
        raise BadInput(
            sentence(
                "config-mamba.config-nemotron-h",
                "config of a nemotron_h model has neither hybrid_override_pattern nor layers_block_type",
            ),
            sentence("config-mamba.file-complete", "is the file complete?"),
        )
    mixer = mamba2(config) if "mamba" in blocks else NoAttention()

    def layer(kind: str) -> Layer:
        match kind:
            case "mamba":
                return Layer(mixer, DenseFfn(0), norms=1)
            case "attention":
                return Layer(attention(config, _NEMOTRON), DenseFfn(0), norms=1)
            case "mlp":
                return Layer(NoAttention(), DenseFfn(config.integer("intermediate_size"), gated=False), norms=1)
            case "moe":
                return Layer(NoAttention(), _experts(config), norms=1)
        raise Unsupported(
            sentence(
                "config-mamba.no-description-block",
                "no description of the block {kind!r} of a nemotron_h model",
                kind=kind[:40],
            )
        )

    ahead = _blocks(config.find("mtp_hybrid_override_pattern"), config.find("mtp_layers_block_type"))
    predictors = min(config.count("num_nextn_predict_layers"), _MOST_MTP)
    mtp = tuple(layer(kind) for kind in ahead) * predictors
    return Shape(tuple(layer(kind) for kind in blocks), tied(config), mtp_layers=mtp)


def _blocks(pattern: object, listed: object) -> tuple[str, ...]:
    if isinstance(pattern, str) and pattern:
        return tuple(_BLOCKS.get(sign, sign) for sign in pattern)
    return tuple(str(kind) for kind in listed) if isinstance(listed, list) else ()


def _experts(config: Config) -> MoeFfn:
    plain = moe(config, _NEMOTRON)
    shared = config.count("n_shared_experts")
    wide = config.optional("shared_expert_intermediate_size") if shared else None
    return MoeFfn(
        plain.experts,
        plain.active,
        plain.intermediate,
        shared=shared,
        shared_intermediate=wide,
        gated=False,
        router_bias=True,
        latent=config.optional("moe_latent_size"),
    )


def granite_hybrid(config: Config) -> Shape:
    """Granite 4: nine Mamba-2 layers to one of attention; a shared feed-forward, beside experts where there are any."""
    kinds = config.per_layer("layer_types")
    if kinds is None:
        raise BadInput(
            sentence("config-mamba.config", "config of a granitemoehybrid model has no layer_types"),
            sentence("config-mamba.file-complete", "is the file complete?"),
        )
    full = attention(config, _GRANITE)
    config.knows("mamba_n_heads", "mamba_d_state")  # named by the models without Mamba too
    mixer = mamba2(config) if any(kind == "mamba" for kind in kinds) else None
    shared = config.count("shared_expert_intermediate_size")
    block: Ffn = (
        moe(config, _GRANITE) if config.find("num_experts") else DenseFfn(shared or config.integer("intermediate_size"))
    )

    def layer(kind: object) -> Layer:
        return Layer(mixer if kind == "mamba" and mixer else full, block)

    return Shape(tuple(layer(kinds[index]) for index in range(config.layers)), tied(config, _GRANITE))


def jamba(config: Config) -> Shape:
    """Jamba: Mamba with attention every `attn_layer_period`, experts every `expert_layer_period` layers."""
    hidden = config.integer("hidden_size")
    rank = config.find("mamba_dt_rank")
    mixer = Mamba1(
        inner=config.integer("mamba_expand", default=2) * hidden,
        state=config.integer("mamba_d_state", default=16),
        rank=config.checked(rank, "mamba_dt_rank") if isinstance(rank, int) else ceil(hidden / 16),
        kernel=config.integer("mamba_d_conv", default=4),
        conv_bias=config.flag("mamba_conv_bias", default=True),
        bias=config.flag("mamba_proj_bias"),
    )
    full, wide = attention(config, _JAMBA), DenseFfn(config.integer("intermediate_size"))
    experts = moe(config, _JAMBA) if config.integer("num_experts", default=1) > 1 else None
    every, first = config.integer("attn_layer_period"), config.count("attn_layer_offset")
    routed, start = config.integer("expert_layer_period", default=1), config.count("expert_layer_offset")

    def layer(index: int) -> Layer:
        mixing = full if index % every == first else mixer
        return Layer(mixing, experts if experts and index % routed == start else wide)

    return Shape(tuple(layer(index) for index in range(config.layers)), tied(config))


def falcon_h1(config: Config) -> Shape:
    """Falcon-H1: attention and Mamba-2 side by side in every layer."""
    plain = mamba2(config)
    config.knows("mamba_d_ssm")  # heads times their width
    mixer = Mamba2(
        plain.heads,
        plain.head_dim,
        plain.state,
        plain.groups,
        plain.kernel,
        plain.conv_bias,
        plain.bias,
        gated_norm=config.flag("mamba_rms_norm"),
    )
    both = JointAttention((attention(config, _FALCON), mixer))
    return Shape((Layer(both, ffn(config, _FALCON, 0)),) * config.layers, tied(config))


def lfm2(config: Config) -> Shape:
    """LFM2: short convolutions with some layers of attention; experts after the first layers of the MoE ones."""
    full, mixer = attention(config, _LFM2), _convolution(config)
    listed = config.find("full_attn_idxs")
    kinds = config.per_layer("layer_types")

    def mix(index: int) -> Attention:
        if kinds is not None:
            return full if str(kinds[index]).startswith("full") else mixer
        return full if isinstance(listed, list) and index in listed else mixer

    if kinds is None and not isinstance(listed, list):
        raise BadInput(
            sentence("config-mamba.config-lfm2-model", "config of an lfm2 model has no layer_types"),
            sentence("config-mamba.file-complete", "is the file complete?"),
        )
    layers = tuple(Layer(mix(index), _lfm2_ffn(config, index)) for index in range(config.layers))
    return Shape(layers, tied(config, _LFM2))


def _convolution(config: Config) -> ShortConvolution:
    width, kernel = config.integer("hidden_size"), config.integer("conv_L_cache", default=3)
    return ShortConvolution(width, kernel, config.flag("conv_bias"))


def _lfm2_ffn(config: Config, index: int) -> Ffn:
    if config.find("num_experts"):
        return ffn(config, _LFM2, index)
    width = config.integer("block_ff_dim", "intermediate_size")
    if config.flag("block_auto_adjust_ff_dim", default=True):
        multiple = config.integer("block_multiple_of", default=256)
        scale = config.find("block_ffn_dim_multiplier")
        width = int(
            (scale if isinstance(scale, int | float) and not isinstance(scale, bool) else 1) * int(2 * width / 3)
        )
        width = multiple * ceil(width / multiple)
    return DenseFfn(width)


def searched(config: Config) -> Shape:
    """Llama-Nemotron Super and Ultra: a search gave each layer its own attention and feed-forward, or none."""
    blocks = config.find("block_configs")
    if not isinstance(blocks, list) or len(blocks) < config.layers:
        raise BadInput(
            sentence(
                "config-mamba.config-nemotron-nas", "config of a nemotron-nas model has no block_configs for its layers"
            ),
            sentence("config-mamba.file-complete", "is the file complete?"),
        )
    layers = tuple(_searched_layer(config, blocks[index]) for index in range(config.layers))
    return Shape(layers, tied(config))


def _searched_layer(config: Config, block: object) -> Layer:
    parts = block if isinstance(block, dict) else {}
    attention_config, wide = Config(parts, config.kind).inner("attention"), Config(parts, config.kind).inner("ffn")
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    norms = (not attention_config.flag("no_op")) + (not wide.flag("no_op"))
    straight = Tensor("linear_block", Part.ATTENTION, hidden, hidden)
    extra = (straight,) * (attention_config.flag("replace_with_linear") + wide.flag("replace_with_linear"))
    mixer: Attention = NoAttention()
    if not attention_config.flag("no_op") and not attention_config.flag("replace_with_linear"):
        group = attention_config.integer("n_heads_in_group")
        width = config.optional("head_dim") or config.divided(
            hidden, heads, sentence("config-mamba.hidden-size-per", "hidden_size per head")
        )
        mixer = FullAttention(
            heads, config.divided(heads, group, sentence("config-mamba.heads-group", "heads in a group")), width
        )
    block_ffn = DenseFfn(0 if wide.flag("no_op") or wide.flag("replace_with_linear") else _searched_width(wide, hidden))
    return Layer(mixer, block_ffn, norms=norms, extra=extra)


def _searched_width(wide: Config, hidden: int) -> int:
    """2/3 x ffn_mult x 2 x hidden, rounded up to a multiple of 256, or the width itself."""
    width = wide.optional("intermediate_size")
    if width is not None:
        return width
    factor = wide.find("ffn_mult")
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 1000:
        raise BadInput(
            sentence("config-mamba.config-ffn-mult", "config: ffn_mult is {factor}", factor=str(factor)[:40]),
            sentence("config-mamba.file-complete", "is the file complete?"),
        )
    return 256 * ceil(int(2 * factor * hidden / 3) / 256)
