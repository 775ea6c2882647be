"""What the way back needs: layers' activations, or their inputs alone, and the logits.

    a layer, a token = hidden x width + 2 x attention's matrices + inner x FFN (an expert's for each active one)
    checkpointed = 2 bytes x width x tokens x layers, and the larger of one layer whole and the logits
    logits = bytes x vocabulary x tokens
    MLX's scores = 8 bytes x heads x tokens x sequence, one layer's

Tensor ranks divide all of it (with sequence parallelism), context ranks the tokens, pipeline ranks the layers, of
which each rank keeps as many micro-batches as there are ranks. Korthikanti et al., arXiv 2205.05198.
"""

from __future__ import annotations

from functools import lru_cache

from wellfed.frozen import dataclass
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Layer, Model
from wellfed.models.tensor import Part, Tensor
from wellfed.nouns.training import Method, Recipe, TrainingRequest
from wellfed.perf.training.trainers import FACTS

# MLX: scores, their softmax, both gradients, in 16 bits: assumed.
_SCORE_BYTES = 8.0
# DPO: the reference's logits beside the policy's log-softmax (TRL takes them in this order): assumed.
_REFERENCE_LOGIT_BYTES = 4.0


@dataclass(frozen=True, slots=True)
class Backward:
    """Bytes on one GPU: layers' inputs that wait, one layer whole, all layers whole, the loss."""

    inputs: float
    one_layer: float
    layers: float
    loss: float
    checkpointing: bool

    @property
    def at_loss(self) -> float:
        """When the loss's gradient is taken: nothing of the way back is there yet."""
        return self.inputs + max(self.one_layer, self.loss) if self.checkpointing else self.layers + self.loss

    @property
    def at_end(self) -> float:
        """When the last gradients come in: one layer is left."""
        return self.one_layer


def backward(request: TrainingRequest) -> Backward:
    """What the way back holds on one GPU."""
    model, layout, task = request.model, request.layout, request.task
    facts = FACTS[task.trainer]
    tokens = layout.micro_batch * task.sequences * task.sequence_tokens / layout.context / layout.tensor
    trained = trained_layers(request)
    per_token = {layer: layer_bytes(model, layer, request) for layer in kinds(model)}
    in_flight = layout.pipeline if layout.pipeline > 1 else 1
    share = in_flight / layout.pipeline
    scores = _scores(request) if facts.whole_scores else 0.0
    one_layer = tokens * max(per_token.values()) + scores
    return Backward(
        inputs=0.0 if keeps_in_ram(request) else share * input_bytes(request),
        one_layer=one_layer,
        layers=share * tokens * sum(per_token[layer] for layer in trained) + scores,
        loss=tokens * model.vocabulary * _logit_bytes(request),
        checkpointing=layout.checkpointing,
    )


def trained_layers(request: TrainingRequest) -> tuple[Layer, ...]:
    """Those whose way back is taken: the last ones where so few are trained."""
    layers = request.model.layers
    wanted = request.task.last_layers or FACTS[request.task.trainer].default_layers
    return layers if wanted is None or request.task.method is Method.FULL else layers[-wanted:]


def input_bytes(request: TrainingRequest) -> float:
    """Inputs of all trained layers in 16 bits, of a micro-batch on one GPU."""
    layout, task = request.layout, request.task
    tokens = layout.micro_batch * task.sequences * task.sequence_tokens / layout.context / layout.tensor
    return 2.0 * tokens * request.model.hidden * len(trained_layers(request))


def keeps_in_ram(request: TrainingRequest) -> bool:
    """Whether layers' inputs wait in RAM."""
    layout = request.layout
    return layout.checkpointing and (layout.activation_offload or FACTS[request.task.trainer].offloads)


def _logit_bytes(request: TrainingRequest) -> float:
    task = request.task
    facts = FACTS[task.trainer]
    reference = _REFERENCE_LOGIT_BYTES if task.recipe is Recipe.DPO else 0.0
    if facts.fused_loss:
        return facts.chunked
    return facts.chunked if task.chunked_loss else facts.logits + reference


def _scores(request: TrainingRequest) -> float:
    task, layout = request.task, request.layout
    heads = max(_heads(layer) for layer in kinds(request.model))
    sequences = layout.micro_batch * task.sequences
    return _SCORE_BYTES * heads * sequences * float(task.sequence_tokens) ** 2


def _heads(layer: Layer) -> int:
    return int(getattr(layer.attention, "heads", 0))


@lru_cache(maxsize=128)
def kinds(model: Model) -> tuple[Layer, ...]:
    """Its layers, each kind once."""
    return tuple(dict.fromkeys(model.layers))


def layer_bytes(model: Model, layer: Layer, request: TrainingRequest) -> float:
    """What is kept of a token in a layer for the way back."""
    facts = FACTS[request.task.trainer]
    attention = sum(_kept_elements(tensor) for tensor in layer.attention.tensors(model.hidden) if tensor.is_matrix)
    width, routed = float(getattr(layer.ffn, "intermediate", 0)), 0.0
    if isinstance(layer.ffn, MoeFfn):
        width = layer.ffn.active * layer.ffn.intermediate + layer.ffn.shared_width
        routed = 4.0 * layer.ffn.active * model.hidden  # a copy for each expert there and back, in 16 bits
    return facts.hidden * model.hidden + 2.0 * attention + facts.inner * width + routed


def _kept_elements(tensor: Tensor) -> int:
    """An output projection keeps its input, the others what they give."""
    if tensor.part not in (Part.ATTENTION, Part.INDEXER) or tensor.role.startswith("small_"):
        return 0
    takes = "out" in tensor.role or tensor.role == "attn_k_b"  # a latent's keys are made, not absorbed
    return tensor.columns * tensor.count if takes else tensor.rows * tensor.count
