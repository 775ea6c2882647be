"""Ways to train a model on a machine: what fits, the quickest first."""

from __future__ import annotations

from collections.abc import Iterator

from wellfed.errors import Unsupported
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.models.model import Model
from wellfed.models.weights import Weights
from wellfed.nouns.training import Method, Shard, Task, Trainer, TrainingLayout, TrainingPlan, TrainingRequest
from wellfed.perf.training.speed import estimate_training
from wellfed.planner.usable import equal_ones

_MICRO_BATCHES = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class Degrees:
    """Ranks that divide a layer, the layers, sequences and experts."""

    tensor: int = 1
    pipeline: int = 1
    context: int = 1
    expert: int = 1

    @property
    def ranks(self) -> int:
        """GPUs of one replica."""
        return self.tensor * self.pipeline * self.context


@dataclass(frozen=True, slots=True)
class Wish:
    """What is pinned of the layout; None: what is best."""

    micro_batch: int | None = None
    shard: Shard | None = None
    checkpointing: bool | None = None
    offload: bool | None = None
    gpus: int | None = None
    degrees: Degrees = Degrees()
    activation_offload: bool = False
    update_in_backward: bool = False
    whole_loading: bool = False


@dataclass(frozen=True, slots=True)
class TrainingAnswer:
    """Plans that fit, the quickest first; the one that comes nearest where none does; how many were looked at."""

    task: Task
    machine: Machine
    model: Model
    plans: tuple[TrainingPlan, ...]
    nearest: TrainingPlan | None
    considered: int

    @property
    def best(self) -> TrainingPlan | None:
        """The quickest plan that fits; None where none does."""
        return self.plans[0] if self.plans else None


def training_plans(machine: Machine, model: Model, frozen: Weights, task: Task, wish: Wish = Wish()) -> TrainingAnswer:
    """Every sensible way, ranked by samples a second. Raises Unsupported without GPUs."""
    if not machine.gpus:
        raise Unsupported(
            sentence("training.training-planned", "training is planned on GPUs, and the machine has none"),
            sentence("training.name-one-rtx", "name one: --on 'rtx 4090, ...'"),
        )
    plans: list[TrainingPlan] = []
    nearest, missing, considered = None, float("inf"), 0
    for layout in _layouts(machine, task, wish):
        considered += 1
        request = TrainingRequest(machine, model, frozen, task, layout)
        plan = TrainingPlan(request, estimate_training(request))
        tightest = plan.estimate.memory.tightest
        spare = 0.0 if tightest is None or tightest.spare_bytes is None else tightest.spare_bytes
        if plan.estimate.memory.fits is not False:
            plans.append(plan)
        elif -spare < missing:
            nearest, missing = plan, -spare
    plans.sort(key=_order)
    return TrainingAnswer(task, machine, model, tuple(plans), None if plans else nearest, considered)


def _order(plan: TrainingPlan) -> tuple[float, int, int, float]:
    """Quickest first; of equals fewer GPUs, then the simpler layout and more room."""
    layout = plan.request.layout
    tightest = plan.estimate.memory.tightest
    room = 0.0 if tightest is None or tightest.spare_bytes is None else tightest.spare_bytes
    simple = list(Shard).index(layout.shard) + layout.checkpointing + 2 * layout.offload
    return (-round(plan.estimate.samples_per_s.value, 3), layout.gpus, simple, -room)


def _layouts(machine: Machine, task: Task, wish: Wish) -> Iterator[TrainingLayout]:
    ranks = wish.degrees.ranks
    for gpus in _gpu_counts(machine, task, wish):
        for micro in (wish.micro_batch,) if wish.micro_batch else _MICRO_BATCHES:
            if micro * (gpus // ranks) > task.batch:
                continue
            for shard in (wish.shard,) if wish.shard else _shards(task, gpus):
                for checkpointing in (wish.checkpointing,) if wish.checkpointing is not None else (False, True):
                    for offload in (wish.offload,) if wish.offload is not None else _offloads(task):
                        yield _layout(TrainingLayout(gpus, micro, shard, checkpointing, offload), wish)


def _layout(plain: TrainingLayout, wish: Wish) -> TrainingLayout:
    degrees = wish.degrees
    return replace(
        plain, tensor=degrees.tensor, pipeline=degrees.pipeline, context=degrees.context, expert=degrees.expert,
        activation_offload=wish.activation_offload, update_in_backward=wish.update_in_backward,
        whole_loading=wish.whole_loading,
    )  # fmt: skip


def _gpu_counts(machine: Machine, task: Task, wish: Wish) -> tuple[int, ...]:
    """Powers of two replicas and all of them; the one that is pinned."""
    if wish.gpus:
        return (wish.gpus,)
    if task.trainer is Trainer.MLX:
        return (1,)
    ranks = wish.degrees.ranks
    replicas = min(equal_ones(machine) * machine.count // ranks, task.batch)
    return tuple(ranks * count for count in dict.fromkeys((*_powers(replicas), replicas)))


def _shards(task: Task, gpus: int) -> tuple[Shard, ...]:
    if gpus == 1 or task.trainer in (Trainer.UNSLOTH, Trainer.MLX):
        return (Shard.NONE,)
    if task.trainer is Trainer.MEGATRON:
        return (Shard.NONE, Shard.ZERO1)  # its distributed optimizer
    if task.trainer is Trainer.TORCHTUNE:
        return (Shard.FSDP,)
    divided = (Shard.ZERO2, Shard.ZERO3) if task.method is Method.FULL else (Shard.FSDP,)
    return (Shard.NONE, *divided)


def _offloads(task: Task) -> tuple[bool, ...]:
    return (False, True) if task.method is Method.FULL and task.trainer is not Trainer.MLX else (False,)


def _powers(limit: int) -> list[int]:
    return [2**n for n in range(max(1, limit).bit_length()) if 2**n <= limit]
