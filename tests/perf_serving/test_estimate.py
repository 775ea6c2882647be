"""Facts about serving estimates: bounds, limits, random arrivals, split pools, pipelines, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.perf_serving.serving_requests import CALIBRATION, request, with_gpu

from wellfed.errors import BadInput, Unsupported
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.layout import Engine, Speculation
from wellfed.nouns.plan import Request
from wellfed.perf.serving import estimate_serving
from wellfed.perf.serving.throughput import best_load, best_throughput


def at_rate(asked: Request, rate: float) -> Request:
    return replace(asked, workload=replace(asked.workload, request_rate=rate))


def test_one_user_is_slower_than_reading_the_weights_once() -> None:
    found = estimate_serving(request(clients=1, gpus=1), CALIBRATION)
    assert found.tpot_s.value > 70e9 / 4.8e12


def test_tensor_parallelism_helps_less_than_its_degree() -> None:
    one = estimate_serving(request(gpus=1, clients=1), CALIBRATION).tpot_s.value
    eight = estimate_serving(request(gpus=8, clients=1), CALIBRATION).tpot_s.value
    assert one / 8 < eight < one


def test_full_cache_queues_and_says_so() -> None:
    asked = request(gpus=1, clients=256, prompt=8192, output=1024)
    found = estimate_serving(asked, CALIBRATION)
    assert found.running < 100
    assert found.ttft_s.value > 10
    assert found.limited_by == "memory for the KV cache"


def test_an_engine_s_limit_queues_and_says_so() -> None:
    found = estimate_serving(request("llama-3.1-8b", "bf16", clients=64, max_sequences=4), CALIBRATION)
    assert found.running <= 4
    assert found.limited_by == "the engine's limit of running sequences"


def test_replicas_share_the_clients() -> None:
    one = estimate_serving(request(gpus=4, tensor_parallel=4, clients=32), CALIBRATION)
    two = estimate_serving(request(gpus=8, tensor_parallel=4, data_parallel=2, clients=64), CALIBRATION)
    assert two.tpot_s.value == pytest.approx(one.tpot_s.value)
    assert two.total_tok_s.value == pytest.approx(2 * one.total_tok_s.value)


def test_random_arrivals_wait_more_as_the_load_nears_capacity() -> None:
    asked = request(clients=1)
    waits = [estimate_serving(at_rate(asked, rate), CALIBRATION) for rate in (1, 10, 20)]
    means = [found.ttft_s.value for found in waits]
    assert means == sorted(means)
    for found in waits:
        assert found.ttft_p99_s is not None
        assert found.ttft_p99_s > found.ttft_s.value
    assert waits[0].total_tok_s.value == pytest.approx(1 * 256)


def test_overload_is_told_and_finite() -> None:
    found = estimate_serving(at_rate(request(), 10_000), CALIBRATION)
    assert any("overloaded" in assumption.text for assumption in found.assumptions)
    assert 60 < found.ttft_s.value < 600
    assert found.total_tok_s.value < 10_000 * 256


def test_disaggregated_tokens_hold_no_prefill() -> None:
    whole = request(gpus=16, tensor_parallel=8, data_parallel=2, clients=128, prompt=8192)
    split = replace(whole, layout=replace(whole.layout, data_parallel=1, prefill_gpus=8))
    together, apart = estimate_serving(whole, CALIBRATION), estimate_serving(split, CALIBRATION)
    assert "prompts of others" in {term.name for term in together.decode}
    assert "prompts of others" not in {term.name for term in apart.decode}
    assert {term.name for term in apart.prefill} >= {"cache handed over"}


def test_more_prefill_workers_shorten_the_wait() -> None:
    few = request(gpus=16, tensor_parallel=8, data_parallel=1, clients=128, prompt=8192, prefill_gpus=8)
    many = replace(few, layout=replace(few.layout, gpus=40, prefill_gpus=32))
    assert estimate_serving(many, CALIBRATION).ttft_s.value < estimate_serving(few, CALIBRATION).ttft_s.value


def test_a_pipeline_yields_about_its_stages_and_is_no_quicker_for_one() -> None:
    one = request("llama-3.3-70b", "fp8", gpus=1, clients=1)
    two = request("llama-3.3-70b", "fp8", gpus=2, tensor_parallel=1, pipeline_parallel=2, clients=1)
    assert estimate_serving(two, CALIBRATION).tpot_s.value >= estimate_serving(one, CALIBRATION).tpot_s.value * 0.95
    rate = best_load(two, CALIBRATION).total_tok_s.value / best_load(one, CALIBRATION).total_tok_s.value
    assert 1.6 < rate < 3


def test_speculation_pays_at_small_batches() -> None:
    plain = request("deepseek-r1", "fp8", clients=1)
    guess = Speculation(1, acceptance_length=1.8)
    drafted = replace(plain, layout=replace(plain.layout, speculation=guess))
    gain = estimate_serving(plain, CALIBRATION).tpot_s.value / estimate_serving(drafted, CALIBRATION).tpot_s.value
    assert 1.3 < gain < 1.8


def test_less_power_holds_less_of_the_peak() -> None:
    asked = request(gpus=1, clients=1, prompt=8192)
    starved = with_gpu(asked, board_power_w=350)
    assert (
        estimate_serving(starved, CALIBRATION).prefill_tok_s.value
        < 0.8 * estimate_serving(asked, CALIBRATION).prefill_tok_s.value
    )


def test_best_throughput_is_more_than_any_single_load() -> None:
    asked = request(gpus=8, prompt=512, output=512)
    best = best_throughput(asked, CALIBRATION).total_tok_s.value
    for clients in (8, 64, 512):
        single = replace(asked, workload=replace(asked.workload, concurrency=clients))
        assert estimate_serving(single, CALIBRATION).total_tok_s.value <= best * 1.02


def test_a_latency_limit_costs_throughput() -> None:
    asked = request(gpus=8, prompt=512, output=512)
    free, held = best_throughput(asked, CALIBRATION), best_throughput(asked, CALIBRATION, tpot_limit_s=0.012)
    assert held.total_tok_s.value < free.total_tok_s.value


def test_what_does_not_fit_has_no_best() -> None:
    with pytest.raises(Unsupported, match="does not fit"):
        best_throughput(request("deepseek-r1", "fp8", gpus=1), CALIBRATION)


def test_impossible_layouts_are_refused() -> None:
    asked = request("deepseek-r1", "fp8")
    with pytest.raises(BadInput, match="KV cache type"):
        estimate_serving(replace(asked, layout=replace(asked.layout, kv_type="q2")), CALIBRATION)
    with pytest.raises(Unsupported, match="does not divide"):
        estimate_serving(replace(asked, layout=replace(asked.layout, attention_data_parallel=3)), CALIBRATION)


def test_a_calibration_that_lacks_parameters_is_refused() -> None:
    with pytest.raises(BadInput, match=r"has no serving\."):
        estimate_serving(request(), Calibration("empty", {}))


def test_no_gpu_is_refused() -> None:
    asked = request()
    with pytest.raises(Unsupported, match="needs a GPU"):
        estimate_serving(replace(asked, machine=replace(asked.machine, gpus=())), CALIBRATION)


def test_several_machines_need_a_network() -> None:
    asked = request("deepseek-r1", "fp8", gpus=16, tensor_parallel=16)
    assert estimate_serving(asked, CALIBRATION).tpot_s.value > 0
    with pytest.raises(Unsupported, match="network"):
        estimate_serving(replace(asked, machine=replace(asked.machine, network_bytes_per_s=None)), CALIBRATION)


def test_sglang_gives_prompts_passes_of_their_own() -> None:
    shared = estimate_serving(request(engine=Engine.VLLM, prompt=512), CALIBRATION)
    assert shared.tpot_s.value > 0
    alone = estimate_serving(request(engine=Engine.SGLANG, prompt=512), CALIBRATION)
    projections = next(term for term in alone.prefill if term.name == "attention projections")
    mixed = next(term for term in shared.prefill if term.name == "attention projections")
    assert projections.seconds <= mixed.seconds


def test_one_user_of_a_pipeline_reads_as_many_experts_as_of_one_gpu() -> None:
    """A token passes the stages one after the other: its experts and its cache are read whole, not a stage's part."""
    alone = request("qwen3-30b-a3b", "bf16", gpus=1, clients=1, engine=Engine.SGLANG)
    three = request("qwen3-30b-a3b", "bf16", gpus=3, tensor_parallel=1, pipeline_parallel=3, clients=1,
                    engine=Engine.SGLANG)  # fmt: skip
    assert estimate_serving(three, CALIBRATION).tpot_s.value >= estimate_serving(alone, CALIBRATION).tpot_s.value
