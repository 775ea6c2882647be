"""What training takes of RAM: processes, the optimizer on the CPU, layers' inputs, and the model while it is loaded.

Loading: ranks that divide the weights let one of each machine read the model (FSDP's cpu_ram_efficient_loading, the
default of accelerate), ZeRO-3 with zero.Init a shard of the files at a time; without, every rank reads all of it.
https://huggingface.co/docs/accelerate/usage_guides/fsdp, https://huggingface.co/docs/transformers/deepspeed
"""

from __future__ import annotations

from collections.abc import Sequence

from wellfed.message import sentence
from wellfed.nouns.estimate import DeviceMemory, MemoryTerm
from wellfed.nouns.training import Shard, Trainer, TrainingRequest
from wellfed.perf.memory.devices import ram_capacity_bytes, ram_free_bytes, system_terms
from wellfed.perf.training.activations import input_bytes, keeps_in_ram
from wellfed.perf.training.state import PAGED, counts, keeps_wide, moment_bytes
from wellfed.units import GIB

_PROCESS_BYTES = 4 * GIB  # host memory of a rank, Python, CUDA, workers that load: assumed
_FILE_SHARD_BYTES = 5e9  # transformers' max_shard_size since 2023: what a rank reads at a time


def ram_ledger(request: TrainingRequest, inside: Sequence[DeviceMemory]) -> DeviceMemory:
    """RAM's ledger; `inside`: those of GPUs without memory of their own, whose terms are RAM's, too."""
    machine, layout = request.machine, request.layout
    here = min(layout.gpus, max(1, len(machine.gpus)))
    processes = _GPU_PROCESS_BYTES if inside else _PROCESS_BYTES
    note = sentence("perf.memory.python-cuda-loading", "Python, CUDA and loading workers of each rank")
    terms = [MemoryTerm("ram", "engine processes", here * processes, note)]
    states = _states(request, here)
    terms += states
    loading = _loading_bytes(request, here) - sum(term.bytes for term in states)
    if loading > 0 and not inside:
        text = sentence("perf.memory.read-model", "the model while it is read, before the GPUs have it")
        terms.append(MemoryTerm("ram", "loading", loading, text))
    capacity, free = ram_capacity_bytes(machine), ram_free_bytes(machine)
    terms += system_terms(free, capacity, sentence("perf.memory.operating-system", "operating system and page tables"))
    terms += [
        MemoryTerm("ram", f"{device.device} {term.name}", term.bytes, "unified memory")
        for device in inside
        for term in device.terms
    ]
    return DeviceMemory("ram", tuple(terms), capacity, free)


_GPU_PROCESS_BYTES = 1 * GIB  # of it where the GPU's memory is RAM, and counted in its own ledger: assumed


def _states(request: TrainingRequest, here: int) -> list[MemoryTerm]:
    """The optimizer on the CPU, its pages, and inputs of layers that wait here; all ranks'."""
    layout, trained = request.layout, counts(request).trained
    share = here / layout.gpus if layout.shard is not Shard.NONE else float(here)
    terms = []
    if layout.offload:
        note = sentence("perf.memory.offloaded-gradients", "offloaded: gradients, master copy, moments")
        size = trained * (8.0 + moment_bytes(request)) * share
        terms.append(MemoryTerm("ram", "optimizer state", size, note))
    elif request.task.optimizer in PAGED:
        note = sentence("perf.memory.pages", "in pages that stay on the GPU while it has room")
        terms.append(MemoryTerm("ram", "optimizer state", trained * moment_bytes(request) * share, note))
    if keeps_in_ram(request):
        note = sentence("perf.memory.layers-inputs", "inputs of layers, until the way back")
        terms.append(MemoryTerm("ram", "activations", here * input_bytes(request), note))
    return terms


def _loading_bytes(request: TrainingRequest, here: int) -> float:
    """The model in RAM before the GPUs have it: once, a file's shard, or once for every rank."""
    task, layout = request.task, request.layout
    whole = (4.0 if keeps_wide(request) else 2.0) * request.model.parameters
    if layout.whole_loading:
        return here * whole
    if task.trainer is Trainer.MLX or not layout.shard.divides_weights:
        return here * min(whole, _FILE_SHARD_BYTES)  # straight to each rank's GPU, file by file
    return whole if layout.shard is Shard.FSDP else here * min(whole, _FILE_SHARD_BYTES)
