"""Quantisations: what they are called, and the bytes a model takes in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import date
from functools import lru_cache

from wellfed.frozen import dataclass, replace
from wellfed.models.attention import FullAttention
from wellfed.models.ffn import MoeFfn
from wellfed.models.gguf_types import TYPES
from wellfed.models.model import Model, tensors
from wellfed.models.recipes import (
    FUSED,
    MIXES,
    OLD_Q2_K,
    OLD_Q2_K_UNTIL,
    SINCE_2024,
    Facts,
    Mix,
    gguf_type,
    layer_kinds,
)
from wellfed.models.recipes_makers import ds4_type, kept_type, unsloth_type
from wellfed.models.recipes_ollama import holds_head_twice, ollama_type, trained_at_four_bits
from wellfed.models.recipes_safetensors import ONE_SCALE, scheme, scheme_type
from wellfed.models.recipes_unsloth import ROUTED_BITS, UNSLOTH
from wellfed.models.tensor import SPEECH, Part, Tensor
from wellfed.models.weights import LayerWeights, Weights

MAKERS = frozenset({"ollama", "bartowski", "unsloth", "mradermacher", "lmstudio-community", "ggml-org", "ds4"})
ALL_MIXES = {**MIXES, **UNSLOTH}


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How weights are stored. `bits` is nominal, for order; the `file_` sizes where a file's are known."""

    id: str
    label: str
    family: str  # gguf | safetensors
    recipe: str  # a mix of recipes.py or a scheme of recipes_safetensors.py
    bits: float
    file_bytes: float | None = None
    file_bits: float | None = None  # per weight, over the whole file
    mtp_bytes: float | None = None  # of multi-token-prediction layers beside `file_bytes`, where known
    resident: str = ""  # the type of all but routed experts, in files mixed by hand
    maker: str = ""  # who made the file, where it makes a difference: ollama
    trained: bool = False  # a checkpoint trained for its format (QAT), as its publisher made it
    predictors: bool = False  # multi-token-prediction layers come along, says the file's name
    aliases: tuple[str, ...] = field(default=(), compare=False)

    def made_by(self, maker: str) -> Quantisation:
        """The same as `maker` makes it, where that is known to be another recipe."""
        return replace(self, maker=maker if maker in MAKERS else "")

    def sized(self, file_bytes: float) -> Quantisation:
        """The same kinds of weights in a file known to hold `file_bytes`."""
        return replace(self, file_bytes=file_bytes)


@lru_cache(maxsize=512)
def weights(model: Model, quantisation: Quantisation) -> Weights:
    """Bytes of `model` by part in `quantisation`: by recipe, then scaled to the file's size where that is known."""
    computed = _by_recipe(model, quantisation)
    size = quantisation.file_bytes
    if size is None and quantisation.file_bits is not None:
        size = quantisation.file_bits * model.parameters / 8
    if size is None and quantisation.recipe in ROUTED_BITS:
        size = _at_routed_bits(computed, ROUTED_BITS[quantisation.recipe])
    return computed if size is None else _of_size(computed, size)


def _at_routed_bits(computed: Weights, bits: float) -> float | None:
    """The size with routed experts of `bits` each; None without any, or where their rows forced wider types."""
    experts = sum(layer.routed_experts for layer in computed.layers)
    shares = computed.mixes.get(Part.ROUTED_EXPERTS, ())
    mean = sum(TYPES[kind].bits * share for kind, share in shares)
    if not experts or not mean or any(TYPES[kind].block < _SUPERBLOCK for kind, _ in shares):
        return None
    return computed.total + experts * (bits / mean - 1)


_SUPERBLOCK = 256  # of the K types; narrower blocks among the experts are a fallback


def _of_size(computed: Weights, size: float) -> Weights:
    """Mixes of unknown recipe vary their routed experts and leave the rest; where that cannot be, all is scaled."""
    experts = sum(layer.routed_experts for layer in computed.layers)
    left = size - (computed.total - experts)
    if experts and 0.1 < left / experts < 2:
        factor = left / experts
        layers = tuple(replace(layer, routed_experts=layer.routed_experts * factor) for layer in computed.layers)
        kind = _rescaled(computed.types[Part.ROUTED_EXPERTS], factor)
        types = {**computed.types, Part.ROUTED_EXPERTS: kind}
        mixes = computed.mixes if abs(factor - 1) < 0.1 else {**computed.mixes, Part.ROUTED_EXPERTS: ((kind, 1.0),)}
        return replace(computed, layers=layers, types=types, mixes=mixes)
    inner = sum(layer.total for layer in computed.layers)
    if size > computed.total - inner:
        return computed.scaled(size)
    factor = size / computed.total
    return replace(
        computed.scaled(computed.total - inner * (1 - factor)),
        embedding=computed.embedding * factor,
        output=computed.output * factor,
        other=computed.other * factor,
    )


_COMMON = ("IQ1_S", "IQ2_XXS", "Q2_K", "IQ3_XXS", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "F16")


def _rescaled(kind: str, factor: float) -> str:
    """The common type of about `factor` times the bits of `kind`; `kind` itself where they hardly differ."""
    bits = TYPES[kind].bits * factor
    return kind if abs(factor - 1) < 0.1 else min(_COMMON, key=lambda name: abs(TYPES[name].bits - bits))


def tensor_type(model: Model, quantisation: Quantisation, tensor: Tensor) -> str:
    """The name of the weight type `tensor` of `model` has in `quantisation`."""
    if quantisation.family == "gguf":
        return _gguf_kinds(model, quantisation)(tensor)
    recipe = model.native_recipe
    if recipe is not None and quantisation.id == model.native_quantisation:
        return recipe.type_of(tensor, len(model.layers), model.family)
    return scheme_type(scheme(quantisation.recipe), tensor, model.native_quantisation)


def _gguf_kinds(model: Model, quantisation: Quantisation) -> Callable[[Tensor], str]:
    """The types of a model's tensors: what is the same for all of them is looked up once."""
    recipe, facts, resident_type = _mix(model, quantisation), _facts(model), quantisation.resident
    resident = Mix(resident_type, output=resident_type) if resident_type else recipe

    def kind(tensor: Tensor) -> str:
        mix = recipe if tensor.part is Part.ROUTED_EXPERTS else resident
        maker_type = _of_maker(model, quantisation, mix, tensor)
        return kept_type(model.architecture, tensor) or maker_type or gguf_type(mix, tensor, facts)

    return kind


_BY_LAYER = frozenset({"ollama"})  # makers whose rules look at a layer by themselves


def _layer_kind(model: Model, quantisation: Quantisation) -> Callable[[int], tuple[bool, ...]] | None:
    """What a layer's types depend on, as a value; None where they are decided layer by layer."""
    if quantisation.family != "gguf":  # a scheme treats all layers alike, a recipe by modules names some
        by_modules = model.native_recipe is not None and quantisation.id == model.native_quantisation
        return None if by_modules else lambda _: ()
    if quantisation.trained or quantisation.maker in _BY_LAYER:
        return None
    return layer_kinds(_mix(model, quantisation), _facts(model))


def _mix(model: Model, quantisation: Quantisation) -> Mix:
    """The mix of its name; Q2_K of models before 2024 is an older, wider one but where its maker came later."""
    before = model.released is not None and model.released < OLD_Q2_K_UNTIL
    old = quantisation.recipe == "Q2_K" and before and not model.is_moe and quantisation.maker not in SINCE_2024
    return OLD_Q2_K if old else ALL_MIXES[quantisation.recipe]


def _of_maker(model: Model, quantisation: Quantisation, mix: Mix, tensor: Tensor) -> str | None:
    at_four_bits = trained_at_four_bits(model, tensor) if quantisation.trained else None
    if at_four_bits:
        return at_four_bits
    if quantisation.maker == "ollama":
        return ollama_type(model, mix.base, tensor)
    if quantisation.maker == "ds4":
        return ds4_type(mix.base, tensor)
    if quantisation.maker == "unsloth" or quantisation.recipe.startswith("UD-"):
        return unsloth_type(quantisation.recipe, mix.base, tensor)
    return None


@lru_cache(maxsize=64)
def _facts(model: Model) -> Facts:
    attention = next((a.attention for a in model.layers if isinstance(a.attention, FullAttention)), None)
    experts = max((a.ffn.experts for a in model.layers if isinstance(a.ffn, MoeFfn)), default=0)
    return Facts(
        layers=len(model.layers),
        experts=experts,
        group=attention.heads // attention.kv_heads if attention else 1,
        vocabulary=model.vocabulary,
        hidden=model.hidden,
        tied=model.tied_embeddings,
        gqa_70b=len(model.layers) == 80 and attention is not None and model.hidden == 8192 and not experts,
        fused=model.architecture in FUSED,
        fused_as_values=model.released is None or model.released >= _FUSED_AS_VALUES,
    )


_FUSED_AS_VALUES = date(2026, 3, 1)  # files are made when a model comes out, with the llama.cpp of that month


_FIELD = {
    Part.ATTENTION: "attention",
    Part.INDEXER: "attention",
    Part.DENSE_FFN: "dense_ffn",
    Part.ROUTED_EXPERTS: "routed_experts",
    Part.SHARED_EXPERTS: "shared_experts",
    Part.ROUTER: "router",
    Part.NORM: "norms",
}
_OUTSIDE = {
    Part.EMBEDDING: "embedding", Part.OUTPUT: "output", Part.MTP: "mtp", Part.VISION: "towers", Part.AUDIO: "towers",
    Part.LOOKUP: "lookup",
}  # fmt: skip


@dataclass(slots=True)
class Tally:
    """Adds up tensors of known type into `Weights`."""

    layers: list[dict[str, float]]
    outside: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("embedding", "output", "mtp", "towers", "lookup", "other"), 0.0)
    )
    by_type: dict[Part, dict[str, float]] = field(default_factory=dict)

    def add(self, part: Part, layers: Sequence[int | None], kind: str, size: float) -> None:
        """Count `size` bytes of weight type `kind` in each of `layers` (None: outside them)."""
        kinds = self.by_type.setdefault(part, {})
        kinds[kind] = kinds.get(kind, 0) + size * len(layers)
        if part in _OUTSIDE:
            self.outside[_OUTSIDE[part]] += size * len(layers)
            return
        field_name = _FIELD.get(part, "")
        for layer in layers:
            if layer is None:
                self.outside["other"] += size
            else:
                self.layers[layer][field_name] += size

    def weights(self, quantisation: str, exact: bool) -> Weights:
        """The tensors counted so far as Weights."""
        return Weights(
            quantisation=quantisation,
            layers=tuple(LayerWeights(**layer) for layer in self.layers),
            types={part: max(kinds, key=lambda k: kinds[k]) for part, kinds in self.by_type.items()},
            mixes={part: _shares(kinds) for part, kinds in self.by_type.items()},
            exact=exact,
            **self.outside,
        )


def _shares(kinds: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Each type's share of the weights (not of the bytes), largest first."""
    counts = {kind: size / TYPES[kind].bits for kind, size in kinds.items() if kind in TYPES}
    total = sum(counts.values())
    return (
        tuple(sorted(((kind, count / total) for kind, count in counts.items()), key=lambda pair: -pair[1]))
        if total
        else ()
    )


def tally(layers: int) -> Tally:
    """An empty tally of a model with `layers` layers."""
    return Tally([dict.fromkeys(set(_FIELD.values()), 0.0) for _ in range(layers)])


def _kinds(model: Model, quantisation: Quantisation) -> Callable[[Tensor], str]:
    """`tensor_type` of one model; of a recipe by modules, layers that no pattern names are looked up once."""
    if quantisation.family == "gguf":
        return _gguf_kinds(model, quantisation)
    recipe = model.native_recipe
    if recipe is None or quantisation.id != model.native_quantisation:
        return _scheme_kinds(model, quantisation)
    quantised_layers, seen = recipe.own_layers(), dict[tuple[Tensor, bool], str]()

    def kind(tensor: Tensor) -> str:
        alike = quantised_layers is not None and tensor.layer is not None and tensor.layer not in quantised_layers
        key = (replace(tensor, layer=None) if alike else tensor, alike)
        if key not in seen:
            seen[key] = recipe.type_of(tensor, len(model.layers), model.family)
        return seen[key]

    return kind


def _scheme_kinds(model: Model, quantisation: Quantisation) -> Callable[[Tensor], str]:
    """The types of a model's tensors in a scheme, which treats all layers alike."""
    applied = scheme(quantisation.recipe)
    if quantisation.recipe == "fp8" and model.family in ONE_SCALE:
        applied = replace(applied, linear="FP8-TENSOR")
    types: dict[tuple[str, Part, int, int], str] = {}

    def kind(tensor: Tensor) -> str:
        key = (tensor.role, tensor.part, tensor.rows, tensor.columns)
        if key not in types:
            types[key] = scheme_type(applied, tensor, model.native_quantisation)
        return types[key]

    return kind


def _by_recipe(model: Model, quantisation: Quantisation) -> Weights:
    if quantisation.maker == "ollama" and holds_head_twice(model):
        model = replace(model, tied_embeddings=False)
    sums, kind_of = tally(len(model.layers)), _kinds(model, quantisation)
    layer_kind = _layer_kind(model, quantisation)
    for shape, layers in _alike(model):
        if shape.role == SPEECH or (shape.part in (Part.VISION, Part.AUDIO) and quantisation.family == "gguf"):
            continue  # towers live in a file of their own (mmproj)
        for some in [layers] if layers == (None,) else _of_one_kind(layers, layer_kind):
            kind = kind_of(replace(shape, layer=some[0]))
            sums.add(shape.part, some, kind, TYPES[kind].size(shape.rows, shape.columns, shape.count))
    return sums.weights(quantisation.id, exact=False)


@lru_cache(maxsize=64)
def _alike(model: Model) -> tuple[tuple[Tensor, tuple[int | None, ...]], ...]:
    """The model's tensors without their layers, and the layers that have one such (None: outside them)."""
    layers: dict[tuple[object, ...], list[int | None]] = {}
    shapes: dict[tuple[object, ...], Tensor] = {}
    for tensor in tensors(model):
        key = (tensor.role, tensor.part, tensor.rows, tensor.columns, tensor.count, tensor.layer is None)
        layers.setdefault(key, []).append(tensor.layer)
        shapes.setdefault(key, tensor)
    return tuple((shapes[key], tuple(indices)) for key, indices in layers.items())


def _of_one_kind(
    layers: tuple[int | None, ...], layer_kind: Callable[[int], tuple[bool, ...]] | None
) -> Iterable[Sequence[int | None]]:
    """The layers in groups whose tensors have one type."""
    if layer_kind is None:
        return [(layer,) for layer in layers]
    groups: dict[object, list[int | None]] = {}
    for layer in layers:
        groups.setdefault(None if layer is None else layer_kind(layer), []).append(layer)
    return groups.values()
