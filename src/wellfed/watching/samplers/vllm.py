"""vLLM's names, old and new.

Sources: vllm/v1/metrics/loggers.py and, of the engine before it, vllm/engine/metrics.py (github.com/vllm-project/vllm,
read November 2026). Its Python client adds `_total` to the name of every counter. `gpu_cache_usage_perc` became
`kv_cache_usage_perc` in 0.9; `time_per_output_token_seconds` became `inter_token_latency_seconds`, and both may be
told. Token counters grow with every step; queue and prefill times are added when a request ends.
"""

from __future__ import annotations

from wellfed.watching.samplers.serving import Dialect, histogram, named

VLLM = Dialect(
    kind="vllm",
    prefix="vllm:",
    sums={
        "running": named("vllm:num_requests_running"),
        "waiting": named("vllm:num_requests_waiting"),
        "tokens_total": named("vllm:generation_tokens_total"),
        "prompt_tokens_total": named("vllm:prompt_tokens_total"),
        "steps_total": named("vllm:iteration_tokens_total_count"),
        "requests_total": named("vllm:request_success_total"),
        "preemptions_total": named("vllm:num_preemptions_total"),
        **histogram("queue", "vllm:request_queue_time_seconds"),
        **histogram("ttft", "vllm:time_to_first_token_seconds"),
        **histogram("tpot", "vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
        **histogram("prefill", "vllm:request_prefill_time_seconds"),
    },
    fullest={"kv_usage": named("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")},
)
