"""vLLM: Plan -> LaunchSpec. Flags: vLLM documentation, `vllm serve` arguments."""

from __future__ import annotations

from wellfed.engines.placement import binding
from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.plan import Plan
from wellfed.units import GIB

FLAGS = (
    "--host", "--port", "--served-model-name", "--max-model-len", "--max-num-seqs", "--max-num-batched-tokens",
    "--tensor-parallel-size", "--pipeline-parallel-size", "--data-parallel-size", "--enable-expert-parallel",
    "--kv-cache-dtype", "--quantization", "--gpu-memory-utilization", "--numa-bind", "--nnodes", "--cpu-offload-gb",
    "--distributed-executor-backend",
)  # fmt: skip


def launch_spec(plan: Plan, program: tuple[str, ...], model: str, endpoint: Endpoint) -> LaunchSpec:
    """How `vllm serve` serves `model` (a folder or a repository) as planned."""
    layout, workload = plan.layout, plan.workload
    words = [*program, "serve", model, "--served-model-name", plan.model.id, "--max-model-len", str(workload.context)]
    words += ["--max-num-seqs", str(layout.max_sequences), "--max-num-batched-tokens", str(layout.batch_tokens)]
    for flag, degree in (
        ("--tensor-parallel-size", layout.tensor_parallel),
        ("--pipeline-parallel-size", layout.pipeline_parallel),
        ("--data-parallel-size", layout.data_parallel * layout.attention_data_parallel),
    ):
        if degree > 1:
            words += [flag, str(degree)]
    if layout.expert_parallel > 1:
        words.append("--enable-expert-parallel")
    if layout.kv_type == "fp8":
        words += ["--kv-cache-dtype", "fp8"]
    if layout.quantisation.lower() == "fp8" and plan.model.native_quantisation.lower() != "fp8":
        words += ["--quantization", "fp8"]
    sockets = {gpu.socket for gpu in plan.machine.gpus[: layout.gpus] if gpu.socket is not None}
    if len(plan.machine.numa_nodes) > 1:
        words.append("--numa-bind")
    words += ["--host", endpoint.host, "--port", str(endpoint.port)]
    several = plan.machine.count > 1 and layout.gpus > len(plan.machine.gpus)
    if several:
        words += ["--distributed-executor-backend", "ray"]
    return LaunchSpec(
        engine=layout.engine,
        argv=tuple(words),
        endpoint=endpoint,
        environment={"OMP_NUM_THREADS": "1"} if layout.gpus else {"VLLM_CPU_KVCACHE_SPACE": _cpu_cache_gib(plan)},
        secrets={"VLLM_API_KEY": endpoint.api_key} if endpoint.api_key else {},
        binding=binding(plan.machine, layout),
        gpus=tuple(range(min(layout.gpus, len(plan.machine.gpus)))),
        files=(model,),
        nodes=plan.machine.count if several else 1,
        notes=("ranks of GPUs on several sockets are bound by --numa-bind",) if len(sockets) > 1 else (),
    )


def _cpu_cache_gib(plan: Plan) -> str:
    terms = [t.bytes for d in plan.estimate.memory.devices for t in d.terms if "kv" in t.name.lower()]
    return str(max(1, round(sum(terms) / GIB)))
