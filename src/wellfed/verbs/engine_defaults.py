"""What engines do where a flag is not given: their defaults of context, slots, batch, and how much goes to GPUs.

The same sources as the flags; vLLM's by the card's size (vllm/engine/arg_utils.py); llama.cpp's `--fit`
(common/fit.cpp) and Ollama's own placement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wellfed.engines import ollama
from wellfed.engines.command_line import Command
from wellfed.engines.ollama_place import layers_on
from wellfed.engines.versions import Version, has_auto_slots, is_ollama, static_rule, with_head
from wellfed.hardware.machine import Gpu, Machine
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, EXPERTS_ON_CPU, DraftKind, Engine, Layout, Offload
from wellfed.nouns.plan import Request
from wellfed.perf.memory import ledgers
from wellfed.perf.memory.buffers import TOO_LARGE
from wellfed.perf.memory.devices import gpu_capacity_bytes, gpu_free_bytes, ram_capacity_bytes
from wellfed.perf.memory.fill import can_fill, fullest
from wellfed.perf.memory.static_share import chunk_and_graphs
from wellfed.perf.memory.towers import local_tower
from wellfed.planner.pictured import as_served
from wellfed.units import GIB, MIB

# vLLM's sequences and tokens of a pass (`get_batch_defaults` of vllm/engine/arg_utils.py, 0.8.5 to 0.32.0).
_SMALL_GPU, _LARGE_GPU, _LARGEST_GPU = (256, 2048), (1024, 8192), (1024, 16384)
_LARGE_GPU_BYTES, _LARGEST_GPU_BYTES = 70 * GIB, 160 * GIB
_SECOND_ENGINE = (0, 8, 0)
_A100_IS_SMALL, _HAS_LARGEST = (0, 9, 0), (0, 28, 0)  # read in 0.9.0 but not in 0.8.5, in 0.28.0 but not in 0.26.0
AUTO_SLOTS = 4  # llama.cpp's server, over one cache
_FIT_MARGIN_BYTES, _FIT_LEAST = GIB, 4096  # llama.cpp's --fit-target and --fit-ctx
_FIT_BUILD = 7400  # `--fit` is on by itself from December 2025
_CONTEXT_BEFORE_FIT = 4096  # tokens of llama.cpp's programs where nobody names them, in builds before (common.h)
_ALIGNED = 256  # tokens that a fitted context is a multiple of


def has_slots_of_its_own(read: Command, version: Version | None) -> bool:
    """Whether llama.cpp's server takes `AUTO_SLOTS` over one cache."""
    alone = read.pins.applied(Layout(read.engine, "x")).speculation
    drafts = alone is not None and alone.kind is DraftKind.MTP
    server = read.engine is Engine.LLAMA_CPP and read.serves and read.pins.slots is None
    return server and has_auto_slots(version, drafts)


def fits_context(read: Command, version: Version | None) -> bool:
    """Whether llama.cpp takes as many tokens as leave room, where the command names none, layers or not."""
    switched_off = dict(read.pins.applied(Layout(read.engine, "x")).options).get("fit") == "0"
    fits_layers = version is None or (not version.is_front and version.numbers[0] >= _FIT_BUILD)
    return read.engine is Engine.LLAMA_CPP and not read.is_ollama and fits_layers and not switched_off


def unnamed_context(read: Command, version: Version | None, limit: int) -> int | None:
    """llama.cpp's tokens where the command names none; None where they are what fits. `limit`: the model's."""
    if read.pins.whole_context or read.engine is not Engine.LLAMA_CPP:
        return limit
    if version is not None and version.numbers[0] < _FIT_BUILD:
        return _CONTEXT_BEFORE_FIT // (read.pins.slots or 1)
    return None if fits_context(read, version) else limit


def fits_by_itself(read: Command, version: Version | None) -> bool:
    """Whether the engine leaves on the CPU what does not fit, where nobody says what goes where."""
    if read.engine is not Engine.LLAMA_CPP or read.pins.places:
        return False
    if version is not None and version.is_front:
        return True
    switched_off = dict(read.pins.applied(Layout(read.engine, "x")).options).get("fit") == "0"
    return not switched_off and (version is None or version.numbers[0] >= _FIT_BUILD)


def default_layout(engine: Engine, machine: Machine, quantisation: str, version: Version | None = None) -> Layout:
    """The layout that an engine starts with by itself, in a version (None: as it is now)."""
    count = len(machine.gpus)
    if engine in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP, Engine.EXLLAMAV3, Engine.MLX, Engine.DS4):
        return Layout(engine, quantisation, gpus=count, offload=ALL_GPU if count else CPU_ONLY)
    if engine is Engine.KTRANSFORMERS:
        return Layout(engine, quantisation, gpus=min(1, count), offload=EXPERTS_ON_CPU)
    if not count:
        return Layout(engine, quantisation, gpus=0, offload=CPU_ONLY, max_sequences=_SMALL_GPU[0])
    smallest = min(machine.gpus, key=_memory_bytes)
    if engine is Engine.SGLANG:
        sequences, batch = _LARGE_GPU[0], chunk_and_graphs(_memory_bytes(smallest), 1, static_rule(version))[0]
    else:
        sequences, batch = _vllm_defaults(smallest, version)
    return Layout(engine, quantisation, gpus=min(1, count), max_sequences=sequences, batch_tokens=batch)


def _memory_bytes(gpu: Gpu) -> float:
    return gpu.memory_bytes or (gpu.spec.memory_bytes if gpu.spec else 0)


def _vllm_defaults(gpu: Gpu, version: Version | None) -> tuple[int, int]:
    """Sequences and tokens of a pass of vLLM's server: by the card's memory, an A100 as if it had little."""
    size, numbers = _memory_bytes(gpu), version.numbers if version is not None else _HAS_LARGEST
    if numbers < _SECOND_ENGINE:
        return _SMALL_GPU
    if size >= _LARGEST_GPU_BYTES and numbers >= _HAS_LARGEST:
        return _LARGEST_GPU
    is_a100 = "a100" in (gpu.spec.name if gpu.spec else gpu.name or "").lower() and numbers >= _A100_IS_SMALL
    return _LARGE_GPU if size >= _LARGE_GPU_BYTES and not is_a100 else _SMALL_GPU


def with_room_for_pictures(request: Request) -> Request:
    """Where a prompt may bring pictures, vLLM and SGLang make room for their tower's pass, whether any come or not."""
    return replace(request, workload=as_served(request.workload, request.layout, request.model))


def as_first_engine(layout: Layout, start: Layout, context: int, chunks: bool) -> Layout:
    """What vLLM's first engine takes where the command does not say otherwise than `start`: 256 sequences; whole
    prompts, from 0.5.4 on in chunks of 512 for contexts beyond 32k.
    """
    tokens = 512 if chunks and context > 32_768 else max(2048, context)
    if layout.batch_tokens != start.batch_tokens:
        tokens = layout.batch_tokens
    sequences = layout.max_sequences if layout.max_sequences != start.max_sequences else _SMALL_GPU[0]
    return replace(layout, batch_tokens=tokens, max_sequences=sequences)


def ollama_context(version: Version, machine: Machine) -> int:
    """Ollama's default context on this machine's GPUs."""
    vram = sum(gpu.memory_bytes or (gpu.spec.memory_bytes if gpu.spec else 0) for gpu in machine.gpus)
    return ollama.default_context(version, vram)


def with_fitted_context(request: Request) -> Request:
    """Where nobody names a context, llama.cpp takes the model's, or as much of it as leaves 1 GiB free on the GPUs
    together (`--fit`, `--fit-target`; common/fit.cpp of ggml-org/llama.cpp), at least 4096 tokens; over several GPUs
    less by what whole layers or tensors may leave unused. Without GPUs it leaves 1 GiB of all RAM.
    """
    load = request.workload
    limit = request.model.context_limit
    least = max(_least(request), load.prompt_tokens + load.output_tokens)
    room = _room_for_all(request)
    if room is None or least >= limit:
        return request if room is None else _with_context(request, limit)
    most, fewest = _used(_with_context(request, limit)), _used(_with_context(request, least))
    if most <= room or _on_gpus_as_given(_with_context(request, limit)):
        return _with_context(request, limit)
    target = room - _left_between(request)
    if target <= fewest or most <= fewest:
        return _with_context(request, least)
    context = least + int((limit - least) * (target - fewest) / (most - fewest))
    return _with_context(request, max(least, context - context % _ALIGNED))


def _with_context(request: Request, tokens: int) -> Request:
    return replace(request, workload=replace(request.workload, context_tokens=tokens))


def _room_for_all(request: Request) -> float | None:
    """What may be held on the GPUs, or in RAM without any."""
    tight = _with_margins(request, _margins(request))
    if tight is not None:
        return sum(float(gpu.memory_free_bytes or 0) for gpu in tight.machine.gpus[: max(1, request.layout.gpus)])
    capacity = ram_capacity_bytes(request.machine)
    return None if capacity is None or request.machine.gpus else capacity - _FIT_MARGIN_BYTES


def _used(request: Request) -> float:
    """Bytes on the GPUs, or in RAM without any; what the system keeps, and the program, are no part of it."""
    place, outside = "gpu" if request.layout.gpus else "ram", ("system", "engine", TOO_LARGE)
    devices = [device for device in ledgers(request).devices if device.device.startswith(place)]
    return sum(term.bytes for device in devices for term in device.terms if term.name not in outside)


def _left_between(request: Request) -> float:
    """What several GPUs are expected to leave unused: half a layer each and half of one more, of experts a sixth."""
    count, layers = request.layout.gpus, len(request.model.layers)
    if count < 2:
        return 0.0
    share = 6 if request.model.is_moe else 2
    return (count + 1) * request.weights.total / max(1, request.layout.offload.layers_on_gpu(layers)) / share


def _on_gpus_as_given(request: Request) -> bool:
    tight = _with_margins(request, _margins(request))
    return tight is not None and request.layout.gpus > 0 and _on_gpus(tight, request.layout.offload)


def with_fitted_slots(request: Request) -> Request:
    """Ollama's default number of requests at a time; one where the GPUs do not hold the whole model for so many."""
    layout = request.layout
    if layout.max_sequences == 1 or not layout.gpus or layers_on(request) > len(request.model.layers):
        return request
    return replace(request, layout=replace(layout, max_sequences=1))


def with_fitted_layers(request: Request) -> Request:
    """The request with as little as possible on the CPU: experts of the first layers, or whole layers of dense models.
    As it is where all fits, or nothing does.
    """
    layout = request.layout
    tight = _with_margins(request, _margins(request))
    if tight is None or not layout.gpus or _on_gpus(tight, layout.offload):
        return request
    layers = len(request.model.layers)
    if can_fill(tight):
        filled = fullest(tight)
        if filled is not None:
            offload = Offload(cpu_expert_layers=filled.cpu_experts)
            return replace(request, layout=replace(layout, offload=offload, split=filled.split))
    if request.model.is_moe:
        experts = _fewest(lambda n: _on_gpus(tight, Offload(cpu_expert_layers=n)), request.model.expert_layers)
        if experts is not None:
            return replace(request, layout=replace(layout, offload=Offload(cpu_expert_layers=experts)))
        return _with_layers(request, tight, layers, None)
    return _with_layers(request, tight, layers, 0)


def _with_layers(request: Request, tight: Request, layers: int, experts: int | None) -> Request:
    def counted(gpu_layers: int) -> Offload:
        return with_head(replace(request.layout, offload=Offload(gpu_layers, experts))).offload

    whole = layers + counted(layers).head_first
    count = _fewest(lambda n: _on_gpus(tight, counted(whole - n)), whole)
    return replace(request, layout=replace(request.layout, offload=counted(0 if count is None else whole - count)))


def _least(request: Request) -> int:
    return int(dict(request.layout.options).get("fit_ctx", _FIT_LEAST))


def _margins(request: Request) -> list[float]:
    """Bytes that `--fit` leaves free of every GPU, or of each; Ollama leaves the tower's once more."""
    fit_target = dict(request.layout.options).get("fit_target")
    if is_ollama(request.layout) and dict(request.layout.options).get("mmproj") == "gpu":
        return [_FIT_MARGIN_BYTES + sum(size for _, size, _ in local_tower(request)[:1])]
    return [float(part) * MIB for part in fit_target.split(",")] if fit_target else [float(_FIT_MARGIN_BYTES)]


def _with_margins(request: Request, margins: list[float]) -> Request | None:
    """The request on a machine whose GPUs have less free by the margins; None where a size is unknown."""
    machine = request.machine
    sizes = [gpu_free_bytes(gpu, machine) or gpu_capacity_bytes(gpu, machine) for gpu in machine.gpus]
    if not sizes or any(size is None for size in sizes):
        return None
    reserved = margins * len(sizes) if len(margins) == 1 else [*margins, *[0.0] * len(sizes)]
    gpus = tuple(
        replace(gpu, memory_free_bytes=max(0, round((size or 0) - margin)))
        for gpu, size, margin in zip(machine.gpus, sizes, reserved, strict=False)
    )
    return replace(request, machine=replace(machine, gpus=gpus, free_stated=True))


def _on_gpus(request: Request, offload: Offload) -> bool:
    needed = ledgers(replace(request, layout=replace(request.layout, offload=offload)))
    return all((device.spare_bytes or 0) >= 0 for device in needed.devices if device.device != "ram")


def _fewest(holds: Callable[[int], bool], most: int) -> int | None:
    """The least n in 0..most for which `holds`, which stays true once it is; None when it never is."""
    if not holds(most):
        return None
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
