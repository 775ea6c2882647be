"""Rows of serving tables: their notes read, their requests built, all rows at once equal to one by one."""

from __future__ import annotations

import pytest
from fits.serving_stack import Aggregated, Disaggregated
from tests.perf_serving.serving_requests import CALIBRATION

from wellfed.accuracy import rows_mlperf, rows_serving
from wellfed.accuracy.case import Case, Outcome, Row, Skipped
from wellfed.accuracy.serving_notes import Degrees, degrees, pools, weight_format
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request

ONE = "tp=8 pp=1 attn_dp=1 moe_tp=8 moe_ep=1; gemm=fp8 moe=fp8_block; random dataset (isl/osl range ratio ~0.8-1)"
TWO = (
    "DISAGG prefill 4 workers x 4 GPU (tp=1 dp=4 ep=4 bs=1); decode 2 workers x 8 GPU (tp=1 dp=8 ep=8 bs=64); "
    "gemm=nvfp4 moe=nvfp4"
)
BASE = {
    "engine": "sglang", "model": "deepseek-ai/DeepSeek-R1", "quant": "fp8", "gpu": "B200 SXM 180GB", "gpu_count": "8",
    "concurrency_or_batch": "64", "prompt_len": "1024", "gen_len": "1024", "tpot_ms": "20", "ttft_ms": "900",
    "notes": ONE,
}  # fmt: skip


def row(**cells: str) -> Row:
    return Row(3, BASE | cells)


def cases(outcomes: tuple[Outcome, ...] | None) -> list[Case]:
    assert outcomes
    return [one for one in outcomes if isinstance(one, Case)]


@pytest.mark.parametrize(
    ("notes", "gpus", "moe", "wanted"),
    [
        ("tp=8 pp=1 attn_dp=1 moe_tp=8 moe_ep=1", 8, True, Degrees(8)),
        ("tp=8 pp=1 attn_dp=1 moe_tp=1 moe_ep=8", 8, True, Degrees(8, experts=8)),
        ("tp=1 pp=1 attn_dp=8 moe_tp=1 moe_ep=8", 8, True, Degrees(8, groups=8, experts=8)),
        ("tp=2 pp=1 attn_dp=2 moe_tp=1 moe_ep=4", 4, True, Degrees(4, groups=2, experts=4)),
        ("tp=1 pp=1 attn_dp=16 moe_tp=4 moe_ep=4; GPU COUNT CORRECTED", 4, True, Degrees(4, groups=4, experts=4)),
        ("tp=16 pp=1 attn_dp=1 moe_tp=4 moe_ep=4; GPU COUNT CORRECTED", 4, True, Degrees(4, experts=4)),
        ("tp=36 pp=1 attn_dp=1 moe_tp=36 moe_ep=1", 36, True, Degrees(36, groups=36, experts=36)),
        ("tp=2 pp=2 attn_dp=1 moe_tp=1 moe_ep=1", 4, False, Degrees(2, pipeline=2)),
        ("tp=4 pp=1 attn_dp=1 moe_tp=1 moe_ep=1", 4, False, Degrees(4)),
        ("tp=8 pp=1 attn_dp=8; flags --dp-size=8 --enable-dp-attention", 8, True, Degrees(8, groups=8)),
    ],
)
def test_degrees(notes: str, gpus: int, moe: bool, wanted: Degrees) -> None:
    assert degrees(notes, gpus, moe) == wanted


def test_pools_are_read() -> None:
    found = pools(TWO, moe=True)
    assert (found["prefill"].workers, found["decode"].workers) == (4, 2)
    assert found["decode"].degrees == Degrees(8, 1, 8, 8)
    assert found["decode"].batch == 64
    assert pools(ONE, moe=True) == {}
    assert weight_format(TWO) == "nvfp4"


def test_a_row_becomes_its_request() -> None:
    first, second = cases(rows_serving.interpret(row()))
    assert {first.metric, second.metric} == {"tpot_ms", "ttft_ms"}
    request = first.request
    assert request is not None
    assert request.layout.engine is Engine.SGLANG
    assert request.layout.tensor_parallel == 8
    assert request.workload.prompt_tokens == 922  # the middle of 0.8 to 1 times 1024
    assert first.group == "deepseek-r1 on B200 SXM 180GB"
    assert first.predict(CALIBRATION).value > 1


SCRIPTED = f"{ONE}; measured=2025-10-01; origin=InferenceX dump"


def asked(engine: Engine, **cells: str) -> Request:
    return rows_serving.request_of(row(engine=engine.value, **cells), engine)


def test_scripts_of_a_campaign_tell_what_its_table_leaves_out() -> None:
    llama = {"model": "meta-llama/Llama-3.1-70B", "gpu_count": "4", "notes": SCRIPTED.replace("tp=8", "tp=4")}
    collected = asked(Engine.TENSORRT_LLM, **llama)
    assert dict(collected.layout.options) == {"tuned": "1", "batch_wait_iters": "20"}
    assert (collected.layout.batch_tokens, collected.workload.requests) == (16_384, 640)
    longer = asked(Engine.TENSORRT_LLM, **(llama | {"gen_len": "8192"}))
    assert dict(longer.layout.options) == {"tuned": "1"}
    assert asked(Engine.TENSORRT_LLM, notes=SCRIPTED).layout.batch_tokens == 64 + 1024 + 64
    assert dict(asked(Engine.SGLANG, notes=SCRIPTED).layout.options)["recv_interval"] == "30"
    assert asked(Engine.SGLANG, notes=SCRIPTED, gpu="B300 SXM").workload.requests == 64
    files = asked(Engine.SGLANG, notes=SCRIPTED.replace("gemm=fp8", "gemm=nvfp4"), quant="fp4").weights
    assert files.quantisation == "nvfp4-ffn-output"


def test_lengths_that_are_not_drawn_are_equal() -> None:
    drawn, campaign = asked(Engine.VLLM, notes=SCRIPTED), asked(Engine.VLLM, notes=f"{ONE}; origin=AIC team: a.csv")
    assert (drawn.workload.prompt_tokens, drawn.workload.equal_lengths) == (922, False)
    assert (campaign.workload.prompt_tokens, campaign.workload.equal_lengths) == (1024, True)
    assert not asked(Engine.VLLM, notes="tp=8; dataset ShareGPT").workload.equal_lengths


def test_random_arrivals_do_not_ask_together() -> None:
    """Who asks at random times does not come with those that were answered together, of what length ever."""
    assert not asked(Engine.VLLM, notes="tp=8; rate=4 req/s Poisson, no concurrency cap").workload.equal_lengths
    assert asked(Engine.VLLM, notes="tp=8; 600 requests").workload.equal_lengths


@pytest.mark.parametrize(
    ("build", "day", "groups", "drafts"),
    [
        ("1.2.0rc6.post3", "2026-02-05", 1, 3),
        ("1.2.0rc6.post3", "2026-02-05", 8, 1),
        ("1.2.0rc6.post2", "2026-01-29", 1, 0),
        ("1.1.0rc2.post2", "2026-01-14", 1, 3),
        ("1.1.0rc2.post2", "2025-12-15", 1, 0),
    ],
)
def test_builds_of_a_campaign_tell_whether_it_drafted(build: str, day: str, groups: int, drafts: int) -> None:
    notes = SCRIPTED.replace("2025-10-01", day).replace("attn_dp=1", f"attn_dp={groups}")
    notes = notes.replace("tp=8 pp", "tp=1 pp") if groups > 1 else notes
    guess = asked(Engine.TENSORRT_LLM, engine_version=build, notes=notes).layout.speculation
    assert (guess.tokens if guess else 0) == drafts


DEPLOYED = (
    "DISAGG prefill 1 workers x 8 GPU (tp=8 dp=1 ep=8 bs=); decode 1 workers x 8 GPU (tp=8 dp=1 ep=8 bs=); gemm=fp8; "
    "measured=2026-02-05; origin=InferenceX dump"
)


def test_a_campaigns_scripts_tell_its_pools() -> None:
    """36 clients on GB200: three decode workers that draft three tokens, as its configuration asks."""
    cells = {"gpu": "GB200 (NVL72)", "notes": DEPLOYED, "engine_version": "0.8.1.post2"}
    known = asked(Engine.TENSORRT_LLM, concurrency_or_batch="36", **cells).layout
    assert (known.data_parallel, known.prefill_gpus, known.tensor_parallel) == (3, 8, 8)
    assert known.speculation is not None
    assert known.speculation.tokens == 3
    wide = asked(Engine.TENSORRT_LLM, concurrency_or_batch="6144", **cells).layout
    assert (wide.data_parallel, wide.attention_data_parallel) == (1, 8)
    elsewhere = asked(Engine.TENSORRT_LLM, concurrency_or_batch="37", **cells).layout
    assert elsewhere.data_parallel == 2  # as is assumed where nothing tells


@pytest.mark.parametrize(("served", "outlier"), [("2.9", True), ("3.6", False)])
def test_runs_that_are_offered_more_than_they_serve(served: str, outlier: bool) -> None:
    notes = f"tp=8; rate=4 req/s Poisson, no concurrency cap; achieved {served} req/s; 600 requests"
    by_metric = {case.metric: case.outlier for case in cases(rows_serving.interpret(row(engine="vllm", notes=notes)))}
    assert (bool(by_metric["ttft_ms"]), by_metric["tpot_ms"]) == (outlier, "")


def test_other_rows_are_left_to_others() -> None:
    assert rows_serving.interpret(row(engine="llama.cpp")) is None
    assert rows_serving.interpret(row(tpot_ms="", ttft_ms="")) is None
    assert rows_mlperf.interpret(row(engine="llama.cpp")) is None


def test_more_arithmetic_than_there_is_marks_an_outlier() -> None:
    sane, _ = cases(rows_serving.interpret(row()))
    insane, _ = cases(rows_serving.interpret(row(prompt_len="32000", concurrency_or_batch="512")))
    assert not sane.outlier
    assert "peak arithmetic" in insane.outlier


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
@pytest.mark.parametrize("model", ["deepseek-ai/DeepSeek-R1", "meta-llama/Llama-3.1-70B", "openai/gpt-oss-120b"])
def test_all_rows_at_once_equal_one_by_one(engine: str, model: str) -> None:
    found = []
    for clients in ("1", "16", "700"):
        cells = {"engine": engine, "model": model, "concurrency_or_batch": clients, "gen_len": "300"}
        found += cases(rows_serving.interpret(row(**cells)))
    together = Aggregated(found, CALIBRATION.parameters).predict(CALIBRATION.parameters)
    assert together.tolist() == pytest.approx([case.predict(CALIBRATION).value for case in found])


@pytest.mark.parametrize("notes", [TWO, TWO.replace("bs=64", "bs=").replace("bs=1", "bs=")])
def test_all_split_rows_at_once_equal_one_by_one(notes: str) -> None:
    found = []
    for clients in ("4", "256", "4000"):
        found += cases(rows_serving.interpret(row(notes=notes, concurrency_or_batch=clients, gpu_count="32")))
    together = Disaggregated(found, CALIBRATION.parameters).predict(CALIBRATION.parameters)
    assert together.tolist() == pytest.approx([case.predict(CALIBRATION).value for case in found])


MLPERF = {
    "engine": "TensorRT 10.2.0", "model": "llama2-70b-99.9", "quant": "fp8", "gpu": "NVIDIA H100-SXM-80GB",
    "gpu_count": "8", "concurrency_or_batch": "MLPerf Offline", "prompt_len": "~294 (dataset mean)",
    "gen_len": "294", "tpot_ms": "", "ttft_ms": "", "total_tok_s": "24000", "notes": "closed division",
}  # fmt: skip


def test_mlperf_rows_are_whole_systems() -> None:
    (offline,) = cases(rows_mlperf.interpret(row(**MLPERF)))
    (server,) = cases(rows_mlperf.interpret(row(**MLPERF | {"concurrency_or_batch": "MLPerf Server"})))
    assert (offline.cls, server.cls) == ("MLPerf offline", "MLPerf server")
    assert 1e4 < server.predict(CALIBRATION).value <= offline.predict(CALIBRATION).value < 1e5


def test_mixed_systems_add_up() -> None:
    mixed = "AMD Instinct MI300X 192GB HBM3 (x8), AMD Instinct MI325X 256GB HBM3e (x8)"
    parts = [MLPERF | {"gpu": name, "engine": "vLLM"} for name in ("AMD Instinct MI300X", "AMD Instinct MI325X", mixed)]
    values = [cases(rows_mlperf.interpret(row(**cells)))[0].predict(CALIBRATION).value for cells in parts]
    assert values[2] == pytest.approx(values[0] + values[1])


def test_what_mlperf_does_not_tell_is_skipped() -> None:
    for cells in ({"total_tok_s": ""}, {"gpu": "none (CPU only)"}):
        (found,) = rows_mlperf.interpret(row(**MLPERF | cells)) or ()
        assert isinstance(found, Skipped)
        assert not found.unresolved


def test_open_division_is_told_apart() -> None:
    (found,) = cases(rows_mlperf.interpret(row(**MLPERF | {"notes": "open division"})))
    assert "open division" in found.outlier
