"""What a step of a model asks of whatever runs it: one `Work` per part, before any device or parallelism."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from wellfed.estimate import Work
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Layer, Model
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights


@dataclass(frozen=True, slots=True)
class Step:
    """One forward pass: `tokens` new tokens, divided over `sequences` of `context` tokens each at its end.

    `logits` rows pass the output head: all sequences in decode, one per finished prompt in prefill.
    """

    tokens: float
    sequences: float
    context: float
    logits: float

    @classmethod
    def decode(cls, sequences: float, context: float) -> Step:
        """One new token for each sequence."""
        return cls(sequences, sequences, context, sequences)

    @classmethod
    def prefill(cls, tokens: float, context: float, sequences: float = 1, logits: float = 1) -> Step:
        """A chunk of `tokens` prompt tokens that ends at `context`."""
        return cls(tokens, sequences, context, logits)


@lru_cache(maxsize=1024)
def part_elements(layer: Layer, hidden: int) -> Mapping[Part, int]:
    """Parameters of a layer by part."""
    counts: dict[Part, int] = {}
    for tensor in layer.tensors(hidden):
        counts[tensor.part] = counts.get(tensor.part, 0) + tensor.elements
    return counts


def expert_share(ffn: MoeFfn, tokens: float, active: int | None = None) -> float:
    """The share of a layer's routed experts whose weights `tokens` tokens read."""
    chosen = ffn.active if active is None else active
    return 1 - math.pow(1 - chosen / ffn.experts, tokens)


def layer_works(
    model: Model,
    weights: Weights,
    layers: Iterable[int],
    step: Step,
    kv_element_bytes: float,
    active_experts: int | None = None,
) -> tuple[Work, ...]:
    """The works of `layers` (indices), summed over them by part: projections, cache, feed-forward, experts.

    Routed experts read the expected number of distinct experts and compute only the chosen ones. Activations,
    which fit the caches in decode and hide behind compute in prefill, are left out.
    """
    sums = _Sums()
    for index in layers:
        sums.add(model, model.layers[index], weights, index, step, active_experts)
    return sums.works(step, kv_element_bytes, weights)


def head_work(model: Model, weights: Weights, step: Step) -> Work:
    """The output projection."""
    flops = 2 * model.vocabulary * model.hidden * step.logits
    kind = weights.types.get(Part.OUTPUT) or weights.types.get(Part.EMBEDDING, "")
    mix = weights.mixes.get(Part.OUTPUT) or weights.mixes.get(Part.EMBEDDING, ())
    elements = model.vocabulary * model.hidden
    return Work(
        "output head", flops=flops, read_bytes=weights.head, launches=1, weight_type=kind, elements=elements, mix=mix
    )


class _Sums:
    """Running sums over layers; plain attributes, since planners call this thousands of times."""

    __slots__ = (
        "attention_bytes", "attention_elements", "attention_flops", "cache_elements", "dense_bytes", "dense_elements",
        "dense_flops", "layers", "moe_layers", "routed_bytes", "routed_elements", "routed_flops", "score_flops",
        "shared_bytes", "shared_elements", "shared_flops",
    )  # fmt: skip

    def __init__(self) -> None:
        self.attention_bytes = self.attention_flops = self.cache_elements = self.score_flops = 0.0
        self.dense_bytes = self.dense_flops = self.shared_bytes = self.shared_flops = 0.0
        self.routed_bytes = self.routed_flops = 0.0
        self.attention_elements = self.dense_elements = self.shared_elements = self.routed_elements = 0.0
        self.layers = self.moe_layers = 0

    def add(self, model: Model, layer: Layer, weights: Weights, index: int, step: Step, active: int | None) -> None:
        size, held = part_elements(layer, model.hidden), weights.layers[index]
        tokens = step.tokens
        per_sequence = max(1, round(tokens / step.sequences))
        context = max(per_sequence, round(step.context))
        self.layers += 1
        attention = size.get(Part.ATTENTION, 0) + size.get(Part.INDEXER, 0)
        self.attention_bytes += held.attention + held.norms
        self.attention_flops += 2 * attention * tokens
        self.attention_elements += attention
        self.cache_elements += layer.attention.cache_read_elements(context) * step.sequences
        self.score_flops += layer.attention.score_flops(per_sequence, context) * step.sequences
        self.dense_bytes += held.dense_ffn
        self.dense_elements += size.get(Part.DENSE_FFN, 0)
        self.dense_flops += 2 * size.get(Part.DENSE_FFN, 0) * tokens
        if isinstance(layer.ffn, MoeFfn):
            self._add_experts(layer.ffn, size, held.shared_experts + held.router, held.routed_experts, tokens, active)

    def _add_experts(
        self,
        ffn: MoeFfn,
        size: Mapping[Part, int],
        shared_bytes: float,
        routed_bytes: float,
        tokens: float,
        active: int | None,
    ) -> None:
        self.moe_layers += 1
        shared, touched = size.get(Part.SHARED_EXPERTS, 0) + size.get(Part.ROUTER, 0), expert_share(ffn, tokens, active)
        self.shared_bytes += shared_bytes
        self.shared_elements += shared
        self.shared_flops += 2 * shared * tokens
        self.routed_bytes += routed_bytes * touched
        self.routed_elements += size.get(Part.ROUTED_EXPERTS, 0) * touched
        chosen = (ffn.active if active is None else active) / ffn.experts
        self.routed_flops += 2 * size.get(Part.ROUTED_EXPERTS, 0) * chosen * tokens

    def works(self, step: Step, kv_element_bytes: float, weights: Weights) -> tuple[Work, ...]:
        kind, mixes = weights.types, weights.mixes
        found = [
            Work(
                "attention weights",
                flops=self.attention_flops,
                read_bytes=self.attention_bytes,
                elements=self.attention_elements,
                mix=mixes.get(Part.ATTENTION, ()),
                launches=4 * self.layers,
                weight_type=kind.get(Part.ATTENTION, ""),
            ),
            Work(
                "kv cache",
                flops=self.score_flops,
                cache_bytes=self.cache_elements * kv_element_bytes,
                launches=self.layers,
            ),
        ]
        if self.dense_bytes:
            found.append(
                Work(
                    "dense ffn",
                    flops=self.dense_flops,
                    read_bytes=self.dense_bytes,
                    elements=self.dense_elements,
                    mix=mixes.get(Part.DENSE_FFN, ()),
                    launches=3 * (self.layers - self.moe_layers),
                    weight_type=kind.get(Part.DENSE_FFN, ""),
                )
            )
        if self.moe_layers:
            found.append(
                Work(
                    "shared experts",
                    flops=self.shared_flops,
                    read_bytes=self.shared_bytes,
                    elements=self.shared_elements,
                    mix=mixes.get(Part.SHARED_EXPERTS, ()),
                    launches=4 * self.moe_layers,
                    weight_type=kind.get(Part.SHARED_EXPERTS) or kind.get(Part.ATTENTION, ""),
                )
            )
            found.append(
                Work(
                    "routed experts",
                    flops=self.routed_flops,
                    read_bytes=self.routed_bytes,
                    elements=self.routed_elements,
                    mix=mixes.get(Part.ROUTED_EXPERTS, ()),
                    launches=3 * self.moe_layers,
                    weight_type=kind.get(Part.ROUTED_EXPERTS, ""),
                )
            )
        return tuple(found)
