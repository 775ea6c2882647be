"""The pages beside the first, made by a worker: several machines, one machine's wiring, claims."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from wellfed.message import Amount, Message, listed, message
from wellfed.messages.terms import term_words, value_words
from wellfed.messages.words import words
from wellfed.nouns.finding import Finding, Verdict
from wellfed.nouns.workload import PRESETS
from wellfed.serve.page import charts
from wellfed.serve.page.labels import label
from wellfed.serve.page.render import html
from wellfed.serve.page.state import Query, first, plan_options
from wellfed.serve.page.views import _names, _parts, machine_of, problem
from wellfed.serve.worker import Answer

MOST_MACHINES = 6


def compare(params: dict[str, Any], files: list[Path]) -> Answer:
    """The same model on up to six machines."""
    query: Query = params["query"]
    shown: dict[str, Any] = {
        "query": query, "page": "compare", "pages": params["pages"], "machines": query.get("machines", [])[:MOST_MACHINES], "rows": [],
        "error": None, "first": first, "names": _names(), "parts_names": _parts(), "most": MOST_MACHINES,
    }  # fmt: skip
    if not (first(query, "model") and shown["machines"]):
        return html("compare.html", **shown)
    try:
        shown["rows"] = _compared(query, shown["machines"])
    except Exception as error:  # noqa: BLE001 - what people cannot cause is raised again
        status, shown["error"] = problem(error)
        return html("compare.html", status, **shown)
    return html("compare.html", **shown)


def _compared(query: Query, machines: list[str]) -> list[dict[str, Any]]:
    from wellfed.documents.machine_line import machine_line
    from wellfed.planner.kinds import describe
    from wellfed.verbs import comparing

    compared = comparing.compare(machines, first(query, "model") or "", plan_options({**query, "on": []}))
    plans = [row.plan for row in compared if row.plan is not None]
    most = max((plan.estimate.decode_tok_s.high for plan in plans), default=1.0) * 1.05
    all_most = max((plan.estimate.total_tok_s.high for plan in plans), default=1.0) * 1.05
    rows = []
    for row in compared:
        plan = row.plan
        rows.append({
            "asked": row.name, "line": words(machine_line(row.machine)), "plan": plan, "why": row.why, "watts": row.power.total_w,
            "joule": row.tokens_per_joule, "weakest": row.weakest, "weakest_part": term_words(row.weakest.part) if row.weakest else "",
            "layout": words(describe(plan.layout)) if plan else "",
            "each": charts.interval(plan.estimate.decode_tok_s, most, label("speed")) if plan else None,
            "total": charts.interval(plan.estimate.total_tok_s, all_most, label("total")) if plan else None,
            "link": urlencode([("model", first(query, "model") or ""), ("on", row.name)]),
        })  # fmt: skip
    return rows


def machine(params: dict[str, Any], files: list[Path]) -> Answer:
    """A machine's drawing with its faults in place."""
    from wellfed.serve.page.drawing import draw

    query: Query = params["query"]
    shown: dict[str, Any] = {
        "query": query, "page": "machine", "pages": params["pages"], "first": first, "error": None, "drawing": None, "local": params["local"],
        "parts_names": _parts(), "names": _names(), "zoom": first(query, "zoom") or "fit",
    }  # fmt: skip
    if not (params["local"] or first(query, "on") or files or first(query, "dump")):
        return html("machine.html", **shown)
    try:
        here = machine_of(query, files, params["local"])
        shown |= _checked(query, here)
    except Exception as error:  # noqa: BLE001 - what people cannot cause is raised again
        status, shown["error"] = problem(error)
        return html("machine.html", status, **shown)
    faults = shown["faults"]
    shown["drawing"] = draw(here, [(n, finding) for n, fault in enumerate(faults, 1) for finding in fault["findings"]])
    return html("machine.html", **shown)


def _checked(query: Query, here: Any) -> dict[str, Any]:
    from wellfed.documents.machine_line import machine_line
    from wellfed.verbs import checking

    model = first(query, "model")
    workload = (
        replace(PRESETS["chat"], concurrency=int(first(query, "users") or 1))
        if (first(query, "users") or "1").isdecimal()
        else PRESETS["chat"]
    )
    checked = checking.check(here, model, workload)
    bad = [finding for finding in checked.findings if finding.verdict in (Verdict.FAIL, Verdict.WARN)]
    bad.sort(
        key=lambda finding: (-(finding.cost.decode_tok_s if finding.cost else 0.0), finding.verdict is not Verdict.FAIL)
    )
    now = checked.plan.estimate.decode_tok_s.value if checked.plan else None
    unknown = list(dict.fromkeys(finding.id for finding in checked.findings if finding.verdict is Verdict.UNKNOWN))
    together = checked.together.decode_tok_s if checked.together and checked.together.decode_tok_s > 0 else None
    return {
        "line": words(machine_line(here)), "header": [words(line) for line in checking.header(here)],
        "faults": [_fault(alike, now, model) for alike in _alike(bad)], "unknown": unknown,
        "passed": sum(finding.verdict is Verdict.PASS for finding in checked.findings),
        "together": together, "no_price": words(checked.no_price) if checked.no_price else None, "now": now,
    }  # fmt: skip


def _alike(findings: list[Finding]) -> list[list[Finding]]:
    """Findings that say the same of several parts, together: sixteen cards in narrow slots are one fault."""
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        cost = finding.cost and (finding.cost.decode_tok_s, finding.cost.ttft_s, finding.cost.load_s)
        groups.setdefault(
            (finding.id, finding.verdict, finding.why, finding.measured, finding.wanted, cost), []
        ).append(finding)
    return list(groups.values())


def _fault(alike: list[Finding], now: float | None, model: str | None) -> dict[str, Any]:
    finding = alike[0]
    fixes = [
        [words(remedy.message or remedy.text) for remedy in member.remedies] or list(member.fix) for member in alike
    ]
    return {
        "finding": finding, "findings": alike, "subject": _subjects([member.subject for member in alike]),
        "why": words(finding.message or finding.why), "price": _price(finding, now, model),
        "remedies": list(dict.fromkeys(fix for member in fixes for fix in member)),
        "measured": value_words(finding.measured or ""), "wanted": value_words(finding.wanted or ""),
        "places": list(dict.fromkeys(place for member in alike for place in member.places)),
    }  # fmt: skip


def _subjects(names: list[str]) -> str:
    """gpu0, gpu1; of more than four the first and the last, with how many they are."""
    if len(names) <= 4:
        return words(listed(names))
    return f"{names[0]} … {names[-1]} ({len(names)})"


def _price(finding: Finding, now: float | None, model: str | None) -> str | None:
    cost = finding.cost
    if model is None or cost is None:
        return None
    if cost.decode_tok_s > 0 and now:
        return label("costs", rate=Amount(cost.decode_tok_s, "tok/s"), now=Amount(now, "tok/s"))
    for amount in ((cost.ttft_s, "first"), (cost.load_s, "load")):
        if amount[0] > 0.01:
            cost_text: Message = (
                message("page.cost-first", "{seconds} until the first token", seconds=Amount(amount[0], "s"))
                if amount[1] == "first"
                else message("page.cost-load", "{seconds} of loading", seconds=Amount(amount[0], "s"))
            )
            return label("costs-other", what=cost_text)
    return words(cost.message) if cost.message else (cost.note or label("costs-nothing"))


def claims(params: dict[str, Any], files: list[Path]) -> Answer:
    """The buying guide's claims with their figures."""
    return html("claims.html", page="claims", pages=params["pages"], query=params["query"], tiers=_tiers())


@cache
def _tiers() -> dict[str, list[dict[str, Any]]]:
    """Computed once a worker: nothing in them depends on a request."""
    from wellfed.planner.claims import judged

    tiers: dict[str, list[dict[str, Any]]] = {}
    for claim, result in judged():
        row = {"claim": claim, "held": result, "link": _LINKS.get(claim.id)}
        tiers.setdefault(claim.tier, []).append(row)
    return tiers


def _asks(model: str, on: str, quant: str | None = None) -> str:
    return "/?" + urlencode([("model", model), ("on", on), *([("quant", quant)] if quant else [])])


_SEVEN, _THIRTY_TWO, _SEVENTY = "deepseek-r1-distill-qwen-7b", "deepseek-r1-distill-qwen-32b", "r1:70b"
_LINKS = {
    "4090-fp16-7b": _asks(_SEVEN, "build:entry-7b", "F16"),
    "3060-q4-7b": _asks(_SEVEN, "build:entry-7b-3060", "Q4_K_M"),
    "4080-q4-7b": _asks(_SEVEN, "build:entry-7b-4080", "Q4_K_M"),
    "ddr-limits-vram": _asks(_SEVEN, "build:entry-7b", "Q4_K_M") + "#whatif",
    "5ghz": _asks(_SEVEN, "build:entry-7b", "Q4_K_M") + "#whatif",
    "2xa100-32b": _asks(_THIRTY_TWO, "build:middle-32b-40gb", "BF16"),
    "6000ada-32b-fp16": _asks(_THIRTY_TWO, "build:middle-32b-6000ada", "BF16"),
    "4xa100-70b": _asks(_SEVENTY, "build:large-70b", "BF16"),
    "4xh100-70b": _asks(_SEVENTY, "build:large-70b-h100", "BF16"),
    "7950x-feeds": _asks(_SEVEN, "build:entry-7b", "Q4_K_M"), "13700k-feeds": _asks(_SEVEN, "build:entry-7b", "Q4_K_M"),
    "7543-feeds": _asks(_THIRTY_TWO, "build:middle-32b-40gb", "BF16"),
    "8380-feeds": _asks(_THIRTY_TWO, "build:middle-32b-40gb", "BF16"),
    "8480-feeds": _asks(_SEVENTY, "build:large-70b-h100", "BF16"),
    "9654-feeds": _asks(_SEVENTY, "build:large-70b-h100", "BF16"),
    "no-pooling": _asks(_SEVENTY, "build:4090x4", "INT4"),
    "own-gpus": "/machine?on=build%3Alarge-70b",
    "quad-channel": "/machine?on=ryzen+9+7950x%2C+4x32GB+ddr5-5600",
    "7950x-cores": "/machine?on=ryzen+9+7950x%2C+2x32GB+ddr5-5600",
    "13700k-cores": "/machine?on=core+i7-13700k%2C+2x32GB+ddr5-5600",
    "7950x-5600": "/machine?on=ryzen+9+7950x%2C+2x32GB+ddr5-5600",
    "7b-51.2": "/machine?on=ryzen+9+7950x%2C+2x32GB+ddr5-4800",
    "pcie5-cards": "/machine?on=rtx+4090%2C+ryzen+9+7950x%2C+64gb",
    "geforce-nvlink": "/machine?on=2x+rtx+4090%2C+ryzen+9+7950x%2C+64gb",
    "7543-pcie5": "/machine?on=epyc+7543%2C+256gb", "7543-cores": "/machine?on=epyc+7543%2C+256gb",
    "7543-ddr5": "/machine?on=epyc+7543%2C+256gb", "8380-pcie5": "/machine?on=xeon+platinum+8380%2C+256gb",
    "8380-cores": "/machine?on=xeon+platinum+8380%2C+256gb", "8380-ddr5": "/machine?on=xeon+platinum+8380%2C+256gb",
    "a100-nvlink-600": "/machine?on=2x+a100+pcie+80gb+nvlink%2C+epyc+7543%2C+256gb",
    "h100-pcie-sxm": "/compare?" + urlencode([("model", "r1:32b"), ("machines", "h100 pcie, xeon platinum 8480+, 512gb"), ("machines", "h100 sxm, xeon platinum 8480+, 512gb")]),
    "a100-40-2tb": "/compare?" + urlencode([("model", "r1:32b"), ("machines", "a100 pcie 40gb, epyc 7543, 256gb"), ("machines", "a100 pcie 80gb, epyc 7543, 256gb")]),
    "8480-cores": "/machine?on=2x+xeon+platinum+8480%2B%2C+1tb", "9654-cores": "/machine?on=2x+epyc+9654%2C+1tb",
    "32b-102.4": "/machine?on=build%3Amiddle-32b",
}  # fmt: skip
