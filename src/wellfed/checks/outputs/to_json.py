"""Findings as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wellfed.checks.outputs.summary import counts, untold
from wellfed.faults.fault import Fault
from wellfed.faults.registry import of_behaviour, of_state
from wellfed.nouns.finding import Cost, Finding

SCHEMA = 1


def findings_json(machine: Mapping[str, Any], findings: Iterable[Finding], together: Cost | None) -> dict[str, Any]:
    """The document of `wellfed check --json`; `machine` describes what was checked."""
    all_findings = tuple(findings)
    return {
        "schema": SCHEMA,
        "machine": dict(machine),
        "findings": [finding_json(finding) for finding in all_findings],
        "counts": counts(all_findings),
        "untold_checks": untold(all_findings),
        "cost": cost_json(together),
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """One finding; values in the units of their names, unknown ones null."""
    return {
        "id": finding.id,
        "verdict": finding.verdict.value,
        "subject": finding.subject,
        "measured": finding.measured,
        "wanted": finding.wanted,
        "cost": cost_json(finding.cost),
        "why": finding.why,
        "fix": list(finding.fix),
        "refs": list(finding.refs),
        "code": finding.code,
        "counts": finding.counts,
        "message": finding.message.to_dict() if finding.message else None,
        "remedies": [
            {
                "text": remedy.text,
                "safety": remedy.safety.value,
                "message": remedy.message.to_dict() if remedy.message else None,
            }
            for remedy in finding.remedies
        ],
        "places": list(finding.places),
        "faults": [fault.id for fault in _faults(finding.id)],
    }


def _faults(id: str) -> tuple[Fault, ...]:
    """The faults that a check or a diagnosis is evidence of."""
    return tuple(dict.fromkeys((*of_state(id), *of_behaviour(id))))


def cost_json(cost: Cost | None) -> dict[str, Any] | None:
    """Tokens/s and seconds that the fault takes away."""
    if cost is None:
        return None
    return {
        "decode_tok_s": cost.decode_tok_s,
        "prefill_tok_s": cost.prefill_tok_s,
        "ttft_s": cost.ttft_s,
        "load_s": cost.load_s,
        "note": cost.note,
    }
