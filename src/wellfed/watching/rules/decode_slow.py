"""`decode-slow`: what a user gets is slower than promised, measured by asking."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.steps import plain
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View

_SLOWER = 0.7  # of the low end of what was promised
_LEAST = 2  # answered probes: one may have been unlucky


def judge(view: View) -> Iterable[Sign]:
    """Tokens of most probes come slower than the promise, with nobody else known to be served beside them."""
    probe, promise, engine = view.probe, view.promise, view.engine
    if probe is None or promise is None or probe.answered < _LEAST or probe.tok_s is None:
        return []
    if engine is not None and engine.idle is not None and engine.idle < 0.5:
        return []  # it shares with others, and tells its own rate
    fraction = probe.tok_s / promise.decode_tok_s
    if probe.tok_s >= _SLOWER * promise.decode_low_tok_s:
        return []
    return sign(
        1 - fraction,
        ENGINE,
        sentence(
            "watch.decode-slow.user-gets-tokens",
            "a user gets {kept} of the tokens per second that were promised",
            kept=percent(fraction),
        ),
        sentence(
            "watch.decode-slow.requests-our-own",
            "{answered} requests of our own: {tok:.3g} tokens/s",
            answered=probe.answered,
            tok=probe.tok_s,
        ),
        sentence(
            "watch.decode-slow.promised-least",
            "promised {decode:.3g}, at least {decode_low:.3g}",
            decode=promise.decode_tok_s,
            decode_low=promise.decode_low_tok_s,
        )
        + (f" ({promise.source})" if promise.source else ""),
    )


RULE = Rule(
    id="decode-slow",
    title=sentence("watch.decode-slow.title", "A user gets tokens slower than promised"),
    kind=Kind.ILL,
    loss=True,
    reads=sentence(
        "watch.decode-slow.reads", "requests of our own (--probe): time between tokens; the plan, or what --expect says"
    ),
    rule=sentence(
        "watch.decode-slow.rule",
        "At least 2 answers in the window, below 70 % of the promise's low end, and no others known to be served.",
    ),
    judge=judge,
    fix=(
        plain(
            sentence(
                "watch.decode-slow.fix-watch-own-machine",
                "# Watch it on its own machine, where the cause can be seen; or ask whoever runs it.",
            )
        ),
    ),
    then=sentence("watch.decode-slow.then", "The same at another time of day: others' load comes and goes."),
    like="queueing",
)
