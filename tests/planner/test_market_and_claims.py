"""Whole machines, sensitivities, prices, and the usual advice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samples import few
from wellfed.catalog.prices import load_prices
from wellfed.errors import BadInput
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import PRESETS
from wellfed.perf.estimate import estimate
from wellfed.planner.claim_figures import Standing
from wellfed.planner.claims import CLAIMS
from wellfed.planner.goal import Objective
from wellfed.planner.power import power
from wellfed.planner.search import lateness
from wellfed.planner.sensitivity import improved, sensitivities, weakest
from wellfed.verbs import buying, planning
from wellfed.written.machines import builds, machine

# What the vendors' figures and the arithmetic say; the estimates must agree.
EXPECTED = {
    "4090-fp16-7b": "right", "3060-q4-7b": "right", "4080-q4-7b": "right", "7950x-cores": "right",
    "13700k-cores": "right", "5ghz": "right", "7950x-5600": "wrong", "7b-51.2": "wrong",
    "ddr-limits-vram": "misleading", "quad-channel": "wrong", "pcie5-cards": "wrong", "geforce-nvlink": "wrong",
    "7543-pcie5": "wrong", "8380-pcie5": "wrong", "7543-cores": "right", "8380-cores": "wrong", "7543-ddr5": "wrong",
    "8380-ddr5": "wrong", "32b-102.4": "wrong", "2xa100-32b": "right", "a100-nvlink-600": "right",
    "6000ada-32b-fp16": "wrong", "a100-40-2tb": "wrong", "h100-pcie-sxm": "wrong", "4xa100-70b": "right",
    "4xh100-70b": "right", "8480-cores": "right", "9654-cores": "right", "own-gpus": "right", "no-pooling": "wrong",
    "7950x-feeds": "right", "13700k-feeds": "right", "7543-feeds": "right", "8380-feeds": "right",
    "8480-feeds": "right", "9654-feeds": "right",
}  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_has_its_standing(claim: object) -> None:
    found = claim.hold()  # type: ignore[attr-defined]
    assert found.standing == Standing(EXPECTED[claim.id])  # type: ignore[attr-defined]
    assert found.figures


@pytest.mark.parametrize("build", few(builds(), 4, lambda build: build.id))
def test_every_build_plans(build: object) -> None:
    answer = planning.plan("deepseek-r1:7b", planning.PlanOptions(on=f"build:{build.id}"))  # type: ignore[attr-defined]
    assert answer.ranking.plans
    assert power(answer.search.machine).rest_w > 0


@pytest.mark.parametrize("on", ["rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600", "build:moe-epyc", "build:large-70b"])
def test_weakest_part_improved_raises_the_figure_and_others_do_not(on: str) -> None:
    name = "deepseek-r1" if "moe" in on else "deepseek-r1:7b"
    answer = planning.plan(name, planning.PlanOptions(on=on))
    best = answer.ranking.best
    assert best is not None
    found = sensitivities(best, answer.search.estimate)
    weak = weakest(found)
    assert weak is not None
    assert weak.gain > 1.0
    for one in found:
        assert one.gain >= 0.999
        if not one.limits:
            assert one.gain == pytest.approx(1.0, abs=0.006)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(1.0, 4.0), st.sampled_from(["rtx 3090", "h100 sxm", "rtx 4090, epyc 9355, 12x64GB ddr5-6000"]))
def test_one_part_improved_is_never_slower_and_never_fits_less(factor: float, on: str) -> None:
    answer = planning.plan("qwen3-30b-a3b", planning.PlanOptions(on=on))
    for plan in answer.ranking.best_of_each_kind()[:3]:
        for part, better in improved(plan.machine, factor):
            then = estimate(
                Request(better, plan.model, plan.weights, plan.layout, plan.workload), answer.search.calibration
            )
            assert then.tpot_s.value <= plan.estimate.tpot_s.value * 1.0001, part
            assert then.memory.fits == plan.estimate.memory.fits, part


def test_market_offers_meet_targets_first_and_fit() -> None:
    found = buying.buy("deepseek-r1:7b", keep=8)
    assert found.machines > 1000
    assert len(found.offers) == 8
    missed = [lateness(offer.plan) for offer in found.offers]
    assert missed == sorted(missed)
    assert all(offer.plan.estimate.memory.fits for offer in found.offers)
    assert all(offer.price is None and offer.price_reason for offer in found.offers)


@pytest.mark.slow
def test_market_for_speed_is_ordered_by_speed_and_bounded_by_power() -> None:
    options = planning.PlanOptions(objective=Objective.THROUGHPUT, workload=replace(PRESETS["chat"], concurrency=8))
    found = buying.buy("deepseek-r1:7b", options, most_power_w=900, keep=6)
    rates = [offer.plan.estimate.total_tok_s.value for offer in found.offers]
    assert rates == sorted(rates, reverse=True)
    assert all(offer.power_w is not None and offer.power_w <= 900 for offer in found.offers)


PRICES = """
currency = "EUR"
[parts]
"rtx 4090" = { price = 1600, source = "a shop", date = "2026-11-01" }
"ryzen 9 9950x" = { price = 550, source = "a shop", date = "2026-11-01" }
"ddr5 per gib" = { price = 4, source = "a shop", date = "2026-11-01" }
base = { price = 500, source = "a shop", date = "2026-11-01" }
"""


def test_prices_are_summed_and_missing_ones_said(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(PRICES)
    prices = load_prices(path)
    priced, _ = prices.of(machine("rtx 4090, ryzen 9 9950x, 2x32GB ddr5-5600"))
    assert priced == pytest.approx(1600 + 550 + 4 * 64 + 500)
    unpriced, reason = prices.of(machine("rtx 3090, ryzen 9 9950x, 2x32GB ddr5-5600"))
    assert unpriced is None and "rtx-3090" in reason


@pytest.mark.slow
def test_budget_keeps_only_what_is_priced_and_affordable(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(PRICES)
    found = buying.buy("deepseek-r1:7b", prices=path, budget=5000)
    assert found.offers
    assert all(offer.price is not None and offer.price <= 5000 for offer in found.offers)


@pytest.mark.parametrize(
    "text",
    [
        "parts = 3",
        "[parts]\n'rtx 4090' = { price = 5 }",
        "[parts]\n'rtx 4090' = { price = -1, source='x', date='y' }",
        "[[",
    ],
)
def test_bad_prices_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(BadInput):
        load_prices(path)
