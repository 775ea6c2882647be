"""A Grafana dashboard of a fleet. Fields: grafana.com/docs/grafana, dashboard JSON model (schemaVersion 39)."""

from __future__ import annotations

import json
from typing import Any

from wellfed.fleet import prometheus_rules as recorded
from wellfed.frozen import dataclass

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_CHOSEN = 'instance=~"$instance"'
_WIDTH = 24  # columns of Grafana's grid


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its queries are (expression, legend)."""

    title: str
    kind: str
    queries: tuple[tuple[str, str], ...]
    width: int = 12
    height: int = 8
    unit: str = "short"
    text: str = ""


def _none_is_0(expr: str) -> str:
    return f"count({expr}) or vector(0)"


_REPLICA = "{{instance}} {{target}}"
PANELS: tuple[Panel, ...] = (
    Panel("Nodes that do not answer", "stat", ((_none_is_0(f'up{{job="{recorded.JOB}"}} == 0'), "silent"),), 6, 5),
    Panel("Replicas with a fault", "stat", ((_none_is_0(f"wellfed_watch_ill{{{_CHOSEN}}} == 1"), "ill"),), 6, 5),
    Panel("Slower than their like", "stat", ((_none_is_0(f"{recorded.OF_LIKE}{{{_CHOSEN}}} < 0.9"), "slow"),),
          6, 5),
    Panel("Tokens per second of all", "stat", ((f"sum(wellfed_watch_tokens_per_second{{{_CHOSEN}}})", "tok/s"),), 6, 5),
    Panel("Promise against reality, by replica", "timeseries", ((f"{recorded.OF_PROMISE}{{{_CHOSEN}}}", _REPLICA),),
          unit="percentunit", text="One running sequence over what the plan promises one user alone: falls with load."),
    Panel("Against replicas of the same model", "timeseries", ((f"{recorded.OF_LIKE}{{{_CHOSEN}}}", _REPLICA),),
          unit="percentunit", text="Below 90 % a replica is slow: see its causes and facts below."),
    Panel("Against the day before", "timeseries", ((f"{recorded.SLOWER}{{{_CHOSEN}}}", _REPLICA),), unit="percentunit",
          text="What a change of driver, BIOS or link did: compare with the list of changes."),
    Panel("What changed within a day", "table", ((f"{recorded.CHANGED}{{{_CHOSEN}}}", ""),),
          text="Facts that were not so a day ago."),
    Panel("Causes by replica", "state-timeline",
          ((f"max by (instance, target, id) (wellfed_watch_diagnosis{{{_CHOSEN}}} == 1)", "{{instance}}: {{id}}"),),
          24),
    Panel("Tokens per second of one running sequence", "timeseries",
          ((f"{recorded.NOW}{{{_CHOSEN}}}", _REPLICA),
           (f"wellfed_watch_planned_tokens_per_second{{{_CHOSEN}}}", _REPLICA + " promised"))),
    Panel("Requests", "timeseries",
          ((f"wellfed_watch_requests_running{{{_CHOSEN}}}", _REPLICA + " running"),
           (f"wellfed_watch_requests_waiting{{{_CHOSEN}}}", _REPLICA + " waiting"))),
    Panel("GPU clocks over their highest", "timeseries",
          ((f"min by (instance, target) (wellfed_watch_gpu_clock_share{{{_CHOSEN}}})", _REPLICA),), unit="percentunit"),
    Panel("GPU links in use", "timeseries",
          ((f"max by (instance, target) (wellfed_watch_gpu_link_share{{{_CHOSEN}}})", _REPLICA),), unit="percentunit"),
)  # fmt: skip


def dashboard() -> str:
    """The dashboard, to be imported or provisioned; it wants the rules of `fleet watch --export rules`."""
    board = {
        "title": "wellfed fleet",
        "uid": "wellfed-fleet",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "tags": ["llm", "wellfed"],
        "templating": {"list": [_source(), _instances()]},
        "panels": _placed(),
    }
    return json.dumps(board, indent=1) + "\n"


def _source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus"}


def _instances() -> dict[str, Any]:
    return {
        "name": "instance", "type": "query", "datasource": _SOURCE, "multi": True, "includeAll": True, "refresh": 2,
        "query": "label_values(wellfed_watch_ill, instance)",
    }  # fmt: skip


def _placed() -> list[dict[str, Any]]:
    """Panels from left to right, a new row where one does not fit."""
    panels, x, y, row = [], 0, 0, 0
    for number, panel in enumerate(PANELS, 1):
        if x + panel.width > _WIDTH:
            x, y, row = 0, y + row, 0
        place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
        panels.append(_panel(number, panel, place))
        x, row = x + panel.width, max(row, panel.height)
    return panels


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    is_list = panel.kind in ("table", "stat")
    targets = [
        {"refId": chr(65 + place), "expr": expr, "legendFormat": legend, "datasource": _SOURCE,
         **({"instant": True, "range": False} if is_list else {}),
         **({"format": "table"} if panel.kind == "table" else {})}
        for place, (expr, legend) in enumerate(panel.queries)
    ]  # fmt: skip
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        **({"description": panel.text} if panel.text else {}),
        "gridPos": place,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {},
        "targets": targets,
    }
