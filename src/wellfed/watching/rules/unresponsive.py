"""`unresponsive`: asked, it does not answer, and it does not work either."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.serving import RESTART, RIGHT_ADDRESS, STUCK
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, percent, sign
from wellfed.watching.view import View

_IDLE_CORES = 0.05  # cores' worth of time below which all threads sleep (assumed)
_LEAST = 2  # probes that ended
_LONG_S = 20.0  # without a token: no prompt of a line takes so long (assumed)
_NOBODY = {
    "closed": sentence("watch.unresponsive.nothing-listens", "nothing listens at its address"),
    "unreachable": sentence("watch.unresponsive.address-cannot", "its address cannot be reached from here"),
}
_OURS = ("key", "refused", "certificate", "busy", "closed", "unreachable")  # no word on whether the engine works


def judge(view: View) -> Iterable[Sign]:
    """Silent or refusing in most samples while its threads sleep; or most requests of our own fail."""
    engine, process = view.engine, view.process
    asleep = process is not None and process.cores is not None and process.cores <= _IDLE_CORES
    silent = (engine.silent or 0.0) + (engine.refused or 0.0) if engine is not None else 0.0
    if (asleep or process is None) and silent >= 0.5:
        return _silent(view, silent, asleep)
    return _failing(view) if asleep or process is None or process.cores is None else []


def _silent(view: View, silent: float, asleep: bool) -> list[Sign]:
    cores = view.process.cores if view.process is not None else None
    trouble = view.engine.trouble if view.engine is not None else None
    if trouble in _NOBODY:
        return _nobody(view, silent, trouble)
    why = (
        sentence(
            "watch.unresponsive.threads-do-run", "its threads do not run: a deadlock, or it waits for something outside"
        )
        if asleep
        else sentence("watch.unresponsive.nothing-else-seen", "nothing else is seen")
    )
    return sign(
        0.9,
        ENGINE,
        sentence("watch.unresponsive.does-answer", "it does not answer, and {why}", why=why),
        sentence("watch.unresponsive.no-answer-samples", "no answer in {silent} of samples", silent=percent(silent)),
        None if cores is None else sentence("watch.unresponsive.uses-cores", "uses {cores:.2f} cores", cores=cores),
        view.engine.error if view.engine else None,
    )


def _nobody(view: View, silent: float, trouble: str) -> list[Sign]:
    """Connections are refused, or lead nowhere: that says nothing of the threads of any engine."""
    error = view.engine.error if view.engine else None
    return sign(
        0.9,
        ENGINE,
        _NOBODY[trouble],
        sentence("watch.unresponsive.no-answer-samples", "no answer in {silent} of samples", silent=percent(silent)),
        error,
        fix=(RIGHT_ADDRESS,),
    )


def _failing(view: View) -> list[Sign]:
    """By probes: at least two, most of them failed; or one that has waited long, with none answered."""
    probe = view.probe
    if probe is None or probe.trouble in _OURS or (probe.trouble is None and (probe.error or "").startswith("HTTP 4")):
        return []  # the last: of traces that were recorded before troubles had names
    failed = probe.asked >= _LEAST and (probe.failed or 0.0) >= 0.5
    hangs = probe.waiting and not probe.answered and (probe.waited_s or 0.0) >= _LONG_S
    if not failed and not hangs:
        return []
    return sign(
        0.9,
        ENGINE,
        sentence("watch.unresponsive.requests-fail", "requests fail")
        if failed
        else sentence("watch.unresponsive.requests-answered", "requests are not answered"),
        sentence(
            "watch.unresponsive.requests-our-own",
            "{failed} of {asked} requests of our own failed",
            failed=percent(probe.failed),
            asked=probe.asked,
        )
        if failed
        else None,
        sentence("watch.unresponsive.one-waited-s", "one has waited for {waited:.0f} s", waited=probe.waited_s)
        if hangs
        else None,
        probe.error,
    )


RULE = Rule(
    id="unresponsive",
    title=STUCK.title,
    kind=Kind.ILL,
    reads=sentence("watch.unresponsive.reads", "the endpoint, CPU time of all threads; requests of our own (--probe)"),
    rule=sentence(
        "watch.unresponsive.rule",
        "No answer in half of the samples, or half of at least 2 probes failed, or the only one "
        "has waited for 20 s; and less than 0.05 cores used, where that can be seen.",
    ),
    judge=judge,
    fix=(RESTART,),
    then=sentence("watch.unresponsive.then", "Where its threads wait: /proc/PID/task/*/wchan and stack."),
)
