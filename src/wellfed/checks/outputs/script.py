"""The fixes of all findings as one shell script to read, change and only then run."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.comments import commented, lines_of, uncommented
from wellfed.message import Sentence, as_text, sentence
from wellfed.nouns.finding import Finding, Reach, Remedy, Safety, Verdict

_HEAD = (
    sentence("fix-script.written", "Written by `wellfed check --fix`; nothing has been changed yet."),
    sentence("fix-script.read", "Read it, delete what you do not want, then run it as root: sudo bash FILE"),
    sentence("fix-script.last", "Settings made here last until the next reboot, unless a line says otherwise."),
)
ROOT = '[ "$(id -u)" -eq 0 ] || { echo "run as root" >&2; exit 1; }'


def fix_script(findings: Iterable[Finding]) -> str:
    """Commands of every warning and failure, each fix once, under its reason; what a human must do is a comment."""
    faults = [fault for fault in findings if fault.verdict in (Verdict.FAIL, Verdict.WARN)]
    head = ["#!/usr/bin/env bash", *map(commented, _HEAD), "set -u"]
    if not faults:
        return lines_of([*head, "", commented(sentence("fix-script.nothing", "Nothing to fix."))])
    fixes_written: set[str] = set()
    return lines_of([*head, ROOT, *(line for finding in faults for line in _block(finding, fixes_written))])


def _block(finding: Finding, fixes_written: set[str]) -> list[str]:
    new = [remedy for remedy in _remedies(finding) if remedy.text not in fixes_written]
    fixes_written.update(remedy.text for remedy in new)
    return ["", commented(_title(finding)), *map(_line, new)] if new else []


def _title(finding: Finding) -> Sentence:
    why = as_text(finding.message) if finding.message else finding.why
    if not finding.measured or not finding.wanted:
        return sentence("fix-script.fault", "{id}, {subject}: {why}", id=finding.id, subject=finding.subject, why=why)
    return sentence(
        "fix-script.measured",
        "{id}, {subject}: {why} (is {measured}, should be {wanted})",
        id=finding.id,
        subject=finding.subject,
        why=why,
        measured=finding.measured,
        wanted=finding.wanted,
    )


def _remedies(finding: Finding) -> tuple[Remedy, ...]:
    return finding.remedies or tuple(Remedy(line) for line in finding.fix)


def _line(remedy: Remedy) -> str:
    """What may run as it is; what stops programs or the machine is a comment that says so."""
    text = as_text(remedy.message) if remedy.message else remedy.text
    if remedy.text.startswith("#"):
        return commented(sentence("fix-script.by-hand", "by hand: {text}", text=uncommented(text)))
    if remedy.reach is Reach.LOOK:
        return commented(sentence("fix-script.look", "to look: {text}", text=text))
    if remedy.safety is Safety.RESTART:
        template = "stops what uses it, so uncomment it when that may be: {text}"
        return commented(sentence("fix-script.restart", template, text=remedy.text))
    return " ".join(remedy.text.splitlines())
