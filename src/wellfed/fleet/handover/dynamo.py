"""Replicas for NVIDIA Dynamo: a DynamoGraphDeployment of a frontend that routes and a component a kind of worker.

Fields: nvidia.com/v1beta1, docs.nvidia.com/dynamo, DynamoGraphDeployment and DynamoComponentDeployment references,
KV-aware routing, multinode deployments, vLLM and SGLang configuration (versions 1.4 and 1.5, read November 2026). Its
workers take the engine's own arguments; the operator itself adds what joins nodes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wellfed.errors import Unsupported
from wellfed.fleet.handover.replica_set import ReplicaSet
from wellfed.fleet.handover.serving import flags, on_a_hub
from wellfed.message import message
from wellfed.nouns.layout import Engine

_RUNTIME = "1.5.1"
_WORKERS = {Engine.VLLM: "vllm", Engine.SGLANG: "sglang"}
_MODEL = {Engine.VLLM: "--model", Engine.SGLANG: "--model-path"}
# set here, by the operator, or by Dynamo's own server in front of the engine
_THEIRS = frozenset(
    {"--model", "--model-path", "--host", "--port", "--numa-bind", "--numa-node", "--enable-metrics", "--nnodes",
     "--node-rank", "--dist-init-addr", "--distributed-executor-backend"}
)  # fmt: skip
_COPIES = frozenset({"--data-parallel-size", "--dp-size"})
_EVENTS: dict[Engine, dict[str, Any]] = {
    Engine.VLLM: {"publisher": "zmq", "topic": "kv-events", "endpoint": "tcp://*:20080",
                  "enable_kv_cache_events": True},
    Engine.SGLANG: {"publisher": "zmq", "topic": "kv-events", "endpoint": "tcp://*:5557"},
}  # fmt: skip
_ROLE_FLAGS = {
    Engine.VLLM: ("--kv-transfer-config", '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'),
    Engine.SGLANG: ("--disaggregation-transfer-backend", "nixl"),
}


def dynamo(sets: Sequence[ReplicaSet]) -> str:
    """The object as JSON that is YAML. Raises Unsupported for an engine that Dynamo has no workers of here, for two
    engines in one graph, for other cards than NVIDIA's, and for a model that is a folder of this machine.
    """
    engine = _engine(sets)
    parts = [
        part for number, replica_set in enumerate(sets, 1) for part in _parts(replica_set, _suffix(number, len(sets)))
    ]
    document = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": sets[0].name.removesuffix("-1") if len(sets) > 1 else sets[0].name},
        "spec": {"backendFramework": _WORKERS[engine], "components": [_frontend(sets), *parts]},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _engine(sets: Sequence[ReplicaSet]) -> Engine:
    engines = {on_a_hub(replica_set, "Dynamo").spec.engine for replica_set in sets}
    if engines - _WORKERS.keys() or len(engines) > 1:
        raise Unsupported(
            message("handover.dynamo", "a Dynamo graph is written for one engine here, vLLM or SGLang"),
            message("handover.dynamo.hint", "plan with --engine vllm or --engine sglang"),
        )
    if any(replica_set.spec.gpu_vendor != "nvidia" or not replica_set.gpus_a_node for replica_set in sets):
        raise Unsupported(message("handover.dynamo-cards", "Dynamo's runtimes are for NVIDIA's GPUs"))
    return engines.pop()


def _suffix(number: int, count: int) -> str:
    return "" if count == 1 else f"-{number}"


def _knows_prefixes(sets: Sequence[ReplicaSet]) -> bool:
    """Whether the plan counts on earlier turns being found: then the router must know where they lie."""
    return any(replica_set.share.capacity.plan.workload.depth_tokens for replica_set in sets)


def _frontend(sets: Sequence[ReplicaSet]) -> dict[str, Any]:
    """`least-loaded` where kinds of replicas take unequal rates: taking turns would overload the smaller."""
    mode = "kv" if _knows_prefixes(sets) else "least-loaded" if len(sets) > 1 else "round-robin"
    container = {"name": "main", "image": _image(sets[0]), "env": [{"name": "DYN_ROUTER_MODE", "value": mode}]}
    return {
        "name": "frontend",
        "type": "frontend",
        "replicas": 1,
        "podTemplate": {"spec": {"containers": [container]}},
    }


def _image(replica_set: ReplicaSet) -> str:
    return f"nvcr.io/nvidia/ai-dynamo/{_WORKERS[replica_set.spec.engine]}-runtime:{_RUNTIME}"


def _parts(replica_set: ReplicaSet, suffix: str) -> list[dict[str, Any]]:
    """Workers, or decode and prefill workers where they are apart."""
    if replica_set.prefill is None:
        return [_component(replica_set, "worker", suffix)]
    return [_component(replica_set, "decode", suffix), _component(replica_set.prefill, "prefill", suffix)]


def _component(replica_set: ReplicaSet, role: str, suffix: str) -> dict[str, Any]:
    """Copies of the model on one node that share nothing are workers of their own, so that the router sees each."""
    layout = replica_set.share.capacity.plan.layout
    together = replica_set.nodes > 1 or layout.expert_parallel > 1 or layout.attention_data_parallel > 1
    copies = 1 if together else layout.data_parallel
    gpus = {"nvidia.com/gpu": str(replica_set.gpus_a_node // copies)}
    container = {
        "name": "main",
        "image": _image(replica_set),
        "command": ["python3", "-m", f"dynamo.{_WORKERS[replica_set.spec.engine]}"],
        "args": _arguments(replica_set, role, without=frozenset() if together else _COPIES),
        "envFrom": [{"secretRef": {"name": "hf-token-secret", "optional": True}}],
        "resources": {"requests": gpus, "limits": gpus},
    }
    return {
        "name": f"{role}{suffix}",
        "type": role,
        "replicas": replica_set.replicas * copies,
        **({"multinode": {"nodeCount": replica_set.nodes}} if replica_set.nodes > 1 else {}),
        "podTemplate": {"spec": {"containers": [container]}},
    }


def _arguments(replica_set: ReplicaSet, role: str, without: frozenset[str]) -> list[str]:
    arguments = [_MODEL[replica_set.spec.engine], replica_set.repository]
    for flag, value in flags(replica_set):
        if flag not in _THEIRS | without:
            arguments += [flag] if value is None else [flag, value]
    if role != "worker":
        arguments += ["--disaggregation-mode", role, *_ROLE_FLAGS[replica_set.spec.engine]]
    if role != "decode" and _knows_prefixes([replica_set]):
        arguments += ["--kv-events-config", json.dumps(_EVENTS[replica_set.spec.engine], separators=(",", ":"))]
    return arguments
