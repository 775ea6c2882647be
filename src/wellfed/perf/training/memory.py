"""The memory of fine-tuning, device by device.

    weights, gradients, optimizer state: bytes for each trained or frozen weight, over the ranks that divide them
    the peak: the loss's gradient above all that waits for the way back; or one layer above all gradients; or the
    optimizer's step; or loading: whichever is largest

`state` has the bytes for each weight, `activations` those for each token, `trainers` what each trainer does otherwise.
Left out: vision and sound towers that are trained (they are frozen here), communication buffers of tensor ranks.
"""

from __future__ import annotations

from wellfed.hardware.machine import Gpu
from wellfed.message import sentence
from wellfed.nouns.estimate import DeviceMemory, Memory, MemoryTerm
from wellfed.nouns.training import Method, Recipe, Shard, TrainingLayout, TrainingRequest
from wellfed.perf.memory.devices import context_note, gpu_capacity_bytes, gpu_free_bytes, unified, vendor
from wellfed.perf.training.activations import backward, kinds
from wellfed.perf.training.ram import ram_ledger
from wellfed.perf.training.state import (
    PAGED,
    PerWeight,
    counts,
    per_weight,
    routed_share,
    stacked_matrix,
    widest_of_layers,
    widest_tensor,
)
from wellfed.perf.training.trainers import FACTS
from wellfed.units import MIB

_SUB_GROUP = 1e9  # weights that ZeRO-3 and FSDP update at a time (DeepSpeed's default sub_group_size)
_BUCKET_BYTES = 2 * 5e8 * 2.0  # reduce and gather buckets in 16 bits (DeepSpeed's defaults of 5e8 elements)
# CUDA, cuBLAS and NCCL, HIP and RCCL; Metal's; what the allocator holds beyond what is in use: assumed.
_CONTEXT_BYTES, _METAL_BYTES, _FRAGMENTS = 800 * MIB, 50 * MIB, 0.06

_UNPACKED = "unpacked weights"


def ledger(request: TrainingRequest) -> Memory:
    """Every GPU's ledger (all are alike) and RAM's; where GPUs have no memory of their own, RAM's has theirs too."""
    gpus = request.machine.gpus[: min(request.layout.gpus, len(request.machine.gpus))]
    terms = gpu_terms(request)
    devices = [_device(f"gpu{index}", gpu, terms, request) for index, gpu in enumerate(gpus)]
    inside = [device for device, gpu in zip(devices, gpus, strict=True) if unified(gpu)]
    return Memory((*devices, ram_ledger(request, inside)))


def peak_bytes(request: TrainingRequest) -> float:
    """What one GPU holds at its peak."""
    return sum(size for _, size, _ in gpu_terms(request))


Named = tuple[str, float, str]


def gpu_terms(request: TrainingRequest) -> tuple[Named, ...]:
    """Name, bytes and note of everything on one GPU, at the peak of a step."""
    terms = [*_state_terms(request), _peak_term(request)]
    terms += _loading_term(request, sum(size for _, size, _ in terms))
    note = sentence("perf.memory.held-allocator", "held by the allocator beyond what is in use")
    fragments = ("fragments", _FRAGMENTS * sum(size for _, size, _ in terms), note)
    return (*terms, fragments, _context_term(request))


def _context_term(request: TrainingRequest) -> Named:
    kind = vendor(request.machine.gpus[0]) if request.machine.gpus else "nvidia"
    if kind == "apple":
        return "engine context", float(_METAL_BYTES), context_note(request.machine.gpus[0])
    if kind == "nvidia":
        return "engine context", float(_CONTEXT_BYTES), "CUDA, cuBLAS and NCCL"
    return "engine context", float(_CONTEXT_BYTES), context_note(request.machine.gpus[0])


def weight_shares(layout: TrainingLayout) -> int:
    """Ranks that divide the weights of a tensor and pipeline rank."""
    return layout.sharded_over if layout.shard.divides_weights else 1


def _on_rank(request: TrainingRequest) -> float:
    """The share of the model's weights that a rank works with: its tensor, pipeline and expert ranks divide them."""
    layout = request.layout
    routed = routed_share(request.model)
    return (1 - routed) / layout.divided + routed / (layout.divided * layout.expert)


def _state_terms(request: TrainingRequest) -> list[Named]:
    """What stays from step to step: weights, gradients, the optimizer's state, buffers of divided training."""
    layout, per_trained, task = request.layout, per_weight(request), request.task
    gradients_over = weight_shares(layout) if layout.shard is not Shard.ZERO2 else layout.sharded_over
    on_rank = _on_rank(request)
    on_gpu = (0.0 if layout.offload else 1.0) * counts(request).trained
    state = 0.0 if task.optimizer in PAGED else on_gpu * per_trained.state
    over = layout.gpus if layout.shard is not Shard.NONE else 1 / on_rank
    gradients = _held_gradients(request, on_gpu * on_rank * per_trained.gradient / gradients_over)
    gradient_note = sentence(
        "perf.memory.bytes-trained-weight", "{gradient:g} bytes a trained weight", gradient=per_trained.gradient
    )
    terms: list[Named] = [
        ("weights", on_rank * _weight_bytes(request, per_trained) / weight_shares(layout), _weights_note(request)),
        ("gradients", gradients, gradient_note),
        ("optimizer state", state / over, f"{task.optimizer}"),
    ]
    terms += _unpacked(request)
    if task.recipe is Recipe.DPO and task.method is Method.FULL:
        size = 2.0 * request.model.parameters * on_rank / weight_shares(layout)
        terms.append(("reference", size, sentence("perf.memory.reference", "the model as it was, in 16 bits")))
    if layout.shard is not Shard.NONE:
        note = sentence("perf.memory.layers-gathered", "layers gathered and gradients reduced")
        terms.append(("buffers", _buffers(request), note))
    return terms


def _held_gradients(request: TrainingRequest, size: float) -> float:
    """All of them, or where each is dropped once its weight is updated, the largest."""
    if not request.layout.update_in_backward:
        return size
    return min(size, widest_tensor(request.model) * per_weight(request).gradient)


def _unpacked(request: TrainingRequest) -> list[Named]:
    """Beside frozen weights of few bits: a matrix that is unpacked; what their trainer casts to FP32, and a 16-bit copy
    of the head while it is multiplied with.
    """
    model, facts = request.model, FACTS[request.task.trainer]
    if request.task.method is not Method.QLORA or facts.whole_scores:  # Metal's kernels multiply packed weights
        return []
    unpacked = 2.0 * widest_of_layers(model)
    if not facts.widens or not request.frozen.quantisation.startswith(("nf4", "bnb")):
        return [(_UNPACKED, unpacked, sentence("perf.memory.unpacked", "a matrix in 16 bits"))]
    one = model.vocabulary * model.hidden
    embeddings = one * (1 if model.tied_embeddings else 2)
    wider = 4.0 * embeddings - (request.frozen.embedding + request.frozen.output) + 2.0 * one
    text = "embeddings and head in FP32, the head and a matrix once more in 16 bits"
    return [(_UNPACKED, unpacked + wider, sentence("perf.memory.widened", text))]


def _peak_term(request: TrainingRequest) -> Named:
    """The largest of what the loss, the end of the way back and the optimizer's step hold: never together.

    At the loss no gradient is there yet where a step has one micro-batch: what the ledger counts for them is free.
    """
    layout, per_trained, trained = request.layout, per_weight(request), counts(request).trained
    parts = backward(request)
    held = 0.0
    if _one_pass(request) and layout.shard is Shard.NONE and not layout.offload:
        held = _held_gradients(request, trained * _on_rank(request) * per_trained.gradient)
    back = max(parts.at_loss - held, parts.at_end)
    at_a_time = min(trained / layout.gpus, _SUB_GROUP) if weight_shares(layout) > 1 else trained * _on_rank(request)
    if layout.shard in (Shard.ZERO1, Shard.ZERO2):
        at_a_time = trained / layout.gpus
    if layout.update_in_backward:
        at_a_time = min(at_a_time, float(widest_tensor(request.model)))
    step = (0.0 if layout.offload else 1.0) * per_trained.step * at_a_time
    if back >= step:
        name = sentence("perf.memory.activations-logits", "activations and logits")
        return name, back, sentence("perf.memory.way-back", "the way back")
    note = sentence("perf.memory.gradients-moments", "gradients and moments in FP32 for the update")
    return "optimizer step", step, note


def _one_pass(request: TrainingRequest) -> bool:
    """Whether a step takes one micro-batch: gradients start from nothing."""
    return request.layout.replicas * request.layout.micro_batch >= request.task.batch


def _loading_term(request: TrainingRequest, held: float) -> list[Named]:
    """Weights come to the GPU in 16 bits, tensor by tensor, and are made narrow there: what that takes beyond."""
    if request.task.method is not Method.QLORA:
        return []
    most = request.frozen.total / weight_shares(request.layout) + 2.0 * stacked_matrix(request.model)
    note = sentence("perf.memory.loading", "a tensor in 16 bits while it is loaded and quantised")
    return [("loading", most - held, note)] if most > held else []


def _weight_bytes(request: TrainingRequest, per_trained: PerWeight) -> float:
    trained_counts = counts(request)
    trained = trained_counts.trained * per_trained.weight
    if request.task.method is Method.FULL:
        return trained + request.frozen.towers  # that see and hear: frozen, as LLaMA-Factory and ms-swift do
    return request.frozen.total + trained


def _weights_note(request: TrainingRequest) -> str:
    if request.task.method is Method.FULL:
        return "trained"
    return sentence(
        "perf.memory.frozen-adapters",
        "frozen in {quantisation}, adapters of rank {rank} in {bits} bits",
        quantisation=request.frozen.quantisation,
        rank=request.task.rank,
        bits=round(8 * FACTS[request.task.trainer].adapters),
    )


def _buffers(request: TrainingRequest) -> float:
    """Two layers' whole weights in 16 bits where weights are divided (one in use, one on its way), and the embedding;
    else the buckets that gradients are reduced in.
    """
    model, layout = request.model, request.layout
    if not layout.shard.divides_weights:
        return min(_BUCKET_BYTES, 4.0 * counts(request).trained)
    widest = max(sum(tensor.elements for tensor in layer.tensors(model.hidden)) for layer in kinds(model))
    return 2.0 * (2 * widest + model.vocabulary * model.hidden) / layout.tensor


def _device(name: str, gpu: Gpu, terms: tuple[Named, ...], request: TrainingRequest) -> DeviceMemory:
    machine = request.machine
    device_terms = tuple(MemoryTerm(name, *term) for term in terms)
    return DeviceMemory(name, device_terms, gpu_capacity_bytes(gpu, machine), gpu_free_bytes(gpu, machine))
