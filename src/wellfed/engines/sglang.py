"""SGLang, and KTransformers' kernels through it: Plan -> LaunchSpec. Flags: SGLang documentation, server arguments."""

from __future__ import annotations

import json

from wellfed.engines.placement import binding, threads
from wellfed.engines.servers import servers
from wellfed.engines.spec import HEAD_TO_NAME, Endpoint, LaunchSpec, is_made_at_start
from wellfed.message import sentence
from wellfed.nouns.layout import DraftKind, Engine, Layout, NumaPolicy
from wellfed.nouns.plan import Plan

EXPERT_FILES = "kt_weight_path"  # the option: where the experts' own files lie, GGUF beside the model's
FLAGS = (
    "--model-path", "--served-model-name", "--host", "--port", "--tp-size", "--pp-size", "--dp-size", "--ep-size",
    "--context-length", "--max-running-requests", "--chunked-prefill-size", "--kv-cache-dtype", "--quantization",
    "--enable-dp-attention", "--numa-node", "--nnodes", "--node-rank", "--dist-init-addr", "--enable-metrics",
    "--mem-fraction-static", "--disable-cuda-graph", "--speculative-algorithm", "--speculative-num-draft-tokens",
    "--speculative-num-steps", "--speculative-eagle-topk", "--speculative-draft-model-path", "--config",
    "--max-total-tokens", "--enable-hierarchical-cache", "--hicache-size", "--hicache-ratio",
    "--ep-num-redundant-experts", "--enable-lora", "--max-loras-per-batch", "--max-lora-rank", "--lora-target-modules",
    "--kt-weight-path", "--kt-method", "--kt-cpuinfer", "--kt-threadpool-count", "--kt-num-gpu-experts",
    "--limit-mm-data-per-request", "--dcp-size", "--disaggregation-mode",
)  # fmt: skip


def launch_spec(plan: Plan, program: tuple[str, ...], model: str, endpoint: Endpoint) -> LaunchSpec:
    """How SGLang serves `model` as planned; the routed experts on the CPU when the plan is KTransformers'."""
    layout = plan.layout
    words = [*program, "--model-path", model, "--served-model-name", plan.model.id]
    words += ["--context-length", str(plan.workload.context), "--max-running-requests", str(layout.max_sequences)]
    words += ["--chunked-prefill-size", str(layout.batch_tokens)]
    over = servers(plan.machine, layout)
    words += _degree_words(layout, over.copies)
    if layout.kv_type != "f16":
        words += ["--kv-cache-dtype", {"fp8": "fp8_e4m3", "bf16": "bfloat16"}.get(layout.kv_type, layout.kv_type)]
    if is_made_at_start(layout.quantisation, plan.model.native_quantisation, model):
        words += ["--quantization", "fp8"]
    fraction = dict(layout.options).get("mem_fraction_static")
    words += ["--mem-fraction-static", fraction] if fraction else []
    words += [] if layout.cuda_graphs else ["--disable-cuda-graph"]
    words += _kept_words(dict(layout.options))
    words += drafting_words(layout)
    words += _numa(plan)
    words += _ktransformers(plan, model)
    words += picture_words(plan)
    if over.nodes > 1:
        words += ["--nnodes", str(over.nodes)]
    words += ["--host", endpoint.host, "--port", str(endpoint.port), "--enable-metrics"]
    return LaunchSpec(
        engine=layout.engine,
        argv=tuple(words),
        endpoint=endpoint,
        secrets={"SGLANG_API_KEY": endpoint.api_key} if endpoint.api_key else {},
        key_flag="--config",  # the server reads its key from no variable: srt/server_args.py, version 0.5.23
        binding=binding(plan.machine, layout),
        gpus=tuple(range(min(layout.gpus, len(plan.machine.gpus)))),
        files=(model,),
        nodes=over.nodes,
        servers=over.count,
        notes=(*_rank_notes(over.nodes), *over.notes),
    )


def _rank_notes(nodes: int) -> tuple[str, ...]:
    if nodes == 1:
        return ()
    return (sentence("engines.sglang.set-node-rank", "set --node-rank and --dist-init-addr on each node"),)


def _degree_words(layout: Layout, copies: int) -> list[str]:
    """Degrees above one. With data-parallel attention SGLang's --tp-size counts all ranks of all replicas."""
    divided = layout.attention_data_parallel > 1
    degrees = {
        "--tp-size": layout.tensor_parallel * (copies if divided else 1),
        "--pp-size": layout.pipeline_parallel,
        "--dp-size": copies * layout.attention_data_parallel,
        "--ep-size": layout.expert_parallel,
    }
    words = [word for flag, degree in degrees.items() if degree > 1 for word in (flag, str(degree))]
    return [*words, "--enable-dp-attention"] if divided else words


def picture_words(plan: Plan) -> list[str]:
    """How many pictures a prompt may bring."""
    pictures = plan.workload.pictures
    return (
        []
        if pictures is None or not pictures.count
        else ["--limit-mm-data-per-request", json.dumps({"image": pictures.count})]
    )


def _kept_words(options: dict[str, str]) -> list[str]:
    """What was pinned of cache and adapters."""
    words = []
    if options.get("cache_tokens"):
        words += ["--max-total-tokens", options["cache_tokens"]]
    if options.get("hicache") == "1":
        words.append("--enable-hierarchical-cache")
        size, ratio = options.get("hicache_gb"), options.get("hicache_ratio")
        words += ["--hicache-size", f"{float(size):g}"] if size else []
        words += ["--hicache-ratio", f"{float(ratio):g}"] if ratio and not size else []
    if options.get("disaggregation"):
        words += ["--disaggregation-mode", options["disaggregation"]]
    if options.get("decode_context_parallel"):
        words += ["--dcp-size", options["decode_context_parallel"]]
    if options.get("redundant_experts"):
        words += ["--ep-num-redundant-experts", options["redundant_experts"]]
    if options.get("lora") == "1":
        words += ["--enable-lora", "--max-loras-per-batch", options.get("loras", "8")]
        words += ["--max-lora-rank", options.get("lora_rank", "16"), "--lora-target-modules", "all"]
    return words


def drafting_words(layout: Layout) -> list[str]:
    """A chain of drafted tokens, without trees. Prediction layers are drafted with as EAGLE heads are."""
    guess = layout.speculation
    if guess is None or guess.kind is None:
        return []
    names = {DraftKind.MTP: "EAGLE", DraftKind.EAGLE: "EAGLE3", DraftKind.DRAFT: "STANDALONE", DraftKind.NGRAM: "NGRAM"}
    words = ["--speculative-algorithm", names[guess.kind], "--speculative-num-draft-tokens", str(guess.tokens + 1)]
    if guess.kind is not DraftKind.NGRAM:
        words += ["--speculative-num-steps", str(guess.tokens), "--speculative-eagle-topk", "1"]
    if guess.kind in (DraftKind.EAGLE, DraftKind.DRAFT):
        words += ["--speculative-draft-model-path", guess.draft or HEAD_TO_NAME]
    return words


def _numa(plan: Plan) -> list[str]:
    """One NUMA node per rank, where every GPU's is known."""
    nodes = [gpu.numa_node for gpu in plan.machine.gpus[: plan.layout.gpus]]
    if len(plan.machine.numa_nodes) < 2 or not nodes or any(node is None for node in nodes):
        return []
    return ["--numa-node", *[str(node) for node in nodes]]


def _ktransformers(plan: Plan, model: str) -> list[str]:
    if plan.layout.engine is not Engine.KTRANSFORMERS:
        return []
    bound = binding(plan.machine, plan.layout)
    pools = len(plan.machine.numa_nodes) if plan.layout.numa is NumaPolicy.DUPLICATE else max(1, len(bound.nodes))
    options = dict(plan.layout.options)
    method = options.get("kt_method") or ("LLAMAFILE" if EXPERT_FILES in options else "AMXINT4")
    words = ["--kt-weight-path", options.get(EXPERT_FILES) or model, "--kt-method", method]
    count = threads(plan.machine, plan.layout, bound)
    if count is not None:
        words += ["--kt-cpuinfer", str(count)]
    return [*words, "--kt-threadpool-count", str(pools), "--kt-num-gpu-experts", options.get("kt_num_gpu_experts", "0")]
