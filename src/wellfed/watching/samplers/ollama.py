"""Ollama's `/api/ps`: what is loaded, how much of it on GPUs, with how long a context.

It tells nothing of requests and tokens, and there is no /metrics: a rate is seen by asking it (`--probe`). Source:
docs/api.md of ollama/ollama (read 2026-11-29).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wellfed.watching.sample import Engine
from wellfed.watching.samplers.prometheus import MOST

KIND = "ollama"
PATH = "/api/ps"
_MOST_MODELS, _LONGEST_NAME = 1000, 200


def speaks(reply: object) -> bool:
    """Whether the parsed answer to `/api/ps` is Ollama's."""
    return isinstance(reply, Mapping) and isinstance(reply.get("models"), list)


def engine(t: float, answer_s: float, reply: object) -> Engine:
    """What is loaded: names in the order told, bytes and the GPUs' share of all of them, the longest context."""
    listed = reply.get("models") if isinstance(reply, Mapping) else None
    models = [model for model in (listed or [])[:_MOST_MODELS] if isinstance(model, Mapping)]
    total_bytes, on_gpus = (sum(_number(model.get(key)) for model in models) for key in ("size", "size_vram"))
    names = ", ".join(str(model.get("name") or model.get("model") or "?")[:_LONGEST_NAME] for model in models)
    return Engine(
        t=t,
        kind=KIND,
        answers=True,
        answer_s=answer_s,
        loaded=names or None,
        held_bytes=total_bytes,
        gpu_share=min(1.0, on_gpus / total_bytes) if total_bytes else None,
        room_tokens=max((int(_number(model.get("context_length"))) for model in models), default=0) or None,
    )


def _number(value: Any) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST
    return float(value) if good else 0.0
