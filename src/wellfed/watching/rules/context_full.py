"""`context-full`: a sequence is at the end of its context."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.serving import CONTEXT_FULL
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View

_FULL = 0.9  # share of a sequence's context (assumed)


def judge(view: View) -> Iterable[Sign]:
    """The fullest sequence beyond 90 % of its room."""
    fill = view.engine.context_fill if view.engine else None
    if fill is None or fill < _FULL:
        return []
    return sign(
        0.3 + 0.6 * (fill - _FULL) / (1 - _FULL),
        ENGINE,
        sentence(
            "watch.context-full.sequence-nearly",
            "a sequence nearly fills its context: soon it ends, or is cut, and attention over so much is slow",
        ),
        sentence(
            "watch.context-full.fullest-sequence", "the fullest sequence uses {fill} of its context", fill=percent(fill)
        ),
    )


RULE = Rule(
    id="context-full",
    title=CONTEXT_FULL.title,
    kind=Kind.ILL,
    reads=sentence("watch.context-full.reads", "llama.cpp /slots: tokens and context of each slot"),
    rule=sentence(
        "watch.context-full.rule", "The fullest sequence uses 90 % of its context or more, in a quarter of the samples."
    ),
    judge=judge,
    then=sentence("watch.context-full.then", "`wellfed plan --context N`: the memory that a larger one takes."),
)
