"""What is kept of measurements: whole or not at all, this machine's or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from wellfed.bench import store
from wellfed.bench.calibrate import Measured, fitted, machine_calibration
from wellfed.catalog.calibration import bundled
from wellfed.errors import BadInput
from wellfed.hardware.machine import Machine, Origin, Socket
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.layout import Engine
from wellfed.verbs import inputs, planning
from wellfed.verbs.calibrating import _predicts, parameters

BASE = Calibration("base", {"cpu.a": 2.0, "cpu.b": 10.0, "cpu.c": 5.0})


def here() -> Machine:
    """A live machine."""
    return Machine("here", Origin.LIVE, (Socket(0, name="A CPU", cores=4),), memory_bytes=16 * 2**30)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "wellfed"


def measured(name: str, value: float, kind: str = "CPU decode") -> Measured:
    """A speed that is proportional to one parameter."""
    return Measured(name, kind, "tok/s", value, lambda calibration: calibration.value("cpu", name))


def test_what_was_measured_is_met_and_the_rest_stays() -> None:
    found = fitted(BASE, dict(BASE.parameters), [measured("a", 3.0), measured("b", 8.0)])
    assert found["cpu.a"] == pytest.approx(3.0, rel=0.02)
    assert found["cpu.b"] == pytest.approx(8.0, rel=0.02)
    assert found["cpu.c"] == 5.0


def test_one_disturbed_measurement_does_not_bend_the_others() -> None:
    found = fitted(BASE, {"cpu.a": 2.0}, [measured("a", 3.0), measured("a", 3.05), measured("a", 0.3)])
    assert found["cpu.a"] == pytest.approx(3.0, rel=0.05)


def test_kept_and_read_back() -> None:
    before = machine_calibration(
        store.identity(here()),
        store.MemoryFigures(40e9, 30e9, 3.5e9),
        BASE,
        {"cpu.a": 2.0},
        [measured("a", 3.0)],
        "a test",
    )
    store.save_calibration(before)
    after = store.own_calibration()
    assert after is not None
    assert replace(after, taken="") == before
    assert after.memory == store.MemoryFigures(40e9, 30e9, 3.5e9)
    assert after.observations[0].error(calibrated=False) == pytest.approx(2 / 3 - 1)
    assert abs(after.observations[0].error(calibrated=True)) < 0.02
    assert after.calibration.residuals["CPU decode"].rows == 1


def test_it_changes_predictions_of_this_machine_and_of_no_other() -> None:
    rate = bundled().value("cpu", "measured_fraction")
    mine = Calibration("this-machine", {"cpu.measured_fraction": rate / 2})
    store.save_calibration(store.OwnCalibration(store.identity(here()), store.MemoryFigures(40e9), mine))
    assert inputs.calibration(machine=here()).value("cpu", "measured_fraction") == rate / 2
    other = replace(here(), memory_bytes=32 * 2**30)
    for machine in (other, replace(here(), origin=Origin.PARTS), None):
        assert inputs.calibration(machine=machine).value("cpu", "measured_fraction") == rate


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "{}",
        lambda text: "[1, 2]",
        lambda text: text.replace('"schema": 1', '"schema": 99'),
        lambda text: text.replace('"observations"', '"something"'),
        lambda text: json.dumps({**json.loads(text), "parameters": {"cpu.a": -1}}),
        lambda text: json.dumps({**json.loads(text), "memory": {"read_bytes_per_s": 0}}),
        lambda text: '{"schema": "another.tool/3", "data": []}',
        lambda text: "\x00\xff" * 50,
    ],
)
def test_damaged_or_foreign_files_are_refused_with_a_hint(damage: object, data: Path) -> None:
    store.save_calibration(store.OwnCalibration("m", store.MemoryFigures(40e9), Calibration("x", {"cpu.a": 1.0})))
    path = store.calibration_file()
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    with pytest.raises(BadInput) as refused:
        store.own_calibration()
    assert "wellfed bench calibrate" in str(refused.value.hint)


def test_undecodable_file_is_refused(data: Path) -> None:
    data.mkdir()
    store.calibration_file().write_bytes(b"\xff\xfe\x00junk")
    with pytest.raises(BadInput):
        store.own_calibration()


def test_nothing_kept_is_nothing() -> None:
    assert store.own_calibration() is None
    assert store.own_for(here()) is None


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(BadInput, match="cannot write"):
        store.save("memory", {"a": 1})


def test_results_are_json_whatever_they_are_made_of() -> None:
    document = store.document("x", {(0, 1): Socket(0), "list": ((1, 2),)})
    assert document["result"]["0-1"]["index"] == 0
    assert json.loads(json.dumps(document))["schema"] == store.SCHEMA


def test_what_is_fitted_is_what_an_estimate_looks_up() -> None:
    options = planning.PlanOptions(on="ryzen 9 7950x", quantisations=("q8_0",), engines=(Engine.LLAMA_CPP,))
    plan = planning.plan("qwen2.5-1.5b", options).ranking.best
    assert plan is not None
    keys = parameters(plan, bundled())
    names = {key.rpartition(".")[2] for key in keys}
    assert names >= {"op_us", "core_bytes_per_cycle", "bandwidth_fraction", "vector_ops_per_cycle", "pair_cycles"}
    doubled = bundled().with_parameters({key: 2 * value for key, value in keys.items()})
    assert _predicts(plan, decode=True)(doubled) != _predicts(plan, decode=True)(bundled())
