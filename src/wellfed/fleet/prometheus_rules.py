"""Recording and alerting rules over the exporters of a fleet: promise against reality, drift, the slow replica and why.

Form: prometheus.io/docs/prometheus/latest/configuration/recording_rules and alerting_rules; names are
`level:metric:operation` (prometheus.io/docs/practices/rules). JSON is YAML, so that no writer of YAML is needed.
"""

from __future__ import annotations

import json
from typing import Any

JOB = "wellfed-watch"
_USER = "wellfed_watch_user_tokens_per_second"
_BY = "job, instance, target"
NOW, DAY = "replica:wellfed_user_tok_s:median10m", "replica:wellfed_user_tok_s:median1d"
SLOWER, OF_PROMISE, OF_LIKE = (
    "replica:wellfed_of_yesterday:ratio", "replica:wellfed_of_promise:ratio", "replica:wellfed_of_like:ratio"
)  # fmt: skip
MODEL, LIKE, CHANGED = "replica:wellfed_model:info", "model:wellfed_user_tok_s:median", "replica:wellfed_fact:changed1d"
_FACT = 'wellfed_watch_fact{subject="engine",name="model"}'
_RECORDS: tuple[tuple[str, str], ...] = (
    (NOW, f"quantile_over_time(0.5, {_USER}[10m])"),
    (DAY, f"quantile_over_time(0.5, {_USER}[1d])"),
    (SLOWER, f"{NOW} / (({DAY} offset 1d) > 0)"),
    (OF_PROMISE, f"{NOW} / on ({_BY}) (wellfed_watch_planned_tokens_per_second > 0)"),
    (MODEL, f'label_replace(max by ({_BY}, value) ({_FACT}), "model", "$1", "value", "(.*)")'),
    (LIKE, f"quantile by (model) (0.5, {NOW} * on ({_BY}) group_left (model) {MODEL})"),
    (OF_LIKE, f"({NOW} * on ({_BY}) group_left (model) {MODEL}) / on (model) group_left () ({LIKE} > 0)"),
    (CHANGED, f"(wellfed_watch_fact unless wellfed_watch_fact offset 1d) and on ({_BY}) (wellfed_watch_ill offset 1d)"),
)
_ALERTS: tuple[tuple[str, str, str, str], ...] = (
    ("WellfedSilent", f'up{{job="{JOB}"}} == 0', "5m", "the exporter of {{ $labels.instance }} does not answer"),
    ("WellfedFault", "wellfed_watch_ill == 1", "5m", "a fault is named on {{ $labels.instance }}"),
    ("WellfedReplicaSlow", f"{OF_LIKE} < 0.9", "15m",
     "{{ $labels.instance }} does {{ $value | humanizePercentage }} of what replicas of {{ $labels.model }} do"),
    ("WellfedReplicaSlower", f"{SLOWER} < 0.9 and on ({_BY}) avg_over_time(wellfed_watch_requests_running[10m]) > 0",
     "30m", "{{ $labels.instance }} does {{ $value | humanizePercentage }} of what it did yesterday"),
    ("WellfedFactChanged", CHANGED, "0m",
     "{{ $labels.instance }}: {{ $labels.subject }} {{ $labels.name }} is {{ $labels.value }} since less than a day"),
)  # fmt: skip


def rules() -> str:
    """A rule file for Prometheus, with how its scrape job is called."""
    recorded = [{"record": name, "expr": expr} for name, expr in _RECORDS]
    alerts = [
        {
            "alert": name,
            "expr": expr,
            "for": duration,
            "labels": {"severity": "info" if name == "WellfedFactChanged" else "warning"},
            "annotations": {"summary": summary},
        }
        for name, expr, duration, summary in _ALERTS
    ]
    groups: list[dict[str, Any]] = [
        {"name": "wellfed-fleet", "interval": "1m", "rules": recorded},
        {"name": "wellfed-fleet-alerts", "interval": "1m", "rules": alerts},
    ]
    head = f"# Of exporters that `wellfed watch --export` serves, scraped as job {JOB} every 15s.\n"
    return head + json.dumps({"groups": groups}, indent=1) + "\n"
