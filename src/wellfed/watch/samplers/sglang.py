"""SGLang's `/metrics` (started with --enable-metrics; docs.sglang.ai, references/production_metrics)."""

from __future__ import annotations

from wellfed.watch.sample import Engine
from wellfed.watch.samplers.prometheus import metrics, most, total

KIND = "sglang"
PREFIX = "sglang:"


def engine(t: float, answer_s: float, text: str) -> Engine:
    """From the text; it counts retractions where vLLM counts preemptions."""
    found = metrics(text, PREFIX)
    return Engine(
        t=t,
        kind=KIND,
        answers=True,
        answer_s=answer_s,
        running=total(found, "sglang:num_running_reqs"),
        waiting=total(found, "sglang:num_queue_reqs"),
        tokens_total=total(found, "sglang:generation_tokens_total"),
        prompt_tokens_total=total(found, "sglang:prompt_tokens_total"),
        requests_total=total(found, "sglang:num_requests_total"),
        preemptions_total=total(found, "sglang:num_retracted_requests_total", "sglang:num_retractions_total"),
        kv_usage=most(found, "sglang:token_usage"),
        ttft_s_total=total(found, "sglang:time_to_first_token_seconds_sum"),
        ttft_count=total(found, "sglang:time_to_first_token_seconds_count"),
    )
