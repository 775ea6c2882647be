"""Sums over a model's layers that neither layout nor load changes."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.models.attention import FullAttention, LatentAttention
from wellfed.models.attention_kinds import has_wide_norm
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Layer, Model, runs
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights
from wellfed.perf.identity import per_pair
from wellfed.perf.ops import part_elements


@dataclass(frozen=True, slots=True)
class Totals:
    """What does not depend on layout or load: a model's weights and FLOPs per token by part, and its layers."""

    layers: tuple[tuple[Layer, int], ...]
    attention: float
    replicated: float  # of attention's bytes: those every rank holds whole (MLA's down projections)
    dense: float
    shared: float
    routed: float
    small: float  # norms, routers: replicated
    attention_flops: float
    dense_flops: float
    shared_flops: float
    routed_flops: float
    head_flops: float
    expert_share: float
    experts: int
    active: int
    expert_width: int  # of one expert's intermediate layer
    kernels: float
    blocks: int
    moe_blocks: int
    wide_norms: int  # layers whose query and key norms span all heads: one more all-reduce under tensor parallelism


@per_pair
def totals(model: Model, weights: Weights) -> Totals:
    """Sums over the layers."""
    distinct = runs(model)
    flops = dict.fromkeys(("attention", "dense", "shared", "routed"), 0.0)
    kernels, moe, replicated = 3.0, 0, 0.0
    elements = sum(count * _attention_elements(layer, model.hidden) for layer, count in distinct)
    per_byte = sum(layer.attention for layer in weights.layers) / max(1, elements)
    for layer, count in distinct:
        size = part_elements(layer, model.hidden)
        flops["attention"] += 2 * count * _attention_elements(layer, model.hidden)
        flops["dense"] += 2 * count * size.get(Part.DENSE_FFN, 0)
        flops["shared"] += 2 * count * (size.get(Part.SHARED_EXPERTS, 0) + size.get(Part.ROUTER, 0))
        replicated += count * per_byte * _replicated_elements(layer, model.hidden)
        if isinstance(layer.ffn, MoeFfn):
            moe += count
            flops["routed"] += 2 * count * size.get(Part.ROUTED_EXPERTS, 0) * layer.ffn.active / layer.ffn.experts
        kernels += count * layer_kernels(layer)
    ffn = next((layer.ffn for layer, _ in distinct if isinstance(layer.ffn, MoeFfn)), None)
    layers = weights.layers
    return Totals(
        layers=distinct,
        attention=sum(layer.attention for layer in layers),
        replicated=replicated,
        dense=sum(layer.dense_ffn for layer in layers),
        shared=sum(layer.shared_experts for layer in layers),
        routed=sum(layer.routed_experts for layer in layers),
        small=sum(layer.router + layer.norms for layer in layers),
        attention_flops=flops["attention"],
        dense_flops=flops["dense"],
        shared_flops=flops["shared"],
        routed_flops=flops["routed"],
        head_flops=2 * model.vocabulary * model.hidden,
        expert_share=ffn.active / ffn.experts if ffn else 1.0,
        experts=ffn.experts if ffn else 1,
        active=ffn.active if ffn else 1,
        expert_width=ffn.intermediate if ffn else 1,
        kernels=kernels,
        blocks=len(model.layers),
        moe_blocks=moe,
        wide_norms=sum(n for layer, n in distinct if has_wide_norm(layer.attention)),
    )


def _attention_elements(layer: Layer, hidden: int) -> int:
    size = part_elements(layer, hidden)
    return size.get(Part.ATTENTION, 0) + size.get(Part.INDEXER, 0)


def layer_kernels(layer: Layer) -> float:
    """Kernels a decode pass launches for one layer, after the usual fusions."""
    attention = layer.attention
    if isinstance(attention, LatentAttention):
        count = 12.0 + (8 if attention.indexer else 0)
    elif isinstance(attention, FullAttention):
        count = 7.0 + (1 if attention.qk_norm else 0)
    else:
        count = 11.0  # recurrent and compressed kinds: convolutions, gates, states
    count += max(0, layer.norms - 2)
    if isinstance(layer.ffn, MoeFfn):
        return count + 9 + (3 if layer.ffn.shared_width else 0)
    return count + 4


def _replicated_elements(layer: Layer, hidden: int) -> float:
    """Elements of the projections that tensor parallelism does not divide: MLA's down projections, the indexer."""
    if not isinstance(layer.attention, LatentAttention):
        return 0.0
    names = ("attn_q_a", "attn_kv_a_mqa")
    return sum(t.elements for t in layer.attention.tensors(hidden) if t.role in names or t.part is Part.INDEXER)
