"""CPU, GPU or both: the placement a layout stands for."""

from __future__ import annotations

from enum import StrEnum

from wellfed.engines.versions import FRONT
from wellfed.message import joined, listed, sentence
from wellfed.nouns.layout import AsManyAsFit, DraftKind, Layout, NumaPolicy, Speculation
from wellfed.perf.memory.context_ranks import context_ranks, prefill_ranks
from wellfed.perf.memory.remote import count, local_gpus
from wellfed.perf.memory.streamed import STREAMED


class Kind(StrEnum):
    """Where the weights live."""

    GPU = "GPU"
    BOTH = "GPU + CPU"
    CPU = "CPU"


def kind_of(layout: Layout) -> Kind:
    """Where a layout's weights live."""
    offload = layout.offload
    if offload.cpu_only or layout.gpus == 0:
        return Kind.CPU
    divided = offload.gpu_layers is not None or offload.cpu_expert_layers != 0 or isinstance(offload, AsManyAsFit)
    return Kind.BOTH if divided else Kind.GPU


# where weights of a machine of several sockets go
_POLICIES = {
    NumaPolicy.ONE_SOCKET: sentence("kinds.one-socket", "one socket"),
    NumaPolicy.INTERLEAVE: sentence("kinds.interleave", "interleave"),
    NumaPolicy.DUPLICATE: sentence("kinds.duplicate", "duplicate"),
    NumaPolicy.UNBOUND_MEMORY: sentence("kinds.unbound-memory", "unbound memory"),
}


def describe(layout: Layout) -> str:
    """The layout in a few words: `TP4 x PP2`, `1 GPU; experts on CPU`. DPA is data-parallel attention."""
    guess = layout.speculation
    drafting = [] if guess is None or guess.kind is None else [drafting_words(guess)]
    front = [FRONTS.get(name, name) for key, name in layout.options if key == FRONT]
    if STREAMED in layout.options:
        drafting.append(sentence("planner.kinds.streamed", "experts from disk"))
    cache = [] if layout.kv_type == "f16" else [f"KV {layout.kv_type}"]
    return joined("; ", [*front, _placement_words(layout), *cache, *drafting])


def drafting_words(guess: Speculation) -> str:
    """Who drafts, and how many tokens: `MTP 2`."""
    return str(guess.tokens) if guess.kind is None else joined(" ", (_DRAFTS[guess.kind], str(guess.tokens)))


FRONTS = {"ollama": "Ollama"}  # programs around an engine


_DRAFTS = {
    DraftKind.MTP: "MTP",
    DraftKind.EAGLE: "EAGLE",
    DraftKind.DRAFT: sentence("kinds.draft-model", "draft model"),
    DraftKind.NGRAM: "n-gram",
}


def _placement_words(layout: Layout) -> str:
    if kind_of(layout) is Kind.CPU:
        if layout.numa is NumaPolicy.ONE_SOCKET:
            return "CPU"
        return sentence("planner.kinds.cpu-memory", "CPU, memory: {policy}", policy=_POLICIES[layout.numa])
    degrees = (
        ("TP", layout.tensor_parallel),
        ("PP", layout.pipeline_parallel),
        ("DP", layout.data_parallel),
        ("EP", layout.expert_parallel),
        ("DPA", layout.attention_data_parallel),
        ("DCP", context_ranks(layout)),
        ("PCP", prefill_ranks(layout)),
    )
    words = " x ".join(f"{name}{degree}" for name, degree in degrees if degree > 1)
    return joined("; ", [_gpus(layout, words), *_devices(layout, words), *_on_cpu(layout)])


def _gpus(layout: Layout, words: str) -> str:
    return words or _several(layout)


def _devices(layout: Layout, words: str) -> list[str]:
    """Which GPUs, where not the first ones; stages of a pipeline, where not alike."""
    parts: list[str] = []
    if layout.devices:
        numbers = listed(layout.devices)
        parts.append(sentence("planner.kinds.devices", "on GPU {numbers}", numbers=numbers))
    if words and layout.split:
        split = "+".join(map(str, layout.split))
        parts.append(sentence("planner.kinds.stages", "stages of {split} layers", split=split))
    return parts


def _several(layout: Layout) -> str:
    if layout.gpus == 1:
        return sentence("planner.kinds.gpu", "1 GPU")
    how, servers = _split(layout), count(layout)
    if servers:
        text = "{count} GPUs, {remote} of them behind RPC, layers split{how}"
        return sentence("planner.kinds.rpc", text, count=layout.gpus, remote=layout.gpus - local_gpus(layout), how=how)
    return sentence("planner.kinds.layers-split", "{count} GPUs, layers split{how}", count=layout.gpus, how=how)


def _split(layout: Layout) -> str:
    """Layers of each GPU, the head among them, where it is not the engine that divides them."""
    return f" {'+'.join(map(str, layout.split))}" if layout.split else ""


def _on_cpu(layout: Layout) -> list[str]:
    offload = layout.offload
    words: list[str] = []
    if offload.gpu_layers is not None:
        words.append(
            sentence(
                "planner.kinds.layers-gpu-rest",
                "{gpu_layers} layers on GPU, the rest on CPU",
                gpu_layers=offload.gpu_layers,
            )
        )
    if offload.cpu_expert_layers is None:
        words.append(sentence("planner.kinds.experts-cpu", "experts on CPU"))
    elif offload.cpu_expert_layers:
        words.append(
            sentence(
                "planner.kinds.experts-layers-cpu",
                "experts of {cpu_expert_layers} layers on CPU",
                cpu_expert_layers=offload.cpu_expert_layers,
            )
        )
    if words and layout.numa is not NumaPolicy.ONE_SOCKET:
        words.append(sentence("planner.kinds.memory", "memory: {policy}", policy=_POLICIES[layout.numa]))
    return words
