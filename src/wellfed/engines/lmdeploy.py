"""LMDeploy's server (TurboMind): Plan -> LaunchSpec. Flags: `lmdeploy serve api_server --help`, read of 0.10."""

from __future__ import annotations

from wellfed.engines.placement import binding
from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.nouns.plan import Plan

FLAGS = (
    "--server-name", "--server-port", "--model-name", "--tp", "--session-len", "--max-batch-size", "--quant-policy",
    "--cache-max-entry-count", "--max-prefill-token-num", "--enable-prefix-caching", "--backend",
)  # fmt: skip
_QUANT_POLICY = {"int8": "8", "int4": "4"}


def launch_spec(plan: Plan, program: tuple[str, ...], model: str, endpoint: Endpoint) -> LaunchSpec:
    """How `lmdeploy serve api_server` serves `model` (a folder or a repository) as planned."""
    layout = plan.layout
    words = [*program, "serve", "api_server", model, "--backend", "turbomind", "--model-name", plan.model.id]
    words += ["--session-len", str(plan.workload.context), "--max-batch-size", str(layout.max_sequences)]
    words += ["--max-prefill-token-num", str(layout.batch_tokens)]
    if layout.tensor_parallel > 1:
        words += ["--tp", str(layout.tensor_parallel)]
    if layout.kv_type in _QUANT_POLICY:
        words += ["--quant-policy", _QUANT_POLICY[layout.kv_type]]
    share = dict(layout.options).get("free_gpu_memory_fraction")
    words += ["--cache-max-entry-count", share] if share else []
    words += ["--enable-prefix-caching"] if plan.workload.shared_prefix_tokens else []
    return LaunchSpec(
        engine=layout.engine,
        argv=(*words, "--server-name", endpoint.host, "--server-port", str(endpoint.port)),
        endpoint=endpoint,
        binding=binding(plan.machine, layout),
        gpus=tuple(range(min(layout.gpus, len(plan.machine.gpus)))),
        files=(model,),
        health_path="/health",
    )
