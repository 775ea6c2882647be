"""`wellfed bench` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from bench.stranger import Stranger
from wellfed.bench import store
from wellfed.cli.bench import command
from wellfed.errors import WellfedError
from wellfed.nouns.calibration import Calibration


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def called(*words: str) -> Result:
    """Its result; errors of ours are raised."""
    done = CliRunner().invoke(command, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_engine_as_json_as_a_file_and_as_a_chart(url: str, tmp_path: Path) -> None:
    words = ["engine", url, "-c", "1", "-c", "2", "--prompt", "8", "--output", "4", "--requests", "3", "--json"]
    done = called(*words, "--out", str(tmp_path / "a.json"), "--svg", str(tmp_path / "a.svg"))
    document = json.loads(done.stdout)
    assert document["schema"] == store.SCHEMA and document["kind"] == "engine"
    assert [one["scenario"]["concurrency"] for one in document["result"]] == [1, 2]
    assert {"median", "p05", "p95", "p99"} == set(document["result"][0]["ttft_s"])
    assert json.loads((tmp_path / "a.json").read_text()) == document
    assert len(ElementTree.parse(tmp_path / "a.svg").getroot().findall("{*}rect")) == 3  # a background, two bars


def test_engine_as_text_tells_failures(url: str) -> None:
    Stranger.faults = {"sometimes"}
    done = called("engine", url, "--prompt", "8", "--output", "4", "--requests", "6")
    assert "HTTP 503" in done.stderr
    assert "2 at a time" not in done.stderr and "1 at a time" in done.stderr
    assert done.stdout.splitlines()[0].split()[0] == "users"


def test_a_key_is_not_repeated(url: str) -> None:
    done = called("engine", url, "--prompt", "8", "--output", "4", "--requests", "2", "--api-key", "sk-x", "--json")
    assert "sk-x" not in done.output
    assert all("sk-x" not in path.read_text() for path in store.folder().iterdir())


def test_compare_shows_errors_before_and_after() -> None:
    seen = store.Observation("decode, m Q8_0, 32 prompt tokens", "tok/s", 10.0, 15.0, 10.4)
    store.save_calibration(
        store.OwnCalibration("A CPU 4c", store.MemoryFigures(40e9), Calibration("this-machine", {}), (seen,))
    )
    line = next(line for line in called("compare").stdout.splitlines() if line.startswith("decode"))
    assert line.split()[-5:] == ["10", "15", "+50%", "10.4", "+4%"]


def test_compare_without_a_calibration_says_how_to_get_one() -> None:
    with pytest.raises(WellfedError) as missing:
        called("compare")
    assert "bench calibrate" in str(missing.value.hint)
