"""Layers divided over GPUs so that as many routed experts as possible are on one: what is set by hand otherwise.

llama.cpp divides layers by the GPUs' memory whatever they weigh. Once the experts of the first layers are in RAM, the
first GPUs hold light layers only and one of the last overflows. Here the GPUs are filled in turn instead: light layers
first, then whole ones, each GPU to the same margin.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import field
from itertools import accumulate, pairwise
from operator import mul

from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Gpu
from wellfed.models.model import Model
from wellfed.models.weights import Weights
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request
from wellfed.perf.identity import per_object, per_object_and_values
from wellfed.perf.memory.chosen import narrowed
from wellfed.perf.memory.compute import Duties, compute_bytes
from wellfed.perf.memory.devices import context_bytes, gpu_capacity_bytes, gpu_free_bytes
from wellfed.perf.memory.held import Held, expert_layers, residents, weight_sums, widest
from wellfed.perf.memory.kv import cache_profile, cells, layer_bytes
from wellfed.perf.memory.llamacpp_place import (
    PIPELINE_COPIES,
    fetches_experts,
    matrix_bytes,
    sequences,
    used_gpus,
)

_ROUNDING_BYTES = 1024.0  # sums in another order than the ledger's may differ by so much: assumed
_EVENING_STEPS = 5  # halvings of the largest layer in search of the margin: a 32nd of a layer


@dataclass(frozen=True, slots=True)
class Fill:
    """`cpu_experts` of the layers with experts, the first ones, leave them in RAM; `split` layers are on each GPU.

    The output head counts as one more layer on the GPU it is on, so that the split sums to layers + 1.
    """

    cpu_experts: int
    split: tuple[int, ...]


def can_fill(request: Request) -> bool:
    """Whether the engine takes a split of layers over the GPUs that this layout uses."""
    layout = request.layout
    return layout.engine in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP) and layout.gpus > 1 and layout.tensor_parallel == 1


def fullest(request: Request) -> Fill | None:
    """All layers on the GPUs with as few as possible leaving their experts in RAM, whatever the layout's own offload.

    Among the splits with so few, one that leaves every GPU about the same margin. None where not even the layers
    without experts fit, or a GPU's memory is unknown.
    """
    packing = packed(request)
    fewest = None if packing is None else packing.fewest()
    return None if packing is None or fewest is None else Fill(fewest, packing.evened(fewest))


@dataclass(slots=True)
class Packing:
    """What a split needs, as running sums over the layers, and what each GPU has."""

    request: Request
    weights: Held
    experts: tuple[int, ...]  # indices of the layers that have them
    light: tuple[float, ...]  # weights but experts, and cache, of the first i layers
    staged: tuple[float, ...]  # largest expert matrix of the first i layers; zeros where none are fetched
    rooms: tuple[float, ...]
    computed: dict[Duties, float] = field(default_factory=dict)

    @property
    def largest_layer(self) -> float:
        """Weights and cache of the largest layer, experts included."""
        layers = [a + b for a, b in zip(self.light, self.weights.routed, strict=True)]
        return max(b - a for a, b in pairwise(layers))

    def fewest(self) -> int | None:
        """As few layers as possible that leave their experts in RAM; None where not even all of them suffice."""
        if self.split(0) is not None:  # on large machines the usual case, and the only question then
            return 0
        low, high = 1, len(self.experts)
        if self.split(high) is None:
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.split(middle) else (middle + 1, high)
        return low

    def evened(self, cpu_experts: int) -> tuple[int, ...]:
        """The split with the largest margin on every GPU, found to a part of a layer."""
        best = self.split(cpu_experts) or ()
        low, high = 0.0, self.largest_layer
        for _ in range(_EVENING_STEPS):
            margin = (low + high) / 2
            evened = self.split(cpu_experts, margin)
            if evened is None:
                high = margin
            else:
                low, best = margin, evened
        return best

    def split(self, cpu_experts: int, margin: float = 0.0) -> tuple[int, ...] | None:
        """Each GPU filled up to `margin` in turn; None where layers are left over."""
        routed, layers = self.weights.routed, len(self.light) - 1
        cut = self.experts[cpu_experts - 1] + 1 if cpu_experts else 0
        base = routed[cut]
        sums = [*self.light[:cut], *(a + b - base for a, b in zip(self.light[cut:], routed[cut:], strict=True))]
        first = bisect_right(routed, base) - 1  # up to here there are no experts on GPUs
        position, counts = 0, []
        for index, room in enumerate(self.rooms):
            staged = self.staged[cut] if index == 0 else 0.0
            copies = 1 if cpu_experts else PIPELINE_COPIES
            end = self._end(
                sums, position, first, room - margin, Duties(False, False, staged, copies, first=index == 0)
            )
            counts.append(end - position)
            position = end
            if position > layers:
                return (*counts, *(0 for _ in self.rooms[index + 1 :]))
        return None

    def _end(self, sums: Sequence[float], start: int, first: int, room: float, duties: Duties) -> int:
        """How far a GPU reaches that begins at layer `start`: one past the last layer with the head on it."""
        layers = len(sums) - 1
        if start < layers:
            plain, full = (room - self._compute(replace(duties, experts=held)) for held in (False, True))
            end = max(start, min(first, _reach(sums, start, plain)), _reach(sums, start, full))
            if end < layers:
                return end
        holds = self.weights.routed[layers] > self.weights.routed[max(first, min(start, layers))]
        last = replace(duties, output=True, experts=holds, staged_bytes=duties.staged_bytes if start < layers else 0.0)
        head = self.request.weights.head + self.request.weights.other
        need = sums[layers] - sums[min(start, layers)] + head + self._compute(last)
        return layers + 1 if need <= room else layers

    def _compute(self, duties: Duties) -> float:
        compute = self.computed.get(duties)
        if compute is None:
            request = self.request
            compute = compute_bytes(request.model, request.layout, request.workload.context, duties)
            self.computed[duties] = compute
        return compute


def _reach(sums: Sequence[float], start: int, room: float) -> int:
    return max(start, bisect_right(sums, sums[start] + room) - 1)


def packed(request: Request) -> Packing | None:
    """The layout's GPUs as they can be filled; None without any, or where the memory of one is unknown."""
    request = narrowed(request)
    rooms = [_room(gpu, request) for gpu in used_gpus(request)]
    if not rooms or any(room is None for room in rooms):
        return None
    model, weights = request.model, request.weights
    context = cells(request.layout, request.workload.context)
    sizes = tuple(layer_bytes(kind, request.layout, context) for kind in cache_profile(model).kinds)
    light = _light(weights, model, sequences(request), sizes)
    staged = _largest_matrices(weights) if fetches_experts(request) else (0.0,) * len(light)
    known_rooms = tuple(room for room in rooms if room is not None)
    return Packing(request, weight_sums(weights), expert_layers(model), light, staged, known_rooms)


@per_object_and_values
def _light(weights: Weights, model: Model, count: int, sizes: tuple[float, ...]) -> tuple[float, ...]:
    """Weights but routed experts of the first i layers, and caches of `count` sequences: `sizes` bytes in a layer of
    each kind of attention.
    """
    cached = (sum(map(mul, numbers, sizes)) for numbers in zip(*cache_profile(model).before, strict=True))
    return tuple(resident + count * cache for resident, cache in zip(residents(weights), cached, strict=True))


@per_object
def _largest_matrices(weights: Weights) -> tuple[float, ...]:
    """The largest expert matrix of the first i layers."""
    sums = weight_sums(weights)
    wide = widest(weights)
    return tuple(accumulate((wide * matrix_bytes(sums, i) for i in range(len(weights.layers))), max, initial=0.0))


def _room(gpu: Gpu, request: Request) -> float | None:
    free = gpu_free_bytes(gpu, request.machine)
    room = gpu_capacity_bytes(gpu, request.machine) if free is None else free
    return None if room is None else room - context_bytes(gpu) - _ROUNDING_BYTES
