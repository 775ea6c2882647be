"""What was asked of the engine in a window: its own words, and the answers to probes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from wellfed.watching.sample import Engine, Probe, Sample
from wellfed.watching.series import finite, growth, known_points, last, mean, middle, per_s, share, slope
from wellfed.watching.view import EngineView, ProbeView

_MOST_TOK_S = 1e6  # no engine makes more


def engine(samples: Sequence[Sample]) -> EngineView | None:
    """The engine's words over the window, each answer counted once."""
    told = [_of_others(s.engine, s.probe) for s in samples if s.engine is not None]
    if not told:
        return None
    unique = [a for a, b in zip(told, [*told[1:], None], strict=True) if b is None or a.t != b.t]
    answers = [each for each in unique if each.answers and each.error is None]
    half = len(answers) // 2
    return EngineView(
        kind=last(each.kind for each in told),
        silent=share(told, lambda each: None if each.answers is None else each.waited_s is not None),
        waited_s=max((each.waited_s for each in told if finite(each.waited_s) is not None), default=None),  # type: ignore[type-var]
        refused=share(told, lambda each: each.answers is False and each.waited_s is None),
        running=mean(each.running for each in answers),
        served=mean(s.engine.running for s in samples if s.engine is not None and s.engine.error is None),
        waiting=mean(each.waiting for each in answers),
        waiting_always=_always(answers),
        waiting_slope_per_s=slope(known_points((each.t, each.waiting) for each in answers)),
        idle=share(answers, lambda e: None if e.running is None else e.running + (e.waiting or 0) <= 0),
        slots=last(each.slots for each in told),
        tok_s=_tokens(answers),
        tok_s_by_half=(_tokens(answers[: half + 1]), _tokens(answers[half:])),
        prompt_tok_s=per_s(((e.t, e.prompt_tokens_total) for e in answers), _MOST_TOK_S),
        steps_per_s=per_s(((e.t, e.steps_total) for e in answers), _MOST_TOK_S),
        preemptions=growth(known_points((e.t, e.preemptions_total) for e in answers)),
        kv_usage=_top(each.kv_usage for each in answers),
        context_fill=_top(each.context_fill for each in answers),
        queue_s_per_s=per_s((e.t, e.queue_s_total) for e in answers),
        queue_s=_each(answers, "queue"),
        ttft_s=_each(answers, "ttft"),
        tpot_s=_each(answers, "tpot"),
        prefill_s=_each(answers, "prefill"),
        loaded=last(each.loaded for each in answers),
        held_bytes=last(each.held_bytes for each in answers),
        gpu_share=last(each.gpu_share for each in answers),
        room_tokens=last(each.room_tokens for each in answers),
        error=_of_last(told, "error"),
        trouble=_of_last(told, "trouble"),
    )


def _of_last(told: Sequence[Engine], what: str) -> str | None:
    """Of the newest word that is more than a wait: trouble that is over is no trouble."""
    words = [each for each in told if each.waited_s is None] or told
    value: str | None = getattr(words[-1], what)
    return value


def _of_others(engine: Engine, probe: Probe | None) -> Engine:
    """Without the request of our own that is open: it is the last that came, and waits where anybody does."""
    if probe is None or probe.streams is None:
        return engine
    if not probe.streams and engine.waiting is not None and engine.waiting >= 1:
        return replace(engine, waiting=engine.waiting - 1)
    if engine.running is not None and engine.running >= 1:
        return replace(engine, running=engine.running - 1)
    return engine


def _tokens(answers: Sequence[Engine]) -> float | None:
    return per_s(((e.t, e.tokens_total) for e in answers), _MOST_TOK_S)


def _always(answers: Sequence[Engine]) -> bool | None:
    waiting = share(answers, lambda each: None if each.waiting is None else each.waiting > 0)
    return None if waiting is None else waiting >= 0.8


def _top(values: Iterable[float | None]) -> float | None:
    """The upper quartile of what is between 0 and 1: a peak that lasts, not one odd value."""
    known = sorted(value for value in values if value is not None and 0 <= value <= 1.0001)
    return known[(3 * len(known)) // 4] if known else None


def _each(answers: Sequence[Engine], what: str) -> float | None:
    """Mean seconds of what a histogram counted in the window."""
    seconds = growth(known_points((e.t, getattr(e, f"{what}_s_total")) for e in answers))
    count = growth(known_points((e.t, getattr(e, f"{what}_count")) for e in answers))
    return seconds / count if seconds is not None and count else None


def probe(samples: Sequence[Sample]) -> ProbeView | None:
    """The probes that ended in the window, each once, and the one that waits."""
    told = [s.probe for s in samples if s.probe is not None]
    if not told:
        return None
    ended = list({each.number: each for each in told if each.number > 0}.values())
    good = [each for each in ended if each.error is None]
    return ProbeView(
        asked=len(ended),
        failed=share(ended, lambda each: each.error is not None),
        waited_s=max((w for w in (finite(each.waited_s) for each in told) if w is not None), default=None),
        waiting=told[-1].waited_s is not None,
        connect_s=_middle(each.connect_s for each in good),
        ttft_s=_middle(each.ttft_s for each in good),
        tpot_s=_middle(each.tpot_s for each in good),
        prompt_tokens=_middle(each.prompt_tokens for each in good),
        error=last(each.error for each in ended[-1:]),
        trouble=last(each.trouble for each in ended[-1:]),
    )


def _middle(values: Iterable[float | None]) -> float | None:
    """The median of what a clock can have measured."""
    return middle(value if value is not None and value >= 0 else None for value in values)
