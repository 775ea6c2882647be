"""What was asked of the engine in a window: its own states, and the answers to probes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from wellfed.watching.sample import Engine, Probe, Sample
from wellfed.watching.series import finite, growth, known_points, last, mean, middle, per_s, share, slope
from wellfed.watching.view import EngineView, ProbeView

_MOST_TOK_S = 1e6  # no engine makes more


def engine(samples: Sequence[Sample]) -> EngineView | None:
    """The engine's reports over the window, each answer counted once."""
    states = [_of_others(s.engine, s.probe) for s in samples if s.engine is not None]
    if not states:
        return None
    unique = [a for a, b in zip(states, [*states[1:], None], strict=True) if b is None or a.t != b.t]
    answers = [state for state in unique if state.answers and state.error is None]
    half = len(answers) // 2
    return EngineView(
        kind=last(state.kind for state in states),
        silent=share(states, lambda state: None if state.answers is None else state.waited_s is not None),
        waited_s=max((state.waited_s for state in states if finite(state.waited_s) is not None), default=None),  # type: ignore[type-var]
        refused=share(states, lambda state: state.answers is False and state.waited_s is None),
        running=mean(state.running for state in answers),
        served=mean(s.engine.running for s in samples if s.engine is not None and s.engine.error is None),
        waiting=mean(state.waiting for state in answers),
        waiting_always=_always(answers),
        waiting_slope_per_s=slope(known_points((state.t, state.waiting) for state in answers)),
        idle=share(answers, lambda e: None if e.running is None else e.running + (e.waiting or 0) <= 0),
        slots=last(state.slots for state in states),
        tok_s=_tokens(answers),
        tok_s_by_half=(_tokens(answers[: half + 1]), _tokens(answers[half:])),
        prompt_tok_s=per_s(((e.t, e.prompt_tokens_total) for e in answers), _MOST_TOK_S),
        steps_per_s=per_s(((e.t, e.steps_total) for e in answers), _MOST_TOK_S),
        preemptions=growth(known_points((e.t, e.preemptions_total) for e in answers)),
        kv_usage=_top(state.kv_usage for state in answers),
        context_fill=_top(state.context_fill for state in answers),
        queue_s_per_s=per_s((e.t, e.queue_s_total) for e in answers),
        queue_s=_mean_s(answers, lambda e: e.queue_s_total, lambda e: e.queue_count),
        ttft_s=_mean_s(answers, lambda e: e.ttft_s_total, lambda e: e.ttft_count),
        tpot_s=_mean_s(answers, lambda e: e.tpot_s_total, lambda e: e.tpot_count),
        prefill_s=_mean_s(answers, lambda e: e.prefill_s_total, lambda e: e.prefill_count),
        loaded=last(state.loaded for state in answers),
        held_bytes=last(state.held_bytes for state in answers),
        gpu_share=last(state.gpu_share for state in answers),
        room_tokens=last(state.room_tokens for state in answers),
        error=_newest_answer(states).error,
        trouble=_newest_answer(states).trouble,
    )


def _newest_answer(states: Sequence[Engine]) -> Engine:
    """The newest state that is more than a wait for an answer, else the newest: trouble that is over is no trouble."""
    return next((state for state in reversed(states) if state.waited_s is None), states[-1])


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
    waiting = share(answers, lambda answer: None if answer.waiting is None else answer.waiting > 0)
    return None if waiting is None else waiting >= 0.8


def _top(values: Iterable[float | None]) -> float | None:
    """The upper quartile of what is between 0 and 1: a peak that lasts, not one odd value."""
    shares = sorted(value for value in values if value is not None and 0 <= value <= 1.0001)
    return shares[(3 * len(shares)) // 4] if shares else None


def _mean_s(
    answers: Sequence[Engine], total_s: Callable[[Engine], float | None], count: Callable[[Engine], float | None]
) -> float | None:
    """Mean seconds of what a histogram counted in the window: growth of its sum over growth of its count."""
    seconds = growth(known_points((answer.t, total_s(answer)) for answer in answers))
    times = growth(known_points((answer.t, count(answer)) for answer in answers))
    return seconds / times if seconds is not None and times else None


def probe(samples: Sequence[Sample]) -> ProbeView | None:
    """The probes that ended in the window, each once, and the one that waits."""
    probes = [s.probe for s in samples if s.probe is not None]
    if not probes:
        return None
    ended = list({reading.number: reading for reading in probes if reading.number > 0}.values())
    good = [reading for reading in ended if reading.error is None]
    return ProbeView(
        asked=len(ended),
        failed=share(ended, lambda reading: reading.error is not None),
        waited_s=max((w for w in (finite(reading.waited_s) for reading in probes) if w is not None), default=None),
        waiting=probes[-1].waited_s is not None,
        connect_s=_middle(reading.connect_s for reading in good),
        ttft_s=_middle(reading.ttft_s for reading in good),
        tpot_s=_middle(reading.tpot_s for reading in good),
        prompt_tokens=_middle(reading.prompt_tokens for reading in good),
        error=last(reading.error for reading in ended[-1:]),
        trouble=last(reading.trouble for reading in ended[-1:]),
    )


def _middle(values: Iterable[float | None]) -> float | None:
    """The median of what a clock can have measured."""
    return middle(value if value is not None and value >= 0 else None for value in values)
