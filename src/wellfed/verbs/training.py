"""`plan --train`: a model fine-tuned on a machine."""

from __future__ import annotations

from wellfed.errors import BadInput, Unsupported
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine
from wellfed.message import message
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation, weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.training import Method, Precision, Recipe, Task, Trainer
from wellfed.perf.memory.devices import vendor
from wellfed.planner.stated import with_stated
from wellfed.planner.training import Degrees, TrainingAnswer, Wish, training_plans
from wellfed.planner.usable import usable
from wellfed.verbs import inputs

_FROZEN = {Method.FULL: "bf16", Method.LORA: "bf16", Method.QLORA: "nf4"}
_WIDE_BITS = 16
# mlx-lm's own: groups of 64 with a 16-bit scale and bias, embeddings too
_MLX_4BIT = Quantisation("mlx-4bit", "4-bit (MLX)", "safetensors", "int4", 4.5, file_bits=4.5)
_DIVIDING = frozenset(
    {Trainer.TRANSFORMERS, Trainer.AXOLOTL, Trainer.TORCHTUNE, Trainer.MEGATRON}
)  # that know ranks within a replica
_STAGING = frozenset({Trainer.TORCHTUNE, Trainer.MEGATRON})


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What `plan --train` is asked besides the model; `quantisations` name the type of frozen weights."""

    task: Task
    wish: Wish = Wish()
    trainer: Trainer | None = None  # None: by the machine
    quantisations: tuple[str, ...] = ()
    on: str | None = None
    nodes: int | None = None
    network: str | None = None
    vram_free: str | None = None
    ram_free: str | None = None
    system: str | None = None


def train(model_name: str, options: TrainOptions) -> TrainingAnswer:
    """Rank the ways to fine-tune a model. Raises UnknownName, BadInput, Unsupported."""
    machine = inputs.machine(options.on, options.nodes, options.network)
    machine = usable(with_stated(machine, options.vram_free, options.ram_free, options.system))
    model = inputs.model(model_name).model
    task = replace(options.task, trainer=_trainer(options, machine))
    _ensure_possible(task, options.wish, model, len(machine.gpus) * machine.count)
    _ensure_divisible(task, options.wish.degrees, model)
    if task.precision is Precision.AMP and task.method is not Method.FULL:
        task = replace(task, precision=Precision.BF16)  # frozen weights are never kept in FP32
    kind = _frozen(options, task)
    if task.method is Method.LORA and kind.bits < _WIDE_BITS:
        task = replace(task, method=Method.QLORA)
    return training_plans(machine, model, weights(model, kind), task, options.wish)


def _trainer(options: TrainOptions, machine: Machine) -> Trainer:
    apple = bool(machine.gpus) and vendor(machine.gpus[0]) == "apple"
    if options.trainer is None:
        return Trainer.MLX if apple else Trainer.TRANSFORMERS
    if options.trainer is Trainer.MLX and not apple:
        raise BadInput(message("train.mlx", "MLX trains on Apple's GPUs alone"),
                       message("train.mlx.hint", "leave --trainer out, or name a Mac: --on 'm4 max 64gb'"))  # fmt: skip
    if apple and options.trainer is not Trainer.MLX and options.task.method is Method.QLORA:
        raise BadInput(message("train.apple", "4-bit weights are trained beside with MLX on Apple's GPUs"),
                       message("train.apple.hint", "--trainer mlx, or --train lora"))  # fmt: skip
    return options.trainer


def _frozen(options: TrainOptions, task: Task) -> Quantisation:
    """The type of what is not trained: named, or the method's own."""
    if not options.quantisations:
        four = task.method is Method.QLORA and task.trainer is Trainer.MLX
        return _MLX_4BIT if four else quantisation(_FROZEN[task.method])
    if len(options.quantisations) > 1 or task.method is Method.FULL:
        problem = message("train.quant", "--quant names the one type that frozen weights have")
        raise BadInput(problem, message("train.quant.hint", "with --train lora or qlora: -q int8, nf4, fp8, mxfp4"))
    kind = quantisation(options.quantisations[0])
    if kind.family == "gguf":
        problem = message("train.gguf", "no trainer here reads {kind}", kind=kind.label)
        raise BadInput(problem, message("train.gguf.hint", "-q nf4, int8, int4 (GPTQ), fp8, mxfp4, nvfp4 or bf16"))
    return kind


def _ensure_possible(task: Task, wish: Wish, model: Model, gpus: int) -> None:
    if task.recipe is Recipe.GRPO:
        raise Unsupported(
            message("train.grpo", "GRPO is not planned as one: an engine samples beside the trainer"),
            message("train.grpo.hint", "plan both: --train MODEL with --vram-free less the engine's share, and "
                    "--engine vllm --set gpu-memory-utilization=0.3 for that"),
        )  # fmt: skip
    limit = model.context_limit
    if task.sequence_tokens > limit:
        text = "sequences of {wanted} tokens are asked for, the model attends to {limit}"
        raise BadInput(message("train.sequence", text, wanted=task.sequence_tokens, limit=limit))
    if wish.gpus is not None and wish.gpus > gpus:
        problem = message(
            "train.gpus", "{wanted} GPUs are asked for, the machine has {there}", wanted=wish.gpus, there=gpus
        )
        raise BadInput(problem)
    ranks = wish.degrees.ranks
    if ranks > gpus or (wish.gpus or ranks) % ranks:
        text = "{ranks} GPUs make one replica so divided: {there} are no multiple of it"
        raise BadInput(message("train.ranks", text, ranks=ranks, there=wish.gpus or gpus))
    if (wish.micro_batch or 1) * ((wish.gpus or ranks) // ranks) > task.batch:
        problem = message("train.batch", "a batch of {batch} cannot be divided so", batch=task.batch)
        raise BadInput(problem, message("train.batch.hint", "--batch counts the sequences of a step over all GPUs"))


def _ensure_divisible(task: Task, degrees: Degrees, model: Model) -> None:
    """Heads by tensor ranks, layers by stages, experts by expert ranks, and a trainer that knows such ranks."""
    if degrees.ranks * degrees.expert == 1:
        return
    staged = degrees.pipeline * degrees.expert > 1
    if task.trainer not in (_STAGING if staged else _DIVIDING):
        problem = message("train.no-ranks", "{trainer} knows no such ranks", trainer=str(task.trainer))
        raise BadInput(problem, message("train.no-ranks.hint", "--trainer megatron, or --shard fsdp"))
    heads = {layer.attention.heads for layer in model.layers if hasattr(layer.attention, "heads")}
    experts = {layer.ffn.experts for layer in model.layers if isinstance(layer.ffn, MoeFfn)} or {1}
    for part, counts, ranks in (
        (message("train.heads", "attention heads"), heads, degrees.tensor),
        (message("train.layers", "layers"), {len(model.layers)}, degrees.pipeline),
        (message("train.experts", "experts"), experts, degrees.expert),
        (message("train.tokens", "tokens of a sequence"), {task.sequence_tokens}, degrees.context),
    ):
        uneven = next((count for count in sorted(counts) if count % ranks), None)
        if uneven is not None and (part.id != "train.layers" or ranks > uneven):
            text = "{ranks} ranks do not divide {count} {what}"
            raise BadInput(message("train.uneven", text, ranks=ranks, count=uneven, what=part))
