"""The fixes of all findings as one shell script to read, change and only then run."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.finding import Finding, Verdict

HEAD = """\
#!/usr/bin/env bash
# Written by `wellfed check --fix`; nothing has been changed yet.
# Read it, delete what you do not want, then run it as root: sudo bash FILE
# Settings made here last until the next reboot, unless a line says otherwise.
set -u
"""
ROOT = '[ "$(id -u)" -eq 0 ] || { echo "run as root" >&2; exit 1; }\n'
LOOKING = ("wellfed ", "nvidia-smi --query", "nvidia-smi nvlink", "sudo wellfed")


def fix_script(findings: Iterable[Finding]) -> str:
    """Commands of every warning and failure, each fix once, under its reason; what a human must do is a comment."""
    faults = [each for each in findings if each.verdict in (Verdict.FAIL, Verdict.WARN)]
    if not faults:
        return HEAD + "\n# Nothing to fix.\n"
    seen: set[str] = set()
    blocks = [_block(finding, seen) for finding in faults]
    return HEAD + ROOT + "".join(block for block in blocks if block)


def _block(finding: Finding, seen: set[str]) -> str:
    new = [line for line in finding.fix if line not in seen]
    seen.update(new)
    if not new:
        return ""
    title = f"{finding.id}, {finding.subject}: {finding.why}"
    wanted = f" (is {finding.measured}, should be {finding.wanted})" if finding.measured and finding.wanted else ""
    return "\n" + comment(title + wanted) + "".join(_line(line) for line in new)


def _line(line: str) -> str:
    if line.startswith("#"):
        return comment("by hand: " + line.lstrip("# "))
    looks = line.startswith(LOOKING)
    return (comment("to look: " + line)) if looks else " ".join(line.splitlines()) + "\n"


def comment(text: str) -> str:
    """One comment line, whatever the text: names in a dump must not break out of it."""
    return "# " + " ".join("".join(char if char.isprintable() else " " for char in text).split()) + "\n"
