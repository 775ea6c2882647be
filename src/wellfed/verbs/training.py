"""`plan --train`: a model fine-tuned on a machine."""

from __future__ import annotations

from dataclasses import replace

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import message
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.training import Method, Precision, Task
from wellfed.planner.stated import with_stated
from wellfed.planner.training import TrainingAnswer, Wish, training_plans
from wellfed.planner.usable import usable
from wellfed.verbs import inputs

_FROZEN = {Method.FULL: "bf16", Method.LORA: "bf16", Method.QLORA: "nf4"}


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What `plan --train` is asked besides the model."""

    task: Task
    wish: Wish = Wish()
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
    _ensure_possible(options, model.context_limit, len(machine.gpus) * machine.count)
    task = options.task
    if task.precision is Precision.AMP and task.method is not Method.FULL:
        task = replace(task, precision=Precision.BF16)  # frozen weights are never kept in FP32
    frozen = weights(model, quantisation(_FROZEN[task.method]))
    return training_plans(machine, model, frozen, task, options.wish)


def _ensure_possible(options: TrainOptions, limit: int, gpus: int) -> None:
    task, wish = options.task, options.wish
    if task.sequence_tokens > limit:
        text = "sequences of {wanted} tokens are asked for, the model attends to {limit}"
        raise BadInput(message("train.sequence", text, wanted=task.sequence_tokens, limit=limit))
    if wish.gpus is not None and wish.gpus > gpus:
        problem = message(
            "train.gpus", "{wanted} GPUs are asked for, the machine has {there}", wanted=wish.gpus, there=gpus
        )
        raise BadInput(problem)
    if (wish.micro_batch or 1) * (wish.gpus or 1) > task.batch:
        problem = message("train.batch", "a batch of {batch} cannot be divided so", batch=task.batch)
        raise BadInput(problem, message("train.batch.hint", "--batch counts the sequences of a step over all GPUs"))
