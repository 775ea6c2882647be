"""Tensors placed one by one (`--override-tensor`): the first pattern found in a tensor's name says where it lies.

GGUF names (blk.7.ffn_up_exps.weight) come from the model's own tensors; bytes are divided among a part's tensors by
their elements. A layer's experts on the CPU are what `Offload.cpu_expert_layers` counts: where the patterns do no more
than that, they are dropped for it. Source: llama-model-loader.cpp and common/arg.cpp of ggml-org/llama.cpp.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache

from wellfed.frozen import dataclass, replace
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Layer, Model
from wellfed.models.tensor import Part, Tensor
from wellfed.models.weights import LayerWeights, Weights
from wellfed.nouns.layout import SOME_LAYERS, Layout
from wellfed.perf.memory.held import widest
from wellfed.perf.memory.split import Span

RAM = "ram"
HERE = ""  # where the layer is
_HELD = {
    Part.ATTENTION: "attention", Part.INDEXER: "attention", Part.DENSE_FFN: "dense_ffn",
    Part.SHARED_EXPERTS: "shared_experts", Part.ROUTED_EXPERTS: "routed_experts", Part.ROUTER: "router",
    Part.NORM: "norms",
}  # fmt: skip
Rules = tuple[tuple[str, str], ...]
Shares = Mapping[str, Mapping[str, float]]  # field of LayerWeights -> place -> share of its bytes


def settled(layout: Layout, model: Model) -> Layout:
    """The layout with what its overrides amount to in layers whose experts are on the CPU; without overrides where they
    do no more than leave the first layers' experts there.
    """
    if not layout.overrides:
        return layout
    start = len(model.layers) - layout.offload.layers_on_gpu(len(model.layers))
    moved = [_shares(layer, index, model.hidden, layout.overrides) for index, layer in enumerate(model.layers)]
    experts = [
        table["routed_experts"].get(RAM, 0.0)
        for index, (layer, table) in enumerate(zip(model.layers, moved, strict=True))
        if isinstance(layer.ffn, MoeFfn) and index >= start
    ]
    count = round(sum(experts))
    plain = experts == [1.0] * count + [0.0] * (len(experts) - count) and not any(map(_moves_else, moved))
    offload = layout.offload
    if offload != SOME_LAYERS:  # whose number the search settles
        offload = offload.with_cpu_expert_layers(None if experts and count == len(experts) else count)
    return replace(layout, offload=offload, overrides=() if plain else layout.overrides)


def _moves_else(table: Shares) -> bool:
    """Whether anything but routed experts goes to the CPU, or anything to a GPU by name."""
    return any(
        place not in (HERE, RAM) or (place == RAM and field != "routed_experts")
        for field, places in table.items()
        for place, share in places.items()
        if share
    )


def _shares(layer: Layer, index: int, hidden: int, rules: Rules) -> Shares:
    tensors = tuple(tensor for tensor in (*layer.attention.tensors(hidden), *layer.ffn.tensors(hidden)))
    return _of_tensors(tensors, index, rules)


@lru_cache(maxsize=4096)
def _of_tensors(tensors: tuple[Tensor, ...], index: int, rules: Rules) -> Shares:
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for tensor in tensors:
        field = _HELD.get(tensor.part)
        if field is not None:
            sums[field][_place(f"blk.{index}.{tensor.role}.weight", rules)] += tensor.elements
    by_field: dict[str, dict[str, float]] = {name: {HERE: 1.0} for name in _HELD.values()}
    for field, places in sums.items():
        total = sum(places.values())
        by_field[field] = {place: size / total for place, size in places.items()} if total else {HERE: 1.0}
    return by_field


def _place(name: str, rules: Rules) -> str:
    """RAM, "gpuN" for names like CUDA1, HERE where no pattern is found."""
    for pattern, place in rules:
        if re.search(pattern, name):
            if place == "CPU":
                return RAM
            number = re.search(r"(\d+)$", place)
            return f"gpu{number[1] if number else 0}"
    return HERE


@dataclass(frozen=True, slots=True)
class Placed:
    """Bytes of layers' weights by device, of them the routed experts, and the largest expert matrix in RAM."""

    total: Mapping[str, float]
    routed: Mapping[str, float]
    staged: float


def placed(model: Model, weights: Weights, layout: Layout, spans: tuple[Span, ...]) -> Placed:
    """Where the layers' bytes lie: by the overrides, else with their layer (`spans`, one a GPU; the others in RAM)."""
    total: dict[str, float] = defaultdict(float)
    routed: dict[str, float] = defaultdict(float)
    staged = 0.0
    for index, (layer, layer_weights) in enumerate(zip(model.layers, weights.layers, strict=True)):
        home = next((f"gpu{n}" for n, span in enumerate(spans) if span.first <= index < span.last), RAM)
        table = _shares(layer, index, model.hidden, layout.overrides)
        for field, places in table.items():
            for place, share in places.items():
                device = _device_of(place, home, len(spans))
                total[device] += share * _bytes(layer_weights, field)
                if field == "routed_experts":
                    routed[device] += share * layer_weights.routed_experts
                    if device == RAM and share and home != RAM:
                        staged = max(staged, widest(weights) * layer_weights.routed_experts / 3)
    return Placed(total, routed, staged)


def _device_of(place: str, home: str, gpus: int) -> str:
    if place == HERE:
        return home
    return place if place == RAM or int(place.removeprefix("gpu")) < gpus else home


def _bytes(layer_weights: LayerWeights, field: str) -> float:
    size: float = getattr(layer_weights, field)
    return size
