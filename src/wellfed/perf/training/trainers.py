"""What each trainer's code keeps for the way back, in which types: read in its source, or counted from its operations.

A layer's activations, bytes for each token: `hidden` x the model's width (norms' FP32 inputs, the residual, what
adapters take in), 2 x what attention's matrices give and the output projection takes, `inner` x the FFN's width (gate,
its activation, up, their product; twice where an adapter keeps its own copy).
"""

from __future__ import annotations

from collections.abc import Mapping

from wellfed.frozen import dataclass
from wellfed.nouns.training import Trainer


@dataclass(frozen=True, slots=True)
class TrainerFacts:
    """Bytes; `logits` and `chunked` for each token and entry of the vocabulary."""

    hidden: float
    inner: float
    logits: float  # 16-bit logits, an FP32 copy, log-softmax, its gradient
    chunked: float  # the same where the loss is taken in parts
    adapters: float  # a weight of an adapter
    gradient: float  # of a weight trained in 16 bits
    step_copy: float  # a moment's new value for every weight at once (PyTorch's `foreach` update; 0: fused)
    widens: bool = False  # embeddings and head beside 4-bit weights are cast to FP32
    whole_scores: bool = False  # attention's scores are whole on the way back
    fused_loss: bool = False  # logits are never whole
    offloads: bool = False  # layers' inputs wait in RAM where layers are computed again
    default_layers: int | None = None  # from the output's end


_EAGER_HIDDEN, _EAGER_INNER = 20.0, 8.0
FACTS: Mapping[Trainer, TrainerFacts] = {
    # PEFT casts adapters to FP32 (autocast_adapter_dtype) and, for 4-bit weights, the rest of the model too
    # (https://github.com/huggingface/peft/blob/v0.17.0/src/peft/utils/other.py prepare_model_for_kbit_training).
    # Logits: accelerate's FP32 copy of the outputs 4, log-softmax 4, its gradient 4 and that in 16 bits 2
    # (https://github.com/huggingface/transformers/blob/v4.57.0/src/transformers/loss/loss_utils.py ForCausalLMLoss).
    Trainer.TRANSFORMERS: TrainerFacts(_EAGER_HIDDEN, _EAGER_INNER, 14.0, 0.5, 4.0, 2.0, 2.0, widens=True),
    # Embeddings and head are cast back, or never were
    # (https://github.com/axolotl-ai-cloud/axolotl/blob/067b021c8b87a9e5e380b9173c704cf7340e30f5/src/axolotl/loaders/model.py#L464
    # https://github.com/hiyouga/LLaMA-Factory/blob/ff6d4d12eeb035d6ce06805a5733dd7b29f2ac30/src/llamafactory/model/model_utils/checkpointing.py#L171).
    Trainer.AXOLOTL: TrainerFacts(_EAGER_HIDDEN, _EAGER_INNER, 14.0, 0.5, 4.0, 2.0, 2.0),
    # https://github.com/unslothai/unsloth: cut cross entropy and gradient checkpoints in RAM are its defaults.
    Trainer.UNSLOTH: TrainerFacts(_EAGER_HIDDEN, _EAGER_INNER, 0.0, 0.0, 4.0, 2.0, 0.0, fused_loss=True, offloads=True),
    # Eight parts: 16-bit logits 2, an eighth of 12
    # (https://github.com/pytorch/torchtune/blob/v0.6.1/torchtune/modules/loss/ce_chunked_output_loss.py).
    Trainer.TORCHTUNE: TrainerFacts(12.0, 6.0, 14.0, 3.5, 2.0, 2.0, 0.0),
    # FP32 main gradients
    # (https://github.com/NVIDIA/Megatron-LM/blob/core_v0.14.0/megatron/core/distributed/param_and_grad_buffer.py);
    # logits: 16 bits, exponentials in FP32, gradient.
    Trainer.MEGATRON: TrainerFacts(12.0, 6.0, 10.0, 6.0, 2.0, 4.0, 0.0),
    # `num_layers` is 16 unless said; attention's way back is that of plain operations
    # (https://github.com/ml-explore/mlx-lm/blob/v0.28.0/mlx_lm/lora.py, mlx/fast.cpp Custom::vjp).
    Trainer.MLX: TrainerFacts(
        _EAGER_HIDDEN, _EAGER_INNER, 14.0, 0.5, 4.0, 2.0, 0.0, whole_scores=True, default_layers=16
    ),
}
