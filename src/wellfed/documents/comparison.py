"""The same model on several machines, as JSON: the document of `wellfed compare --json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wellfed.documents.answers import plan_json
from wellfed.documents.market import sensitivity_json
from wellfed.planner.compare import Compared

SCHEMA = "wellfed.compare/1"


def compare_json(rows: Sequence[Compared]) -> dict[str, Any]:
    """Each machine with its best plan, and what it may cost against the first to be worth as much."""
    entries = [{**_machine(row), "break_even_price_ratio": row.worth(rows[0])} for row in rows]
    return {"schema": SCHEMA, "machines": entries}


def _machine(row: Compared) -> dict[str, Any]:
    return {
        "asked": row.name,
        "machine": row.machine.name,
        "fits": row.plan is not None,
        "why": row.why,
        "power_w": row.power.total_w,
        "supply_w": row.power.supply_w,
        "tokens_per_joule": row.tokens_per_joule,
        "weakest": row.weakest.part if row.weakest else None,
        "sensitivities": [sensitivity_json(sensitivity) for sensitivity in row.sensitivities],
        "plan": plan_json(row.plan) if row.plan else None,
    }
