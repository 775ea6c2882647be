"""Plans of real models on written machines: what must hold whatever the calibration says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellfed.errors import BadInput, UnknownName
from wellfed.nouns.estimate import total_seconds
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import PRESETS
from wellfed.planner.answer import Answer
from wellfed.planner.goal import Objective
from wellfed.planner.kinds import Kind, kind_of
from wellfed.verbs import planning

CHAT = PRESETS["chat"]
SLOW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plan(model: str, on: str, **options: object) -> Answer:
    """A plan on a written machine."""
    return planning.plan(model, planning.PlanOptions(on=on, **options))  # type: ignore[arg-type]


def test_small_model_on_a_big_card_is_for_the_gpu() -> None:
    answer = plan("deepseek-r1:7b", "rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600")
    assert answer.verdict.kind is Kind.GPU
    assert {kind for kind, _ in answer.verdict.sides} == {Kind.GPU, Kind.CPU}  # "both" has no layer left to move


def test_big_mixture_on_one_card_is_for_both() -> None:
    answer = plan("deepseek-r1", "build:moe-epyc")
    assert answer.verdict.kind is Kind.BOTH
    assert answer.ranking.best_of(Kind.GPU) is None


def test_no_gpu_means_cpu() -> None:
    answer = plan("deepseek-r1:7b", "ryzen 9 7950x, 2x32GB ddr5-5600")
    assert answer.verdict.kind is Kind.CPU


def test_nothing_fits_and_how_much_is_missing() -> None:
    answer = plan("qwen3-235b-a22b", "rtx 3060 12gb, core i7-13700k, 2x16GB ddr5-5600", quantisations=("q4_k_m",))
    assert not answer.ranking.plans
    assert answer.verdict.kind is None
    assert answer.ranking.near_miss is not None
    assert answer.ranking.near_miss.missing_bytes > 50e9
    assert "short" in answer.verdict.why


@pytest.mark.parametrize("objective", list(Objective))
def test_every_plan_fits_and_its_terms_add_up(objective: Objective) -> None:
    answer = plan("qwen3-30b-a3b", "2x rtx 3090, epyc 7702, 8x32GB ddr4-3200", objective=objective)
    assert answer.ranking.plans
    for one in answer.ranking.plans:
        memory = one.estimate.memory
        assert memory.fits is not False
        for device in memory.devices:
            assert device.needed_bytes == pytest.approx(sum(term.bytes for term in device.terms))
        assert total_seconds(one.estimate.decode) > 0
        assert one.estimate.tpot_s.low <= one.estimate.tpot_s.value <= one.estimate.tpot_s.high


def test_quality_prefers_finer_weights_and_latency_speed() -> None:
    machine = "rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600"
    finest = plan("deepseek-r1:7b", machine, objective=Objective.QUALITY).ranking.plans[0]
    fastest = plan("deepseek-r1:7b", machine, objective=Objective.LATENCY).ranking.plans[0]
    assert finest.weights.total > fastest.weights.total
    assert fastest.estimate.tpot_s.value <= finest.estimate.tpot_s.value


def test_targets_rank_plans_that_meet_them_first() -> None:
    chat = replace(CHAT, ttft_target_s=0.5)
    answer = plan("deepseek-r1:32b", "rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600", workload=chat)
    late = [one.estimate.ttft_s.value > 0.5 for one in answer.ranking.plans]
    assert late == sorted(late)


def test_asked_engine_and_weights_are_kept() -> None:
    answer = plan("deepseek-r1:7b", "rtx 4090", engines=(Engine.LLAMA_CPP,), quantisations=("q8_0",))
    assert {(one.layout.engine, one.layout.quantisation) for one in answer.ranking.plans} == {
        (Engine.LLAMA_CPP, "q8_0")
    }


def test_quantisation_in_the_name_is_kept() -> None:
    answer = plan("deepseek r1 671B Q4_K_M", "build:moe-epyc")
    assert {one.layout.quantisation for one in answer.ranking.plans} == {"q4_k_m"}


def test_sweep_tries_many_concurrencies() -> None:
    answer = plan("deepseek-r1:7b", "rtx 4090", objective=Objective.THROUGHPUT, sweep=True)
    assert len({one.workload.concurrency for one in answer.ranking.plans}) > 5
    usual = [plan for plan in answer.ranking.plans if plan.layout.engine not in RARE_HERE]
    others = [plan for plan in answer.ranking.plans if plan.layout.engine in RARE_HERE]
    assert list(answer.ranking.plans) == [*usual, *others], "engines that nobody installs here come last"
    for group in (usual, others):
        rates = [plan.estimate.total_tok_s.value for plan in group]
        assert rates == sorted(rates, reverse=True)


RARE_HERE = {Engine.TENSORRT_LLM, Engine.IK_LLAMA_CPP}  # a dense model on a GeForce


def test_upgrades_are_estimates_of_changed_machines() -> None:
    answer = plan("deepseek-r1:70b", "rtx 3090, ryzen 9 7950x, 4x32GB ddr5-5600")
    gains = {upgrade.change: upgrade.gain for upgrade in answer.upgrades}
    assert any("more GeForce RTX 3090" in change for change in gains)
    assert max(gains.values()) > 1.2


@pytest.mark.parametrize(
    ("model", "on"), [("qwen99-3b", None), ("deepseek-r1", "rtx 9999"), ("deepseek-r1", "build:no")]
)
def test_unknown_names_have_near_matches(model: str, on: str | None) -> None:
    with pytest.raises(UnknownName) as caught:
        planning.plan(model, planning.PlanOptions(on=on))
    assert caught.value.near


def test_context_beyond_the_model_is_refused() -> None:
    with pytest.raises(BadInput, match="can attend to"):
        plan("deepseek-r1:7b", "rtx 4090", workload=replace(CHAT, prompt_tokens=500_000))


@SLOW
@given(st.integers(512, 60_000), st.integers(512, 60_000))
def test_longer_context_never_needs_less_memory(a: int, b: int) -> None:
    low, high = sorted((a, b))
    needed = []
    for context in (low, high):
        chat = replace(CHAT, prompt_tokens=256, output_tokens=128, context_tokens=context)
        answer = plan(
            "deepseek-r1:7b", "a100 pcie 80gb", workload=chat, engines=(Engine.LLAMA_CPP,), quantisations=("q4_k_m",)
        )
        best = next(one for one in answer.ranking.plans if kind_of(one.layout) is Kind.GPU)
        needed.append(best.estimate.memory.devices[0].needed_bytes)
    assert needed[0] <= needed[1]
