"""No prediction changes unseen: about 200 points, held at 1e-4 (see `scripts/prediction_grid.py`)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from wellfed.catalog.calibration import bundled
from wellfed.nouns.estimate import speeds_of
from wellfed.perf.estimate import estimate, speeds
from wellfed.perf.memory import ledgers, spare_bytes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def grid() -> ModuleType:
    name = "prediction_grid"
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_predictions_are_those_of_the_grid(grid: ModuleType) -> None:
    found = grid.differences(grid.load(), grid.predictions())
    told = "\n".join(str(one) for one in found[:20])
    hint = "python scripts/prediction_grid.py --diff shows all; --write takes them, with the reason in the commit"
    assert not found, f"{len(found)} numbers are not as the grid has them:\n{told}\n{hint}"


def test_the_grid_is_wide(grid: ModuleType) -> None:
    points = grid.cases()
    assert len(points) >= 200
    assert len({point.label for point in points}) == len(points)
    assert {point.layout.engine.value for point in points} >= {
        "llama.cpp", "ik_llama.cpp", "ktransformers", "vllm", "sglang", "tensorrt-llm",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"a": {"x": [1.0, 2.0]}}, {"a": {"x": [1.00005, 2.0]}}, []),
        ({"a": {"x": [1.0, 2.0]}}, {"a": {"x": [1.0003, 2.0]}}, ["x.value"]),
        ({"a": {"x": [1.0, 2.0]}}, {"a": {"x": [1.0, 1.5]}}, ["x.interval"]),
        ({"a": {"limited_by": "compute"}}, {"a": {"limited_by": "latency"}}, ["limited_by"]),
        ({"a": {"parts": {"head": 1.0}}}, {"a": {"parts": {}}}, ["parts.head"]),
        ({}, {"a": {"x": 0.0}}, ["x"]),
    ],
)
def test_differences_are_seen(grid: ModuleType, before: dict, now: dict, expected: list[str]) -> None:
    assert [one.path for one in grid.differences(before, now)] == expected


def test_speeds_and_room_are_those_of_the_estimate(grid: ModuleType) -> None:
    """What a search asks first of a layout is the same arithmetic, without what explains it."""
    calibration, seen = bundled(), set[bool]()
    for case in grid.cases():
        request = grid.request_of(case)
        assert speeds(request, calibration) == speeds_of(estimate(request, calibration)), case.label
        ledger = ledgers(request)
        tightest = ledger.tightest
        if tightest is None:
            assert spare_bytes(request) is None, case.label
        else:
            assert spare_bytes(request) == pytest.approx(tightest.spare_bytes, abs=4096), case.label
            assert ((spare_bytes(request) or 0.0) >= 0) is (ledger.fits is not False), case.label
        seen.add(ledger.fits is not False)
    assert seen == {True, False}
