"""`thp`: may the engine have transparent huge pages?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, passed, warn
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    mode = machine.os.transparent_huge_pages
    if mode is None:
        return [
            missing(
                machine, sentence("check.thp.transparent-huge", "transparent huge pages"), "os.transparent_huge_pages"
            )
        ]
    if mode == "never":
        why = sentence(
            "check.thp.weights-ram-read",
            "weights in RAM are read through 4 KiB pages: one address translation per 4096 bytes",
        )
        return [warn(SYSTEM, why, mode, sentence("check.thp.madvise-always", "madvise or always"))]
    return [
        passed(
            SYSTEM,
            sentence("check.thp.programs-huge-pages", "programs can have huge pages"),
            mode,
            sentence("check.thp.madvise-always", "madvise or always"),
        )
    ]


def repair(machine: Machine) -> Machine:
    """The machine with huge pages for programs that ask for them (`madvise`)."""
    if machine.os.transparent_huge_pages != "never":
        return machine
    return replace(machine, os=replace(machine.os, transparent_huge_pages="madvise"))


CHECK = Check(
    id="thp",
    code="MEM-05",
    title=sentence("check.thp.title", "Transparent huge pages are available"),
    severity=Verdict.WARN,
    reads="/sys/kernel/mm/transparent_hugepage/enabled",
    rule=sentence("check.thp.rule", "`always` or `madvise` pass, `never` warns."),
    judge=judge,
    traps=(sentence("check.thp.trap-absent-file-kernel", "An absent file (a kernel without huge pages) is a skip."),),
    ask=("cat /sys/kernel/mm/transparent_hugepage/enabled",),
    refs=("https://docs.kernel.org/admin-guide/mm/transhuge.html",),
    repair=repair,
)
