"""Layers from the shapes of tensors, for architectures that no builder here knows.

What is recognised: grouped-query and latent attention, Mamba, gated delta and short-convolution mixers, dense and
routed feed-forwards. A layer with a matrix of another kind is refused with that matrix's name: its size is known, what
it does is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.message import listed, sentence
from wellfed.models.attention import Attention, FullAttention, LatentAttention
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, Ffn, MoeFfn
from wellfed.models.joint_attention import JointAttention, NoAttention
from wellfed.models.linear_attention import LinearAttention
from wellfed.models.model import Layer
from wellfed.models.state_space import KimiDelta, Mamba1, Mamba2, ShortConvolution
from wellfed.models.tensor import Part, Tensor

NOTE = sentence(
    "from-tensors.architecture-unknown",
    "an architecture unknown here, read from its tensors: ordinary attention and feed-forward are assumed",
)
# matrices beside attention and feed-forward whose work is no more than their size: gates, low-rank side paths
_SIDE = {
    "inp_gate": "per_layer_gate", "proj": "per_layer_proj", "laurel_l": "laurel_l", "laurel_r": "laurel_r",
    "altup_correct_coef": "small_altup_correct", "altup_predict_coef": "small_altup_predict",
    "altup_router": "small_altup_router",
}  # fmt: skip
_MATRIX = {
    "attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "attn_gate", "attn_q_a", "attn_q_b", "attn_kv_a_mqa",
    "attn_kv_b", "attn_k_b", "attn_v_b", "ffn_gate", "ffn_up", "ffn_down", "ffn_gate_up", "ffn_gate_inp",
    "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps", "ffn_gate_up_exps", "ffn_gate_shexp", "ffn_up_shexp",
    "ffn_down_shexp", "ffn_gate_inp_shexp", "ssm_in", "ssm_out", "ssm_x", "ssm_dt", "ssm_conv1d", "ssm_a", "ssm_ba",
    "ssm_alpha", "ssm_beta", "shortconv.in_proj", "shortconv.out_proj", "shortconv.conv", "ssm_f_a", "ssm_f_b",
    "ssm_g_a", "ssm_g_b", "ssm_conv1d_q", "ssm_conv1d_k", "ssm_conv1d_v", "indexer.attn_k", "indexer.attn_q_b",
    "indexer.proj", "ffn_latent_down", "ffn_latent_up",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LayerTensors:
    """One layer's tensors: role to shape, rows (outputs) first, experts before them."""

    shapes: Mapping[str, tuple[int, ...]]

    def rows(self, role: str) -> int:
        """Outputs of a matrix, 0 where there is none."""
        shape = self.shapes.get(role)
        return 0 if shape is None or len(shape) < 2 else shape[-2]

    def columns(self, role: str) -> int:
        """Inputs of a matrix, 0 where there is none."""
        shape = self.shapes.get(role)
        return 0 if shape is None else shape[-1]

    def has(self, *roles: str) -> bool:
        """Whether all are there."""
        return all(role in self.shapes for role in roles)

    def unknown(self) -> list[str]:
        """Matrices that are none of those understood."""
        return [
            role
            for role, shape in self.shapes.items()
            if len([extent for extent in shape if extent > 1]) > 1
            and role not in _MATRIX
            and role not in _SIDE
            and "norm" not in role
        ]


def shape_of(
    layers: Sequence[LayerTensors], values: Config, hidden: int, tied: bool, lookups: Sequence[Tensor] = ()
) -> Shape:
    """The layers that `layers` hold; `values` tell what shapes do not: heads, experts a token takes, windows.

    Raises Unsupported with what is missing, BadInput where `values` lack a number of heads.
    """
    if not layers:
        raise Unsupported(
            sentence("from-tensors.no-layers-found", "no layers are found among the tensors"),
            sentence("from-tensors.language-model", "is it a language model?"),
        )
    unknown = sorted({role for layer in layers for role in layer.unknown()})
    if unknown:
        raise Unsupported(
            sentence(
                "from-tensors.architecture-unknown-2",
                "an architecture unknown here whose layers hold {unknown}: what they do is not known",
                unknown=listed(unknown[:6]),
            ),
            sentence(
                "from-tensors.ordinary-attention", "ordinary attention and feed-forward layers would be recognised"
            ),
        )
    built = tuple(_layer(layer, values, index, hidden) for index, layer in enumerate(layers))
    return Shape(built, tied, extra=tuple(lookups), notes=(NOTE,))


def _layer(tensors: LayerTensors, values: Config, index: int, hidden: int) -> Layer:
    norms = sum(1 for role, shape in tensors.shapes.items() if "norm" in role and shape[-1] == hidden) or 1
    side = tuple(
        Tensor(role, Part.DENSE_FFN, tensors.rows(name), tensors.columns(name))
        for name, role in _SIDE.items()
        if tensors.has(name)
    )
    return Layer(_mixer(tensors, values, index, hidden), _ffn(tensors, values), norms=norms, extra=side)


def _mixer(tensors: LayerTensors, values: Config, index: int, hidden: int) -> Attention:
    parts: list[Attention] = []
    if tensors.has("attn_kv_a_mqa"):
        parts.append(_latent(tensors, values))
    elif tensors.has("attn_gate", "attn_qkv", "ssm_out"):
        return _delta(tensors, values)
    elif tensors.has("ssm_f_a", "ssm_beta"):
        return _kimi(tensors)
    elif tensors.has("attn_q") or tensors.has("attn_qkv"):
        parts.append(_full(tensors, values, index))
    if tensors.has("ssm_in"):
        parts.append(_mamba(tensors, values))
    if tensors.has("shortconv.in_proj"):
        parts.append(
            ShortConvolution(tensors.rows("shortconv.in_proj") // 3, max(2, tensors.columns("shortconv.conv")))
        )
    if not parts:
        return NoAttention()
    return parts[0] if len(parts) == 1 else JointAttention(tuple(parts))


def _full(tensors: LayerTensors, values: Config, index: int) -> FullAttention:
    heads = values.at("num_attention_heads", index)
    kv_heads = values.at("num_key_value_heads", index, default=heads)
    fused, shares = tensors.has("attn_qkv"), not tensors.has("attn_k") and not tensors.has("attn_qkv")
    width = tensors.columns("attn_output") // heads
    if not fused and not shares:
        width = tensors.rows("attn_k") // kv_heads
    q_rows = tensors.rows("attn_q") or heads * width
    value = tensors.columns("attn_output") // heads
    return FullAttention(
        heads=heads,
        kv_heads=kv_heads,
        head_dim=width,
        value_dim=value if value != width else None,
        window=_window(values, index),
        qk_norm=any("q_norm" in role for role in tensors.shapes),
        output_gate=q_rows == 2 * heads * width,
        fused=fused,
        gate_rows=tensors.rows("attn_gate"),
        shared_projection=not fused and not shares and not tensors.has("attn_v"),
        shares_cache=shares,
    )


def _window(values: Config, index: int) -> int | None:
    """By the values' own list or period, else none: a whole context is the safe side."""
    size = values.optional("sliding_window")
    kinds = values.find("layer_types")
    if size is None or not isinstance(kinds, list | tuple) or index >= len(kinds):
        return None
    windowed = kinds[index] is True or str(kinds[index]).startswith(("sliding", "chunked", "local"))
    return size if windowed else None


def _latent(tensors: LayerTensors, values: Config) -> LatentAttention:
    heads, rope = values.integer("num_attention_heads"), values.count("qk_rope_head_dim", default=64)
    rank = tensors.rows("attn_kv_a_mqa") - rope
    q_rows = tensors.rows("attn_q_b") or tensors.rows("attn_q")
    return LatentAttention(
        heads=heads,
        kv_rank=rank,
        nope_dim=q_rows // heads - rope,
        rope_dim=rope,
        value_dim=tensors.columns("attn_output") // heads,
        q_rank=tensors.rows("attn_q_a") or None,
        gate_rows=tensors.rows("attn_gate"),
    )


def _delta(tensors: LayerTensors, values: Config) -> LinearAttention:
    return LinearAttention(
        key_heads=values.integer("linear_num_key_heads", "mamba_n_groups"),
        value_heads=values.integer("linear_num_value_heads"),
        key_dim=values.integer("linear_key_head_dim"),
        value_dim=values.integer("linear_value_head_dim"),
        kernel=max(2, tensors.columns("ssm_conv1d")),
    )


def _kimi(tensors: LayerTensors) -> KimiDelta:
    heads = tensors.rows("ssm_beta")
    decay = tensors.rows("ssm_f_a") if tensors.has("ssm_f_b") else None
    gate = tensors.rows("ssm_g_a") if tensors.has("ssm_g_b") else None
    return KimiDelta(heads, tensors.rows("attn_q") // heads, decay, gate, max(2, tensors.columns("ssm_conv1d_q")))


def _mamba(tensors: LayerTensors, values: Config) -> Attention:
    inner, kernel = tensors.columns("ssm_out"), max(2, tensors.columns("ssm_conv1d"))
    state = values.integer("mamba_d_state")
    if tensors.has("ssm_x"):
        return Mamba1(inner, state, tensors.columns("ssm_dt") or 1, kernel)
    groups = values.integer("mamba_n_groups", default=1)
    heads = tensors.rows("ssm_in") - 2 * inner - 2 * groups * state
    if heads < 1 or inner % heads:
        raise Unsupported(
            sentence("from-tensors.state-space-layer", "a state-space layer whose projection has an unknown layout")
        )
    return Mamba2(heads, inner // heads, state, groups, kernel)


def _ffn(tensors: LayerTensors, values: Config) -> Ffn:
    packed = tensors.shapes.get("ffn_up_exps") or tensors.shapes.get("ffn_gate_up_exps")
    if packed is None or len(packed) < 3:
        gated = tensors.has("ffn_gate") or tensors.has("ffn_gate_up")
        width = tensors.columns("ffn_down")
        return DenseFfn(width, gated=gated)
    gated = tensors.has("ffn_gate_exps") or tensors.has("ffn_gate_up_exps")
    shared = tensors.columns("ffn_down_shexp") or (tensors.columns("ffn_down") if tensors.has("ffn_down") else 0)
    experts = packed[0]
    width = tensors.columns("ffn_down_exps")
    latent = packed[-1] if tensors.has("ffn_gate_inp") and packed[-1] != tensors.columns("ffn_gate_inp") else None
    return MoeFfn(
        experts,
        min(values.integer("num_experts_per_tok"), experts),
        width,
        shared=1 if shared else 0,
        shared_intermediate=shared or None,
        gated=gated,
        router_bias="exp_probs_b" in tensors.shapes,
        latent=latent,
    )
