"""How many parameters a model has, counted the three ways that publishers mean."""

from __future__ import annotations

from wellfed.frozen import dataclass, replace
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import BESIDE, Layer, Model, passed, runs, tensors
from wellfed.models.tensor import Part

_APART = BESIDE


@dataclass(frozen=True, slots=True)
class Counts:
    """`parameters`: the language model, tied weights once, without multi-token-prediction layers and towers.

    `total`: everything in the repository. `active`: what a token passes through.
    """

    parameters: int
    total: int
    active: int


def counts(model: Model) -> Counts:
    """The counts of a model. Equal layers are counted once, which keeps it at a millisecond."""
    shapes = runs(model)
    layers = sum(sum(tensor.elements for tensor in layer.tensors(model.hidden)) * times for layer, times in shapes)
    around = tensors(replace(model, layers=()))
    apart = sum(tensor.elements for tensor in around if tensor.part in _APART)
    outside = [tensor for tensor in around if tensor.part not in _APART]
    language = layers + sum(tensor.elements for tensor in outside)
    total = language + apart
    if model.counted_parameters is not None:  # its files were counted
        language, total = model.counted_parameters
    idle = sum(_idle(layer, model.hidden) * times for layer, times in shapes)
    active = layers - idle + sum(passed(model, tensor) for tensor in outside)
    return Counts(language, total, round(active))


def _idle(layer: Layer, hidden: int) -> float:
    """Elements of a layer that one token does not pass: the experts it is not routed to."""
    if not isinstance(layer.ffn, MoeFfn):
        return 0.0
    experts = sum(t.elements for t in layer.tensors(hidden) if t.part is Part.ROUTED_EXPERTS or t.role == "exps_bias")
    return experts * (1 - layer.ffn.active / layer.ffn.experts)
