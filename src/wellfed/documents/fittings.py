"""Which models a machine serves well, as JSON: the document of `wellfed fit --json`."""

from __future__ import annotations

from typing import Any

from wellfed.documents.answers import plan_json
from wellfed.planner.fit import Fit, Fitting

SCHEMA = "wellfed.fit/1"


def fit_json(answer: Fit) -> dict[str, Any]:
    """The document of `wellfed fit --json`."""
    return {
        "schema": SCHEMA,
        "use": answer.use.name,
        "looked_at": answer.looked_at,
        "known": answer.catalogued,
        "models": [_row_json(row, plan_json(row.plan)) for row in answer.rows],
    }


def _row_json(row: Fitting, plan: dict[str, Any]) -> dict[str, Any]:
    quality = row.quality
    return {
        "id": row.model_id,
        "name": row.plan.model.name,
        "quality": None
        if quality is None
        else {"value": quality.value, "benchmark": quality.benchmark, "source": quality.source, "date": quality.date},
        "score": row.score,
        "quick": row.quick,
        "decode_tok_s": plan["decode_tok_s"],
        "ttft_s": plan["ttft_s"],
        "max_context": row.max_context,
        "plan": plan,
    }
