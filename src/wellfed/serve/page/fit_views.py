"""The page of what a machine serves well, made by a worker; how far it is, is told on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from wellfed.messages.words import words
from wellfed.planner.fit import Fit, Fitting
from wellfed.serve.page import charts
from wellfed.serve.page.labels import label
from wellfed.serve.page.render import html
from wellfed.serve.page.state import Query, first, whole_number
from wellfed.serve.page.views import _parts, machine_of, problem
from wellfed.serve.worker import Answer

USES = ("chat", "code", "agent", "rag", "long")
_SHOWN = 20


def fit(params: dict[str, Any], files: list[Path]) -> Answer:
    """The form, and the models. `part`: the models alone."""
    query: Query = params["query"]
    shown: dict[str, Any] = {
        "query": query, "page": "fit", "pages": params["pages"], "first": first, "error": None, "found": None, "uses": USES,
        "parts_names": _parts(), "local": params["local"],
    }  # fmt: skip
    template = "fitting.html" if params["part"] else "fit.html"
    if not (params["part"] or files or any(first(query, name) for name in ("on", "use", "dump", "users"))):
        return html(template, **shown)
    try:
        shown["found"] = _fits_found(query, files, params["local"])
    except Exception as error:  # noqa: BLE001 - what people cannot cause is raised again
        status, shown["error"] = problem(error)
        return html(template, status, **shown)
    return html(template, **shown)


def _fits_found(query: Query, files: list[Path], local: bool) -> dict[str, Any]:
    from wellfed.cli.fit import quality_line
    from wellfed.documents.machine_line import machine_line
    from wellfed.verbs import fitting

    machine = machine_of(query, files, local)
    users = whole_number(query, "users", 1, 100_000) or 1
    answer = fitting.fit(machine, first(query, "use") or "chat", _SHOWN, first(query, "all") is not None, users)
    return {
        "machine": words(machine_line(machine)), "rows": _rows(answer, query), "order": quality_line(answer),
        "looked": answer.looked_at, "known": answer.catalogued,
    }  # fmt: skip


def _rows(answer: Fit, query: Query) -> list[dict[str, Any]]:
    most = max((row.plan.estimate.decode_tok_s.high for row in answer.rows), default=1.0) * 1.05
    return [_row(row, query, most) for row in answer.rows]


def _row(row: Fitting, query: Query, most: float) -> dict[str, Any]:
    rate = row.plan.estimate.decode_tok_s
    machine_fields = [(name, first(query, name)) for name in ("on", "dump")]
    users = first(query, "users")
    link = [("model", row.model_id), *machine_fields, ("concurrency", users)]
    return {
        "name": row.plan.model.name, "link": urlencode([(name, value) for name, value in link if value]),
        "score": row.score, "plan": row.plan, "quick": row.quick, "context": row.max_context,
        "picture": charts.interval(rate, most, label("speed")),
    }  # fmt: skip
