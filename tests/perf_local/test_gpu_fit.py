"""The refits: their arrays give what production gives, they find what is there, and the shared rows are met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fits.fitting import Parameter, fit, leave_groups_out, leave_one_group_out, linearised
from fits.gpu import _between, cases_of
from fits.gpu_rows import GpuCase, GpuRows, gpu_cases
from fits.measured import local_cases
from fits.old_builds import _fit_stage
from fits.old_builds_stages import START, stages

from samples import few
from wellfed.accuracy.case import Case, Row
from wellfed.accuracy.report import report
from wellfed.accuracy.rows_llamacpp import interpret
from wellfed.accuracy.tables import rows_of
from wellfed.catalog.calibration import bundled, dump, parse, with_old_builds
from wellfed.nouns.calibration import Calibration, Residual
from wellfed.perf.gpu_rates import OLD_BUILDS

from .test_llamacpp_rows import BENCH

GPUS = ("3070 8GB", "3090 24GB", "4090 24GB", "A100 PCIe 80GB", "RTX 6000 Ada 48GB", "Apple M1 Max 32-Core GPU 64GB")
TODAY = {"engine_version": "b9187", "engine": "llama.cpp"}
KNOWN = with_old_builds(bundled())


def made_up(gpus: tuple[str, ...] = GPUS, **more: str) -> list[GpuCase]:
    """Cases without measurements of anyone: all of 1 tok/s."""
    found: list[Case] = []
    for gpu in gpus:
        for cells in (
            {"gen_len": "512"},
            {"gen_len": "8192"},
            {"gen_len": "512", "quant": "F16"},
            {"gen_len": "0", "prompt_len": "700", "decode_tok_s": "", "prefill_tok_s": "1"},
            {"gen_len": "0", "prompt_len": "8192", "decode_tok_s": "", "prefill_tok_s": "1", "gpu_count": "4"},
        ):
            row = Row(0, {**BENCH, "gpu_count": "1", "decode_tok_s": "1", **cells, "gpu": gpu, **more})
            found += [one for one in interpret(row) or () if isinstance(one, Case) and one.metric != "oom"]
    return gpu_cases(found)


@pytest.mark.parametrize(
    "cases",
    [
        made_up(),
        made_up(**TODAY),
        made_up(("RX 7900 XTX", "Arc B580", "RTX 4090"), **TODAY, notes="tg128; Vulkan; FA"),
        made_up(("RX 7900 XTX", "MI50 32GB"), **TODAY, notes="tg128; ROCm; power limit 150 W", cpu="Raspberry Pi 5"),
        made_up(("RTX 4090",), **TODAY, model="gpt-oss-20b", notes="llama-server"),
        made_up(("RTX 4090",), **TODAY, model="Qwen3-Next-80B-A3B", notes="n_ubatch=2048; type_k=q8_0"),
    ],
)
def test_arrays_predict_what_production_predicts(cases: list[GpuCase]) -> None:
    alone = [one.case.predict(KNOWN).value for one in cases]
    assert GpuRows(cases).predict(KNOWN) == pytest.approx(alone, rel=1e-12)


def test_a_fit_finds_the_machine_behind_the_rows() -> None:
    stage = stages()[0]
    cases = [one for one in made_up() if one.phase == "decode" and one.device.vendor == "nvidia"]
    machine = {"bandwidth_fraction": 0.88, "joules_per_gb": 0.2, "may2024.weights_per_cycle_float": 6.0}
    values = {f"local.gpu.nvidia.{name}": value for name, value in machine.items()}
    truth = Calibration("truth", {**bundled().parameters, **START, **values})
    speeds = GpuRows(cases).predict(truth)
    measured = [replace(one, case=replace(one.case, measured=float(v))) for one, v in zip(cases, speeds, strict=True)]
    found = _fit_stage(stage, measured, Calibration("start", {**bundled().parameters, **START}))
    assert np.abs(found.predicted / speeds - 1).max() < 0.04
    assert np.abs(found.left_out / speeds - 1).max() < 0.2


def test_a_fit_of_old_builds_has_a_start_for_every_rate() -> None:
    cases = [one for one in made_up() if one.build in OLD_BUILDS]
    assert cases and np.all(GpuRows(cases).predict(Calibration("start", START)) > 0)


def test_the_width_between_seen_and_left_out() -> None:
    left_out = Residual(rows=40, sigma=0.16, bias=0.0, median_ape=0.1, mape=0.1)
    assert _between(left_out, seen=0.04).sigma == pytest.approx(0.08)


def test_one_step_leaves_a_group_out_as_a_whole_fit_does() -> None:
    x = np.linspace(1, 3, 24)
    measured = 2.0 * x**1.5 * np.exp(0.1 * np.sin(7 * x))
    groups = [f"{int(4 * one)}" for one in x]
    parameters = (Parameter("a", 1.5, 0.1, 10, 1.0), Parameter("b", 1.0, 0.1, 4, 1.0))

    def predict(values: dict[str, float]) -> np.ndarray:
        return values["a"] * x ** values["b"]

    solution = fit(parameters, predict, measured)
    linear = linearised(parameters, predict, measured, solution)
    quick = leave_groups_out(linear, ["a", "b"], predict, measured, groups)
    assert quick == pytest.approx(leave_one_group_out(parameters, predict, measured, groups), rel=0.02)
    assert all(0 < doubt < 1 for doubt in linear.doubts())


def test_values_say_where_they_come_from() -> None:
    """Every one of today's is fitted from so many rows, or a prior; and the file keeps that."""
    known = bundled()
    mine = {name: known.facts[name] for name in known.parameters if name.startswith(("local.", "chip."))}
    assert {fact.origin for fact in mine.values()} <= {"fitted", "prior", "tied"}
    assert all(fact.rows > 0 and fact.sigma is not None for fact in mine.values() if fact.origin == "fitted")
    assert sum(fact.origin == "fitted" for fact in mine.values()) >= 20
    again = parse(dump(known), "here")
    assert again.facts == known.facts and again.support == known.support


def test_shares_are_shares() -> None:
    """Nothing outside physical bounds: no share of a peak is above 1, chip's factor included."""
    parameters = bundled().parameters
    chips = {name.split(".")[1] for name in parameters if name.startswith("chip.")}
    for name in ("bandwidth", "gemm"):
        general = max(v for k, v in parameters.items() if k.startswith("local.") and k.endswith(f".{name}_fraction"))
        for chip in chips:
            factor = parameters.get(f"chip.{chip}.{name}_factor", 1.0)
            assert factor * (parameters["local.bandwidth_fraction"] if name == "bandwidth" else general) <= 1.2, chip


def test_bundled_calibration_tells_errors_of_gpus_left_out() -> None:
    decode, prefill = KNOWN.residuals["llama.cpp GPU decode"], KNOWN.residuals["llama.cpp GPU prefill"]
    assert decode.mape is not None and decode.mape <= 0.05
    assert prefill.mape is not None and prefill.mape <= 0.12


def test_todays_errors_with_sources_left_out() -> None:
    residuals = bundled().residuals
    for name, most in (("", 0.12), (", amd", 0.14), (", amd, vulkan", 0.16), (", apple", 0.12), (", any", 0.12)):
        median = residuals[f"llama.cpp GPU decode, current builds{name}"].median_ape
        assert median is not None and median <= most, name
    prefill = residuals["llama.cpp GPU prefill, current builds, any"].median_ape
    assert prefill is not None and prefill <= 0.25


@pytest.mark.shared
def test_shared_rows(shared: Path) -> None:
    rows = rows_of(shared / "truth" / "gpu_llamacpp.csv")
    found = report("gpu_llamacpp.csv", rows, (interpret,), KNOWN)
    errors = {one.cls: one for one in found.classes}
    assert errors["llama.cpp GPU decode"].mape <= 0.05
    assert errors["llama.cpp GPU prefill"].mape <= 0.10
    assert found.fit is not None
    assert found.fit.right >= 0.99
    assert found.fit.oom_wrong == 0
    assert found.resolved == 1


@pytest.mark.shared
@pytest.mark.parametrize("every", few((5, 1), 2))
def test_arrays_predict_what_production_predicts_on_shared_rows(shared: Path, every: int) -> None:
    cases = cases_of(local_cases(shared / "truth", every))
    exact = [one for one in cases if not one.case.whole_request]
    alone = [one.case.predict(KNOWN).value for one in exact]
    assert GpuRows(exact).predict(KNOWN) == pytest.approx(alone, rel=1e-12)
    whole = [one for one in cases if one.case.whole_request]
    alone = [one.case.predict(KNOWN).value for one in whole]
    assert GpuRows(whole).predict(KNOWN) == pytest.approx(alone, rel=0.08)
