"""SGLang's names, old and new (started with --enable-metrics).

Sources: python/sglang/srt/observability/metrics_collector.py and, before 2026, srt/metrics/collector.py
(github.com/sgl-project/sglang, read November 2026). `generation_tokens_total` and `prompt_tokens_total` grow only when
a request ends; `realtime_tokens_total`, by mode, grows while it runs, and is taken where there is one. What vLLM calls
preemption is retraction; `num_retracted_reqs` is a gauge and cannot be counted with. With priority scheduling a gauge
is told for every priority and, with an empty one, for all of them. SGLang's router tells `sglang_` for `sglang:`.
"""

from __future__ import annotations

from wellfed.watching.samplers.serving import Dialect, Metric, histogram, named


def _realtime(*modes: str) -> tuple[Metric, ...]:
    return tuple(Metric("sglang:realtime_tokens_total", (("mode", mode),)) for mode in modes)


SGLANG = Dialect(
    kind="sglang",
    prefix="sglang:",
    aliases=("sglang_",),
    sums={
        "running": named("sglang:num_running_reqs"),
        "waiting": named("sglang:num_queue_reqs"),
        "tokens_total": (*_realtime("decode"), *named("sglang:generation_tokens_total")),
        "prompt_tokens_total": (*_realtime("prefill_compute"), *named("sglang:prompt_tokens_total")),
        "requests_total": named("sglang:num_requests_total"),
        "preemptions_total": named("sglang:num_retracted_requests_total", "sglang:num_retractions_sum"),
        **histogram("queue", "sglang:queue_time_seconds"),
        **histogram("ttft", "sglang:time_to_first_token_seconds"),
        **histogram("tpot", "sglang:inter_token_latency_seconds", "sglang:time_per_output_token_seconds"),
    },
    fullest={"kv_usage": named("sglang:token_usage")},
)
