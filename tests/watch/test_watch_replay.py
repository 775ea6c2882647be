"""Recorded faults of a real engine, replayed; and the command line.

Made by benchmarks/watch_faults.py on a 2-core machine; those of NUMA and of control groups v2 in test_watch_guest.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from tests.watch.scenes import QUIET

from wellfed.errors import BadInput
from wellfed.verbs import watching
from wellfed.watching.diagnose import diagnose
from wellfed.watching.export import listen, prometheus_text
from wellfed.watching.registry import ALL
from wellfed.watching.trace import Recorder, read
from wellfed.watching.watcher import replay
from wellfed.watching.window import view

TRACES = sorted((Path(__file__).parent / "traces").glob("*.jsonl"))
NAMES = {
    **dict.fromkeys(("healthy", "busy-neighbour", "numa-local", "numa-even"), "cpu-bound"),
    **dict.fromkeys(("numa-cached", "numa-one-node"), "numa-remote"),
    "cpu-quota-v2": "cpu-quota",
    "paging-v2": "paging",
}
DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "grafana-watch.json"


def wanted(path: Path) -> str:
    """The diagnosis that the trace's name promises."""
    return NAMES.get(path.stem, path.stem)


def wellfed(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
    argv = [sys.executable, "-m", "wellfed", "watch", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env, timeout=120)


def test_there_are_traces() -> None:
    assert {path.stem for path in TRACES} >= {"healthy", "no-demand", "cpu-quota", "paging", "stopped", "slow-client"}


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_each_recorded_fault_is_called_by_its_name(path: Path) -> None:
    found = [each for _, each in replay(read(path).samples, window=16)]
    assert found[-1].id == wanted(path)
    assert not any(each.crashed for each in found)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_no_window_of_a_recording_names_a_fault_of_another_kind(path: Path) -> None:
    """Short windows may be unsure; a cause that is named first is the right one."""
    for _, found in replay(read(path).samples, window=16):
        if found.view.samples >= 6:
            assert found.id in (wanted(path), "unknown", "cpu-bound", "no-demand"), found.view.samples


def test_replay_speaks_json_and_exits_by_the_finding() -> None:
    quota = next(path for path in TRACES if path.stem == "cpu-quota")
    done = wellfed("--replay", str(quota), "--json")
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["schema"] == watching.SCHEMA
    assert answer["diagnosis"] == "cpu-quota"
    assert answer["findings"][0]["fix"]
    healthy = next(path for path in TRACES if path.stem == "healthy")
    assert wellfed("--replay", str(healthy), "--json").returncode == 0


def test_replay_reports_in_words_with_bars() -> None:
    done = wellfed("--replay", str(next(path for path in TRACES if path.stem == "paging")))
    assert done.returncode == 1
    assert "paging" in done.stdout
    assert "major faults/s" in done.stdout
    assert "fix:" in done.stdout
    assert "█" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--pid", "4194000"), "no process"),
        (("nobody",), "no engine named"),
        (("--for", "soon"), "is no time"),
        (("--replay", __file__), "not a trace"),
        (("--url", "ftp://x", "--once"), "no http address"),
    ],
)
def test_bad_use_is_told_with_exit_2(words: tuple[str, ...], says: str) -> None:
    done = wellfed(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_prices_are_the_plan_minus_what_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    source = read(next(path for path in TRACES if path.stem == "cpu-too-few"))
    from tests.watch.scenes import PROMISE

    with path.open("w") as file:
        recorder = Recorder(file, "t", PROMISE)
        for sample in source.samples:
            recorder.write(sample)
    _, promised, steps = watching.replayed(path, watching.WatchOptions(window=16))
    assert promised == PROMISE
    last = [found for _, found in steps][-1]
    cost = watching.priced_findings(last)[0].cost
    assert cost is not None
    rate = last.view.engine.user_tok_s if last.view.engine else None
    assert rate is not None
    lost = last.causes[0].sign.strength
    assert cost.decode_tok_s == pytest.approx(max(PROMISE.decode_tok_s - rate, rate * lost / (1 - lost)))


def test_the_exporter_serves_what_it_was_given() -> None:
    found = diagnose(view(QUIET.samples()))
    with listen(":0") as exporter:
        assert "127.0.0.1" in exporter.url
        exporter.update('odd "name"\n', found)
        text = urllib.request.urlopen(exporter.url, timeout=5).read().decode()
    assert 'id="cpu-bound",kind="healthy"} 1' in text
    assert 'target="odd \\"name\\"\\n"' in text
    for line in text.splitlines():
        assert line.startswith("# ") or re.fullmatch(r'\w+\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\} \S+', line), line
    with pytest.raises(BadInput):
        listen("nowhere").__enter__()


def test_the_dashboard_asks_for_what_is_served() -> None:
    served = set(re.findall(r"^# TYPE (\w+)", prometheus_text("x", diagnose(view(QUIET.samples()))), re.MULTILINE))
    board = json.loads(DASHBOARD.read_text())
    asked = {
        name for panel in board["panels"] for t in panel["targets"] for name in re.findall(r"wellfed_\w+", t["expr"])
    }
    gauges = {name for name in asked if "gpu" not in name}
    optional = {
        "wellfed_watch_planned_tokens_per_second",
        "wellfed_watch_kv_cache_usage",
        "wellfed_watch_throttled_periods",
    }
    assert gauges - optional <= served
    assert len(board["panels"]) >= 6


def test_the_page_lists_every_diagnosis() -> None:
    page = (DASHBOARD.parent / "watch.md").read_text()
    missing = [rule.id for rule in ALL if f"`{rule.id}`" not in page]
    assert not missing


def test_the_page_is_what_the_rules_say() -> None:
    script = DASHBOARD.parents[1] / "scripts" / "watch_page.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
