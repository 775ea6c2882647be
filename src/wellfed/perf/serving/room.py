"""How many sequences a layout runs at once: what the cache has room for, and what the engine is told to run."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request
from wellfed.perf.memory.ledger import sizes
from wellfed.perf.memory.share import most_sequences

# Share of the answer that a sequence holds cache for when the next one is admitted. TensorRT-LLM reserves all of it
# (guaranteed no evict); vLLM and SGLang admit on what is there and what they expect, and run half-grown sequences.
_RESERVED = {Engine.TENSORRT_LLM: 1.0, Engine.SGLANG: 0.7, Engine.VLLM: 0.55}


@dataclass(frozen=True, slots=True)
class Room:
    """`slots` of one replica, and those of its start; None in `cached` when the memory of a device is unknown."""

    cached: float | None
    slots: float
    start_slots: float


def _reserved(request: Request) -> float:
    """Tokens beyond its prompt that a sequence holds when the next one is admitted.

    Where all requests come at once and their lengths differ, short answers make room while long ones grow: of lengths
    evenly drawn between nothing and twice the mean m, (1 - k/2m)(prompt + k) is held after k steps, at most
    (2m + prompt)^2/8m.
    """
    layout, load = request.layout, request.workload
    share = _RESERVED.get(layout.engine, 1.0) * load.output_tokens
    prompt, mean = load.depth_tokens + load.prompt_tokens, max(1, load.output_tokens)
    once = load.requests is not None and load.requests <= load.concurrency
    if layout.engine is Engine.TENSORRT_LLM or not once or load.length_spread < 1:
        return share
    peak = (2 * mean + prompt) ** 2 / (8 * mean) - prompt if prompt < 2 * mean else 0.0
    return min(share, peak)


def room(request: Request) -> Room:
    """The running sequences of one replica, at least one so that an estimate exists."""
    layout, load = request.layout, request.workload
    prompt, devices = load.depth_tokens + load.prompt_tokens, sizes(request)
    reserved = _reserved(request)
    limit, groups = float(max(1, layout.max_sequences)), max(1, layout.attention_data_parallel)

    def fitting(tokens: float) -> float | None:
        per_group = most_sequences(devices, max(1, round(tokens)))
        return None if per_group is None else float(per_group * groups)

    cached = fitting(prompt + reserved)
    slots = max(1.0, limit if cached is None else min(limit, cached))
    if cached is None or cached >= limit or layout.engine is not Engine.VLLM:
        return Room(cached, slots, slots)
    begun = fitting(prompt)
    return Room(cached, slots, max(slots, min(limit, limit if begun is None else begun)))
