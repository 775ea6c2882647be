"""How many sequences a layout runs at once: what the cache has room for, and what the engine is told to run."""

from __future__ import annotations

from dataclasses import dataclass

from wellfed.estimate import Memory
from wellfed.layout import Engine
from wellfed.perf.memory.ledger import memory, shares
from wellfed.perf.memory.share import most_sequences
from wellfed.plan import Request

# Share of the answer that a sequence holds cache for when the next one is admitted. TensorRT-LLM reserves all of it
# (guaranteed no evict); vLLM and SGLang admit on what is there and what they expect, and run half-grown sequences.
_RESERVED = {Engine.TENSORRT_LLM: 1.0, Engine.SGLANG: 0.75, Engine.VLLM: 0.75}


@dataclass(frozen=True, slots=True)
class Room:
    """`slots` of one replica; None in `cached` when the memory of a device is unknown."""

    memory: Memory
    cached: float | None
    slots: float


def room(request: Request) -> Room:
    """The ledger and the running sequences of one replica, at least one so that an estimate exists."""
    ledger = memory(request)
    layout, load = request.layout, request.workload
    grown = load.depth_tokens + load.prompt_tokens + _RESERVED.get(layout.engine, 1.0) * load.output_tokens
    per_group = most_sequences(shares(request), max(1, round(grown)))
    cached = None if per_group is None else float(per_group * max(1, layout.attention_data_parallel))
    limit = float(max(1, layout.max_sequences))
    return Room(ledger, cached, max(1.0, limit if cached is None else min(limit, cached)))
