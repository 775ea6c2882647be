"""The options of `plan --train` as a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wellfed.errors import BadInput
from wellfed.message import message
from wellfed.nouns.training import Method, Optimizer, Precision, Recipe, Shard, Task, Trainer
from wellfed.planner.training import Degrees, Wish
from wellfed.verbs.training import TrainOptions

_ALIASES: Mapping[str, Trainer] = {
    "trl": Trainer.TRANSFORMERS, "llama-factory": Trainer.AXOLOTL, "ms-swift": Trainer.TRANSFORMERS,
    "torchtitan": Trainer.TORCHTUNE, "mlx-lm": Trainer.MLX,
}  # fmt: skip
_KINDS = {"tp": "tensor", "pp": "pipeline", "cp": "context", "ep": "expert"}
_PLACE = ("on", "nodes", "network", "vram_free", "ram_free", "system")  # a carve-out is for serving


def train_options(options: Mapping[str, Any]) -> TrainOptions:
    """Raises BadInput."""
    task = Task(
        Method(options["train"]), options["sequence"], options["batch"], options["rank"],
        Optimizer(options["optimizer"]), Precision(options["precision"]), options["train_embeddings"],
        options["train_experts"], options["chunked_loss"], recipe=Recipe(options["recipe"]), dora=options["dora"],
        last_layers=options["train_layers"],
    )  # fmt: skip
    wish = Wish(
        options["micro_batch"], Shard(options["shard"]) if options["shard"] else None, options["checkpointing"],
        options["offload"], options["gpus"], degrees(options["divide"]), options["offload_activations"],
        options["update_in_backward"], options["whole_loading"],
    )  # fmt: skip
    named = options["trainer"]
    trainer = None if named is None else _ALIASES.get(named) or Trainer(named)
    places = {name: options[name] for name in _PLACE}
    return TrainOptions(task, wish, trainer=trainer, quantisations=options["quantisations"], **places)


def degrees(texts: Sequence[str]) -> Degrees:
    """`tp=2`, `cp=4` or `tp=2,cp=4`. Raises BadInput."""
    ranks: dict[str, int] = {}
    for text in (part for whole in texts for part in whole.split(",")):
        kind, _, count = text.strip().lower().partition("=")
        if kind not in _KINDS or not count.isascii() or not count.isdigit() or not 1 <= int(count[:6]) <= 4096:
            raise BadInput(
                message("train.divide", "{text} is no division of training", text=repr(text)),
                message("train.divide.hint", "tp=2, pp=2, cp=4 or ep=8; several with commas"),
            )
        ranks[_KINDS[kind]] = int(count)
    return Degrees(**ranks)
