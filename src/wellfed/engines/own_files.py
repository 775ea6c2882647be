"""Engines that load files of a format of their own: exllamav3 behind TabbyAPI, and MLX's server: Plan -> LaunchSpec.

Sources: README.md of turboderp-org/exllamav3 (TabbyAPI is its server), config_sample.yml of theroyallab/tabbyAPI (every
option is an argument, too, with dashes); mlx_lm/server.py of ml-explore/mlx-lm (read 2026-11-29).
"""

from __future__ import annotations

from pathlib import PurePath

from wellfed.engines.placement import binding
from wellfed.engines.spec import Binding, Endpoint, LaunchSpec
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan

TABBY_FLAGS = ("--host", "--port", "--model-dir", "--model-name", "--max-seq-len", "--cache-size", "--max-batch-size")
MLX_FLAGS = ("--model", "--host", "--port", "--decode-concurrency")


def launch_spec(plan: Plan, program: tuple[str, ...], model: str, endpoint: Endpoint) -> LaunchSpec:
    """How the engine's server serves `model` (a folder, or for MLX a repository) as planned.

    exllamav3 divides layers over the GPUs by itself; its cache holds the contexts of all users.
    """
    words = _mlx(plan, model) if plan.layout.engine is Engine.MLX else _tabby(plan, model)
    return LaunchSpec(
        engine=plan.layout.engine,
        argv=(*program, *words, "--host", endpoint.host, "--port", str(endpoint.port)),
        endpoint=endpoint,
        binding=Binding() if plan.layout.engine is Engine.MLX else binding(plan.machine, plan.layout),
        gpus=tuple(range(min(plan.layout.gpus, len(plan.machine.gpus)))),
        gpu_vendor="apple" if plan.layout.engine is Engine.MLX else "nvidia",
        files=(model,),
        health_path="/v1/models" if plan.layout.engine is Engine.MLX else "/health",
    )


def _mlx(plan: Plan, model: str) -> tuple[str, ...]:
    users = plan.layout.slots(plan.workload.concurrency)
    return ("--model", model, *(("--decode-concurrency", str(users)) if users > 1 else ()))


_CACHE_STEP = 256  # TabbyAPI: the cache's size is a multiple of it


def _tabby(plan: Plan, model: str) -> tuple[str, ...]:
    path, users = PurePath(model), plan.layout.slots(plan.workload.concurrency)
    context = -(-plan.workload.context // _CACHE_STEP) * _CACHE_STEP
    return (
        *("--model-dir", str(path.parent), "--model-name", path.name),
        *("--max-seq-len", str(context), "--cache-size", str(context * users), "--max-batch-size", str(users)),
    )
