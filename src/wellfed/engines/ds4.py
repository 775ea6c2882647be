"""ds4 (DwarfStar), an engine for a few models on Apple, DGX Spark, Strix Halo and NVIDIA cards: Plan -> LaunchSpec.

It loads GGUF files of its own recipes: experts in IQ2_XXS and Q2_K, Q4_K or MXFP4, the rest in eight bits. Sources:
README.md, docs/MODELS.md and docs/SERVER.md of antirez/ds4 (read 2026-11-29).
"""

from __future__ import annotations

from wellfed.engines.placement import binding
from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.nouns.plan import Plan

FLAGS = ("--ctx", "--host", "--port", "--batched-session", "--mtp")
MODELS = ("deepseek-v4", "glm-5.2", "glm-5.3")  # that it runs, by the beginnings of their ids


def runs(model_id: str) -> bool:
    """Whether the engine knows such a model."""
    return model_id.lower().startswith(MODELS)


def launch_spec(plan: Plan, program: tuple[str, ...], model: str, endpoint: Endpoint) -> LaunchSpec:
    """How `ds4-server` serves the file `model` as planned; it asks for no key."""
    slots = plan.layout.slots(plan.workload.concurrency)
    words = [*program, "-m", model, "--ctx", str(plan.workload.context)]
    words += ["--batched-session", str(slots)] if slots > 1 else []
    words += ["--mtp"] if plan.layout.speculation is not None else []
    vendor = next((gpu.spec.vendor for gpu in plan.machine.gpus if gpu.spec), "nvidia")
    return LaunchSpec(
        engine=plan.layout.engine,
        argv=(*words, "--host", endpoint.host, "--port", str(endpoint.port)),
        endpoint=endpoint,
        binding=binding(plan.machine, plan.layout),
        gpus=tuple(range(min(plan.layout.gpus, len(plan.machine.gpus)))),
        gpu_vendor=vendor,
        files=(model,),
        health_path="/v1/models",
    )
