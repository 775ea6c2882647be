"""The refit: its arrays give what production gives, it finds what is there, and the shared rows are met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wellfed.accuracy.case import Case, Row
from wellfed.accuracy.fit_llamacpp import Asked, _fit_stage, asked_of, cases_of, rate, stacked
from wellfed.accuracy.report import report
from wellfed.accuracy.rows_llamacpp import interpret
from wellfed.accuracy.stages_llamacpp import START, stages
from wellfed.accuracy.tables import rows_of
from wellfed.calibration import Calibration
from wellfed.catalog.calibration import bundled

from .test_llamacpp_rows import BENCH

GPUS = ("3070 8GB", "3090 24GB", "4090 24GB", "A100 PCIe 80GB", "RTX 6000 Ada 48GB", "Apple M1 Max 32-Core GPU 64GB")


def made_up() -> list[Asked]:
    """Cases without measurements of anyone: all of 1 tok/s."""
    found = []
    for gpu in GPUS:
        for cells in (
            {"gen_len": "512"},
            {"gen_len": "8192"},
            {"gen_len": "512", "quant": "F16"},
            {"gen_len": "0", "prompt_len": "700", "decode_tok_s": "", "prefill_tok_s": "1"},
            {"gen_len": "0", "prompt_len": "8192", "decode_tok_s": "", "prefill_tok_s": "1", "gpu_count": "4"},
        ):
            row = Row(0, {**BENCH, "gpu_count": "1", "decode_tok_s": "1", **cells, "gpu": gpu})
            found += [one for one in interpret(row) or () if isinstance(one, Case) and one.metric != "oom"]
    return [asked_of(case) for case in found]


def test_arrays_predict_what_production_predicts() -> None:
    cases, calibration = made_up(), bundled()
    together = rate(stacked(cases), len(cases), calibration)
    alone = [one.case.predict(calibration).value for one in cases]
    assert together == pytest.approx(alone, rel=1e-12)


def test_a_fit_finds_the_machine_behind_the_rows() -> None:
    stage = stages()[0]
    cases = [one for one in made_up() if one.phase == "decode" and one.device.vendor == "nvidia"]
    machine = {"bandwidth_fraction": 0.88, "joules_per_gb": 0.2, "may2024.weights_per_cycle_float": 6.0}
    truth = Calibration("truth", {**START, **{f"local.gpu.nvidia.{name}": value for name, value in machine.items()}})
    speeds = rate(stacked(cases), len(cases), truth)
    measured = [replace(one, case=replace(one.case, measured=float(v))) for one, v in zip(cases, speeds, strict=True)]
    found = _fit_stage(stage, measured, Calibration("start", dict(START)))
    assert np.abs(found.predicted / speeds - 1).max() < 0.04
    assert np.abs(found.left_out / speeds - 1).max() < 0.15


def test_bundled_calibration_tells_errors_of_gpus_left_out() -> None:
    residuals = bundled().residuals
    decode, prefill = residuals["llama.cpp GPU decode"], residuals["llama.cpp GPU prefill"]
    assert decode.mape is not None and decode.mape <= 0.08
    assert prefill.mape is not None and prefill.mape <= 0.20


@pytest.mark.shared
def test_shared_rows(shared: Path) -> None:
    rows = rows_of(shared / "truth" / "gpu_llamacpp.csv")
    found = report("gpu_llamacpp.csv", rows, (interpret,), bundled())
    errors = {one.cls: one for one in found.classes}
    assert errors["llama.cpp GPU decode"].mape <= 0.05
    assert errors["llama.cpp GPU prefill"].mape <= 0.10
    assert found.fit is not None
    assert found.fit.right >= 0.99
    assert found.fit.oom_wrong == 0
    assert found.resolved == 1


@pytest.mark.shared
def test_arrays_predict_what_production_predicts_on_shared_rows(shared: Path) -> None:
    cases, calibration = cases_of(shared / "truth"), bundled()
    together = rate(stacked(cases), len(cases), calibration)
    alone = [one.case.predict(calibration).value for one in cases]
    assert together == pytest.approx(alone, rel=1e-12)
