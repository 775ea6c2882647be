"""`up`, calibration and the memory that was predicted, with the embedded engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launch.conftest import Wellfed
from samples import checkered
from wellfed.launch.logged import buffers
from wellfed.launch.process import free_port, start, stop, wait_ready
from wellfed.units import MIB
from wellfed.verbs import running

pytestmark = pytest.mark.engine


def test_up_asks_compares_and_stops(wellfed: Wellfed, tiny: Path) -> None:
    done = wellfed("up", str(tiny), "--context", "1024", "--port", str(wellfed.port), "--threads", "1", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    rows = {row["what"]: row for row in report["rows"]}
    assert report["output_tokens"] == 64 and report["url"] is None
    assert set(rows) == {"time to first token", "decode", "load", "resident memory"}
    # random weights may make half letters, which arrive in a burst: a rate that was not seen is not told
    assert all(row["measured"] > 0 for what, row in rows.items() if what != "decode" or row["measured"] is not None)
    assert rows["resident memory"]["error"] == pytest.approx(
        0, abs=0.15
    )  # mostly the program itself: the model is tiny
    assert wellfed.engines() == []


def test_up_may_keep_it_running(wellfed: Wellfed, tiny: Path) -> None:
    done = wellfed("up", str(tiny), "--context", "512", "--port", str(wellfed.port), "--threads", "1", "--keep")
    assert done.returncode == 0, done.stderr
    assert f"http://127.0.0.1:{wellfed.port}/v1" in done.stdout and "resident memory" in done.stdout
    assert wellfed.ask("/health")["status"] == "ok"


def test_calibration_is_used_by_the_next_prediction(wellfed: Wellfed, tiny: Path) -> None:
    words = ("bench", "calibrate", str(tiny), "--mib", "4", "--requests", "1", "--threads", "1", "--json")
    done = wellfed(*words)
    assert done.returncode == 0, done.stderr
    own = json.loads(done.stdout)["result"]
    if own["memory"]["read_bytes_per_s"] is None:
        pytest.skip("other programs kept this machine busy: its figures are doubted and not kept")
    assert own["memory"]["read_bytes_per_s"] > 0
    assert any(one["what"].startswith("decode") for one in own["observations"])
    planned = wellfed("plan", str(tiny), "--json").stdout
    assert "this-machine" in planned
    assert wellfed("bench", "compare").stdout.count("tiny") == len(own["observations"])


def test_broken_calibration_stops_no_engine_but_says_so(wellfed: Wellfed, tiny: Path) -> None:
    path = wellfed.folder / "data" / "wellfed" / "calibration.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"schema": 1, "half')
    done = wellfed("plan", str(tiny))
    assert done.returncode == 2
    assert "not a calibration" in done.stderr and "bench calibrate" in done.stderr


@pytest.mark.parametrize(
    ("content", "load"),
    checkered([("tiny", "q8_0"), ("tiny", "q4_k_m"), ("tiny-latent", "q8_0")], [(512, 1), (2048, 3)]),
)
def test_every_logged_buffer_is_the_predicted_one(
    tmp_path: Path, tiny: Path, content: tuple[str, str], load: tuple[int, int]
) -> None:
    from make_gguf import write

    (shape, recipe), (context, users) = content, load
    path = write(tmp_path / "model.gguf", shape, recipe)
    options = running.RunOptions(context=context, concurrency=users, port=free_port(), threads=1)
    prepared = running.prepare(str(path), options)
    spec = prepared.spec
    object.__setattr__(spec, "argv", (*spec.argv, "--verbose"))
    engine = start(spec, tmp_path / "log")
    try:
        wait_ready(engine, 60)
    finally:
        stop(engine.pid)
    logged = buffers((tmp_path / "log").read_text())
    ram = prepared.plan.estimate.memory.devices[-1]
    terms = {term.name: term.bytes for term in ram.terms}
    kinds = {"model": "weights", "KV": "kv", "compute": "compute", "output": "output"}
    repacked = logged.pop(("CPU_REPACK", "model"), 0.0)
    assert {kind for _, kind in logged} == set(kinds)
    for (_, kind), size in logged.items():
        assert terms[kinds[kind]] == pytest.approx(size, rel=0.01, abs=MIB)
    assert sum(term.cached_bytes for term in ram.terms) == pytest.approx(repacked, rel=0.01, abs=MIB)
