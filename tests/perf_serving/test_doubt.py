"""How wide intervals of serving engines are, and what makes them wider."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.perf_serving.serving_requests import CALIBRATION, request

from wellfed.perf.serving import estimate_serving
from wellfed.perf.serving.doubt import nearness, sources_key


@pytest.mark.parametrize(("crowd", "kind"), [(0.0, "alone"), (0.19, "alone"), (0.3, "shared"), (0.9, "crowded")])
def test_times_per_token_are_doubted_by_what_prompts_of_others_take(crowd: float, kind: str) -> None:
    assert nearness(request(), "tpot", 1000, 20, crowd) == kind


def test_mixtures_of_experts_are_doubted_more_than_dense_models() -> None:
    experts = request("deepseek-r1", "fp8", gpus=8)
    assert nearness(experts, "tpot", 1000, 20, 0.0) == "alone experts"
    assert nearness(experts, "tpot", 1000, 20, 0.9) == "crowded"
    widths = [estimate.tpot_s.high / estimate.tpot_s.low for estimate in
              (estimate_serving(one, CALIBRATION) for one in (experts, request(clients=1)))]  # fmt: skip
    assert widths[0] > widths[1]


def test_a_vendor_of_few_sources_is_a_stranger() -> None:
    assert nearness(request(), "tpot", 1000, 3, 0.0) == nearness(request(), "ttft", 1000, 3, 0.0) == "few sources"
    assert CALIBRATION.support[sources_key(request())] > 20


def test_tuned_engines_have_residuals_of_their_own() -> None:
    tuned = request(options=(("tuned", "1"),))
    assert nearness(tuned, "tpot", 0, 0, 0.9) == nearness(tuned, "ttft", 0, 0, 0.1) == "tuned"
    assert nearness(tuned, "ttft", 0, 0, 0.9) == "tuned waiting"


def test_first_tokens_of_runs_that_start_at_once() -> None:
    once = request(clients=100)
    once = replace(once, workload=replace(once.workload, requests=100))
    assert nearness(once, "ttft", 1000, 20, 0.0) == "at once"
    assert nearness(request(), "ttft", 1000, 20, 0.0) == "near"
    assert nearness(request(), "ttft", 3, 20, 0.0) == "far"


def test_a_crowded_server_is_less_certain_than_one_user() -> None:
    one, crowd = (estimate_serving(request(clients=n, prompt=8192, output=64), CALIBRATION) for n in (1, 256))
    assert crowd.tpot_s.high / crowd.tpot_s.low > 1.3 * one.tpot_s.high / one.tpot_s.low
