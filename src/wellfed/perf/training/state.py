"""What is trained, what is frozen, and the bytes that stay for each weight from step to step.

Sources: Rajbhandari et al., arXiv 1910.02054 (ZeRO: 2 + 2 + 12 bytes a weight); Dettmers et al., arXiv 2305.14314
(QLoRA); Liu et al., arXiv 2502.16982 (Muon); Zhao et al., arXiv 2403.03507 (GaLore); Liu et al., arXiv 2402.09353
(DoRA).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from wellfed.frozen import dataclass
from wellfed.models.model import BESIDE, Model, tensors
from wellfed.models.tensor import Part, Tensor
from wellfed.nouns.training import Method, Optimizer, Precision, Shard, Trainer, TrainingRequest
from wellfed.perf.training.trainers import FACTS

# Moments by optimizer, bytes for each trained weight: two of 4, 2 or 1 byte (bitsandbytes: with a scale for every 256
# values); Adafactor's rows and columns: assumed; Lion has one of 4 bytes.
_MOMENTS: Mapping[Optimizer, float] = {
    Optimizer.ADAMW: 8.0,
    Optimizer.ADAMW_BF16: 4.0,
    Optimizer.ADAMW_8BIT: 2.1,
    Optimizer.PAGED_ADAMW: 8.0,
    Optimizer.PAGED_ADAMW_8BIT: 2.1,
    Optimizer.ADAFACTOR: 0.05,
    Optimizer.LION: 4.0,
    Optimizer.LION_8BIT: 1.05,
    Optimizer.SGD: 0.0,
}
PAGED = frozenset({Optimizer.PAGED_ADAMW, Optimizer.PAGED_ADAMW_8BIT})
# With which 16-bit weights keep an FP32 master copy; bitsandbytes' and GaLore's optimizers update them as they are.
_WIDE_MOMENTS = frozenset({Optimizer.ADAMW, Optimizer.LION, Optimizer.MUON})
_STEP_WIDE = 8.0  # FP32 gradients and one moment's new value
_LAYERS_PARTS = frozenset({Part.ATTENTION, Part.DENSE_FFN, Part.SHARED_EXPERTS, Part.ROUTED_EXPERTS})
_ADAPTED_PARTS = frozenset({Part.ATTENTION, Part.DENSE_FFN, Part.SHARED_EXPERTS})
_MUON_BYTES, _MUON_REST_BYTES = 4.0, 8.0  # one FP32 moment; AdamW's two
_GALORE_RANK = 128  # galore_torch's own examples, transformers' default
_GALORE_BYTES: Mapping[Optimizer, float] = {Optimizer.GALORE: 4.0, Optimizer.GALORE_8BIT: 2.1}  # two moments
_PROJECTOR_BYTES = 2.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Weights by what happens to them; `embeddings` of the trained ones are those trained beside adapters."""

    frozen: int
    trained: int
    embeddings: int = 0


@dataclass(frozen=True, slots=True)
class PerWeight:
    """Bytes kept for each trained weight, and for a moment in the optimizer's step."""

    weight: float
    gradient: float
    state: float
    step: float


def counts(request: TrainingRequest) -> Counts:
    """How many weights are frozen, and how many trained."""
    model, task = request.model, request.task
    if task.method is Method.FULL:
        return Counts(0, model.parameters)
    embeddings = model.vocabulary * model.hidden * (1 if model.tied_embeddings else 2) if task.embeddings else 0
    last = task.last_layers or FACTS[task.trainer].default_layers
    adapters = _adapters(model, task.rank, task.experts, task.dora, last)
    return Counts(model.parameters, adapters + embeddings, embeddings)


@lru_cache(maxsize=256)
def _adapters(model: Model, rank: int, experts: bool, dora: bool, last: int | None) -> int:
    """Weights of adapters on every linear layer: rank x (inputs + outputs), with DoRA one more for each output."""
    first = 0 if last is None else max(0, len(model.layers) - last)
    return sum(
        (rank * (tensor.rows + tensor.columns) + (tensor.rows if dora else 0)) * tensor.count
        for tensor in adapted(model, experts)
        if (tensor.layer or 0) >= first
    )


def adapted(model: Model, experts: bool) -> Iterator[Tensor]:
    """Matrices that get an adapter."""
    parts = _ADAPTED_PARTS | ({Part.ROUTED_EXPERTS} if experts else frozenset())
    for tensor in tensors(model):
        if tensor.part in parts and tensor.is_matrix and not tensor.role.startswith(("small_", "indexer")):
            yield tensor


def per_weight(request: TrainingRequest) -> PerWeight:
    """By precision, optimizer and trainer. Whole embeddings beside adapters are kept in 16 bits: what is told is the
    mean of both.
    """
    task = request.task
    moments = moment_bytes(request)
    wide = task.optimizer in _WIDE_MOMENTS
    facts = FACTS[task.trainer]
    if task.method is not Method.FULL:
        trained_counts = counts(request)
        narrow = trained_counts.embeddings / max(1, trained_counts.trained)
        held = facts.adapters - (facts.adapters - 2) * narrow
        return PerWeight(held, held, moments, 4.0 - 3 * narrow if wide else 2.0)
    if keeps_wide(request):
        return PerWeight(4.0, 4.0, moments, 4.0)
    step = _STEP_WIDE if wide and task.trainer is not Trainer.MEGATRON else 0.0
    copied = facts.step_copy if task.optimizer is Optimizer.ADAMW_BF16 else 0.0
    return PerWeight(2.0, facts.gradient, moments + (4.0 if wide else 0.0), step + copied)


def keeps_wide(request: TrainingRequest) -> bool:
    """Whether trained weights are FP32 themselves: mixed precision, and accelerate's FSDP, which makes them so
    (https://github.com/huggingface/accelerate/blob/v1.10.0/src/accelerate/utils/fsdp_utils.py fsdp2_prepare_model).
    """
    task = request.task
    accelerate = task.trainer in (Trainer.TRANSFORMERS, Trainer.AXOLOTL) and request.layout.shard is Shard.FSDP
    return task.method is Method.FULL and (task.precision is Precision.AMP or accelerate)


def moment_bytes(request: TrainingRequest) -> float:
    """The optimizer's moments, bytes for each trained weight, in the mean."""
    optimizer = request.task.optimizer
    if optimizer in _MOMENTS:
        return _MOMENTS[optimizer]
    adapters = request.task.method is not Method.FULL
    return _MUON_BYTES if adapters else _of_matrices(request.model, optimizer)


@lru_cache(maxsize=128)
def _of_matrices(model: Model, optimizer: Optimizer) -> float:
    """Muon, GaLore: layers' matrices are treated apart from embeddings and vectors."""
    inside = [tensor for tensor in tensors(model) if tensor.part in _LAYERS_PARTS and tensor.is_matrix]
    elements = sum(tensor.elements for tensor in inside)
    outside = max(0, model.parameters - elements)
    if optimizer is Optimizer.MUON:
        return (_MUON_BYTES * elements + _MUON_REST_BYTES * outside) / model.parameters
    each = _GALORE_BYTES[optimizer]
    projected = sum(_projected_bytes(tensor, each) for tensor in inside)
    return (projected + each * outside) / model.parameters


def _projected_bytes(tensor: Tensor, moments: float) -> float:
    """Moments of rank x the longer side, and the projector of the shorter side x rank."""
    short, long = sorted((tensor.rows, tensor.columns))
    rank = min(_GALORE_RANK, short)
    return tensor.count * rank * (long * moments + short * _PROJECTOR_BYTES)


def widest_tensor(model: Model) -> int:
    """Elements of the largest matrix, embeddings too; experts count one by one."""
    return max(tensor.rows * tensor.columns for tensor in tensors(model) if tensor.part not in BESIDE)


def widest_of_layers(model: Model) -> int:
    """Elements of the largest matrix of a layer; experts count one by one."""
    return max(tensor.rows * tensor.columns for tensor in tensors(model) if tensor.part in _LAYERS_PARTS)


def stacked_matrix(model: Model) -> int:
    """Elements of the largest tensor as files hold it: the experts of a layer together."""
    return max(tensor.elements for tensor in tensors(model) if tensor.part not in BESIDE)


@lru_cache(maxsize=128)
def routed_share(model: Model) -> float:
    """Of all weights: routed experts."""
    routed = sum(tensor.elements for tensor in tensors(model) if tensor.part is Part.ROUTED_EXPERTS)
    return min(1.0, routed / model.parameters)
