"""Layouts that are planned are layouts that an engine would start."""

from __future__ import annotations

import pytest

from wellfed.catalog.model_names import model as by_name
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.workload import PRESETS
from wellfed.planner.answer import Answer
from wellfed.planner.degrees import divides
from wellfed.planner.usable import equal_ones, usable
from wellfed.verbs import inputs, planning


def plan(model: str, on: str, **options: object) -> Answer:
    return planning.plan(model, planning.PlanOptions(on=on, **options))  # type: ignore[arg-type]


def layouts(model: str, on: str, **options: object) -> list[Layout]:
    return [one.layout for one in plan(model, on, **options).ranking.plans]


@pytest.mark.parametrize(
    ("model", "degree", "whole"),
    [
        ("qwen2.5-7b", 4, True),  # 28 heads, 4 of keys and values
        ("qwen2.5-7b", 8, False),
        ("qwen2.5-0.5b", 2, True),  # 14 heads
        ("qwen2.5-0.5b", 4, False),
        ("r1:70b", 8, True),
        ("deepseek-r1", 16, True),
        ("r1:70b", 1, True),
    ],
)
def test_heads_are_divided_whole(model: str, degree: int, whole: bool) -> None:
    assert divides(by_name(model), degree) is whole


@pytest.mark.slow
def test_no_plan_divides_a_head() -> None:
    found = layouts("qwen2.5-7b", "8x h20, 2x xeon platinum 8480+", sweep=True, workload=PRESETS["batch"])
    assert max(layout.tensor_parallel for layout in found) == 4
    assert any(layout.gpus == 8 for layout in found)  # in replicas, or stages


def test_serving_engines_need_gpus_they_know() -> None:
    assert {layout.engine for layout in layouts("r1:7b", "radeon vii, ryzen 9 7950x")} == {
        Engine.LLAMA_CPP,
        Engine.IK_LLAMA_CPP,  # on the CPU
    }
    assert Engine.SGLANG not in {layout.engine for layout in layouts("r1:7b", "rx 7900 xtx, ryzen 9 7950x")}
    assert Engine.VLLM in {layout.engine for layout in layouts("r1:7b", "rx 7900 xtx, ryzen 9 7950x")}
    assert Engine.SGLANG in {layout.engine for layout in layouts("r1:70b", "8x mi300x")}


def test_local_engines_stay_on_one_machine() -> None:
    answer = plan("deepseek-v3.2", "8x h200 sxm, 2x xeon platinum 8480+", nodes=2, network="400Gb")
    assert not [refusal for refusal in answer.ranking.refused if "the machine has" in refusal.reason]
    local = {Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP, Engine.KTRANSFORMERS}
    assert all(one.layout.gpus <= 8 for one in answer.ranking.plans if one.layout.engine in local)


def test_order_of_unequal_gpus_does_not_matter() -> None:
    one, other = (
        plan("qwen2.5-14b", f"{gpus}, ryzen 9 7950x, 64GB").ranking
        for gpus in ("rtx 4090, rtx 3060 12gb", "rtx 3060 12gb, rtx 4090")
    )
    assert one.best is not None and other.best is not None
    assert one.best.layout == other.best.layout
    assert one.best.estimate.total_tok_s == other.best.estimate.total_tok_s
    alike = {Engine.SGLANG, Engine.TENSORRT_LLM}  # vLLM divides stages by memory (tests/layouts/test_unequal_gpus.py)
    assert all(p.layout.gpus == 1 for p in other.plans if p.layout.engine in alike)


def test_a_card_without_data_sheet_does_not_hide_the_others() -> None:
    made = inputs.machine("2x rtx 4090, core i7-13700k, 64GB")
    odd = Gpu(0, None, "UHD Graphics 770")
    mixed = Machine("desktop", Origin.PARTS, gpus=(odd, *made.gpus))
    kept = usable(mixed)
    assert kept.gpus == made.gpus and equal_ones(kept) == 2
    assert "UHD Graphics 770 is not used" in [one.text for one in kept.assumptions]
    assert usable(made) is made
    alone = Machine("laptop", Origin.PARTS, gpus=(odd,))
    assert usable(alone) is alone  # the search says that its speed is unknown


@pytest.mark.parametrize(
    ("model", "machine", "served"),
    [
        ("gpt-oss-120b", "8x h100 sxm", {"mxfp4-experts"}),  # files narrower than FP8 are served as published
        ("kimi-k2-thinking", "8x b200", {"int4-experts"}),
        ("deepseek-v4-flash", "8x h100 sxm", {"fp8-fp4-experts"}),
        ("deepseek-r1", "8x h200 sxm", {"fp8", "int4"}),
        ("llama 3.1 8b", "8x h100 sxm", {"bf16", "fp8", "int4"}),
    ],
)
def test_serving_engines_are_planned_in_formats_that_exist(model: str, machine: str, served: set[str]) -> None:
    serving = (Engine.VLLM, Engine.SGLANG, Engine.TENSORRT_LLM)
    assert {layout.quantisation for layout in layouts(model, machine, engines=serving)} == served


@pytest.mark.parametrize(
    ("asked", "engine", "found"),
    [
        ("fp16", Engine.VLLM, "fp16"),
        ("fp16", Engine.LLAMA_CPP, "f16"),
        ("bf16", Engine.LLAMA_CPP, "bf16"),
        ("int8", Engine.VLLM, "int8"),
        ("q5_k_s", Engine.LLAMA_CPP, "q5_k_s"),
    ],
)
def test_formats_asked_for_are_planned_by_engines_that_load_them(asked: str, engine: Engine, found: str) -> None:
    got = layouts("llama 3.1 8b", "rtx 4090, 7950x", quantisations=(asked,), engines=(engine,))
    assert {layout.quantisation for layout in got} == {found}


def test_gpt_oss_in_gguf_keeps_its_experts() -> None:
    found = layouts("gpt-oss-20b", "rtx 4090, 7950x", engines=(Engine.LLAMA_CPP,))
    assert {layout.quantisation for layout in found} == {"gguf-mxfp4"}


def test_engines_that_are_out_are_told() -> None:
    answer = plan("llama 3.1 8b", "epyc 9654", quantisations=("fp8",))
    assert {refusal.subject for refusal in answer.ranking.refused} >= {"llama.cpp", "vLLM", "KTransformers"}
    assert any("FP8" in refusal.reason for refusal in answer.ranking.refused)
