"""The memory of fine-tuning, device by device.

    weights, gradients, optimizer state: bytes for each trained or frozen weight, over the ranks that divide them
    activations, checkpointed: 2 bytes x hidden x tokens x layers, and one layer whole
    activations, whole: 2 bytes x what each matrix takes in and gives out, over all layers
    logits: 12 bytes x vocabulary x tokens (16 bits, their FP32 copy, gradients), 2 when chunked

The peak is on the way back or in the optimizer's step, whichever is larger. Sources: Rajbhandari et al., arXiv
1910.02054 (ZeRO: 2 + 2 + 12 bytes a weight); Korthikanti et al., arXiv 2205.05198 (activations); Dettmers et al., arXiv
2305.14314 (QLoRA); the losses of huggingface/transformers and pytorch/torchtune. Left out: tensor and pipeline
parallelism in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu
from wellfed.message import sentence
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Layer, Model, tensors
from wellfed.models.tensor import Part, Tensor
from wellfed.nouns.estimate import DeviceMemory, Memory, MemoryTerm
from wellfed.nouns.training import Method, Optimizer, Precision, Shard, TrainingLayout, TrainingRequest
from wellfed.perf.memory.devices import (
    gpu_capacity_bytes,
    gpu_free_bytes,
    ram_capacity_bytes,
    ram_free_bytes,
    system_terms,
)
from wellfed.units import GIB, MIB

# Moments by optimizer, bytes for each trained weight: two of 4, 2 or 1 byte (bitsandbytes: with a scale for every 256
# values); Adafactor's rows and columns: assumed; Lion has one of 4 bytes.
_MOMENTS: Mapping[Optimizer, float] = {
    Optimizer.ADAMW: 8.0,
    Optimizer.ADAMW_BF16: 4.0,
    Optimizer.ADAMW_8BIT: 2.1,
    Optimizer.ADAFACTOR: 0.05,
    Optimizer.LION: 4.0,
    Optimizer.SGD: 0.0,
}
_WIDE_MOMENTS = frozenset({Optimizer.ADAMW, Optimizer.LION})  # with which 16-bit weights keep an FP32 master copy
_STEP_WIDE, _STEP_NARROW = 8.0, 0.0  # FP32 gradients and one moment's new value; fused 16-bit updates need none
_SUB_GROUP = 1e9  # weights that ZeRO-3 and FSDP update at a time (DeepSpeed's default sub_group_size)
_BUCKET_BYTES = 2 * 5e8 * 2.0  # reduce and gather buckets in 16 bits (DeepSpeed's defaults of 5e8 elements)
# CUDA, cuBLAS and NCCL; what the allocator holds beyond what is in use: assumed.
_CONTEXT_BYTES, _FRAGMENTS = 800 * MIB, 0.06
# For each token and entry of the vocabulary: FP32 logits, their softmax and gradient; chunked, a part at a time
# (assumed)
_LOGIT_BYTES, _CHUNKED_LOGIT_BYTES = 12.0, 2.0
_PROCESS_BYTES = 4 * GIB  # host memory of a rank, Python, CUDA, workers that load: assumed
_EAGER = 1.5  # intermediate results that a compiler would not keep, norms, rotations and gates in FP32: assumed
_TRAINED_PARTS = frozenset({Part.ATTENTION, Part.DENSE_FFN, Part.SHARED_EXPERTS})


@dataclass(frozen=True, slots=True)
class Counts:
    """Weights by what happens to them; `embeddings` of the trained ones are those trained beside adapters."""

    frozen: int
    trained: int
    embeddings: int = 0


@lru_cache(maxsize=256)
def _adapters(model: Model, rank: int, experts: bool) -> int:
    """Weights of adapters on every linear layer: rank x (inputs + outputs)."""
    parts = _TRAINED_PARTS | ({Part.ROUTED_EXPERTS} if experts else frozenset())
    return sum(
        rank * (tensor.rows + tensor.columns) * tensor.count
        for tensor in tensors(model)
        if tensor.part in parts and tensor.is_matrix and not tensor.role.startswith(("small_", "indexer"))
    )


def counts(request: TrainingRequest) -> Counts:
    """How many weights are frozen, and how many trained."""
    model, task = request.model, request.task
    if task.method is Method.FULL:
        return Counts(0, model.parameters)
    embeddings = model.vocabulary * model.hidden * (1 if model.tied_embeddings else 2) if task.embeddings else 0
    return Counts(model.parameters, _adapters(model, task.rank, task.experts) + embeddings, embeddings)


@dataclass(frozen=True, slots=True)
class PerWeight:
    """Bytes kept for each trained weight, and for a moment in the optimizer's step."""

    weight: float
    gradient: float
    state: float
    step: float


def per_weight(request: TrainingRequest) -> PerWeight:
    """By precision and optimizer. Adapters are kept in FP32, as PEFT does; whole embeddings beside them in 16 bits:
    what is told is the mean of both.
    """
    task = request.task
    moments = _MOMENTS[task.optimizer]
    wide = task.optimizer in _WIDE_MOMENTS
    if task.method is not Method.FULL:
        trained_counts = counts(request)
        narrow = trained_counts.embeddings / max(1, trained_counts.trained)
        return PerWeight(4.0 - 2 * narrow, 4.0 - 2 * narrow, moments, 4.0 - 3 * narrow if wide else 2.0)
    if task.precision is Precision.AMP:
        return PerWeight(4.0, 4.0, moments, 4.0)
    return PerWeight(2.0, 2.0, moments + (4.0 if wide else 0.0), _STEP_WIDE if wide else _STEP_NARROW)


def ledger(request: TrainingRequest) -> Memory:
    """Every GPU's ledger (all are alike) and RAM's."""
    gpus = request.machine.gpus[: min(request.layout.gpus, len(request.machine.gpus))]
    terms = _gpu_terms(request)
    devices = [_device(f"gpu{index}", gpu, terms, request) for index, gpu in enumerate(gpus)]
    return Memory((*devices, _ram(request)))


def peak_bytes(request: TrainingRequest) -> float:
    """What one GPU holds at its peak."""
    return sum(size for _, size, _ in _gpu_terms(request))


Named = tuple[str, float, str]


def _gpu_terms(request: TrainingRequest) -> tuple[Named, ...]:
    """Name, bytes and note of everything on one GPU, at the peak of a step."""
    terms = [*_state_terms(request), _peak_term(request)]
    note = sentence("perf.memory.held-allocator", "held by the allocator beyond what is in use")
    fragments = ("fragments", _FRAGMENTS * sum(size for _, size, _ in terms), note)
    return (*terms, fragments, ("engine context", float(_CONTEXT_BYTES), "CUDA, cuBLAS and NCCL"))


def _weight_shares(layout: TrainingLayout) -> int:
    return layout.gpus if layout.shard.divides_weights else 1


def _state_terms(request: TrainingRequest) -> list[Named]:
    """What stays from step to step: weights, gradients, the optimizer's state, buffers of divided training."""
    layout, per_trained = request.layout, per_weight(request)
    gradients_over = layout.gpus if layout.shard in (Shard.ZERO2, Shard.ZERO3, Shard.FSDP) else 1
    trained = (0.0 if layout.offload else 1.0) * counts(request).trained
    gradient_note = sentence(
        "perf.memory.bytes-trained-weight", "{gradient:g} bytes a trained weight", gradient=per_trained.gradient
    )
    terms: list[Named] = [
        ("weights", _weight_bytes(request, per_trained) / _weight_shares(layout), _weights_note(request)),
        ("gradients", trained * per_trained.gradient / gradients_over, gradient_note),
        ("optimizer state", trained * per_trained.state / layout.sharded_over, f"{request.task.optimizer}"),
    ]
    if layout.shard is not Shard.NONE:
        note = sentence("perf.memory.layers-gathered", "layers gathered and gradients reduced")
        terms.append(("buffers", _buffers(request), note))
    return terms


def _peak_term(request: TrainingRequest) -> Named:
    """The larger of what the way back and the optimizer's step hold: they are never there together."""
    layout, per_trained, trained = request.layout, per_weight(request), counts(request).trained
    back = _backward_bytes(request)
    at_a_time = min(trained / layout.sharded_over, _SUB_GROUP if _weight_shares(layout) > 1 else trained)
    step = (0.0 if layout.offload else 1.0) * per_trained.step * at_a_time
    if back >= step:
        name = sentence("perf.memory.activations-logits", "activations and logits")
        return name, back, sentence("perf.memory.way-back", "the way back")
    note = sentence("perf.memory.gradients-moments", "gradients and moments in FP32 for the update")
    return "optimizer step", step, note


def _weight_bytes(request: TrainingRequest, per_trained: PerWeight) -> float:
    trained_counts = counts(request)
    if request.task.method is Method.FULL:
        return trained_counts.trained * per_trained.weight
    return request.frozen.total + trained_counts.trained * per_trained.weight


def _weights_note(request: TrainingRequest) -> str:
    if request.task.method is Method.FULL:
        return "trained"
    return sentence(
        "perf.memory.frozen-adapters-rank",
        "frozen in {quantisation}, adapters of rank {rank} in FP32",
        quantisation=request.frozen.quantisation,
        rank=request.task.rank,
    )


def _buffers(request: TrainingRequest) -> float:
    """Two layers' whole weights in 16 bits where weights are divided (one in use, one on its way), and the embedding;
    else the buckets that gradients are reduced in.
    """
    model, layout = request.model, request.layout
    if not layout.shard.divides_weights:
        return min(_BUCKET_BYTES, 4.0 * counts(request).trained)
    widest = max(sum(tensor.elements for tensor in layer.tensors(model.hidden)) for layer in _kinds(model))
    return 2.0 * (2 * widest + model.vocabulary * model.hidden)


@lru_cache(maxsize=128)
def _kinds(model: Model) -> tuple[Layer, ...]:
    return tuple(dict.fromkeys(model.layers))


def _backward_bytes(request: TrainingRequest) -> float:
    """Activations of all layers, or of their inputs and one layer, and the logits."""
    model, layout, task = request.model, request.layout, request.task
    tokens = layout.micro_batch * task.sequence_tokens
    per_token = {layer: _activation_elements(model, layer) for layer in _kinds(model)}
    eager = 1.0 if task.chunked_loss else _EAGER
    if layout.checkpointing:
        inputs = 2.0 * tokens * model.hidden * len(model.layers)
        inner = 2.0 * eager * tokens * max(per_token.values())
    else:
        inputs, inner = 0.0, 2.0 * eager * tokens * sum(per_token[layer] for layer in model.layers)
    logits = tokens * model.vocabulary * (_CHUNKED_LOGIT_BYTES if task.chunked_loss else _LOGIT_BYTES)
    return inputs + max(inner, logits) if layout.checkpointing else inputs + inner + logits


def _activation_elements(model: Model, layer: Layer) -> float:
    """What is kept of a token for the way back: the norms' in- and outputs, what attention's matrices give and take,
    and gate, up and their product.
    """
    attention = sum(_kept_elements(tensor) for tensor in layer.attention.tensors(model.hidden) if tensor.is_matrix)
    ffn = layer.ffn
    if isinstance(ffn, MoeFfn):
        inner = 3 * (ffn.active * ffn.intermediate + ffn.shared_width) + 2 * ffn.active * model.hidden
    else:
        inner = 3 * ffn.intermediate
    return 4 * model.hidden + attention + inner


def _kept_elements(tensor: Tensor) -> int:
    """An output projection keeps its input, the others what they give."""
    if tensor.part not in (Part.ATTENTION, Part.INDEXER) or tensor.role.startswith("small_"):
        return 0
    return tensor.columns * tensor.count if "out" in tensor.role else tensor.rows * tensor.count


def _device(name: str, gpu: Gpu, terms: tuple[Named, ...], request: TrainingRequest) -> DeviceMemory:
    machine = request.machine
    device_terms = tuple(MemoryTerm(name, *term) for term in terms)
    return DeviceMemory(name, device_terms, gpu_capacity_bytes(gpu, machine), gpu_free_bytes(gpu, machine))


def _ram(request: TrainingRequest) -> DeviceMemory:
    """Processes; on the CPU's side of an offload gradients in FP32, a master copy and the moments, all ranks'."""
    machine, layout, trained_counts = request.machine, request.layout, counts(request)
    here = min(layout.gpus, max(1, len(machine.gpus)))
    terms = [
        MemoryTerm(
            "ram",
            "engine processes",
            here * _PROCESS_BYTES,
            sentence("perf.memory.python-cuda-loading", "Python, CUDA and loading workers of each rank"),
        )
    ]
    if layout.offload:
        share = here / layout.gpus if layout.shard is not Shard.NONE else here
        size = trained_counts.trained * (8.0 + _MOMENTS[request.task.optimizer]) * share
        terms.append(
            MemoryTerm(
                "ram",
                "optimizer state",
                size,
                sentence("perf.memory.offloaded-gradients", "offloaded: gradients, master copy, moments"),
            )
        )
    capacity, free = ram_capacity_bytes(machine), ram_free_bytes(machine)
    terms += system_terms(free, capacity, sentence("perf.memory.operating-system", "operating system and page tables"))
    return DeviceMemory("ram", tuple(terms), capacity, free)
