"""Faults as `wellfed explain` prints them."""

from __future__ import annotations

from collections.abc import Iterator

import click

from wellfed.faults.steps import shown
from wellfed.message import message
from wellfed.messages.words import phrase, tell, words
from wellfed.nouns.finding import Remedy, Safety
from wellfed.verbs.explaining import Explained

_SAFETY = {
    Safety.SAFE: message("explain.safe", "safe"),
    Safety.RESTART: message("explain.restart", "needs a restart"),
    Safety.BY_HAND: message("explain.by-hand", "by hand"),
}


def print_faults(faults: tuple[Explained, ...], after_terms: bool = False) -> None:
    """Print each fault with why it matters, its checks and its remedies."""
    if after_terms and faults:
        click.echo()
    click.echo("\n\n".join("\n".join(_lines(explained)) for explained in faults), nl=bool(faults))


def _lines(explained: Explained) -> Iterator[str]:
    fault = explained.fault
    if fault is not None:
        yield f"{words(fault.title)}  ({fault.id})"
        yield f"  {words(fault.why)}"
        for remedy in fault.remedies:
            yield tell("explain.remedy", "  fix: {step} ({safety})", step=_step(remedy), safety=_SAFETY[remedy.safety])
        if fault.price.is_estimated:
            yield tell("explain.price", "  price: {how}", how=fault.price.how)
        else:
            yield tell("explain.no-price", "  price: none: {why}", why=fault.price.how)
    for check in explained.checks:
        name = f"{check.id} ({check.code})"
        yield tell("explain.at-rest", "  at rest: {name}: {title}", name=name, title=check.title)
        yield tell("explain.rule", "    {rule}", rule=check.rule)
        yield tell("explain.reads", "    reads: {reads}", reads=check.reads)
    if fault is not None and not explained.checks:
        yield phrase("explain.no-check", "  at rest: no check sees it")
    for rule in explained.rules:
        yield tell("explain.at-work", "  at work: {id}: {title}", id=rule.id, title=rule.title)
        yield tell("explain.rule", "    {rule}", rule=rule.rule)
        yield tell("explain.reads", "    reads: {reads}", reads=rule.reads)
    if not explained.rules:
        yield phrase("explain.no-rule", "  at work: nothing that `wellfed watch` reads shows it")
    if explained.why_none is not None:
        yield tell("explain.no-fault", "  no fault of its own: {why}", why=explained.why_none)


def _step(remedy: Remedy) -> str:
    step = shown(remedy)
    return words(step.message or step.text).removeprefix("# ")
