"""Where Ollama puts a model, by version: which of its engines runs it, on which GPUs, how many layers go there.

Until 0.29 it placed layers itself: 457 MiB of each GPU stay free, then activations, then whole layers from the last one
on, packed onto as few GPUs as hold them all. Its own engine tells what its activations take; for models that llama.cpp
runs a formula of each architecture estimates them, and the room of one more layer stays free. Since 0.30 llama-server
runs all of them and fits what does not fit, on one GPU where that holds it easily.

Sources (ollama/ollama): llm/memory.go of 0.2.8; llm/server.go (`Load`, `buildLayout`), fs/ggml/ggml.go (`GraphSize`,
`OllamaEngineRequired`, `FlashAttention`) and ml/device.go (`MinimumMemory`) of 0.6.0 to 0.24.0; server/sched.go
(`selectLlamaServerPlacement`, `automaticGenerationBatch`) and llm/llama_server.go of 0.32.15.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu
from wellfed.models.attention import FullAttention, LatentAttention
from wellfed.models.model import Model
from wellfed.models.tensor import Part
from wellfed.nouns.layout import Layout, Offload
from wellfed.nouns.plan import Request
from wellfed.perf.memory.chosen import narrowed
from wellfed.perf.memory.compute import Duties, compute_bytes
from wellfed.perf.memory.devices import gpu_capacity_bytes, gpu_free_bytes, vendor
from wellfed.perf.memory.held import weight_sums
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.llamacpp_place import cache_bytes, sequences
from wellfed.perf.memory.towers import local_tower
from wellfed.units import GIB, MIB

VERSION = "front_version"  # the option that holds Ollama's version
SPREAD, OVERHEAD = "sched_spread", "gpu_overhead"  # those of OLLAMA_SCHED_SPREAD and, in bytes, OLLAMA_GPU_OVERHEAD
Numbers = tuple[int, ...]
_NEWEST: Numbers = (99, 0, 0)
_SERVER_SINCE: Numbers = (0, 30, 0)
_ALLOCATED_SINCE: Numbers = (0, 11, 11)  # its own engine allocates first and counts then; before all was estimated
_FREE_BYTES, _FREE_OF_METAL_BYTES = 457 * MIB, 512 * MIB
_EASILY = 0.8  # of a GPU's free memory, up to which one GPU takes a model
# Tokens at a time by context, what they are taken to need, and up to which share of memory a model leaves them room.
_BATCHES = ((32_768, 2048, 2 * GIB, 0.6), (4096, 1024, 768 * MIB, 0.75))
_BATCH = 512
# Architectures that its own engine runs, and those whose attention is one kernel by itself there, since when.
_OWN: Mapping[str, Numbers] = {
    "gemma3": (0, 6, 0), "mistral3": (0, 6, 7), "llama4": (0, 6, 7), "mllama": (0, 7, 0), "qwen25vl": (0, 7, 0),
    "gemma3n": (0, 9, 3), "gptoss": (0, 11, 0), "qwen3": (0, 12, 0), "qwen3moe": (0, 12, 7), "qwen3vl": (0, 12, 7),
    "deepseek2": (0, 13, 0), "olmo3": (0, 14, 0), "nemotron_h": (0, 17, 4), "qwen35": (0, 17, 4),
    "qwen3next": (0, 17, 4), "glm4moelite": (0, 17, 4), "lfm2": (0, 17, 4), "gemma4": (0, 20, 0),
}  # fmt: skip
_FLASH: Mapping[str, Numbers] = {
    "gptoss": (0, 11, 8), "gemma3": (0, 12, 7), "qwen3": (0, 12, 7), "qwen3moe": (0, 12, 7), "qwen3vl": (0, 13, 0),
    "mistral3": (0, 13, 5), "olmo3": (0, 13, 5), "glm4moelite": (0, 17, 4), "lfm2": (0, 17, 4),
    "nemotron_h": (0, 17, 4), "qwen35": (0, 17, 4), "qwen3next": (0, 17, 4), "gemma4": (0, 20, 0),
}  # fmt: skip
_FLASH_OF_LLAMA_CPP_SINCE: Numbers = (0, 14, 0)
_NAMES = {
    "mistral": "llama", "mixtral": "llama", "mllama_text": "mllama", "cohere": "command-r", "cohere2": "command-r",
    "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2", "gpt_oss": "gptoss", "qwen3_moe": "qwen3moe",
    "qwen3_5": "qwen35", "qwen3_5_moe": "qwen35", "qwen3_next": "qwen3next", "glm4_moe_lite": "glm4moelite",
    "lfm2_moe": "lfm2", "ministral": "mistral3", "gemma": "gemma", "phi": "phi2",
}  # fmt: skip
_SEEING = {"qwen2": "qwen25vl", "qwen3": "qwen3vl", "qwen3moe": "qwen3vl", "llama": "mistral3"}


# What its estimate takes a tower's pass to need, in bytes: scores of all patches of the largest picture in every head,
# beside pixels and embeddings (`VisionGraphSize` of fs/ggml/ggml.go, 0.11.0; sides of 896 and 1540 pixels in patches of
# 14, 28 x 28 x 1280 pixels, four tiles of 560; 16 heads each).
_PIXELS = 28 * 28 * 1280
_TILES, _TILE_PATCHES, _PADDED = 4, 1601, 1608
_VISION_GRAPHS: Mapping[str, float] = {
    "gemma3": 4.0 * (896**2 * 3 + 1152 * 14 + 4096**2 * 16),
    "mistral3": 4.0 * (1540**2 * 3 + 1024 * 14 + 12_100**2 * 16),
    "qwen25vl": 4.0 * (3 * _PIXELS * 3 + 5120**2 * 16 + 1280 * 5120),
    "mllama": 4.0
    * (560**2 * 3 * _TILES + 1280 * _TILES * (_TILE_PATCHES + 9 * _PADDED) + (_PADDED * _TILES) ** 2 * 16),
}


def architecture(model: Model) -> str:
    """The architecture as Ollama's files call it."""
    plain = model.architecture.removesuffix("_text")
    name = _NAMES.get(plain, plain)
    sees = any(tensor.part is Part.VISION for tensor in model.extra_tensors)
    return _SEEING.get(name, name) if sees else name


def is_flash(numbers: Numbers, model: Model) -> bool:
    """Whether a version computes attention in one kernel where nobody asks for it."""
    name = architecture(model)
    if numbers >= _SERVER_SINCE:
        return True
    if numbers >= _OWN.get(name, _NEWEST):
        return numbers >= _FLASH.get(name, _NEWEST)
    return numbers >= _FLASH_OF_LLAMA_CPP_SINCE


def keeps_windows_whole(numbers: Numbers, model: Model) -> bool:
    """Whether windows' caches are as long as the context: of models that llama.cpp ran as a library, whose own default
    that is (`swa_full` of llama_context_default_params), until llama-server did.
    """
    return numbers < _OWN.get(architecture(model), _NEWEST) and numbers < _SERVER_SINCE


def numbers_of(layout: Layout) -> Numbers:
    """Ollama's version, of which the newest where none is named."""
    text = option(layout, VERSION)
    return tuple(int(part) for part in text.split(".")) if text else _NEWEST


def runs_llama_server(layout: Layout) -> bool:
    """Whether llama-server fits what does not fit."""
    return numbers_of(layout) >= _SERVER_SINCE


def on_fewest_gpus(request: Request) -> Request:
    """The request on as few GPUs as hold the model, and tokens at a time as the version chooses them."""
    spread = option(request.layout, SPREAD) == "1"
    if runs_llama_server(request.layout):
        return _with_batch(request if spread else _on_one_gpu(request))
    if spread:
        return request
    order = _by_room(request)
    for count in range(1, len(order)):
        fewer = _on(request, order[:count])
        if layers_on(fewer) > len(request.model.layers):
            return fewer
    return request


def with_layers(request: Request) -> Request:
    """The request with as many layers on its GPUs as versions before 0.30 put there."""
    layers = len(request.model.layers)
    count = layers_on(request)
    offload = Offload() if count > layers else Offload(min(count, layers), 0)
    return replace(request, layout=replace(request.layout, offload=offload))


def layers_on(request: Request) -> int:
    """How many layers the GPUs take, the output head counted as the last one."""
    near = narrowed(request)
    sizes = [*_layer_sizes(near), near.weights.head + near.weights.other]
    whole = _fitting(near, sizes)
    return whole if whole == len(sizes) else _fitting(near, sizes[:-1])


def _fitting(request: Request, sizes: list[float]) -> int:
    """Of layers with these sizes how many fit, from the last one on, filling GPU after GPU."""
    rooms = _rooms(request)
    position, count = 0, 0
    for size in reversed(sizes):
        while position < len(rooms) and size > rooms[position]:
            position += 1
        if position == len(rooms):
            break
        rooms[position] -= size
        count += 1
    return count


def _rooms(request: Request) -> list[float]:
    """What each GPU has for layers; towers lie on the first."""
    layout, model = request.layout, request.model
    estimated = not (_is_own(layout, model) and numbers_of(layout) >= _ALLOCATED_SINCE)
    graph = _estimated_graph(request) if estimated else _allocated_graph(request)
    beside = max(_layer_sizes(request), default=0.0) if estimated else 0.0
    tower = _tower(request, estimated) if option(layout, "mmproj") == "gpu" else 0.0
    overhead = float(option(layout, OVERHEAD, "0"))
    return [
        _free(gpu, request) - _least(gpu) - overhead - graph - beside - (tower if index == 0 else 0.0)
        for index, gpu in enumerate(request.machine.gpus[: layout.gpus])
    ]


def _tower(request: Request, estimated: bool) -> float:
    """A tower's weights, and a pass of it: as it is, or as versions that estimate take it for models of their own."""
    terms = [size for _, size, _ in local_tower(request)]
    graph = _VISION_GRAPHS.get(architecture(request.model)) if _is_own(request.layout, request.model) else None
    return terms[0] + graph if estimated and graph is not None and terms else sum(terms)


def _is_own(layout: Layout, model: Model) -> bool:
    return numbers_of(layout) >= _OWN.get(architecture(model), _NEWEST)


def _least(gpu: Gpu) -> float:
    return _FREE_OF_METAL_BYTES if vendor(gpu) == "apple" else _FREE_BYTES


def _free(gpu: Gpu, request: Request) -> float:
    free = gpu_free_bytes(gpu, request.machine)
    return (gpu_capacity_bytes(gpu, request.machine) or 0.0) if free is None else free


def _layer_sizes(request: Request) -> list[float]:
    """Weights and cache of each layer."""
    weights, context, count = weight_sums(request.weights), request.workload.context, sequences(request)
    return [
        weights.resident(i, i + 1) + weights.routed[i + 1] - weights.routed[i]
        + cache_bytes(request, context, count, i, i + 1)
        for i in range(len(request.model.layers))
    ]  # fmt: skip


def _allocated_graph(request: Request) -> float:
    context = request.workload.context * sequences(request)
    return compute_bytes(request.model, request.layout, context, Duties(output=True, experts=True))


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What the formulas are made of: `b` tokens at a time, `c` of all sequences' context, hidden size, heads of queries
    and of keys, their width, vocabulary.
    """

    b: float
    c: float
    hidden: float
    heads: float
    keys: float
    width: float
    vocabulary: float


def _estimated_graph(request: Request) -> float:
    """The larger of both estimates of activations, with all layers on GPUs or with some."""
    model, layout = request.model, request.layout
    attention = next((layer.attention for layer in model.layers if _has_heads(layer.attention)), None)
    if attention is None:
        return _allocated_graph(request)
    count, heads = sequences(request), getattr(attention, "heads", 1)
    keys = attention.kv_heads if isinstance(attention, FullAttention) else heads
    width = attention.head_dim if isinstance(attention, FullAttention) else model.hidden / heads
    context = request.workload.context * count
    sizes = _Sizes(
        min(layout.batch_tokens, layout.ubatch_tokens, context), context, model.hidden, heads, keys, width,
        model.vocabulary,
    )  # fmt: skip
    name = architecture(model)
    cache = cache_bytes(request, request.workload.context, count, 0, len(model.layers))
    if name == "gptoss" and layout.flash_attention:
        return (4 * count + context // 1024 + 110) * MIB
    formula = _FORMULAS.get(name)
    return formula(sizes) if formula is not None else max(1.0, heads / keys) * cache / 6


def _has_heads(attention: object) -> bool:
    return isinstance(attention, FullAttention | LatentAttention)


def _of_llama(s: _Sizes) -> float:
    full = max(4 * s.b * (1 + 4 * s.hidden + s.c * (1 + s.heads)), 4 * s.b * (s.hidden + s.vocabulary))
    scores = 4 * s.c * (s.b * s.heads + s.width * s.keys)
    inner = 4 * s.b * (1 + s.hidden + max(s.c, s.hidden)) + s.hidden**2 * 9 / 16 + scores
    return max(full, 4 * s.b * s.hidden + max(inner, _with_head(s, 1)))


def _with_head(s: _Sizes, rows: int) -> float:
    """Logits, rows of the residual stream, and the output head as it is fetched."""
    return 4 * s.b * (rows * s.hidden + s.vocabulary) + s.hidden * s.vocabulary * 105 / 128


def _of_gemma(s: _Sizes) -> float:
    wide, attended = s.width * s.heads, s.c + s.c * s.heads
    full = 4 * s.b * (2 + attended + 2 * s.hidden + 2 * wide)
    inner = 4 * s.b * (2 * s.hidden + 1 + 2 * wide + attended) + 32 * s.width * s.c + s.hidden * wide * 9 / 16
    return max(full, inner, _with_head(s, 1))


def _of_gemma_3n(s: _Sizes) -> float:
    return 4 * _of_gemma(s)


def _of_cohere(s: _Sizes) -> float:
    attended = s.c * (1 + s.heads)
    inner = 4 * s.b * (1 + 2 * s.hidden + attended) + 4 * s.hidden * s.c + s.hidden**2 * 9 / 16
    return max(4 * s.b * (2 + 4 * s.hidden + attended), inner, _with_head(s, 1))


def _of_qwen2(s: _Sizes) -> float:
    inner = 4 * (s.b * (1 + 2 * s.hidden + s.c * (1 + s.heads)) + s.hidden * (1 + s.c))
    return max(inner, _with_head(s, 1))


def _of_deepseek(s: _Sizes) -> float:
    wide, attended = s.width * s.keys, s.c * (1 + s.keys)
    full = 4 * s.b * (3 * s.hidden + 2 + attended + 2 * wide)
    inner = 4 * s.b * (2 * s.hidden + 1 + 2 * wide + attended) + 4 * s.c * wide + s.hidden * wide * 9 / 16
    return max(full, inner, _with_head(s, 3))


def _of_phi2(s: _Sizes) -> float:
    return max(4 * s.b * (1 + 4 * s.hidden + s.c * (1 + s.heads)), _with_head(s, 2))


_FORMULAS: Mapping[str, Callable[[_Sizes], float]] = {
    "llama": _of_llama, "llama4": _of_llama, "gemma": _of_gemma, "gemma2": _of_gemma, "gemma3": _of_gemma,
    "command-r": _of_cohere, "qwen2": _of_qwen2, "deepseek2": _of_deepseek, "phi2": _of_phi2,
    "gemma3n": _of_gemma_3n,
}  # fmt: skip


def _by_room(request: Request) -> list[Gpu]:
    """The GPUs, the one with most free memory first."""
    return sorted(request.machine.gpus[: request.layout.gpus], key=lambda gpu: -_free(gpu, request))


def _on(request: Request, gpus: list[Gpu]) -> Request:
    numbers = tuple(sorted(gpu.index for gpu in gpus))
    return replace(request, layout=replace(request.layout, gpus=len(gpus), devices=numbers))


def _predicted(request: Request) -> float:
    """The file, and a cache as if every layer kept keys of the usual width in 16 bits (`PredictServerVRAM`)."""
    model, weights = request.model, request.weights
    attention = next((layer.attention for layer in model.layers if isinstance(layer.attention, FullAttention)), None)
    context = request.workload.context * sequences(request)
    width = model.hidden / attention.heads * attention.kv_heads if attention is not None else 0.0
    return weights.total + 4.0 * len(model.layers) * width * context


def _on_one_gpu(request: Request) -> Request:
    gpus = _by_room(request)
    if len(gpus) > 1 and _predicted(request) <= _EASILY * _free(gpus[0], request):
        return _on(request, gpus[:1])
    return request


def _with_batch(request: Request) -> Request:
    """Tokens at a time, where nobody names them."""
    if option(request.layout, "num_batch"):
        return request
    if not request.layout.flash_attention:
        return replace(request, layout=replace(request.layout, batch_tokens=_BATCH, ubatch_tokens=_BATCH))
    room = sum(_free(gpu, request) for gpu in narrowed(request).machine.gpus[: request.layout.gpus])
    predicted, context = _predicted(request), request.workload.context * sequences(request)
    batch = next((b for b in _BATCHES if context > b[0] and (not room or _leaves_room(b, predicted, room))), None)
    size = _BATCH if batch is None else batch[1]
    return replace(request, layout=replace(request.layout, batch_tokens=size, ubatch_tokens=size))


def _leaves_room(batch: tuple[int, int, int, float], predicted: float, room: float) -> bool:
    _, _, extra, share = batch
    return predicted <= share * room and extra <= _EASILY * room - predicted
