"""Why a layout that somebody pinned cannot be tried, and what would do."""

from __future__ import annotations

from collections.abc import Callable

from wellfed.engines.capabilities import Capabilities, why_not_format
from wellfed.engines.versions import LAST_FOR_VOLTA, VOLTA, Version
from wellfed.frozen import dataclass
from wellfed.hardware.parts import GpuSpec
from wellfed.message import sentence
from wellfed.models.model import Model
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.context_ranks import (
    context_ranks,
    most_context_ranks,
    prefill_ranks,
    valid_context_ranks,
)
from wellfed.perf.memory.remote import count, servers
from wellfed.planner.goal import Goal

_TRIED = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48, 64)  # degrees that are offered instead


@dataclass(frozen=True, slots=True)
class Impossible:
    """What cannot be, and what can."""

    reason: str
    hint: str


def impossible(layout: Layout, model: Model, total: int, divides: Callable[[int], bool]) -> Impossible | None:
    """Why pinned degrees cannot be: more GPUs than the `total` there are, heads and columns that do not divide, context
    parallelism that the engine does not take.

    None where nothing speaks against them. `divides` tells it of the model, degree by degree.
    """
    tensor = layout.tensor_parallel
    if tensor > 1 and not divides(tensor):
        near = ", ".join(str(degree) for degree in _TRIED if degree <= total and divides(degree))
        reason = sentence("pinned.heads", "{degree} ranks do not divide this model's heads and columns", degree=tensor)
        return Impossible(reason, sentence("pinned.heads.hint", "tensor parallelism of {degrees} does", degrees=near))
    if not valid_context_ranks(model, layout):
        text = "context parallelism (decode {decode}, prefill {prefill}) does not go with TP{tensor}"
        reason = sentence(
            "pinned.context", text, decode=context_ranks(layout), prefill=prefill_ranks(layout), tensor=tensor
        )
        would = "decode divides TP{tensor}, at most {most} for these heads; beside prefill P it is 1, P or {tensor} x P"
        most = most_context_ranks(model, tensor)
        return Impossible(reason, sentence("pinned.context.hint", would, tensor=tensor, most=most))
    if layout.gpus > total and servers(layout):
        text = "{servers} RPC servers are other machines: {gpus} GPUs in all, there are {total}"
        reason = sentence("pinned.rpc", text, servers=count(layout), gpus=layout.gpus, total=total)
        hint = "--nodes {machines} for machines like this one, or the memory of each: --set rpc=24GiB,12GiB"
        return Impossible(reason, sentence("pinned.rpc.hint", hint, machines=count(layout) + 1))
    if layout.gpus > total:
        gpus = {"degrees": _degrees(layout), "gpus": layout.gpus, "total": total}
        reason = sentence("pinned.gpus", "{degrees} takes {gpus} GPUs: there are {total}", **gpus)
        return Impossible(reason, sentence("pinned.gpus.hint", "degrees whose product is at most {total}", total=total))
    return None


def _degrees(layout: Layout) -> str:
    """Those that are more than one: TP4 x PP3."""
    degrees = (
        ("TP", layout.tensor_parallel), ("PP", layout.pipeline_parallel), ("DP", layout.data_parallel),
        ("PCP", prefill_ranks(layout)),
    )  # fmt: skip
    return " x ".join(f"{name}{degree}" for name, degree in degrees if degree > 1)


def no_format(capabilities: Capabilities, model: Model, gpu: GpuSpec | None, goal: Goal) -> tuple[str, str]:
    """Why none of the weights that were named, or of an engine's own, run here; what would, where that is known."""
    version = goal.version(capabilities.engine)
    for name in goal.quantisations:
        why = why_not_format(capabilities, name, gpu, version)
        if why is not None:
            return why
    labels = " or ".join(quantisation(name).label for name in goal.quantisations)
    wanted = labels or sentence("candidates.formats", "its formats")
    text = "does not run {asked} of {model} here"
    return sentence("candidates.does-run-here", text, asked=wanted, model=model.name), ""


def own_files(engine: Engine, model: Model) -> str:
    """How files of an engine's own format are named; empty for engines without one, and where files are at hand."""
    if model.files or not engine.has_own_files:
        return ""
    if engine is Engine.MLX:
        return sentence("pinned.mlx", 'name such files: "{model} mlx 4bit", or a repository of them', model=model.id)
    return sentence(
        "pinned.exl3", 'name such files: "OWNER/{model}-exl3 4.0bpw", or a folder of them', model=model.name
    )


def with_older_version(reason: str, capabilities: Capabilities, gpu: GpuSpec | None, chosen: Version | None) -> str:
    """The reason, with the version that ran on a card that the newest does not run on, where there is one."""
    if gpu is None or gpu.vendor != "nvidia" or not gpu.compute_capability or gpu.vendor not in capabilities.vendors:
        return reason
    usual, last = capabilities.vendors[gpu.vendor], LAST_FOR_VOLTA.get(capabilities.engine)
    if last is None or chosen is not None or not VOLTA <= float(gpu.compute_capability) < usual:
        return reason
    engine = capabilities.engine.value
    return sentence("pinned.older", "{reason} ({engine}@{last} ran on it)", reason=reason, engine=engine, last=last)
