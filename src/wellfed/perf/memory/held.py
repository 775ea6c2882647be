"""Weights by layer as running sums, so that any span of layers costs two look-ups."""

from __future__ import annotations

from itertools import accumulate

from wellfed.frozen import dataclass
from wellfed.models.ffn import MoeFfn
from wellfed.models.gguf_types import TYPES, plain
from wellfed.models.model import Model
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights
from wellfed.perf.identity import per_object


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes of the first i layers, by what placement tells apart; every tuple has layers + 1 elements.

    `dense` is attention, dense feed-forward and shared experts; `routed` the routed experts; `small` norms, routers.
    """

    attention: tuple[float, ...]
    dense: tuple[float, ...]
    routed: tuple[float, ...]
    small: tuple[float, ...]

    def resident(self, first: int, last: int) -> float:
        """Everything but routed experts in first <= layer < last."""
        return sum(part[last] - part[first] for part in (self.attention, self.dense, self.small))


@per_object
def weight_sums(weights: Weights) -> Held:
    """The running sums of `weights`."""
    layers = weights.layers
    return Held(
        attention=tuple(accumulate((layer.attention for layer in layers), initial=0.0)),
        dense=tuple(accumulate((layer.dense_ffn + layer.shared_experts for layer in layers), initial=0.0)),
        routed=tuple(accumulate((layer.routed_experts for layer in layers), initial=0.0)),
        small=tuple(accumulate((layer.router + layer.norms for layer in layers), initial=0.0)),
    )


@per_object
def residents(weights: Weights) -> tuple[float, ...]:
    """Everything but routed experts in the first i layers."""
    sums = weight_sums(weights)
    return tuple(sums.resident(0, i) for i in range(len(sums.dense)))


@per_object
def expert_layers(model: Model) -> tuple[int, ...]:
    """Indices of the layers that route to experts."""
    return tuple(index for index, layer in enumerate(model.layers) if isinstance(layer.ffn, MoeFfn))


_WHOLE = frozenset({"attn_q_a", "attn_kv_a_mqa"})  # MLA's down projections serve all heads: every rank has them


@per_object
def widest(weights: Weights) -> float:
    """How much larger the largest expert matrix of a layer is than the mean of its three: one of the mix's widest type
    beside two of the others.
    """
    mix = [(TYPES[plain(kind)].bits, share) for kind, share in weights.mixes.get(Part.ROUTED_EXPERTS, ()) if share]
    most = max((bits for bits, _ in mix), default=0.0)
    others = [(bits, share) for bits, share in mix if bits < most]
    if not others:
        return 1.0
    narrow = sum(bits * share for bits, share in others) / sum(share for _, share in others)
    return 3 * most / (most + 2 * narrow)


@per_object
def replicated_share(model: Model) -> float:
    """The share of attention weights that tensor parallelism cannot divide: MLA's down projections, the indexer."""
    replicated = total = 0
    for layer in model.layers:
        for tensor in layer.attention.tensors(model.hidden):
            if tensor.part is Part.ATTENTION or tensor.part is Part.INDEXER:
                total += tensor.elements
                if tensor.role in _WHOLE or tensor.part is Part.INDEXER:
                    replicated += tensor.elements
    return replicated / total if total else 0.0


@per_object
def kv_projection_share(model: Model) -> float:
    """The share of attention weights in k and v projections, which are copied once ranks outnumber KV heads."""
    kv_elements = total = 0
    for layer in model.layers:
        for tensor in layer.attention.tensors(model.hidden):
            if tensor.part is Part.ATTENTION:
                total += tensor.elements
                kv_elements += tensor.elements if tensor.role in {"attn_k", "attn_v"} else 0
    return kv_elements / total if total else 0.0
