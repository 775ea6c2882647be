"""A plan's division of layers over GPUs in the words of llama.cpp and ik_llama.cpp.

Both take `--tensor-split` as proportions. llama.cpp cuts by the number of layers, the head one more: layer i of n goes
to the first GPU whose cumulative proportion exceeds i / n (llama-model.cpp, load_tensors). ik_llama.cpp did so until
March 2026 and cuts by the layers' bytes since then, whatever stays in RAM, to the nearest whole layer (pull request
1466); its `--n-cpu-moe` no longer means the first layers on several GPUs either (pull request 1464). There each
expert's place is therefore named.
"""

from __future__ import annotations

from itertools import accumulate

from wellfed.models.ffn import MoeFfn
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan
from wellfed.units import MIB


def split_words(plan: Plan) -> list[str]:
    """`--tensor-split`, where the layout has a split."""
    layout = plan.layout
    if not layout.split:
        return []
    if layout.engine is Engine.IK_LLAMA_CPP:
        shares = [f"{size / MIB:.0f}" for size in _span_bytes(plan)]
    else:
        shares = _proportions(plan)
    return ["--tensor-split", ",".join(shares)]


def expert_words(plan: Plan) -> list[str]:
    """Which layers leave their experts in RAM; for ik_llama.cpp on several GPUs also which GPU has the others'."""
    offload = plan.layout.offload
    if plan.layout.overrides:
        return ["--override-tensor", ",".join(f"{pattern}={place}" for pattern, place in plan.layout.overrides)]
    if offload.cpu_only or offload.cpu_expert_layers == 0:
        return []
    if offload.cpu_expert_layers is None:
        return ["--cpu-moe"]
    if plan.layout.engine is Engine.IK_LLAMA_CPP and plan.layout.gpus > 1:
        return ["--override-tensor", ",".join(_places(plan, offload.cpu_expert_layers))]
    return ["--n-cpu-moe", str(_after(plan, offload.cpu_expert_layers))]


def _proportions(plan: Plan) -> list[str]:
    """Layer counts; where a file may count layers for multi-token prediction too, what cuts alike either way.

    With n layers and the head, a cut before layer b needs a cumulative share in ((b - 1) / n, b / n]; shares in the
    middle of what that and n + m allow do for both.
    """
    split, extra = plan.layout.split, len(plan.model.mtp_layers)
    if not extra:
        return [str(count) for count in split]
    units = sum(split)
    ends = [_between(end, units, extra) for end in accumulate(split)][:-1]
    return [f"{b - a:.3f}" for a, b in zip([0.0, *ends], [*ends, float(units)], strict=True)]


def _between(end: int, units: int, extra: int) -> float:
    """In units of `units`: the middle of what puts a cut before layer `end` with and without `extra` layers more."""
    return (max(0.0, end - 1) + end * units / (units + extra)) / 2 if end else 0.0


def _span_bytes(plan: Plan) -> list[float]:
    """What ik_llama.cpp counts of each GPU: its layers with all their experts, their cache, the largest compute buffer.

    It cuts at the nearest whole layer, so that half a layer of error does no harm.
    """
    terms = {d.device: {t.name: t.bytes for t in d.terms} for d in plan.estimate.memory.devices}
    compute = max((of.get("compute", 0.0) for device, of in terms.items() if device != "ram"), default=0.0)
    spans, first = [], 0
    for index, count in enumerate(plan.layout.split):
        layers = plan.weights.layers[first : first + count]
        head = plan.weights.head if count > len(layers) else 0.0
        spans.append(sum(layer.total for layer in layers) + head + terms[f"gpu{index}"].get("kv", 0.0) + compute)
        first += count
    return spans


def _places(plan: Plan, in_ram: int) -> list[str]:
    """Tensor overrides: the experts of each GPU's layers, where a split says which, then all others in RAM."""
    first, overrides = 0, []
    on_gpus = set(_routed(plan)[in_ram:])
    if not plan.layout.split:
        return [_override(_routed(plan)[:in_ram], "CPU")]
    for index, count in enumerate(plan.layout.split):
        here = [layer for layer in range(first, first + count) if layer in on_gpus]
        first += count
        if here:
            overrides.append(_override(here, f"CUDA{index}"))
    return [*overrides, _override(_routed(plan)[:in_ram], "CPU")]


def _override(layers: list[int], place: str) -> str:
    return rf"blk\.({'|'.join(map(str, layers))})\.ffn_.*_exps={place}"


def _routed(plan: Plan) -> list[int]:
    return [index for index, layer in enumerate(plan.model.layers) if isinstance(layer.ffn, MoeFfn)]


def _after(plan: Plan, experts: int) -> int:
    """llama.cpp counts all layers from the first, those without experts too."""
    routed = _routed(plan)
    return routed[min(experts, len(routed)) - 1] + 1 if routed and experts else 0
