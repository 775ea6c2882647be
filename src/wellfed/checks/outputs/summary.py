"""How many of each verdict, and the exit code they make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from wellfed.nouns.finding import Finding, Verdict


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Verdict -> findings, all verdicts present."""
    by_verdict = Counter(finding.verdict for finding in findings)
    return {verdict.value: by_verdict[verdict] for verdict in Verdict}


def untold(findings: Iterable[Finding]) -> int:
    """Checks that could not be told of something, each once and not once per GPU."""
    return len({finding.id for finding in findings if finding.verdict is Verdict.UNKNOWN})


def exit_code(findings: Iterable[Finding]) -> int:
    """1 when anything failed or warned that counts, else 0. (2 is for errors of use or of the tool.)"""
    return int(any(finding.counts and finding.verdict in (Verdict.FAIL, Verdict.WARN) for finding in findings))
