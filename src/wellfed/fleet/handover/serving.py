"""Replicas for serving systems: KServe's LLMInferenceService, values of llm-d's chart, Ray Serve LLM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wellfed.engines.exports.images import image_of, in_container
from wellfed.errors import Unsupported
from wellfed.fleet.handover.replica_set import ReplicaSet
from wellfed.message import message
from wellfed.nouns.layout import Engine, Layout

_OWN = {"--host", "--port", "--served-model-name", "--tensor-parallel-size", "--numa-bind"}  # set by these systems
_OVER_NODES = {"--data-parallel-size", "--enable-expert-parallel"}  # set by them where a replica spans nodes
# Names that Ray gives nodes' cards: ray.util.accelerators (docs.ray.io, accelerator types)
_RAY_TYPES = {"H100": "H100", "H200": "H200", "A100 80GB": "A100-80G", "A100": "A100", "L40S": "L40S", "L4": "L4",
              "A10G": "A10G", "B200": "B200", "MI300X": "AMD-Instinct-MI300X-OAM"}  # fmt: skip


def kserve(sets: Sequence[ReplicaSet]) -> str:
    """One LLMInferenceService a set, with KServe's own routing and scheduling; its presets start vLLM.

    Fields: serving.kserve.io/v1alpha1 (served since 0.16, and beside v1alpha2 by later ones), kserve.github.io
    reference. Presets (config/llmisvcconfig of the project, read November 2026): on one node they pass the
    tensor-parallel degree alone, over nodes the data-parallel ones; the rest goes into VLLM_ADDITIONAL_ARGS of the
    container `main`. Raises Unsupported for a tensor- or pipeline-parallel group over nodes: no preset starts one.
    """
    return _written([_inference_service(_startable(replica_set, "KServe")) for replica_set in sets])


def _inference_service(replica_set: ReplicaSet) -> dict[str, Any]:
    layout = replica_set.share.capacity.plan.layout
    if replica_set.nodes > 1 and _tensor(layout) * layout.pipeline_parallel > replica_set.gpus_a_node:
        raise Unsupported(
            message("handover.kserve", "KServe has no preset for a group of GPUs that spans nodes"),
            message("handover.kserve.hint", "use --export kubernetes: a LeaderWorkerSet"),
        )
    spec: dict[str, Any] = {
        "model": {"uri": f"hf://{replica_set.repository}", "name": replica_set.model},
        "replicas": replica_set.replicas,
        "parallelism": {"tensor": _tensor(layout)},
        "router": {"gateway": {}, "route": {}, "scheduler": {}},
        "template": _main(replica_set),
    }
    if replica_set.nodes > 1:
        spec["parallelism"] |= {"data": _data(layout), "dataLocal": _data_on_a_node(layout, replica_set.nodes)}
        spec["parallelism"] |= {"expert": True} if layout.expert_parallel > 1 else {}
        spec["worker"] = _main(replica_set)
    if replica_set.prefill is not None:  # the presets join both by NIXL
        first = replica_set.prefill.share.capacity.plan.layout
        spec["prefill"] = {
            "replicas": replica_set.prefill.replicas,
            "parallelism": {"tensor": _tensor(first)},
            "template": _main(replica_set.prefill),
        }
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "LLMInferenceService",
        "metadata": {"name": replica_set.name},
        "spec": spec,
    }


def _tensor(layout: Layout) -> int:
    """vLLM's tensor-parallel degree: of one group of attention."""
    return layout.tensor_parallel // layout.attention_data_parallel


def _data(layout: Layout) -> int:
    """vLLM's data-parallel degree: copies, and groups of attention."""
    return layout.data_parallel * layout.attention_data_parallel


def _data_on_a_node(layout: Layout, nodes: int) -> int:
    """Data-parallel ranks of one node."""
    return max(1, _data(layout) // nodes)


def _main(replica_set: ReplicaSet) -> dict[str, Any]:
    gpus = {f"{replica_set.spec.gpu_vendor}.com/gpu": str(replica_set.gpus_a_node)}
    extra = {"name": "VLLM_ADDITIONAL_ARGS", "value": " ".join(own_arguments(replica_set))}
    return {"containers": [{"name": "main", "env": [extra], "resources": {"requests": gpus, "limits": gpus}}]}


def own_arguments(replica_set: ReplicaSet) -> list[str]:
    """The plan's arguments, without those that a serving system sets itself."""
    theirs = _OWN | (_OVER_NODES if replica_set.nodes > 1 else set())
    arguments: list[str] = []
    for flag, value in flags(replica_set):
        if flag not in theirs:
            arguments += [flag] if value is None else [flag, value]
    return arguments


def flags(replica_set: ReplicaSet) -> list[tuple[str, str | None]]:
    """(flag, value) of the engine's command; None for a switch."""
    words, _ = in_container(replica_set.spec)
    pairs: list[tuple[str, str | None]] = []
    for word in words:
        if word.startswith("--"):
            pairs.append((word, None))
        elif pairs and pairs[-1][1] is None:
            pairs[-1] = (pairs[-1][0], word)
    return pairs


def llm_d(sets: Sequence[ReplicaSet]) -> str:
    """Values for llm-d's modelservice chart: decode pods, and prefill pods where they are apart; of one set.

    Keys: llm-d-incubation/llm-d-modelservice, charts/llm-d-modelservice/values.yaml (read November 2026). Raises
    Unsupported for several kinds of nodes: the chart has one kind of decode pods.
    """
    if len(sets) != 1:
        raise Unsupported(
            message(
                "handover.llm-d", "llm-d's chart has one kind of decode pods, the plan takes {count}", count=len(sets)
            ),
            message("handover.llm-d.hint", "plan for one kind of nodes, or use --export kserve"),
        )
    replica_set = _startable(sets[0], "llm-d")
    values = {
        "modelArtifacts": {
            "name": replica_set.model,
            "uri": f"hf://{replica_set.repository}",
            "size": f"{round(replica_set.share.capacity.plan.weights.total * 1.1 / 2**30) + 1}Gi",
            "labels": {"llm-d.ai/inferenceServing": "true", "llm-d.ai/model": replica_set.name},
        },
        "multinode": replica_set.nodes > 1,
        "accelerator": {"type": replica_set.spec.gpu_vendor},
        "decode": _pods(replica_set),
        "prefill": {"create": False, "replicas": 0} if replica_set.prefill is None else _pods(replica_set.prefill),
    }
    return _written([values])


def _pods(replica_set: ReplicaSet) -> dict[str, Any]:
    """The chart's pods of one role."""
    layout = replica_set.share.capacity.plan.layout
    gpus = {f"{replica_set.spec.gpu_vendor}.com/gpu": str(replica_set.gpus_a_node)}
    container = {
        "name": "vllm",
        "image": image_of(replica_set.spec),
        "modelCommand": "vllmServe",
        "args": own_arguments(replica_set),
        "resources": {"requests": gpus, "limits": gpus},
        "mountModelVolume": True,
    }
    parallelism = {"tensor": _tensor(layout), "data": _data(layout),
                   "dataLocal": _data_on_a_node(layout, replica_set.nodes), "workers": replica_set.nodes}  # fmt: skip
    return {"create": True, "replicas": replica_set.replicas, "parallelism": parallelism, "containers": [container]}


def ray_serve(sets: Sequence[ReplicaSet]) -> str:
    """A config for `serve run` or `serve deploy`: one application a set, scaled by requests in each replica.

    Keys: docs.ray.io, Serve LLM configuration reference (LLMConfig) and Serve config files. `target_ongoing_requests`
    is what one replica has at a time at its planned capacity.
    """
    applications = [_application(_vllm(replica_set, "Ray Serve LLM"), len(sets)) for replica_set in sets]
    return _written([{"applications": applications}])


def _application(replica_set: ReplicaSet, count: int) -> dict[str, Any]:
    set_by_ray = {"--host", "--port", "--served-model-name", "--numa-bind"}
    kwargs = {flag[2:].replace("-", "_"): _value(value) for flag, value in flags(replica_set) if flag not in set_by_ray}
    scaling = {"min_replicas": replica_set.replicas, "max_replicas": replica_set.most,
               "target_ongoing_requests": max(1, round(replica_set.in_system))}  # fmt: skip
    config: dict[str, Any] = {
        "model_loading_config": {"model_id": replica_set.model, "model_source": replica_set.repository},
        "deployment_config": {
            "autoscaling_config": scaling,
            "max_ongoing_requests": 2 * max(1, round(replica_set.in_system)),
        },
        "engine_kwargs": kwargs,
    }
    kind = _ray_type(replica_set)
    if kind is not None:
        config["accelerator_type"] = kind
    return {
        "name": replica_set.name,
        "route_prefix": "/" if count == 1 else f"/{replica_set.name}",
        "import_path": "ray.serve.llm:build_openai_app",
        "args": {"llm_configs": [config]},
    }


def _value(text: str | None) -> bool | int | float | str:
    """As Python would have it; a switch is true."""
    if text is None:
        return True
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _ray_type(replica_set: ReplicaSet) -> str | None:
    """Ray's name of the card; None where it has none that is known here."""
    names = {gpu.spec.name if gpu.spec else gpu.name or "" for gpu in replica_set.gpus}
    if len(names) != 1:
        return None
    words = names.pop()
    return next((kind for key, kind in _RAY_TYPES.items() if words.startswith(key)), None)


def _vllm(replica_set: ReplicaSet, system: str) -> ReplicaSet:
    """The set itself. Raises Unsupported where its engine is not vLLM."""
    if replica_set.spec.engine is not Engine.VLLM:
        raise Unsupported(
            message("handover.engine", "{system} is written for vLLM here, the plan has {engine}",
                    system=system, engine=replica_set.spec.engine.value),
            message("handover.engine.hint", "plan with --engine vllm, or use --export kubernetes"),
        )  # fmt: skip
    return replica_set


def on_a_hub(replica_set: ReplicaSet, system: str) -> ReplicaSet:
    """The set itself. Raises Unsupported for a folder or file of this machine, which pods do not see."""
    if replica_set.repository.startswith(("/", ".", "~")):
        raise Unsupported(
            message("handover.local", "{system} fetches models from a hub, {path} is of this machine",
                    system=system, path=replica_set.repository),
            message("handover.local.hint", "name it by its hub id, or use --export kubernetes"),
        )  # fmt: skip
    return replica_set


def _on_gpus(replica_set: ReplicaSet, system: str) -> ReplicaSet:
    """The set itself. Raises Unsupported for CPUs alone: these systems start vLLM's build for GPUs."""
    if not replica_set.gpus_a_node:
        raise Unsupported(
            message("handover.cpu", "{system} starts vLLM on GPUs, the plan has none", system=system),
            message("handover.cpu.hint", "use --export kubernetes"),
        )
    return replica_set


def _startable(replica_set: ReplicaSet, system: str) -> ReplicaSet:
    return _on_gpus(on_a_hub(_vllm(replica_set, system), system), system)


def _written(documents: Sequence[dict[str, Any]]) -> str:
    return "\n---\n".join(json.dumps(document, indent=2, ensure_ascii=False) for document in documents) + "\n"
