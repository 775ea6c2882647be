"""How large the catalogue's models are: counts that take building every layer, compiled once for those who compare all.

held       = attention, feed-forward and router matrices of all layers
multiplied = the same, of routed experts those of one token
head       = vocabulary x hidden
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import wellfed.models
from wellfed.catalog.compiled import Files, Folder, compiled, written
from wellfed.catalog.model_tables import CODE, TABLES, completed, user_folder
from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.models.config import from_config
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Model, passed, tensors
from wellfed.models.tensor import Part

_LAYER_MATRICES = frozenset(
    {Part.ATTENTION, Part.INDEXER, Part.DENSE_FFN, Part.SHARED_EXPERTS, Part.ROUTER, Part.ROUTED_EXPERTS}
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Counts of elements: `parameters` as `Model.parameters`; `held` in all layers' matrices, `multiplied` of them with
    every token of a prompt; the output `head`. `expert_share`: the least share of a layer's routed experts that a token
    takes, 1 without any. `context_limit` in tokens.
    """

    parameters: int
    held: int
    multiplied: int
    head: int
    expert_share: float
    context_limit: int


def sizes(identity: str) -> Sizes | None:
    """The sizes of a catalogue model; None where its layers cannot be built."""
    counts = _all().get(identity)
    return None if counts is None else Sizes(*counts)


def sizes_of(model: Model) -> Sizes:
    """The sizes of a model at hand."""
    matrices = [tensor for tensor in tensors(model) if tensor.layer is not None and tensor.part in _LAYER_MATRICES]
    experts = [layer.ffn for layer in model.layers if isinstance(layer.ffn, MoeFfn)]
    return Sizes(
        parameters=model.parameters,
        held=sum(tensor.elements for tensor in matrices),
        multiplied=round(sum(passed(model, tensor) for tensor in matrices)),
        head=model.vocabulary * model.hidden,
        expert_share=min((ffn.active / ffn.experts for ffn in experts), default=1.0),
        context_limit=model.context_limit,
    )


def write_compiled(into: Path) -> Path:
    """The compiled sizes as a file in `into`, to be shipped in data/models/; for builders of packages."""
    return written(_folder(None), into)


@cache
def _all() -> Mapping[str, list[Any]]:
    counts: Mapping[str, list[Any]] = compiled(_folder(user_folder()))["counts"]
    return counts


def _folder(user: Path | None) -> Folder:
    code = sorted(Path(str(wellfed.models.__file__)).parent.glob("*.py"))
    return Folder(TABLES, (*CODE, *code, Path(__file__)), _counted, user, name="sizes")


def _counted(files: Files) -> dict[str, dict[str, list[Any]]]:
    counts = {}
    for identity, table in completed(files).items():
        if "config" not in table:
            continue
        try:
            model = sizes_of(from_config(table["config"], identity, str(table["name"])))
        except WellfedError:
            continue
        counts[identity] = [getattr(model, name) for name in Sizes.__dataclass_fields__]
    return {"counts": counts}
