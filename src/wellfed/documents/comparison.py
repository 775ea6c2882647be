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


def _machine(one: Compared) -> dict[str, Any]:
    return {
        "asked": one.asked,
        "machine": one.machine.name,
        "fits": one.plan is not None,
        "why": one.why,
        "power_w": one.power.total_w,
        "supply_w": one.power.supply_w,
        "tokens_per_joule": one.tokens_per_joule,
        "weakest": one.weakest.part if one.weakest else None,
        "sensitivities": [sensitivity_json(each) for each in one.sensitivities],
        "plan": plan_json(one.plan) if one.plan else None,
    }
