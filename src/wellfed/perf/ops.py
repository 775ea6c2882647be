"""What a step of a model asks of whatever runs it: one `Work` per part, before any device or parallelism."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache

from wellfed.frozen import dataclass
from wellfed.models.attention_kinds import has_qk_norm
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Layer, Model
from wellfed.models.recurrent import Recurrent
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights
from wellfed.nouns.estimate import Work

RECURRENT = "recurrent state"  # the work of gated delta rules and their kin
_STATE_BYTES = 2.0  # per element as `cache_elements` counts them
_LAUNCHES_PER_NORM = 0.45  # 17 kernels are 8 launches in these units: one norm is about half a launch (assumed)
# Launches of a convolution, activations, norms, gates and the rule itself, in a dense layer's units: assumed.
_RECURRENT_OPS = 4.0


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
    return _works(_span(model, weights, tuple(layers)), weights, step, kv_element_bytes, active_experts)


_kinds: dict[tuple[int, tuple[int, ...]], tuple[Model, tuple[tuple[Layer, int], ...]]] = {}


def layer_kinds(model: Model, layers: Iterable[int]) -> tuple[tuple[Layer, int], ...]:
    """The distinct layers among `layers` (indices) and how often each occurs."""
    key = (id(model), tuple(layers))
    cached = _kinds.get(key)
    if cached is not None and cached[0] is model:
        return cached[1]
    if len(_kinds) >= _MOST_SPANS:
        _kinds.clear()
    counts: dict[Layer, int] = {}
    for index in key[1]:
        counts[model.layers[index]] = counts.get(model.layers[index], 0) + 1
    _kinds[key] = (model, tuple(counts.items()))
    return _kinds[key][1]


def head_work(model: Model, weights: Weights, step: Step) -> Work:
    """What the output projection asks of a step."""
    flops = 2 * model.vocabulary * model.hidden * step.logits
    kind = weights.types.get(Part.OUTPUT) or weights.types.get(Part.EMBEDDING, "")
    mix = weights.mixes.get(Part.OUTPUT) or weights.mixes.get(Part.EMBEDDING, ())
    elements = model.vocabulary * model.hidden
    return Work(
        "output head", flops=flops, read_bytes=weights.head, launches=1, weight_type=kind, elements=elements, mix=mix
    )


@dataclass(slots=True)
class _Kind:
    """Equal layers of a span: how many, and what their routed experts hold together."""

    layer: Layer
    count: int = 0
    routed_bytes: float = 0.0
    routed_elements: int = 0


@dataclass(slots=True)
class _Span:
    """What does not change from step to step of a run of layers."""

    kinds: tuple[_Kind, ...] = ()
    layers: int = 0
    moe_layers: int = 0
    recurrent_layers: int = 0
    extra_ops: float = 0.0
    attention_bytes: float = 0.0
    attention_elements: int = 0
    dense_bytes: float = 0.0
    dense_elements: int = 0
    shared_bytes: float = 0.0
    shared_elements: int = 0


# Planners ask thousands of times about the same few spans; models are too large to hash, so identity counts.
_spans: dict[tuple[int, int, tuple[int, ...]], tuple[Model, Weights, _Span]] = {}
_MOST_SPANS = 512


def _span(model: Model, weights: Weights, layers: tuple[int, ...]) -> _Span:
    key = (id(model), id(weights), layers)
    cached = _spans.get(key)
    if cached is not None and cached[0] is model and cached[1] is weights:
        return cached[2]
    if len(_spans) >= _MOST_SPANS:
        _spans.clear()
    span = _summed(model, weights, layers)
    _spans[key] = (model, weights, span)
    return span


def _summed(model: Model, weights: Weights, layers: tuple[int, ...]) -> _Span:
    span, kinds = _Span(layers=len(layers)), dict[Layer, _Kind]()
    for index in layers:
        layer, layer_weights = model.layers[index], weights.layers[index]
        size = part_elements(layer, model.hidden)
        kind = kinds.setdefault(layer, _Kind(layer))
        kind.count += 1
        span.attention_bytes += layer_weights.attention + layer_weights.norms
        span.attention_elements += size.get(Part.ATTENTION, 0) + size.get(Part.INDEXER, 0)
        span.dense_bytes += layer_weights.dense_ffn
        span.dense_elements += size.get(Part.DENSE_FFN, 0)
        if isinstance(layer.ffn, MoeFfn):
            span.moe_layers += 1
            span.shared_bytes += layer_weights.shared_experts + layer_weights.router
            span.shared_elements += size.get(Part.SHARED_EXPERTS, 0) + size.get(Part.ROUTER, 0)
            kind.routed_bytes += layer_weights.routed_experts
            kind.routed_elements += size.get(Part.ROUTED_EXPERTS, 0)
    span.kinds = tuple(kinds.values())
    span.recurrent_layers = sum(kind.count for kind in span.kinds if isinstance(kind.layer.attention, Recurrent))
    span.extra_ops = sum(kind.count * _extra_ops(kind.layer) for kind in span.kinds)
    return span


def _extra_ops(layer: Layer) -> float:
    """Norms beyond the usual two (Gemma's sandwich, norms of queries and keys), in the launches of a dense layer's ops.

    A dense layer is 8 launches for its 17 or so kernels.
    """
    norms = layer.norms - 2 + (2 if has_qk_norm(layer.attention) else 0)
    return _LAUNCHES_PER_NORM * max(0, norms)


def _works(span: _Span, weights: Weights, step: Step, kv_element_bytes: float, active: int | None) -> tuple[Work, ...]:
    works = [_attention(span, weights, step.tokens), _cache(span, step, kv_element_bytes)]
    if span.recurrent_layers:
        works.append(_recurrent(span, step))
    if span.dense_bytes:
        works.append(_dense(span, weights, step.tokens))
    if span.moe_layers:
        works.append(_shared(span, weights, step.tokens))
        works.append(_routed(span, weights, step.tokens, active))
    return tuple(works)


def _attention(span: _Span, weights: Weights, tokens: float) -> Work:
    """The matrices of attention: four launches a layer, and the norms beyond the usual ones."""
    return Work(
        "attention weights",
        flops=2 * span.attention_elements * tokens,
        read_bytes=span.attention_bytes,
        elements=span.attention_elements,
        mix=weights.mixes.get(Part.ATTENTION, ()),
        launches=4 * span.layers + span.extra_ops,
        weight_type=weights.types.get(Part.ATTENTION, ""),
    )


def _cache(span: _Span, step: Step, kv_element_bytes: float) -> Work:
    """Attention over the cache, one launch for every layer that has scores."""
    cache, scores, lone = _cache_and_scores(span, step)
    attending = sum(kind.count for kind in span.kinds if kind.layer.attention.score_pairs(1, 1))
    return Work("kv cache", flops=scores, cache_bytes=cache * kv_element_bytes, launches=attending, lone_pairs=lone)


def _dense(span: _Span, weights: Weights, tokens: float) -> Work:
    """Feed-forward matrices of layers without experts: three launches each."""
    return Work(
        "dense ffn",
        flops=2 * span.dense_elements * tokens,
        read_bytes=span.dense_bytes,
        elements=span.dense_elements,
        mix=weights.mixes.get(Part.DENSE_FFN, ()),
        launches=3 * (span.layers - span.moe_layers),
        weight_type=weights.types.get(Part.DENSE_FFN, ""),
    )


def _shared(span: _Span, weights: Weights, tokens: float) -> Work:
    """Experts that every token passes, and routers: four launches a layer."""
    types = weights.types
    return Work(
        "shared experts",
        flops=2 * span.shared_elements * tokens,
        read_bytes=span.shared_bytes,
        elements=span.shared_elements,
        mix=weights.mixes.get(Part.SHARED_EXPERTS, ()),
        launches=4 * span.moe_layers,
        weight_type=types.get(Part.SHARED_EXPERTS) or types.get(Part.ATTENTION, ""),
    )


def _cache_and_scores(span: _Span, step: Step) -> tuple[float, float, float]:
    """Cache elements read, score FLOPs and head-key pairs of single queries of a step, over all sequences."""
    queries = max(1, round(step.tokens / step.sequences))
    context = max(queries, round(step.context))
    cache = scores = lone = 0.0
    for kind in span.kinds:
        attention = kind.layer.attention
        if isinstance(attention, Recurrent):
            continue
        cache += kind.count * attention.cache_read_elements(context)
        scores += kind.count * attention.score_flops(queries, context)
        lone += kind.count * attention.score_pairs(1, context) if queries == 1 else 0.0
    return cache * step.sequences, scores * step.sequences, lone * step.sequences


def _recurrent(span: _Span, step: Step) -> Work:
    """States of layers without a cache: read and written once a step, updated by every token in turn."""
    queries = max(1, round(step.tokens / step.sequences))
    elements = flops = 0.0
    for kind in span.kinds:
        if isinstance(kind.layer.attention, Recurrent):
            elements += kind.count * kind.layer.attention.cache_elements(1)
            flops += kind.count * kind.layer.attention.score_flops(queries, queries)
    return Work(
        RECURRENT,
        flops=flops * step.sequences,
        cache_bytes=2 * elements * _STATE_BYTES * step.sequences,
        launches=_RECURRENT_OPS * span.recurrent_layers,
    )


def _routed(span: _Span, weights: Weights, tokens: float, active: int | None) -> Work:
    read_bytes = elements = flops = 0.0
    for kind in span.kinds:
        ffn = kind.layer.ffn
        if not isinstance(ffn, MoeFfn):
            continue
        touched = expert_share(ffn, tokens, active)
        read_bytes += kind.routed_bytes * touched
        elements += kind.routed_elements * touched
        flops += 2 * kind.routed_elements * (ffn.active if active is None else active) / ffn.experts * tokens
    return Work(
        "routed experts",
        flops=flops,
        read_bytes=read_bytes,
        elements=elements,
        mix=weights.mixes.get(Part.ROUTED_EXPERTS, ()),
        launches=3 * span.moe_layers,
        weight_type=weights.types.get(Part.ROUTED_EXPERTS, ""),
    )
