"""What starts the exporters, and what Prometheus and Grafana make of them: read by the tools themselves where they are.

promtool is looked for on PATH, or named by WELLFED_PROMTOOL.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from wellfed.cli.main import cli
from wellfed.fleet import prometheus_rules as rules
from wellfed.fleet.dashboard import PANELS
from wellfed.watching.export import _GAUGES, _GPU_GAUGES

RUN = CliRunner()
SERVED = {f"wellfed_watch_{name}" for name, *_ in (*_GAUGES, *_GPU_GAUGES)} | {
    "wellfed_watch_diagnosis", "wellfed_watch_ill", "wellfed_watch_fact",
}  # fmt: skip


def exported(form: str, *words: str) -> str:
    done = RUN.invoke(cli, ["fleet", "watch", "--export", form, *words])
    assert done.exit_code == 0, done.output
    return done.output


def body(text: str) -> Any:
    """The JSON below the remarks."""
    return json.loads("\n".join(line for line in text.splitlines() if not line.startswith("#")))


def tool(name: str) -> str:
    found = os.environ.get(f"WELLFED_{name.upper()}") or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


# prometheus.io/docs/prometheus/latest/configuration/recording_rules, alerting_rules: the fields of a rule file
_DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h|d|w|y)$"}
_LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
_RECORD = {
    "type": "object", "required": ["record", "expr"], "additionalProperties": False,
    "properties": {"record": {"pattern": r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"}, "expr": {"type": "string"}, "labels": _LABELS},
}  # fmt: skip
_ALERT = {
    "type": "object", "required": ["alert", "expr"], "additionalProperties": False,
    "properties": {"alert": {"type": "string"}, "expr": {"type": "string"}, "for": _DURATION, "labels": _LABELS,
                   "annotations": _LABELS},
}  # fmt: skip
RULE_FILE = {
    "type": "object", "required": ["groups"], "additionalProperties": False,
    "properties": {"groups": {"type": "array", "items": {
        "type": "object", "required": ["name", "rules"], "additionalProperties": False,
        "properties": {"name": {"type": "string"}, "interval": _DURATION,
                       "rules": {"type": "array", "minItems": 1, "items": {"oneOf": [_RECORD, _ALERT]}}},
    }}},
}  # fmt: skip


def test_the_rules_have_the_documented_form() -> None:
    document = body(exported("rules"))
    Draft202012Validator(RULE_FILE).validate(document)
    recorded = [rule["record"] for rule in document["groups"][0]["rules"]]
    assert len(set(recorded)) == len(recorded)


def test_rules_and_panels_ask_for_what_is_served() -> None:
    exprs = [rule["expr"] for group in body(exported("rules"))["groups"] for rule in group["rules"]]
    exprs += [expr for panel in PANELS for expr, _ in panel.queries]
    asked = {name for expr in exprs for name in re.findall(r"wellfed_watch_\w+", expr)}
    assert asked <= SERVED, asked - SERVED
    recorded = {rule["record"] for rule in body(exported("rules"))["groups"][0]["rules"]}
    used = {name for expr in exprs for name in re.findall(r"\w+:\w+:\w+", expr)}
    assert used <= recorded


def test_rules_are_read_by_promtool(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(exported("rules"))
    done = subprocess.run([tool("promtool"), "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_mean_what_they_say(tmp_path: Path) -> None:
    """Three replicas of a model, of which one falls from 50 to 40 tokens/s, and whose link has changed."""
    promtool = tool("promtool")
    (tmp_path / "rules.yml").write_text(exported("rules"))

    def label(node: int, more: str = "") -> str:
        return f'{{job="{rules.JOB}",instance="n{node}",target="t"{more}}}'

    hours = 30 * 60
    series = []
    for node in range(3):
        speed = "50x1800" if node else "50x1620 40x180"
        series += [
            {"series": f"wellfed_watch_user_tokens_per_second{label(node)}", "values": speed},
            {"series": f"wellfed_watch_planned_tokens_per_second{label(node)}", "values": "50x1800"},
            {"series": f"wellfed_watch_ill{label(node)}", "values": "0x1800"},
            {"series": f"wellfed_watch_requests_running{label(node)}", "values": "4x1800"},
            {"series": f"up{label(node)}", "values": "1x1800"},
            {
                "series": "wellfed_watch_fact" + label(node, ',subject="engine",name="model",value="m"'),
                "values": "1x1800",
            },
        ]
    link = ',subject="gpu0",name="link",value="Gen4 x%d"'
    series += [
        {"series": "wellfed_watch_fact" + label(0, link % 16), "values": "1x1620 _x180"},
        {"series": "wellfed_watch_fact" + label(0, link % 8), "values": "_x1620 1x180"},
    ]
    wanted = [
        (rules.SLOWER + '{instance="n0"}', "0.8"), (rules.OF_PROMISE + '{instance="n0"}', "0.8"),
        (rules.OF_LIKE + '{instance="n0"}', "0.8"), (rules.OF_LIKE + '{instance="n1"}', "1"),
        (f"count({rules.CHANGED})", "1"),
    ]  # fmt: skip
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": series,
            "promql_expr_test": [
                {"expr": f"round(sum({expr}), 0.01)", "eval_time": f"{hours - 1}m",
                 "exp_samples": [{"labels": "{}", "value": float(value)}]} for expr, value in wanted
            ],
            "alert_rule_test": [{
                "eval_time": f"{hours - 1}m", "alertname": "WellfedReplicaSlow",
                "exp_alerts": [{"exp_labels": {"severity": "warning", "instance": "n0", "job": rules.JOB, "model": "m",
                                               "target": "t"},
                                "exp_annotations": {"summary": "n0 does 80% of what replicas of m do"}}],
            }],
        }],
    }  # fmt: skip
    (tmp_path / "test.yml").write_text(json.dumps(test))
    done = subprocess.run(
        [promtool, "test", "rules", str(tmp_path / "test.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# grafana.com/docs/grafana/latest/dashboards: dashboard JSON model; panels of the kinds used here
_PANEL = {
    "type": "object",
    "required": ["id", "type", "title", "gridPos", "datasource", "fieldConfig", "targets"],
    "properties": {
        "type": {"enum": ["stat", "table", "timeseries", "state-timeline"]},
        "gridPos": {"type": "object", "required": ["x", "y", "w", "h"],
                    "properties": {"x": {"minimum": 0, "maximum": 23}, "w": {"minimum": 1, "maximum": 24}}},
        "targets": {"type": "array", "minItems": 1, "items": {
            "required": ["refId", "expr", "datasource"], "properties": {"refId": {"pattern": "^[A-Z]$"}}}},
        "fieldConfig": {"required": ["defaults", "overrides"]},
    },
}  # fmt: skip
BOARD = {
    "type": "object",
    "required": ["title", "uid", "schemaVersion", "time", "templating", "panels"],
    "properties": {"uid": {"maxLength": 40}, "schemaVersion": {"type": "integer"},
                   "panels": {"type": "array", "items": _PANEL}},
}  # fmt: skip


def test_the_dashboard_has_the_documented_form_and_nothing_overlaps() -> None:
    board = json.loads(exported("dashboard"))
    Draft202012Validator(BOARD).validate(board)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_query_of_the_dashboard_parses(tmp_path: Path) -> None:
    exprs = [expr.replace("$instance", ".*") for panel in PANELS for expr, _ in panel.queries]
    group = {"name": "x", "rules": [{"record": f"x:{number}", "expr": expr} for number, expr in enumerate(exprs)]}
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [group]}))
    done = subprocess.run([tool("promtool"), "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_daemonset_is_what_kubernetes_takes() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    document = body(exported("daemonset", "--image", "registry.example/wellfed:1"))
    validate.validate(document, "1.34", strict=True)
    spec = document["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "registry.example/wellfed:1"
    assert "privileged" not in container["securityContext"]
    assert "hostPath" not in json.dumps(spec)
    assert container["ports"] == [{"name": "metrics", "containerPort": 9907}]
    subprocess.run([tool("sh"), "-n", "-c", container["command"][2]], check=True)


@pytest.mark.parametrize("words", [(), ("--allow", "10.0.0.0/8", "--allow", "fd00::1"), ("--port", "9999")])
def test_the_unit_is_what_systemd_takes(tmp_path: Path, words: tuple[str, ...]) -> None:
    analyze = tool("systemd-analyze")
    unit = tmp_path / "wellfed-watch.service"
    unit.write_text(exported("systemd", *words))
    done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert "wellfed-watch" not in done.stderr and done.returncode == 0, done.stderr


def test_without_a_word_only_this_machine_may_ask() -> None:
    text = exported("systemd")
    assert "IPAddressDeny=any" in text
    assert [line for line in text.splitlines() if line.startswith("IPAddressAllow")] == ["IPAddressAllow=localhost"]
    assert "IPAddressAllow=10.2.0.0/16" in exported("systemd", "--allow", "10.2.3.4/16")


@pytest.mark.parametrize(
    "words",
    [("systemd", "--allow", "everybody"), ("rules", "--allow", "10.0.0.0/8"), ("systemd", "--image", "x"), ("x",)],
)
def test_bad_use_is_told(words: tuple[str, ...]) -> None:
    done = RUN.invoke(cli, ["fleet", "watch", "--export", *words])
    assert getattr(done.exception, "exit_code", done.exit_code) == 2
