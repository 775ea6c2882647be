"""The fixes of all findings as one shell script to read, change and only then run."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.nouns.finding import Finding, Reach, Remedy, Safety, Verdict

HEAD = """\
#!/usr/bin/env bash
# Written by `wellfed check --fix`; nothing has been changed yet.
# Read it, delete what you do not want, then run it as root: sudo bash FILE
# Settings made here last until the next reboot, unless a line says otherwise.
set -u
"""
ROOT = '[ "$(id -u)" -eq 0 ] || { echo "run as root" >&2; exit 1; }\n'


def fix_script(findings: Iterable[Finding]) -> str:
    """Commands of every warning and failure, each fix once, under its reason; what a human must do is a comment."""
    faults = [each for each in findings if each.verdict in (Verdict.FAIL, Verdict.WARN)]
    if not faults:
        return HEAD + "\n# Nothing to fix.\n"
    seen: set[str] = set()
    blocks = [_block(finding, seen) for finding in faults]
    return HEAD + ROOT + "".join(block for block in blocks if block)


def _block(finding: Finding, seen: set[str]) -> str:
    new = [remedy for remedy in _remedies(finding) if remedy.text not in seen]
    seen.update(remedy.text for remedy in new)
    if not new:
        return ""
    title = f"{finding.id}, {finding.subject}: {finding.why}"
    wanted = f" (is {finding.measured}, should be {finding.wanted})" if finding.measured and finding.wanted else ""
    return "\n" + comment(title + wanted) + "".join(_line(remedy) for remedy in new)


def _remedies(finding: Finding) -> tuple[Remedy, ...]:
    return finding.remedies or tuple(Remedy(line) for line in finding.fix)


def _line(remedy: Remedy) -> str:
    """What may run as it is; what stops programs or the machine is a comment that says so."""
    if remedy.text.startswith("#"):
        return comment("by hand: " + remedy.text.lstrip("# "))
    if remedy.reach is Reach.LOOK:
        return comment("to look: " + remedy.text)
    if remedy.safety is Safety.RESTART:
        return comment("stops what uses it, so uncomment it when that may be: " + remedy.text)
    return " ".join(remedy.text.splitlines()) + "\n"


def comment(text: str) -> str:
    """One comment line, whatever the text: names in a dump must not break out of it."""
    return "# " + " ".join("".join(char if char.isprintable() else " " for char in text).split()) + "\n"
