"""The largest buffer that a back end allocates at once: Vulkan's drivers none beyond a few GiB, however much is free.

llama.cpp divides weights and activations into as many buffers as it takes, but never one tensor: an expert matrix of a
layer, one layer's keys, or without flash attention the scores of a ubatch. Builds before September 2025 had all
activations in one buffer (pull request 15815; issue 11598: 71 thousand tokens started, 72 did not). Limits
(maxMemoryAllocationSize, maxBufferSize): 4 GiB of RADV, NVIDIA's and Intel's drivers, 2 GiB of AMD's on Windows
(vulkan.gpuinfo.org).
"""

from __future__ import annotations

from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import sentence
from wellfed.models.attention import FullAttention
from wellfed.nouns.layout import BackEnd, Layout
from wellfed.nouns.plan import Request
from wellfed.perf.memory.compute import shapes, ubatch
from wellfed.perf.memory.devices import gpu_capacity_bytes, vendor
from wellfed.perf.memory.held import weight_sums
from wellfed.perf.memory.kv import cells, layer_bytes, option
from wellfed.perf.memory.share import Named
from wellfed.perf.memory.split import Span
from wellfed.units import GIB

# Largest buffer of a Vulkan device: maxBufferSize of 4 GiB is usual, on Windows 2 GiB (vulkan.gpuinfo.org)
TOO_LARGE = sentence("buffers.one-buffer-too", "one buffer too large")  # the term's name
_MOST_BYTES, _MOST_ON_WINDOWS_BYTES = 4 * GIB, 2 * GIB
_SEVERAL_BUFFERS_BUILD = 6568  # commit 6cc24074a of September 2025


def largest_buffer_bytes(gpu: Gpu, machine: Machine, layout: Layout) -> float | None:
    """What one allocation may be at most; None where memory alone decides."""
    if layout.back_end is not BackEnd.VULKAN:
        return None
    windows = machine.os.family == "windows" and vendor(gpu) == "amd"
    return _MOST_ON_WINDOWS_BYTES if windows else _MOST_BYTES


def is_one_buffer(layout: Layout) -> bool:
    """Whether a build keeps all activations of a device in one buffer."""
    build = option(layout, "build")
    return bool(build) and int(build.removeprefix("b")) < _SEVERAL_BUFFERS_BUILD


def too_large(
    request: Request, gpu: Gpu, span: Span, experts: bool, context: int, count: int, in_one: float = 0.0
) -> tuple[Named, ...]:
    """A term as large as the card where a tensor, or what is kept `in_one` buffer, is larger than the driver
    allocates: then nothing fits.
    """
    most = largest_buffer_bytes(gpu, request.machine, request.layout)
    if most is None:
        return ()
    size = max(
        _weights(request, span, experts), _cache(request, span, context, count), _scores(request, context), in_one
    )
    if size <= most:
        return ()
    pool = gpu_capacity_bytes(gpu, request.machine) or size
    text = sentence(
        "buffers.too-large",
        "one tensor takes {size:.2f} GiB, the Vulkan driver allocates {most:.0f} GiB at most",
        size=size / GIB,
        most=most / GIB,
    )
    return ((TOO_LARGE, pool, text),)


def _weights(request: Request, span: Span, experts: bool) -> float:
    routed = weight_sums(request.weights).routed
    matrices = [(routed[i + 1] - routed[i]) / 3 for i in range(span.first, span.last)] if experts else []
    return max([*matrices, request.weights.head if span.output else 0.0], default=0.0)


def _cache(request: Request, span: Span, context: int, count: int) -> float:
    """Keys of the layer with the most of them."""
    tokens = cells(request.layout, context)
    kinds = {layer.attention for layer in request.model.layers[span.first : span.last]}
    return max((count * layer_bytes(kind, request.layout, tokens) / 2 for kind in kinds), default=0.0)


def _scores(request: Request, context: int) -> float:
    if request.layout.flash_attention:
        return 0.0
    heads = max((a.heads for a in shapes(request.model).attentions if isinstance(a, FullAttention)), default=0)
    return 4.0 * ubatch(request.layout, context) * heads * cells(request.layout, context)
