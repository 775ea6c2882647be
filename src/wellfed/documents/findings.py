"""What a check found, as JSON: the document of `wellfed check --json`."""

from __future__ import annotations

from typing import Any

from wellfed.checks.outputs.to_json import findings_json
from wellfed.nouns.plan import Plan
from wellfed.planner.kinds import describe
from wellfed.topology.to_json import counts
from wellfed.verbs.checking import Checked, header


def check_document(checked: Checked) -> dict[str, Any]:
    """The JSON document of `wellfed check --json`."""
    machine = checked.machine
    summary = {
        "name": machine.name,
        "origin": machine.origin.value,
        "counts": counts(machine),
        "memory_bytes": machine.memory_bytes,
        "unknown": dict(sorted(machine.unknown.items())),
        "kinds_read": list(machine.kinds_read),
        "setting": [line.to_dict() for line in header(machine)],
    }
    document = findings_json(summary, checked.findings, checked.together)
    document["plan"] = _plan_summary(checked.plan)
    document["no_price"] = checked.no_price.to_dict() if checked.no_price else None
    return document


def _plan_summary(plan: Plan | None) -> dict[str, Any] | None:
    if plan is None:
        return None
    return {
        "model": plan.model.id,
        "engine": plan.layout.engine.value,
        "quantisation": plan.layout.quantisation,
        "layout": describe(plan.layout),
        "decode_tok_s": plan.estimate.decode_tok_s.value,
        "prefill_tok_s": plan.estimate.prefill_tok_s.value,
        "ttft_s": plan.estimate.ttft_s.value,
        "load_s": plan.estimate.load_s,
        "limited_by": plan.estimate.limited_by,
    }
