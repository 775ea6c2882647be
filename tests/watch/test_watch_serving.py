"""vLLM's and SGLang's `/metrics`, written by us with the names that their sources have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.watch.scenes import said

from wellfed.watching.sample import Engine
from wellfed.watching.samplers.endpoint import parsed
from wellfed.watching.samplers.prometheus import series
from wellfed.watching.samplers.sglang import SGLANG
from wellfed.watching.samplers.vllm import VLLM

VLLM_NEW = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3
vllm:num_requests_running{engine="1",model_name="m"} 2
vllm:num_requests_waiting{engine="0",model_name="m"} 7
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 7
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.4
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.9
vllm:generation_tokens_total{engine="0",model_name="m"} 1000
vllm:prompt_tokens_total{engine="0",model_name="m"} 9000
vllm:num_preemptions_total{engine="0",model_name="m"} 4
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 6
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 5
vllm:iteration_tokens_total_bucket{engine="0",le="1.0",model_name="m"} 300
vllm:iteration_tokens_total_count{engine="0",model_name="m"} 480
vllm:iteration_tokens_total_sum{engine="0",model_name="m"} 10000
vllm:inter_token_latency_seconds_sum{engine="0",model_name="m"} 20.5
vllm:inter_token_latency_seconds_count{engine="0",model_name="m"} 990
vllm:time_per_output_token_seconds_sum{engine="0",model_name="m"} 20.5
vllm:time_per_output_token_seconds_count{engine="0",model_name="m"} 990
vllm:time_to_first_token_seconds_sum{engine="0",model_name="m"} 12.5
vllm:time_to_first_token_seconds_count{engine="0",model_name="m"} 10
vllm:request_queue_time_seconds_sum{engine="0",model_name="m"} 8.0
vllm:request_queue_time_seconds_count{engine="0",model_name="m"} 10
vllm:request_prefill_time_seconds_sum{engine="0",model_name="m"} 2.0
vllm:request_prefill_time_seconds_count{engine="0",model_name="m"} 10
"""
VLLM_OLD = """vllm:num_requests_running{model_name="m"} 1
vllm:num_requests_waiting{model_name="m"} 0
vllm:num_requests_swapped{model_name="m"} 0
vllm:gpu_cache_usage_perc{model_name="m"} 0.25
vllm:cpu_cache_usage_perc{model_name="m"} 0.99
vllm:generation_tokens_total{model_name="m"} 55
vllm:time_per_output_token_seconds_sum{model_name="m"} 1.1
vllm:time_per_output_token_seconds_count{model_name="m"} 54
"""
RANK = 'engine_type="unified",model_name="m",moe_ep_rank="0",pp_rank="0"'
SGLANG_NEW = f"""sglang:num_running_reqs{{{RANK},tp_rank="0",dp_rank="0",priority=""}} 4
sglang:num_running_reqs{{{RANK},tp_rank="1",dp_rank="0",priority=""}} 4
sglang:num_running_reqs{{{RANK},tp_rank="2",dp_rank="1",priority=""}} 3
sglang:num_running_reqs{{{RANK},tp_rank="0",dp_rank="0",priority="1"}} 1
sglang:num_running_reqs{{{RANK},tp_rank="0",dp_rank="0",priority="5"}} 3
sglang:num_running_reqs_offline_batch{{{RANK},tp_rank="0"}} 100
sglang:num_queue_reqs{{{RANK},tp_rank="0",dp_rank="0",priority=""}} 2
sglang:token_usage{{{RANK},tp_rank="0",dp_rank="0"}} 0.31
sglang:token_usage{{{RANK},tp_rank="2",dp_rank="1"}} 0.97
sglang:realtime_tokens_total{{{RANK},tp_rank="0",mode="decode"}} 700
sglang:realtime_tokens_total{{{RANK},tp_rank="0",mode="prefill_compute"}} 5000
sglang:realtime_tokens_total{{{RANK},tp_rank="0",mode="prefill_cache"}} 9000
sglang:generation_tokens_total{{model_name="m"}} 640
sglang:prompt_tokens_total{{model_name="m"}} 13000
sglang:num_requests_total{{model_name="m"}} 21
sglang:num_retracted_reqs{{{RANK},tp_rank="0",pid="77"}} 1
sglang:num_retracted_requests_total{{{RANK},tp_rank="0"}} 48
sglang:queue_time_seconds_sum{{{RANK},tp_rank="0"}} 6.5
sglang:queue_time_seconds_count{{{RANK},tp_rank="0"}} 20
sglang:inter_token_latency_seconds_sum{{model_name="m"}} 14.0
sglang:inter_token_latency_seconds_count{{model_name="m"}} 690
sglang:time_to_first_token_seconds_sum{{model_name="m"}} 9.0
sglang:time_to_first_token_seconds_count{{model_name="m"}} 20
"""
SGLANG_OLD = """sglang:num_running_reqs{model_name="m"} 2
sglang:num_queue_reqs{model_name="m"} 0
sglang:token_usage{model_name="m"} 0.28
sglang:gen_throughput{model_name="m"} 86.5
sglang:generation_tokens_total{model_name="m"} 7557
sglang:prompt_tokens_total{model_name="m"} 8128
sglang:time_per_output_token_seconds_sum{model_name="m"} 29.8
sglang:time_per_output_token_seconds_count{model_name="m"} 7400
sglang:num_retractions_sum{model_name="m"} 3
sglang:num_retractions_count{model_name="m"} 90
"""


def read(text: str) -> Engine:
    """The engine of a page."""
    return parsed(1.0, 0.01, 200, text, None)


def test_vllm_with_todays_names() -> None:
    found = read(VLLM_NEW)
    assert (found.kind, found.running, found.waiting, found.kv_usage) == ("vllm", 5.0, 7.0, 0.9)
    assert (found.tokens_total, found.prompt_tokens_total, found.steps_total) == (1000, 9000, 480)
    assert (found.requests_total, found.preemptions_total) == (11, 4)
    assert (found.tpot_s_total, found.tpot_count) == (20.5, 990)
    assert (found.ttft_s_total, found.queue_s_total, found.prefill_s_total) == (12.5, 8.0, 2.0)
    assert found.ttft_count == found.queue_count == found.prefill_count == 10


def test_vllm_with_the_names_before() -> None:
    found = read(VLLM_OLD)
    assert (found.running, found.kv_usage, found.tokens_total) == (1.0, 0.25, 55.0)
    assert (found.tpot_s_total, found.tpot_count) == (1.1, 54)
    assert found.queue_s_total is None
    assert found.preemptions_total is None


def test_sglang_counts_each_scheduler_once_and_a_total_without_its_parts() -> None:
    found = read(SGLANG_NEW)
    assert (found.kind, found.running, found.waiting, found.kv_usage) == ("sglang", 7.0, 2.0, 0.97)
    assert (found.tokens_total, found.prompt_tokens_total) == (700, 5000)
    assert (found.requests_total, found.preemptions_total) == (21, 48)
    assert (found.queue_s_total, found.queue_count, found.tpot_count) == (6.5, 20, 690)


def test_sglang_with_the_names_before() -> None:
    found = read(SGLANG_OLD)
    assert (found.kind, found.running, found.tokens_total, found.preemptions_total) == ("sglang", 2.0, 7557, 3)
    assert (found.tpot_s_total, found.tpot_count) == (29.8, 7400)


def test_sglang_that_has_decoded_nothing_yet_has_made_no_token() -> None:
    text = f'sglang:num_running_reqs{{{RANK}}} 1\nsglang:realtime_tokens_total{{{RANK},mode="prefill_compute"}} 512\n'
    found = read(text)
    assert (found.tokens_total, found.prompt_tokens_total) == (0.0, 512.0)


def test_sglangs_router_writes_underscores() -> None:
    found = read(SGLANG_NEW.replace("sglang:", "sglang_"))
    assert found == read(SGLANG_NEW)


@pytest.mark.parametrize("dialect", [VLLM, SGLANG])
def test_every_field_of_a_dialect_is_one_of_the_sample(dialect: object) -> None:
    assert isinstance(dialect, type(VLLM))
    empty = dialect.engine(0.0, 0.0, "")
    fields = (*dialect.sums, *dialect.fullest)
    assert all(getattr(empty, field) is None for field in fields)
    assert all(metric.name.startswith(dialect.prefix) for field in dialect.sums for metric in dialect.sums[field])


@given(st.text(max_size=300))
def test_hostile_pages_do_not_crash(text: str) -> None:
    for page in (text, f"vllm:{text}", f"sglang:num_queue_reqs{{{text}}} 1\n{text}", VLLM_NEW[:50] + text):
        found = read(page)
        assert found.t == 1.0
    assert all(name == "vllm:x" for name in series(f"vllm:x {text}\n{text}", ("vllm:x",)))


def test_a_full_cache_of_sglang_is_told() -> None:
    from tests.watch.scenes import H100, Scene

    full = Scene(gpus=(H100,), waiting=2.0, running=7.0, engine_now={"kind": "sglang", "kv_usage": 0.97})
    assert said(full).id == "kv-pressure"
