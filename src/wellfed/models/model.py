"""A model: its layers, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

from wellfed.frozen import dataclass, replace
from wellfed.models.attention import Attention
from wellfed.models.ffn import Ffn, MoeFfn
from wellfed.models.tensor import Part, Tensor
from wellfed.provenance import Source

if TYPE_CHECKING:
    from wellfed.models.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer block. `norms` counts its hidden-wide vectors; `extra` belongs to neither of its two halves."""

    attention: Attention
    ffn: Ffn
    norms: int = 2
    extra: tuple[Tensor, ...] = ()

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """All its tensors, without layer numbers."""
        norms = (Tensor("norms", Part.NORM, 1, hidden * self.norms),) if self.norms else ()
        return (*norms, *self.attention.tensors(hidden), *self.ffn.tensors(hidden), *self.extra)


@dataclass(frozen=True, slots=True)
class Model:
    """An open-weights language model as published; equal layers are equal values."""

    id: str
    name: str
    family: str  # deepseek | qwen | llama ...
    hidden: int
    vocabulary: int
    context_limit: int
    layers: tuple[Layer, ...]
    tied_embeddings: bool = False
    native_quantisation: str = "bf16"  # what the publisher's files hold
    native_recipe: Recipe | None = None  # which type each module has in them, where they are quantised
    native_kv: str | None = None  # the key-value type that the publisher's config asks for
    mtp_layers: tuple[Layer, ...] = ()  # multi-token prediction: loaded only for speculative decoding
    mtp_copies: bool = False  # the MTP layers' files repeat embedding and head
    extra_tensors: tuple[Tensor, ...] = ()  # towers, look-up tables and the like
    task: str = "text"  # text | vision-language | audio-language | omni | embedding | reranker | encoder-decoder
    architecture: str = ""  # the model_type of its config
    wrapper: str = ""  # the model_type around it, where a config wraps the language model
    files: str = ""  # gguf | safetensors: what it was read from, which binds a plan; "" where no files are at hand
    notes: tuple[str, ...] = ()  # what was assumed
    aliases: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    counted_parameters: tuple[int, int] | None = None  # the language model's and all, as its files were counted
    released: date | None = None
    published_parameters: float | None = None
    published_active_parameters: float | None = None

    def __hash__(self) -> int:
        return hash((self.id, self.hidden, len(self.layers)))  # cheap: models are keys of caches in inner loops

    @property
    def is_moe(self) -> bool:
        """Whether any layer routes to experts."""
        return any(isinstance(layer.ffn, MoeFfn) for layer in self.layers)

    @property
    def parameters(self) -> int:
        """The language model's parameters: without MTP layers and towers, tied weights once."""
        if self.counted_parameters is not None:
            return self.counted_parameters[0]
        return sum(tensor.elements for tensor in tensors(self) if tensor.part not in BESIDE)

    @property
    def total_parameters(self) -> int:
        """Everything that the repository holds: MTP layers and towers for pictures and sound too."""
        if self.counted_parameters is not None:
            return self.counted_parameters[1]
        return sum(tensor.elements for tensor in tensors(self))

    @property
    def active_parameters(self) -> int:
        """Parameters a token passes through: of routed experts only its own; of an untied input embedding one row."""
        return _active_parameters(self)

    @property
    def expert_layers(self) -> int:
        """Layers that route to experts."""
        return sum(count for layer, count in runs(self) if isinstance(layer.ffn, MoeFfn))

    def cache_elements(self, context: int) -> int:
        """KV cache elements of one sequence of `context` tokens, all layers."""
        return sum(n * layer.attention.cache_elements(context) for layer, n in runs(self))


BESIDE = frozenset({Part.MTP, Part.VISION, Part.AUDIO, Part.UNUSED})  # parts that are not the language model's own


def passed(model: Model, tensor: Tensor) -> float:
    """Elements of `tensor` that one token passes: its own experts, its row of a table that is only looked up."""
    if tensor.part is Part.EMBEDDING and not model.tied_embeddings:
        return tensor.columns
    if tensor.part is Part.LOOKUP:
        return tensor.columns * tensor.count
    if tensor.layer is None or not (tensor.part is Part.ROUTED_EXPERTS or tensor.role == "exps_bias"):
        return tensor.elements
    ffn = model.layers[tensor.layer].ffn
    return tensor.elements * ffn.active / ffn.experts if isinstance(ffn, MoeFfn) else tensor.elements


@lru_cache(maxsize=64)
def _active_parameters(model: Model) -> int:
    return round(sum(passed(model, tensor) for tensor in tensors(model) if tensor.part not in BESIDE))


@lru_cache(maxsize=64)
def tensors(model: Model) -> tuple[Tensor, ...]:
    """Every weight tensor of `model`, in order: embedding, layers, output norm, output head, MTP, extras."""
    return tuple(_tensors(model))


def _tensors(model: Model) -> Iterator[Tensor]:
    yield Tensor("token_embd", Part.EMBEDDING, model.vocabulary, model.hidden)
    for index, layer in enumerate(model.layers):
        for tensor in layer.tensors(model.hidden):
            # written out: `replace` takes six times as long, and there are many
            yield Tensor(tensor.role, tensor.part, tensor.rows, tensor.columns, tensor.count, index)
    yield Tensor("output_norm", Part.NORM, 1, model.hidden)
    if not model.tied_embeddings:
        yield Tensor("output", Part.OUTPUT, model.vocabulary, model.hidden)
    for layer in model.mtp_layers:
        if layer.attention.tensors(model.hidden):  # a predictor's second block, without attention, has none of its own
            yield Tensor("nextn_eh_proj", Part.MTP, model.hidden, 2 * model.hidden)
        for tensor in layer.tensors(model.hidden):
            yield replace(tensor, part=Part.MTP)
        if model.mtp_copies:
            yield Tensor("nextn_embed_tokens", Part.MTP, model.vocabulary, model.hidden)
            yield Tensor("nextn_shared_head_head", Part.MTP, model.vocabulary, model.hidden)
    yield from model.extra_tensors


@lru_cache(maxsize=256)
def runs(model: Model) -> tuple[tuple[Layer, int], ...]:
    """The distinct layers and how often each occurs; a step costs the same wherever a layer stands."""
    counts: dict[Layer, int] = {}
    for layer in model.layers:
        counts[layer] = counts.get(layer, 0) + 1
    return tuple(counts.items())
