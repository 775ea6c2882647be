"""The GPUs over which a serving engine may divide a model: each kind of card by itself, and all of them together.

vLLM divides a model over unequal GPUs too: every rank does as much as the others, so that the slowest sets the pace and
the smallest the cache; pipeline stages may be of unequal length (VLLM_PP_LAYER_PARTITION). SGLang and TensorRT-LLM take
equal ones only.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.parts import GpuSpec
from wellfed.hardware.selection import by_islands, equal_groups
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.chosen import positions


@dataclass(frozen=True, slots=True)
class Group:
    """GPUs of one machine in the order in which ranks take them. `devices` is empty where that is the machine's own.

    `weakest`: the data sheet that says which formats all of them know.
    """

    gpus: tuple[Gpu, ...]
    devices: tuple[int, ...]
    weakest: GpuSpec
    mixed: bool = False

    def numbers(self, count: int) -> tuple[int, ...]:
        """The numbers of the first `count` GPUs, where they have to be named."""
        return self.devices[:count]


def groups(machine: Machine, engine: Engine) -> Iterator[Group]:
    """The group of the fastest card first; all together last, where the engine takes unequal GPUs."""
    equal = equal_groups(machine)
    for places in equal:
        group = _group(machine, places, mixed=False)
        if group is not None:
            yield group
    if len(equal) > 1 and engine is Engine.VLLM:
        every = by_islands(machine, range(len(machine.gpus)))
        group = _group(machine, every, mixed=True)
        if group is not None and {gpu.vendor for gpu in _specs(group.gpus)} == {"nvidia"}:
            yield group


def _group(machine: Machine, positions: tuple[int, ...], mixed: bool) -> Group | None:
    gpus = tuple(machine.gpus[position] for position in positions)
    specs = _specs(gpus)
    if len(specs) < len(gpus):
        return None
    own_order = positions == tuple(range(len(positions)))
    return Group(gpus, () if own_order else tuple(gpu.index for gpu in gpus), min(specs, key=_abilities), mixed)


def _specs(gpus: tuple[Gpu, ...]) -> list[GpuSpec]:
    return [gpu.spec for gpu in gpus if gpu.spec is not None]


def _abilities(spec: GpuSpec) -> tuple[float, float]:
    return float(spec.compute_capability or 0), spec.memory_bandwidth_bytes_per_s


def stage_split(group: Group, layers: int, tensor: int, pipeline: int) -> tuple[int, ...]:
    """Layers of each pipeline stage in proportion to the memory of its smallest GPU; empty where stages are alike."""
    sizes = [
        min(
            gpu.memory_bytes or (gpu.spec.memory_bytes if gpu.spec else 0) for gpu in group.gpus[start : start + tensor]
        )
        for start in range(0, tensor * pipeline, tensor)
    ]
    if len(set(sizes)) < 2 or layers < pipeline:
        return ()
    total = sum(sizes)
    split = [max(1, int(layers * size / total)) for size in sizes]
    for _ in range(layers - sum(split)):
        neediest = max(range(pipeline), key=lambda stage: sizes[stage] / total * layers - split[stage])
        split[neediest] += 1
    return tuple(split)


def with_stages(layout: Layout, machine: Machine, layers: int) -> Layout:
    """vLLM's pipeline stages of unequal length, where its GPUs are unequal and the layout names none yet."""
    if layout.engine is not Engine.VLLM or layout.pipeline_parallel == 1 or layout.split:
        return layout
    used = tuple(machine.gpus[position] for position in positions(machine, layout))
    tensor, pipeline = layout.tensor_parallel, layout.pipeline_parallel
    if len(used) < tensor * pipeline or len(_specs(used)) < len(used):
        return layout
    group = Group(used, layout.devices, _specs(used)[0], mixed=True)
    return replace(layout, split=stage_split(group, layers, tensor, pipeline))
