"""Fine-tuning: what is trained and how, how it is laid out over GPUs, what it would need and do."""

from __future__ import annotations

from enum import StrEnum

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.models.model import Model
from wellfed.models.weights import Weights
from wellfed.nouns.estimate import Memory, Quantity
from wellfed.provenance import Assumption


class Method(StrEnum):
    """What is trained."""

    FULL = "full"  # every weight
    LORA = "lora"  # low-rank adapters beside frozen weights in 16 bits
    QLORA = "qlora"  # the same beside frozen weights in 4 bits


class Optimizer(StrEnum):
    """What keeps state for every trained weight."""

    ADAMW = "adamw"  # two moments in FP32
    ADAMW_BF16 = "adamw-bf16"  # two moments in the weights' own 16 bits, no master copy
    ADAMW_8BIT = "adamw-8bit"  # two moments in 8 bits
    PAGED_ADAMW = "paged-adamw"  # as adamw, in pages that leave the GPU when it is full
    PAGED_ADAMW_8BIT = "paged-adamw-8bit"  # as adamw-8bit, in such pages
    ADAFACTOR = "adafactor"  # rows and columns of one moment
    LION = "lion"  # one moment in FP32
    LION_8BIT = "lion-8bit"  # one moment in 8 bits
    MUON = "muon"  # one moment for the layers' matrices, AdamW for the rest
    GALORE = "galore"  # AdamW's moments of gradients projected to a rank
    GALORE_8BIT = "galore-8bit"  # these in 8 bits
    SGD = "sgd"  # none


class Trainer(StrEnum):
    """Whose code runs the step: what it keeps for the way back, in which types, and how it takes the loss."""

    TRANSFORMERS = "transformers"  # PyTorch's operations one by one: TRL, ms-swift, LitGPT
    AXOLOTL = "axolotl"  # the same, but embeddings beside 4-bit weights stay in 16 bits: LLaMA-Factory too
    UNSLOTH = "unsloth"  # kernels of its own, no whole logits, layers' inputs in RAM
    TORCHTUNE = "torchtune"  # compiled, adapters in 16 bits: torchtitan too
    MEGATRON = "megatron"  # gradients in FP32, logits divided like the weights
    MLX = "mlx"  # Apple's: scores of attention are whole on the way back


TRAINER_ALIASES = ("trl", "llama-factory", "ms-swift", "torchtitan", "mlx-lm")


class Recipe(StrEnum):
    """What the loss is made of."""

    SFT = "sft"  # the next token
    DPO = "dpo"  # pairs of answers, against the model as it was
    GRPO = "grpo"  # answers that an engine beside it samples


class Shard(StrEnum):
    """What data-parallel GPUs divide between them instead of each keeping all of it."""

    NONE = "none"  # DDP
    ZERO1 = "zero1"  # optimizer state
    ZERO2 = "zero2"  # and gradients
    ZERO3 = "zero3"  # and weights
    FSDP = "fsdp"  # as ZeRO-3

    @property
    def divides_weights(self) -> bool:
        """Whether weights are gathered layer by layer."""
        return self in (Shard.ZERO3, Shard.FSDP)


class Precision(StrEnum):
    """What is multiplied in, and what the weights are kept in."""

    BF16 = "bf16"  # weights in 16 bits, with an FP32 master copy where the optimizer keeps FP32 moments
    AMP = "amp"  # weights in FP32, cast to 16 bits for each multiplication
    FP8 = "fp8"  # as BF16, multiplied in FP8


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained on what. `rank` of the adapters; `embeddings`: input and output embedding are trained whole too;
    `experts`: adapters on routed experts too. `batch`: sequences of a step, all GPUs together.
    """

    method: Method
    sequence_tokens: int = 2048
    batch: int = 16
    rank: int = 16
    optimizer: Optimizer = Optimizer.ADAMW
    precision: Precision = Precision.BF16
    embeddings: bool = False
    experts: bool = False
    chunked_loss: bool = False  # logits are never whole in memory (chunked or fused cross entropy)
    trainer: Trainer = Trainer.TRANSFORMERS
    recipe: Recipe = Recipe.SFT
    dora: bool = False  # a magnitude beside each adapter
    last_layers: int | None = None  # only so many, from the output's end; None: all

    @property
    def sequences(self) -> int:
        """Sequences that one sample brings: of a pair both."""
        return 2 if self.recipe is Recipe.DPO else 1


@dataclass(frozen=True, slots=True)
class TrainingLayout:
    """One way to train on `gpus`, `micro_batch` samples at a time on each of the `replicas`, which are divided into
    tensor x pipeline x context ranks; `expert` ranks of the replicas divide the routed experts.
    """

    gpus: int
    micro_batch: int = 1
    shard: Shard = Shard.NONE
    checkpointing: bool = True  # activations of one layer at a time; a layer is computed again on the way back
    offload: bool = False  # gradients and optimizer state in RAM, the update on the CPU
    tensor: int = 1
    pipeline: int = 1
    context: int = 1
    expert: int = 1
    activation_offload: bool = False  # what checkpointing keeps waits in RAM
    update_in_backward: bool = False  # a weight is updated once its gradient is there, which is then dropped
    whole_loading: bool = False  # every rank reads the whole model into RAM before it is divided

    @property
    def divided(self) -> int:
        """Ranks that divide a layer's or the model's weights, whatever the sharding."""
        return self.tensor * self.pipeline

    @property
    def replicas(self) -> int:
        """Copies of the model that see different samples."""
        return max(1, self.gpus // (self.divided * self.context))

    @property
    def sharded_over(self) -> int:
        """Ranks that divide the optimizer's state."""
        return 1 if self.shard is Shard.NONE else max(1, self.gpus // self.divided)


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """The question: this model, so trained, so laid out, on this machine. `frozen` are the weights as they are held."""

    machine: Machine
    model: Model
    frozen: Weights
    task: Task
    layout: TrainingLayout


@dataclass(frozen=True, slots=True)
class Pace:
    """A part of a training step: what it is limited by, and its seconds; parts that run beside others say so."""

    name: str
    seconds: float
    limited_by: str
    beside: bool = False


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """What it would need and do. `step` are the parts of one optimizer step over the whole batch."""

    memory: Memory
    step: tuple[Pace, ...]
    samples_per_s: Quantity
    tokens_per_s: Quantity
    limited_by: str
    basis: str = "prior"  # of the rates; memory is by formula
    assumptions: tuple[Assumption, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A request with its estimate."""

    request: TrainingRequest
    estimate: TrainingEstimate
