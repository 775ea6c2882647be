"""llama.cpp's server: `/metrics` (started with --metrics) and `/slots` (tools/server/README.md of llama.cpp).

Its counters grow only when a request ends; what a slot has made so far is added from `/slots`, so that rates are live.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wellfed.watching.sample import Engine
from wellfed.watching.samplers.prometheus import MOST, metrics, total

KIND = "llama.cpp"
PREFIX = "llamacpp:"
_MOST_SLOTS = 10_000  # of a hostile or broken answer; servers have some tens


def engine(t: float, answer_s: float, text: str, slots: object) -> Engine:
    """From the texts of both; `slots` is the parsed JSON of `/slots`, None where it is switched off."""
    figures = metrics(text, PREFIX)
    listed = slots[:_MOST_SLOTS] if isinstance(slots, list) else []
    slot_states = [slot for slot in listed if isinstance(slot, Mapping)]
    active = [slot for slot in slot_states if slot.get("is_processing")]
    generated, read = sum(map(_generated, active)), sum(_reading(slot) for slot in active)
    fills = [fill for fill in map(_fill, active) if fill is not None]
    running = total(figures, "llamacpp:requests_processing")
    torn = slots is not None and running is not None and running != len(active)  # a request came or went in between
    return Engine(
        t=t,
        kind=KIND,
        answers=True,
        answer_s=answer_s,
        running=running if running is not None else (float(len(active)) if slot_states else None),
        waiting=total(figures, "llamacpp:requests_deferred"),
        slots=len(slot_states) or None,
        tokens_total=None if torn else _sum(total(figures, "llamacpp:tokens_predicted_total"), generated),
        prompt_tokens_total=None if torn else _sum(total(figures, "llamacpp:prompt_tokens_total"), read),
        steps_total=total(figures, "llamacpp:n_decode_total"),
        context_fill=max(fills) if fills else (0.0 if slot_states else None),
    )


def _generated(slot: Mapping[str, Any]) -> float:
    return sum(_number(progress.get("n_decoded")) for progress in _next_tokens(slot))


def _reading(slot: Mapping[str, Any]) -> float:
    """Prompt tokens processed of a prompt that is not counted yet: those of a slot that has made no token."""
    return 0.0 if _generated(slot) else _number(slot.get("n_prompt_tokens_processed"))


def _fill(slot: Mapping[str, Any]) -> float | None:
    room = _number(slot.get("n_ctx"))
    if not room:
        return None
    prompt = max(_number(slot.get("n_prompt_tokens")), _number(slot.get("n_prompt_tokens_processed")))
    return min(1.0, max(prompt, _number(slot.get("n_prompt_tokens_cache")) + _generated(slot)) / room)


def _next_tokens(slot: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    value = slot.get("next_token")
    many = value if isinstance(value, list) else [value]
    return [progress for progress in many if isinstance(progress, Mapping)]


def _number(value: object) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST
    return float(value) if good and isinstance(value, int | float) else 0.0


def _sum(counted: float | None, more: float) -> float | None:
    return None if counted is None else counted + more
