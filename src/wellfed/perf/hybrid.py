"""One step of a local engine on CPU, GPU or both: who computes what, what crosses the link, and how long it takes.

llama.cpp keeps the last `gpu_layers` layers on the GPU and, with `--n-cpu-moe` or `-ot exps=CPU`, leaves the routed
experts of some of them in host memory. One token is computed where its weights are. A large batch is not: weights in
host memory are copied to the GPU and multiplied there, once per ubatch, so that prefill scales with the ubatch.
KTransformers computes experts on the CPU, and since 2026 copies layer by layer for long chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PcieLink
from wellfed.models.attention import LatentAttention
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Model
from wellfed.models.weights import Weights
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Term, Work
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.perf.cpu import cpu_terms, smooth_minimum
from wellfed.perf.latent import as_run, expansion_work
from wellfed.perf.memory.kv import kv_element_bytes
from wellfed.perf.memory.lora import adapted, adapters, is_adapted
from wellfed.perf.ops import Step, head_work, layer_works

GpuTerms = Callable[[tuple[Work, ...]], tuple[Term, ...]]

# Launches of routed experts with their routing against their products alone, of latent attention against plain: counted
# in llama.cpp's graphs, see `_with_graph_ops`.
_ROUTED_OPS, _LATENT_OPS = 4.0, 1.75
_ADAPTER_OPS = 4.0  # graph ops of one adapter, for each matrix: two products, a scale, a sum (llama.cpp, build_lora_mm)
_STREAM_TOKENS = 32  # llama.cpp: a batch this large is worth copying weights for (ggml-cuda's offload_op)
_IK_STREAMS_BY_EXPERT = date(2025, 6, 11)  # ik_llama.cpp copies experts for as many tokens an expert since about then
_LAYERWISE_TOKENS = 2048  # a prompt's chunk from which KTransformers computes layer by layer on the GPU: assumed
_UNLIMITED = 1e12  # bytes/s: stands for no limit, where nobody names the memory's rate
_LINK = PcieLink(4, 16)  # taken where a GPU's link is unknown


@dataclass(frozen=True, slots=True)
class Split:
    """A step's works by device. `streamed_bytes` are weights copied to the GPU for this step.

    `crossings` counts how often the step hands over between devices.
    """

    gpu: tuple[Work, ...]
    cpu: tuple[Work, ...]
    streamed_bytes: float = 0.0
    crossings: int = 0


def step_terms(request: Request, step: Step, calibration: Calibration, gpu_terms: GpuTerms) -> tuple[Term, ...]:
    """Time of one step, on whatever the layout uses; `gpu_terms` gives the GPU's time for the works it is handed."""
    split = split_works(request, step)
    terms = list(gpu_terms(split.gpu)) if split.gpu else []
    if split.streamed_bytes:
        seconds = split.streamed_bytes / link_bytes_per_s(request.machine, request.layout, calibration)
        terms.append(Term("weights over PCIe", seconds, "PCIe", "pcie"))
    if split.cpu:
        terms += cpu_terms(split.cpu, request.machine, request.layout, calibration, threads_of(request.layout, step))
    if split.crossings:
        seconds = split.crossings * calibration.value("hybrid", "crossing_us") * 1e-6
        terms.append(Term("handovers", seconds, "latency", "pcie"))
    return tuple(terms)


def split_works(request: Request, step: Step) -> Split:
    """Works of the GPUs and of the CPUs: by the layout's offload, and by what the engine copies over for the step."""
    placed = _placed(request, step)
    if not placed.cpu or not streams(request, step):
        return placed
    moved = tuple(work for work in placed.cpu if work.read_bytes)
    stay = tuple(work for work in placed.cpu if not work.read_bytes)
    read = sum(work.read_bytes for work in moved)
    return Split((*placed.gpu, *moved), stay, read, placed.crossings)


def _placed(request: Request, step: Step) -> Split:
    layout, weights = request.layout, request.weights
    model = as_run(request.model, layout)
    count, offload = len(model.layers), layout.offload
    first = count - offload.layers_on_gpu(count)
    left = offload.expert_layers_on_cpu(count)
    mixed = [i for i in range(first, count) if isinstance(model.layers[i].ffn, MoeFfn)][:left]
    whole_layers = sorted(set(range(first, count)) - set(mixed))
    gpu = [*_works(model, weights, whole_layers, step, layout)]
    cpu = [*_works(model, weights, range(first), step, layout)]
    for work in _works(model, weights, mixed, step, layout):
        if work.name == "routed experts":  # products on the CPU, routing on the GPU
            products = work.launches / _ROUTED_OPS
            cpu.append(replace(work, launches=products, fusable=0.0))
            routing = work.launches - products
            gpu[-1] = replace(gpu[-1], launches=gpu[-1].launches + routing, fusable=gpu[-1].fusable + routing)
        else:
            gpu.append(work)
    head_on_gpu = offload.holds_head(count) and offload.gpu_layers != count * (not offload.head_first)
    (gpu if head_on_gpu else cpu).append(head_work(model, weights, step))
    boundaries = (1 if 0 < first < count else 0) + (0 if head_on_gpu or first == count else 1)
    return Split(tuple(gpu), tuple(cpu), crossings=2 * len(mixed) + boundaries)


def link_bytes_per_s(machine: Machine, layout: Layout, calibration: Calibration) -> float:
    """What copies of weights to the GPU achieve: what its link does, or what the host's memory gives them."""
    return copied_bytes_per_s(raw_link_bytes_per_s(machine), ram_bytes_per_s(machine), pinned(layout), calibration)


def copied_bytes_per_s(link: float, ram: float, kept_pinned: bool, calibration: Calibration) -> float:
    """Achieved share of the link, at most the memory's bandwidth over the passes that a copy makes through it.

    A mapped file's pages are not pinned: the driver reads them, writes them to a buffer of its own and reads that.
    KTransformers' own copy is pinned, but it takes turns: packing a layer for the GPU, then sending it.
    """
    passes = 1.0 if kept_pinned else calibration.value("hybrid", "copy_passes")
    rate = link * calibration.value("hybrid", *(("ktransformers",) if kept_pinned else ()), "link_fraction")
    return smooth_minimum(rate, ram * calibration.value("cpu", "bandwidth_fraction") / passes)


def pinned(layout: Layout) -> bool:
    """Whether an engine holds weights in memory that the GPU may read: KTransformers does."""
    return layout.engine is Engine.KTRANSFORMERS


def ram_bytes_per_s(machine: Machine) -> float:
    """One socket's memory in theory: a copy is from where its pages are; without limit where nothing is known."""
    bandwidths = [socket.memory_bandwidth_bytes_per_s for socket in machine.sockets]
    rates = [rate for rate in bandwidths if rate]
    return max(rates) if rates else _UNLIMITED


def micro_batch(layout: Layout) -> int:
    """Tokens of a prompt that are computed together: llama.cpp's ubatch, the chunk of SGLang under KTransformers."""
    return layout.batch_tokens if layout.engine is Engine.KTRANSFORMERS else layout.ubatch_tokens


def raw_link_bytes_per_s(machine: Machine) -> float:
    """The first GPU's link, after line coding.

    All copies take it, whichever GPU holds the rest of a layer: an op whose weights are in host memory goes to the
    first device that accepts it. Source: ggml_backend_sched_backend_id_from_cur in ggml-backend.cpp of llama.cpp and
    ik_llama.cpp (read 2026-11-23).
    """
    link = _link(machine.gpus[0]) if machine.gpus else _LINK
    return link.bytes_per_s


def _link(gpu: Gpu) -> PcieLink:
    if gpu.link is not None:
        return gpu.link
    spec = gpu.spec
    if spec is None or spec.pcie_generation is None or spec.pcie_lanes is None:
        return _LINK
    return PcieLink(spec.pcie_generation, spec.pcie_lanes)


def _works(model: Model, weights: Weights, layers: Iterable[int], step: Step, layout: Layout) -> tuple[Work, ...]:
    indices = tuple(layers)
    if not indices:
        return ()
    works = [
        _with_graph_ops(work, model)
        for work in layer_works(model, weights, indices, step, kv_element_bytes(layout.kv_type), layout.active_experts)
    ]
    if is_adapted(layout):
        works.append(_adapters(model, indices, step, layout))
    expansion = expansion_work(model, weights, indices, step, layout)
    return tuple(works) if expansion is None else (*works, expansion)


def _adapters(model: Model, layers: tuple[int, ...], step: Step, layout: Layout) -> Work:
    """Every loaded adapter is applied to every token: for each matrix two narrow ones, a scale and a sum, op by op
    (llm_graph_context::build_lora_mm of llama.cpp, read 2026-11-29). A dense layer's 17 ops are 8 launches here.
    """
    count, adapter = adapters(layout), adapted(model, layout, layers)
    elements = count * adapter.total
    return Work(
        "adapters", flops=2 * elements * step.tokens, read_bytes=2 * elements, elements=elements, weight_type="F16",
        launches=count * adapter.matrices * _ADAPTER_OPS * 8 / 17,
    )  # fmt: skip


def _with_graph_ops(work: Work, model: Model) -> Work:
    """Launches as these engines' graphs have them, in units of a dense layer's.

    A dense layer is 17 graph ops for 8 launches. Routing (scores, bias, groups, top-k, normalising, weighing, adding up
    the experts) makes the routed experts about 26 ops for their 3; latent attention 17 for its 5. Source: llm_graph
    build_moe_ffn and build_deepseek2 of llama.cpp and ik_llama.cpp (read 2025).
    """
    if work.name == "routed experts":
        routing = work.launches * (_ROUTED_OPS - 1)
        return replace(work, launches=work.launches + routing, fusable=routing)
    latent = any(isinstance(layer.attention, LatentAttention) for layer in model.layers[:1])
    if work.name == "attention weights" and latent:
        return replace(work, launches=work.launches * _LATENT_OPS)
    return work


def streams(request: Request, step: Step) -> bool:
    """Whether the engine copies host weights to the GPU for a batch of this size.

    llama.cpp from 32 tokens on; ik_llama.cpp, for experts, when each of them gets 32 tokens on average; KTransformers,
    layer by layer, chunks of more than 2,048 tokens.
    """
    layout, model = request.layout, request.model
    if layout.engine is Engine.KTRANSFORMERS:
        return bool(request.machine.gpus) and step.tokens > _LAYERWISE_TOKENS and _layerwise(layout)
    if layout.engine not in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP) or not request.machine.gpus or layout.gpus == 0:
        return False
    options = dict(layout.options)
    if options.get("rtr") == "1" or options.get("op_offload") == "0":
        return False
    needed = float(_STREAM_TOKENS)
    moe = next((layer.ffn for layer in model.layers if isinstance(layer.ffn, MoeFfn)), None)
    if layout.engine is Engine.IK_LLAMA_CPP and moe is not None and not layout.is_built_before(_IK_STREAMS_BY_EXPERT):
        needed *= moe.experts / (layout.active_experts or moe.active)
    return step.tokens >= needed


def _layerwise(layout: Layout) -> bool:
    """Since early 2026; the option `gpu_prefill` 0 stands for older ones."""
    return dict(layout.options).get("gpu_prefill") != "0"


def threads_of(layout: Layout, step: Step) -> int | None:
    """Prefill may run on more threads than decode."""
    batch = dict(layout.options).get("threads_batch")
    return int(batch) if batch and step.tokens > step.sequences else None
