"""`mem-bandwidth`: does memory deliver what its channels promise?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import BENCH, Check, fail, passed, skip, unknown, warn
from wellfed.hardware.machine import Machine, Origin
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict
from wellfed.units import format_bandwidth

GOOD, POOR = 0.6, 0.4  # desktop parts sustain 0.7 of the theoretical rate, servers 0.75 to 0.9


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for all sockets together."""
    if machine.origin is Origin.PARTS:
        return [skip(sentence("check.mem-bandwidth.nothing-measure", "nothing to measure on a planned machine"))]
    measured, possible = machine.measured_memory_bandwidth_bytes_per_s, machine.memory_bandwidth_bytes_per_s
    if measured is None:
        return [unknown(sentence("check.mem-bandwidth.measured-yet", "not measured yet"), fix=[BENCH])]
    if possible is None:
        text = sentence(
            "check.mem-bandwidth.measured-but-what", "measured, but what channels and speed promise is not known"
        )
        return [unknown(text, measured=format_bandwidth(measured))]
    return [_judge_share(measured, possible)]


def _judge_share(measured: float, possible: float) -> Finding:
    share = measured / possible
    text = sentence("check.mem-bandwidth.what-channels", "{share:.0%} of what the channels promise", share=share)
    achieved, wanted = (
        format_bandwidth(measured),
        sentence("check.mem-bandwidth.least", "at least {possible}", possible=format_bandwidth(possible * GOOD)),
    )
    if share < POOR:
        return fail("system", text, achieved, wanted)
    if share < GOOD:
        return warn("system", text, achieved, wanted)
    return passed("system", text, achieved, wanted)


def repair(machine: Machine) -> Machine:
    """Memory as good as its channels promise."""
    measured, possible = machine.measured_memory_bandwidth_bytes_per_s, machine.memory_bandwidth_bytes_per_s
    if measured is None or possible is None or measured >= possible * GOOD:
        return machine
    return replace(machine, measured_memory_bandwidth_bytes_per_s=possible * GOOD)


CHECK = Check(
    id="mem-bandwidth",
    code="MEM-04",
    title=sentence("check.mem-bandwidth.title", "Memory delivers what its channels promise"),
    severity=Verdict.FAIL,
    reads=sentence(
        "check.mem-bandwidth.reads", "channels x configured MT/s x 8 bytes; the measurement of `wellfed bench`"
    ),
    rule=sentence(
        "check.mem-bandwidth.rule",
        "Measured over promised: at least {good:.0%}; below {poor:.0%} fails. Not measured: unknown.",
        good=GOOD,
        poor=POOR,
    ),
    judge=judge,
    traps=(
        sentence(
            "check.mem-bandwidth.trap-dead-dimm-leaves",
            "A dead DIMM leaves the MT/s unchanged: only a measurement shows it.",
        ),
    ),
    refs=("https://www.cs.virginia.edu/stream/",),
    repair=repair,
)
