"""vLLM on GPUs or CPUs: Plan -> LaunchSpec. Flags: `vllm serve --help=all` of 0.32.0; its CPU platform's variables."""

from __future__ import annotations

import json

from wellfed.engines.media import media_words
from wellfed.engines.placement import binding, rank_cpus
from wellfed.engines.servers import servers
from wellfed.engines.spec import HEAD_TO_NAME, Endpoint, LaunchSpec, is_made_at_start, ranges
from wellfed.message import sentence
from wellfed.nouns.layout import DraftKind, Layout
from wellfed.nouns.plan import Plan, Request
from wellfed.perf.memory import rank_pool_bytes

FLAGS = (
    "--host", "--port", "--served-model-name", "--max-model-len", "--max-num-seqs", "--max-num-batched-tokens",
    "--tensor-parallel-size", "--pipeline-parallel-size", "--data-parallel-size", "--enable-expert-parallel",
    "--kv-cache-dtype", "--quantization", "--gpu-memory-utilization", "--numa-bind", "--nnodes", "--cpu-offload-gb",
    "--enforce-eager", "--decode-context-parallel-size", "--speculative-config", "--distributed-executor-backend",
    "--kv-cache-memory-bytes", "--dtype", "--load-format", "--kv-offloading-size",
    "--kv-transfer-config", "--enable-lora", "--max-loras",
    "--max-lora-rank", "--limit-mm-per-prompt", "--language-model-only", "--mm-processor-kwargs",
    "--prefill-context-parallel-size",
)  # fmt: skip


_LOOKED_UP = 4  # tokens of the longest run that is looked up in the text: as in vLLM's documentation of n-grams


def launch_spec(plan: Plan, program: tuple[str, ...], model: str, endpoint: Endpoint) -> LaunchSpec:
    """How `vllm serve` serves `model` (a folder or a repository) as planned."""
    layout, bound = plan.layout, binding(plan.machine, plan.layout)
    over = servers(plan.machine, layout)
    words = [*program, "serve", model, *_common(plan), *(_on_gpus(plan, model) if layout.gpus else _on_cpus(plan))]
    words += ["--host", endpoint.host, "--port", str(endpoint.port)]
    if over.nodes > 1:
        words += ["--distributed-executor-backend", "ray"]
    return LaunchSpec(
        engine=layout.engine,
        argv=tuple(words),
        endpoint=endpoint,
        environment=_gpu_environment(layout) if layout.gpus else _cpu_environment(plan),
        secrets={"VLLM_API_KEY": endpoint.api_key} if endpoint.api_key else {},
        binding=bound,
        gpus=tuple(range(min(layout.gpus, len(plan.machine.gpus)))),
        files=(model,),
        memory_bytes=None if layout.gpus else plan.estimate.memory.devices[-1].needed_bytes,
        cores=None if layout.gpus else layout.threads,
        nodes=over.nodes,
        servers=over.count,
        notes=(*_notes(plan), *over.notes),
    )


def _common(plan: Plan) -> list[str]:
    layout, workload = plan.layout, plan.workload
    words = ["--served-model-name", plan.model.id, "--max-model-len", str(workload.context)]
    words += ["--max-num-seqs", str(layout.max_sequences), "--max-num-batched-tokens", str(layout.batch_tokens)]
    words += _degrees(layout, servers(plan.machine, layout).copies)
    return [*words, *drafting_words(layout), *_picture_words(plan)]


def _picture_words(plan: Plan) -> list[str]:
    """How many pictures a prompt may bring, and no other media: the engine makes room for what it may be sent."""
    pictures, most = plan.workload.pictures, dict(plan.layout.options).get("image_max_pixels")
    words = ["--mm-processor-kwargs", json.dumps({"max_pixels": int(most)})] if most else []
    if pictures is None or not pictures.count:
        return [*words, *media_words(plan.layout)]
    return [*words, "--limit-mm-per-prompt", json.dumps({"image": pictures.count, "video": 0})]


def drafting_words(layout: Layout) -> list[str]:
    """`--speculative-config`: how tokens are drafted, as JSON."""
    guess = layout.speculation
    if guess is None or guess.kind is None:
        return []
    method = {DraftKind.MTP: "mtp", DraftKind.EAGLE: "eagle3", DraftKind.DRAFT: "draft_model", DraftKind.NGRAM: "ngram"}
    config: dict[str, str | int] = {"method": method[guess.kind], "num_speculative_tokens": guess.tokens}
    if guess.kind is DraftKind.NGRAM:
        config["prompt_lookup_max"] = _LOOKED_UP
    elif guess.kind is not DraftKind.MTP:
        config["model"] = guess.draft or HEAD_TO_NAME
    return ["--speculative-config", json.dumps(config)]


def _degrees(layout: Layout, copies: int) -> list[str]:
    """vLLM's degrees multiply to the GPUs: groups of attention are data-parallel ranks, each of a smaller tensor group
    (vLLM documentation, data parallel deployment).
    """
    words = []
    for flag, degree in (
        ("--tensor-parallel-size", layout.tensor_parallel // layout.attention_data_parallel),
        ("--pipeline-parallel-size", layout.pipeline_parallel),
        ("--data-parallel-size", copies * layout.attention_data_parallel),
    ):
        if degree > 1:
            words += [flag, str(degree)]
    return [*words, "--enable-expert-parallel"] if layout.expert_parallel > 1 else words


_OPTION_FLAGS = {
    "gpu_memory_utilization": "--gpu-memory-utilization", "cpu_offload_gb": "--cpu-offload-gb",
    "decode_context_parallel": "--decode-context-parallel-size",
    "prefill_context_parallel": "--prefill-context-parallel-size", "kv_cache_bytes": "--kv-cache-memory-bytes",
    "kv_ram_gib": "--kv-offloading-size", "kv_transfer": "--kv-transfer-config",
}  # fmt: skip
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM reserves for


def _lora_rank(options: dict[str, str]) -> str:
    wanted = int(options.get("lora_rank", 16))
    return str(next((rank for rank in _LORA_RANKS if rank >= wanted), wanted))


def _on_gpus(plan: Plan, model: str) -> list[str]:
    layout, words = plan.layout, []
    options = dict(layout.options)
    if "kv_transfer" in options:
        options.pop("kv_ram_gib", None)  # what the connector holds
    for name, flag in _OPTION_FLAGS.items():
        if name in options:
            words += [flag, options[name]]
    if options.get("lora") == "1":
        words += ["--enable-lora", "--max-loras", options.get("loras", "1"), "--max-lora-rank", _lora_rank(options)]
    if not layout.cuda_graphs:
        words.append("--enforce-eager")
    if layout.kv_type != "f16":
        words += ["--kv-cache-dtype", {"bf16": "bfloat16"}.get(layout.kv_type, layout.kv_type)]
    if is_made_at_start(layout.quantisation, plan.model.native_quantisation, model):
        words += ["--quantization", "fp8"]
    if layout.quantisation == "int8" and any(gpu.maker == "huawei" for gpu in plan.machine.gpus[:1]):
        words += ["--quantization", "ascend"]  # vllm-ascend's documentation, quantization
    return [*words, "--numa-bind"] if len(plan.machine.numa_nodes) > 1 else words


def _on_cpus(plan: Plan) -> list[str]:
    """The cache in bytes of each rank: the default, a share of all memory, is taken by every rank anew."""
    request = Request(plan.machine, plan.model, plan.weights, plan.layout, plan.workload)
    return ["--dtype", "bfloat16", "--kv-cache-memory-bytes", str(rank_pool_bytes(request))]


def _gpu_environment(layout: Layout) -> dict[str, str]:
    """Pipeline stages of unequal length are told by a variable."""
    stages = {"VLLM_PP_LAYER_PARTITION": ",".join(map(str, layout.split))} if layout.split else {}
    return {"OMP_NUM_THREADS": "1", **stages}


def _cpu_environment(plan: Plan) -> dict[str, str]:
    """The CPUs of each rank's threads; left to vLLM, which wants a NUMA node for each, where they are not known."""
    ranks = rank_cpus(plan.machine, plan.layout, binding(plan.machine, plan.layout))
    return {} if ranks is None else {"VLLM_CPU_OMP_THREADS_BIND": "|".join(ranges(cpus) for cpus in ranks)}


def _notes(plan: Plan) -> tuple[str, ...]:
    layout = plan.layout
    if not layout.gpus:
        return (
            sentence(
                "engines.vllm.vllm-cpus-speed", "vLLM on CPUs: its speed is an assumption, its memory is measured"
            ),
        )
    sockets = {gpu.socket for gpu in plan.machine.gpus[: layout.gpus] if gpu.socket is not None}
    return (
        (sentence("engines.vllm.ranks-gpus-several", "ranks of GPUs on several sockets are bound by --numa-bind"),)
        if len(sockets) > 1
        else ()
    )
