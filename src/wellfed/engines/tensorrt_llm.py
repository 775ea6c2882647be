"""TensorRT-LLM's server: Plan -> LaunchSpec.

Flags: `trtllm-serve serve --help` in NVIDIA/TensorRT-LLM, docs/source/commands/trtllm-serve. What has no flag (type of
the KV cache, attention data parallelism) goes into the YAML file of `--extra_llm_api_options`, of which the
environment variable names the content.
"""

from __future__ import annotations

from wellfed.engines.placement import binding
from wellfed.engines.servers import servers
from wellfed.engines.spec import HEAD_TO_NAME, Endpoint, LaunchSpec
from wellfed.message import sentence
from wellfed.nouns.layout import DraftKind
from wellfed.nouns.plan import Plan
from wellfed.perf.memory.context_ranks import context_ranks

_BLOCK = 32  # tokens of a cache page: TensorRT-LLM's default (tokens_per_block)
FLAGS = (
    "--host", "--port", "--backend", "--tp_size", "--pp_size", "--ep_size", "--max_batch_size", "--max_num_tokens",
    "--max_seq_len", "--kv_cache_free_gpu_memory_fraction", "--extra_llm_api_options",
)  # fmt: skip


def launch_spec(plan: Plan, program: tuple[str, ...], model: str, endpoint: Endpoint) -> LaunchSpec:
    """How `trtllm-serve` serves `model` (a folder or a repository) as planned."""
    layout = plan.layout
    words = [*program, model, "--backend", "pytorch", "--max_batch_size", str(layout.max_sequences)]
    words += ["--max_num_tokens", str(layout.batch_tokens), "--max_seq_len", str(plan.workload.context)]
    for flag, degree in (
        ("--tp_size", layout.tensor_parallel // context_ranks(layout)),
        ("--pp_size", layout.pipeline_parallel),
        ("--ep_size", layout.expert_parallel),
    ):
        if degree > 1:
            words += [flag, str(degree)]
    fraction = dict(layout.options).get("free_gpu_memory_fraction")
    words += ["--kv_cache_free_gpu_memory_fraction", fraction] if fraction else []
    extra = extra_options(plan)
    if extra:
        words += ["--extra_llm_api_options", "extra.yaml"]
    return LaunchSpec(
        engine=layout.engine,
        argv=(*words, "--host", endpoint.host, "--port", str(endpoint.port)),
        endpoint=endpoint,
        binding=binding(plan.machine, layout),
        gpus=tuple(range(min(layout.gpus, len(plan.machine.gpus)))),
        files=(model,),
        nodes=servers(plan.machine, layout).nodes,
        notes=(sentence("tensorrt-llm.extra-yaml-holds", "extra.yaml holds: {extra}", extra="; ".join(extra)),)
        if extra
        else (),
    )


def extra_options(plan: Plan) -> tuple[str, ...]:
    """Lines of the YAML file of what has no flag."""
    lines = []
    if plan.layout.attention_data_parallel > 1:
        lines.append("enable_attention_dp: true")
    parts = context_ranks(plan.layout)
    if parts > 1:
        helix = f"cp_config: {{cp_type: HELIX, tokens_per_block: {_BLOCK}}}"
        lines += [f"context_parallel_size: {parts}", helix]
    if plan.layout.kv_type != "f16":
        lines.append(f"kv_cache_config: {{dtype: {plan.layout.kv_type}}}")
    options = dict(plan.layout.options)
    if options.get("lora") == "1":
        count, rank = options.get("loras", "1"), options.get("lora_rank", "16")
        lines.append(
            f"lora_config: {{max_lora_rank: {rank}, max_loras: {count}, max_cpu_loras: {count}, "
            f"lora_target_modules: [{', '.join(_ADAPTED)}]}}"
        )
    guess = plan.layout.speculation
    if guess is not None and guess.kind is not None:
        length = "num_nextn_predict_layers" if guess.kind is DraftKind.MTP else "max_draft_len"
        decoding = f"decoding_type: {_DRAFTING[guess.kind]}, {length}: {guess.tokens}"
        if guess.kind in (DraftKind.EAGLE, DraftKind.DRAFT):
            decoding += f", speculative_model_dir: {guess.draft or HEAD_TO_NAME}"
        lines.append(f"speculative_config: {{{decoding}}}")
    return tuple(lines)


# Every linear layer by TensorRT-LLM's names (docs/source/features/lora.md of NVIDIA/TensorRT-LLM, read 2026-11-29).
_ADAPTED = ("attn_q", "attn_k", "attn_v", "attn_dense", "mlp_h_to_4h", "mlp_gate", "mlp_4h_to_h")
_DRAFTING = {DraftKind.MTP: "MTP", DraftKind.EAGLE: "Eagle", DraftKind.DRAFT: "DraftTarget", DraftKind.NGRAM: "NGram"}
