"""vLLM's `/metrics` (docs.vllm.ai, design/metrics). Old and new names of the same thing are both known."""

from __future__ import annotations

from wellfed.watch.sample import Engine
from wellfed.watch.samplers.prometheus import metrics, most, total

KIND = "vllm"
PREFIX = "vllm:"


def engine(t: float, answer_s: float, text: str) -> Engine:
    """From the text; values of several engines behind one server are added, the fullest cache counts."""
    found = metrics(text, PREFIX)
    return Engine(
        t=t,
        kind=KIND,
        answers=True,
        answer_s=answer_s,
        running=total(found, "vllm:num_requests_running"),
        waiting=total(found, "vllm:num_requests_waiting"),
        tokens_total=total(found, "vllm:generation_tokens_total", "vllm:generation_tokens"),
        prompt_tokens_total=total(found, "vllm:prompt_tokens_total", "vllm:prompt_tokens"),
        steps_total=total(found, "vllm:iteration_tokens_total_count"),
        requests_total=total(found, "vllm:request_success_total", "vllm:request_success"),
        preemptions_total=total(found, "vllm:num_preemptions_total", "vllm:num_preemptions"),
        kv_usage=most(found, "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        queue_s_total=total(found, "vllm:request_queue_time_seconds_sum"),
        ttft_s_total=total(found, "vllm:time_to_first_token_seconds_sum"),
        ttft_count=total(found, "vllm:time_to_first_token_seconds_count"),
    )
