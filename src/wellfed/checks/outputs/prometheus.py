"""Findings as a Prometheus textfile, for node_exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wellfed.checks.outputs.summary import counts
from wellfed.nouns.finding import Cost, Finding, Verdict

_COSTS: tuple[tuple[str, str, Callable[[Cost], float]], ...] = (
    ("decode_tokens_per_second", "Decode tokens per second that the fault takes away.", lambda c: c.decode_tok_s),
    ("prefill_tokens_per_second", "Prefill tokens per second that the fault takes away.", lambda c: c.prefill_tok_s),
    ("ttft_seconds", "Seconds that the fault adds to the time to first token.", lambda c: c.ttft_s),
    ("load_seconds", "Seconds that the fault adds to loading the model.", lambda c: c.load_s),
)


def prometheus_text(findings: Iterable[Finding]) -> str:
    """`wellfed_check` is 1 for the verdict that holds; costs are gauges of their own, where priced."""
    all_findings = tuple(findings)
    lines = [
        "# HELP wellfed_check Verdict on a subject of a check (1 = this one holds).",
        "# TYPE wellfed_check gauge",
        *(
            f'wellfed_check{{{_labels(finding)},verdict="{finding.verdict.value}"}} 1'
            for finding in _unique(all_findings)
        ),
        "# HELP wellfed_checks Number of findings by verdict.",
        "# TYPE wellfed_checks gauge",
        *(f'wellfed_checks{{verdict="{verdict}"}} {count}' for verdict, count in counts(all_findings).items()),
    ]
    for name, help_text, amount in _COSTS:
        lines += _cost_lines(all_findings, name, help_text, amount)
    return "\n".join(lines) + "\n"


def _cost_lines(findings: tuple[Finding, ...], name: str, help_text: str, amount: Callable[[Cost], float]) -> list[str]:
    costs: dict[str, Cost] = {finding.id: finding.cost for finding in findings if finding.cost is not None}
    if not costs:
        return []
    metric = f"wellfed_check_cost_{name}"
    values = [f'{metric}{{check="{_escape(id)}"}} {amount(cost):g}' for id, cost in sorted(costs.items())]
    return [f"# HELP {metric} {help_text}", f"# TYPE {metric} gauge", *values]


def _unique(findings: tuple[Finding, ...]) -> list[Finding]:
    """The worst finding of each check and subject: a series must not appear twice."""
    order = (Verdict.FAIL, Verdict.WARN, Verdict.UNKNOWN, Verdict.PASS, Verdict.SKIP)
    worst: dict[tuple[str, str], Finding] = {}
    for candidate in sorted(findings, key=lambda finding: order.index(finding.verdict)):
        worst.setdefault((candidate.id, candidate.subject), candidate)
    return [candidate for candidate in findings if worst.get((candidate.id, candidate.subject)) is candidate]


def _labels(finding: Finding) -> str:
    return f'check="{_escape(finding.id)}",subject="{_escape(finding.subject)}"'


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
